"""SELECT, EXAMINE, UNSELECT, CLOSE: which folder the commands are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from attrs import frozen

from emailengine.imap.commands.command import Command, Plain
from emailengine.imap.commands.fetch import put_together
from emailengine.imap.target import Selected
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import (
    Exists,
    Expunge,
    Fetch,
    Fetched,
    Flags,
    ListEntry,
    Recent,
    Response,
    Status,
    Tagged,
    Vanished,
)
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import UidSet

_CODES = frozenset(
    ("UIDVALIDITY", "UIDNEXT", "UNSEEN", "HIGHESTMODSEQ", "NOMODSEQ", "PERMANENTFLAGS", "UIDNOTSTICKY", "MAILBOXID")
)


@frozen
class Known:
    """What is known of a folder from before; `uids` are its messages, None for any."""

    uidvalidity: int
    modseq: int
    uids: UidSet | None = None


class Select(Command[Selected]):
    """
    SELECT or EXAMINE. With `known`, also what changed since (QRESYNC, RFC 7162 3.2.5).

    `leaving` is called when it is sent: from then on no folder is selected, until it succeeds. News of single messages
    that come while it runs belong to either folder; what the old one tells is not waited for, and the new one's are
    reckoned into `exists`.
    """

    __slots__ = ("_changed", "_condstore", "_known", "_leaving", "_path", "_read_only", "_seen", "_utf8", "_vanished")

    def __init__(
        self,
        path: str,
        *,
        read_only: bool,
        condstore: bool,
        leaving: Callable[[], None],
        known: Known | None = None,
        utf8: bool = False,
    ) -> None:
        self._path = path
        self._read_only = read_only
        self._condstore = condstore
        self._leaving = leaving
        self._known = known
        self._utf8 = utf8
        self._begin()

    @property
    def word(self) -> str:  # type: ignore[override]  # of the class elsewhere
        return "EXAMINE" if self._read_only else "SELECT"

    def _begin(self) -> None:
        self._seen = Selected(self._path, 0, 0, None, None, self._read_only, None)
        self._vanished: list[UidSet] = []
        self._changed: dict[int, Fetched] = {}

    def line(self) -> Sequence[Piece]:
        words: list[Piece] = [self.word.encode("ascii"), write.mailbox(self._path, utf8=self._utf8)]
        if self._known is not None:
            words.append(write.qresync(self._known.uidvalidity, self._known.modseq, self._known.uids))
        elif self._condstore:
            words.append(b"(CONDSTORE)")
        return write.command(*words)

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
            if self._known is not None:
                self._vanished.append(response.uids)
        elif isinstance(response, Status):
            return self._take_code(response)
        elif isinstance(response, Fetch):
            self._take_change(response)
        else:
            return isinstance(response, Flags | Recent | ListEntry)
        return True

    def _take_change(self, told: Fetched) -> None:
        if self._known is not None and told.uid is not None:
            known = self._changed.setdefault(told.uid, told)
            if known is not told:
                put_together(known, told)

    def _take_code(self, response: Status) -> bool:
        code = response.code
        if response.status != "OK" or code is None:
            return False
        if code.name == "CLOSED":  # RFC 7162 3.2.11: all before was of the folder selected until now
            self._begin()
            return True
        seen = self._seen
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
        elif code.name == "MAILBOXID":
            seen.mailbox_id = code.text
        return code.name in _CODES

    def result(self, final: Tagged) -> Selected:
        seen, known = self._seen, self._known
        if final.code is not None:
            seen.read_only = self._read_only or final.code.name == "READ-ONLY"
        if known is not None and seen.modseq is not None and seen.uidvalidity == known.uidvalidity:
            # RFC 7162 3.2.5.2: a server may tell of UIDs that nobody knew
            told = self._vanished
            gone = told[0] if len(told) == 1 else UidSet.of_ranges(chain.from_iterable([one.ranges for one in told]))
            seen.vanished = gone if known.uids is None else known.uids & gone
            seen.changed = [one for uid, one in self._changed.items() if uid not in gone]
        return seen


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
