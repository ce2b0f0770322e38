"""FETCH: what the server tells of messages, by UID or by sequence number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emailengine.errors import EmailEngineError
from emailengine.imap.commands.command import Command, refusal
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import Fetch, Fetched, Response, Tagged
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import UidSet

_MARKS = frozenset(("UID", "FLAGS", "MODSEQ"))


class _Fetch(Command["list[Fetched]"]):
    """
    Collects one value for each message; what comes for it in several responses is put together.

    `each`, where given, gets every value as it comes instead, and nothing is collected.
    """

    __slots__ = ("_contents", "_each", "_flags", "_found", "_items")

    def __init__(self, items: Sequence[str], each: Callable[[Fetched], None] | None = None) -> None:
        self._items = items
        self._each = each
        upper = {one.upper() for one in items}
        self._flags = "FLAGS" in upper
        self._contents = not upper <= _MARKS
        self._found: dict[int, Fetched] = {}

    def _keep(self, number: int, told: Fetched) -> bool:
        """Keep what was told of a message; False if nobody asked for it: flags that changed meanwhile."""
        if self._contents and not self._flags and not _has_contents(told):
            return False
        if self._each is not None:
            self._each(told)
            return True
        known = self._found.setdefault(number, told)
        if known is not told:
            _put_together(known, told)
        return True

    def result(self, final: Tagged) -> list[Fetched]:
        return list(self._found.values())

    def _line(self, word: bytes, numbers: bytes) -> list[Piece]:
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
        return [b"".join([one for one in line if isinstance(one, bytes)])]

    def take(self, response: Response) -> bool:
        if type(response) is not Fetch:
            return False
        if response.uid is None or response.uid not in self._uids:
            return False
        return self._keep(response.uid, response)

    def refused(self, final: Tagged) -> EmailEngineError:
        return refusal(final, self.word)


class FetchSequence(_Fetch):
    """FETCH by sequence numbers, as text: `1:20`, `*`."""

    __slots__ = ("_numbers", "_wanted")
    word = "FETCH"

    def __init__(self, numbers: str, items: Sequence[str]) -> None:
        super().__init__(items)
        self._numbers = write.sequence(numbers)
        self._wanted = None if "*" in numbers else UidSet.parse(numbers)

    def line(self) -> Sequence[Piece]:
        return self._line(b"FETCH", self._numbers)

    def take(self, response: Response) -> bool:
        if type(response) is not Fetch or (self._wanted is not None and response.seq not in self._wanted):
            return False
        return self._keep(response.seq, response)


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


def _put_together(known: Fetched, told: Fetched) -> None:
    for name in ("uid", "flags", "modseq", "internal_date", "size", "envelope", "body"):
        value = getattr(told, name)
        if value is not None:
            setattr(known, name, value)
    for name in ("email_id", "thread_id", "labels", "preview"):
        value = getattr(told, name)
        if value is not None:
            setattr(known, name, value)
    if told.sections:
        known.sections = {**known.sections, **told.sections}
    if told.binary_sizes:
        known.binary_sizes = {**known.binary_sizes, **told.binary_sizes}
