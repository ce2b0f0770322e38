"""FETCH: what the server tells of messages, by UID or by sequence number."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from emailengine.errors import MessageNotFound
from emailengine.imap.commands.command import Command
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import Fetch, Fetched, Response, Tagged
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import UidSet

PART_NUMBER = re.compile(r"[1-9][0-9]*(?:\.[1-9][0-9]*)*")
"""What BINARY can be asked for: a part by its number, and nothing else (RFC 3516 4.2)."""

_MARKS = frozenset(("UID", "FLAGS", "MODSEQ"))
_VALUES = (
    *("uid", "flags", "modseq", "internal_date", "size", "envelope", "body"),
    *("email_id", "thread_id", "labels", "preview"),
)
_UID = re.compile(rb"[( ]UID ([0-9]{1,10})(?=[ )])", re.IGNORECASE)
_PART_BEGINS = re.compile(rb"[( ]BODY(?:\.PEEK)?\[[^\]]*\](?:<[0-9]+>)? *\Z", re.IGNORECASE)


class Decoded(bytes):
    """Octets of a part whose transfer encoding the server has taken off."""


class _Fetch(Command["list[Fetched]"]):
    """
    Collects one value for each message; what comes for it in several responses is put together.

    `each`, where given, gets every value as it comes instead, and nothing is collected.
    """

    __slots__ = ("_contents", "_each", "_flags", "_found", "_items", "_modseq")

    def __init__(self, items: Sequence[str], each: Callable[[Fetched], None] | None = None) -> None:
        self._items = items
        self._each = each
        upper = {one.upper() for one in items}
        self._flags = "FLAGS" in upper
        self._modseq = "MODSEQ" in upper
        self._contents = not upper <= _MARKS
        self._found: dict[int, Fetched] = {}

    def _keep(self, number: int, told: Fetched) -> bool:
        """Keep what was told of a message; False if nobody asked for it: flags that changed meanwhile."""
        # an item that is told as NIL leaves no trace: then the marks that nobody asked for tell news
        unasked = told.flags is not None or (told.modseq is not None and not self._modseq)
        if self._contents and not self._flags and unasked and not _has_contents(told):
            return False
        if self._each is not None:
            self._each(told)
            return True
        known = self._found.setdefault(number, told)
        if known is not told:
            put_together(known, told)
        return True

    @property
    def found(self) -> list[Fetched]:
        """What has come so far."""
        return list(self._found.values())

    def result(self, final: Tagged) -> list[Fetched]:
        return self.found

    def _line(self, word: bytes, numbers: bytes) -> list[bytes]:
        return [b"%s %s %s" % (word, numbers, write.items(self._items))]


class FetchUids(_Fetch):
    """UID FETCH. `numbers` is the set as text; responses for other messages than those in `uids` are news."""

    __slots__ = ("_changed_since", "_numbers", "_uids")
    word = "UID FETCH"

    def __init__(
        self,
        numbers: str,
        uids: UidSet,
        items: Sequence[str],
        *,
        changed_since: int | None = None,
        each: Callable[[Fetched], None] | None = None,
    ) -> None:
        super().__init__(items, each)
        self._numbers = numbers
        self._uids = uids
        self._changed_since = changed_since

    def line(self) -> Sequence[Piece]:
        line = self._line(b"UID FETCH", write.sequence(self._numbers))
        if self._changed_since is not None:
            line.append(b" (CHANGEDSINCE " + write.number(self._changed_since) + b")")
        return [b"".join(line)]

    def take(self, response: Response) -> bool:
        if type(response) is not Fetch:
            return False
        if response.uid is None or response.uid not in self._uids:
            return False
        return self._keep(response.uid, response)


class FetchSequence(_Fetch):
    """FETCH by sequence numbers, as text: `1:20`, `*`."""

    __slots__ = ("_numbers", "_wanted")
    word = "FETCH"

    def __init__(self, numbers: str, items: Sequence[str]) -> None:
        super().__init__(items)
        self._numbers = numbers
        self._wanted: UidSet | None = None

    def line(self) -> Sequence[Piece]:
        line = self._line(b"FETCH", write.sequence(self._numbers))
        self._wanted = None if "*" in self._numbers or "$" in self._numbers else UidSet.parse(self._numbers)
        return line

    def take(self, response: Response) -> bool:
        if type(response) is not Fetch or (self._wanted is not None and response.seq not in self._wanted):
            return False
        return self._keep(response.seq, response)


class StreamPart(Command[int]):
    """
    UID FETCH of one section of one message, whose octets go to `write` as they arrive. The value is their number.

    Nothing is written any more after `stop`. What `write` raises is kept in `failed`, and nothing follows it.
    """

    __slots__ = ("_begun", "_count", "_found", "_section", "_uid", "_write", "asked", "failed")
    word = "UID FETCH"

    def __init__(self, uid: int, section: str, write: Callable[[bytes], object]) -> None:
        self._uid = uid
        self._section = section
        self._write: Callable[[bytes], object] | None = write
        self._begun = False
        self._found = False
        self._count = 0
        self.asked = False
        self.failed: Exception | None = None

    def line(self) -> Sequence[Piece]:
        items = write.items(["UID", f"BODY.PEEK[{self._section}]"])
        return [b"UID FETCH %s %s" % (write.sequence(str(self._uid)), items)]

    def sent(self) -> None:
        self.asked = True

    def sink(self, pieces: Sequence[Piece], size: int) -> Callable[[bytes], None] | None:
        """Where a literal goes that has been announced: the section's, and only the first."""
        text = pieces[-1] if pieces else None
        if self._begun or not isinstance(text, bytes) or not _PART_BEGINS.search(text):
            return None
        uid = _UID.search(text)
        if uid is not None and int(uid[1]) != self._uid:
            return None
        self._begun = True
        return self._put

    def take(self, response: Response) -> bool:
        if type(response) is not Fetch or response.uid not in (self._uid, None):
            return False
        parts = [data for name, data in response.sections.items() if name.startswith(("BODY[", "BODY.PEEK["))]
        if not parts:
            return False
        if not self._begun and parts[0]:
            self._put(parts[0])
        self._begun = self._found = True
        return True

    def result(self, final: Tagged) -> int:
        if not self._found:
            raise MessageNotFound("The message is not there any more")
        return self._count

    def stop(self) -> None:
        self._write = None

    def _put(self, octets: bytes) -> None:
        self._count += len(octets)
        if self._write is None:
            return
        try:
            self._write(octets)
        except Exception as error:  # noqa: BLE001 - raised where the section is waited for, not where octets are read
            self.failed = error
            self._write = None


def _has_contents(told: Fetched) -> bool:
    return bool(
        told.sections
        or told.body is not None
        or told.envelope is not None
        or told.size is not None
        or told.internal_date is not None
        or told.email_id is not None
        or told.thread_id is not None
        or told.labels is not None
        or told.preview is not None
        or told.binary_sizes
    )


def put_together(known: Fetched, told: Fetched) -> None:
    """Add to what is known of a message what was told of it later."""
    for name in _VALUES:
        value = getattr(told, name)
        if value is not None:
            setattr(known, name, value)
    if told.sections:
        known.sections = {**known.sections, **told.sections}
    if told.binary_sizes:
        known.binary_sizes = {**known.binary_sizes, **told.binary_sizes}
