"""SELECT, EXAMINE, UNSELECT, CLOSE: which folder the commands are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emailengine.imap.commands.command import Command, Plain
from emailengine.imap.target import Selected
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import (
    Exists,
    Expunge,
    Fetch,
    Flags,
    Recent,
    Response,
    Status,
    Tagged,
    Vanished,
)
from emailengine.wire.imap.tokens import Piece

_CODES = frozenset(
    ("UIDVALIDITY", "UIDNEXT", "UNSEEN", "HIGHESTMODSEQ", "NOMODSEQ", "PERMANENTFLAGS", "UIDNOTSTICKY", "MAILBOXID")
)


class Select(Command[Selected]):
    """
    SELECT or EXAMINE.

    `leaving` is called when it is sent: from then on no folder is selected, until it succeeds. News of single messages
    that come while it runs belong to either folder; what the old one tells is not waited for, and the new one's are
    reckoned into `exists`.
    """

    __slots__ = ("_condstore", "_leaving", "_path", "_read_only", "_seen")

    def __init__(self, path: str, *, read_only: bool, condstore: bool, leaving: Callable[[], None]) -> None:
        self._path = path
        self._read_only = read_only
        self._condstore = condstore
        self._leaving = leaving
        self._seen = self._nothing()

    @property
    def word(self) -> str:  # type: ignore[override]  # of the class elsewhere
        return "EXAMINE" if self._read_only else "SELECT"

    def _nothing(self) -> Selected:
        return Selected(self._path, 0, 0, None, None, self._read_only, None)

    def line(self) -> Sequence[Piece]:
        word = self.word.encode("ascii")
        if self._condstore:
            return write.command(word, write.mailbox(self._path), b"(CONDSTORE)")
        return write.command(word, write.mailbox(self._path))

    def sent(self) -> None:
        self._leaving()

    def take(self, response: Response) -> bool:
        seen = self._seen
        if isinstance(response, Exists):
            seen.exists = response.n
        elif isinstance(response, Expunge):
            seen.exists = max(0, seen.exists - 1)
        elif isinstance(response, Vanished):
            if not response.earlier:
                seen.exists = max(0, seen.exists - len(response.uids))
        elif isinstance(response, Status):
            return self._take_code(response)
        else:
            return isinstance(response, Flags | Recent | Fetch)
        return True

    def _take_code(self, response: Status) -> bool:
        code = response.code
        if response.status != "OK" or code is None:
            return False
        seen = self._seen
        if code.name == "CLOSED":  # RFC 7162 3.2.11: all before was of the folder selected until now
            self._seen = self._nothing()
            return True
        if code.name == "UIDVALIDITY":
            seen.uidvalidity = code.number or 0
        elif code.name == "UIDNEXT":
            seen.uidnext = code.number
        elif code.name == "HIGHESTMODSEQ":
            seen.modseq = code.number or None  # zero is no mod-sequence (RFC 7162 7) but means NOMODSEQ
        elif code.name == "NOMODSEQ":
            seen.modseq = None
        elif code.name == "PERMANENTFLAGS":
            seen.permanent_flags = frozenset(code.flags)
        return code.name in _CODES

    def result(self, final: Tagged) -> Selected:
        if final.code is not None:
            self._seen.read_only = self._read_only or final.code.name == "READ-ONLY"
        return self._seen


class Unselect(Plain):
    """UNSELECT (RFC 3691), or CLOSE: that one expunges, unless the folder was opened by EXAMINE."""

    __slots__ = ("_close", "_leaving")
    word = "UNSELECT"

    def __init__(self, *, close: bool, leaving: Callable[[], None]) -> None:
        self._close = close
        self._leaving = leaving

    def line(self) -> Sequence[Piece]:
        return [b"CLOSE" if self._close else b"UNSELECT"]

    def sent(self) -> None:
        self._leaving()
