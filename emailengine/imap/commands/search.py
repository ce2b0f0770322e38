"""SEARCH, as ranges where the server can say them (RFC 4731)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from attrs import define, field

from emailengine.core.turns import Turns
from emailengine.imap.commands.command import Command
from emailengine.wire.imap import search, write
from emailengine.wire.imap.responses import ESearch, Response, Search, Tagged
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import EMPTY, UidSet

_SLICE = 20_000  # numbers sorted and made ranges at a time: 5 ms


@define
class Found:
    """All that a server answered, in as many responses as it liked."""

    numbers: list[int] = field(factory=list)
    sets: list[UidSet] = field(factory=list)

    async def joined(self, turns: Turns) -> UidSet:
        """All of it as one set."""
        sets = self.sets
        if self.numbers:
            sets = [*sets, await _set_of(self.numbers, turns)]
        if len(sets) > 1:
            return UidSet.of_ranges(chain.from_iterable([one.ranges for one in sets]))
        return sets[0] if sets else EMPTY


class SearchUids(Command[Found]):
    """UID SEARCH by a criterion of `wire.imap.search`."""

    __slots__ = ("_criterion", "_esearch", "_found")
    word = "UID SEARCH"

    def __init__(self, criterion: Sequence[Piece], *, esearch: bool) -> None:
        self._criterion = criterion
        self._esearch = esearch
        self._found = Found()

    def line(self) -> Sequence[Piece]:
        words = b"UID SEARCH RETURN (ALL)" if self._esearch else b"UID SEARCH"
        charset = search.charset(self._criterion)
        return write.command(words, *([charset] if charset else []), self._criterion)

    def take(self, response: Response) -> bool:
        if isinstance(response, ESearch):
            if response.all:
                self._found.sets.append(response.all)
        elif isinstance(response, Search):
            self._found.numbers += response.uids
        else:
            return False
        return True

    def result(self, final: Tagged) -> Found:
        return self._found


async def _set_of(numbers: list[int], turns: Turns) -> UidSet:
    """Numbers in any order, sorted in slices first: runs in order are joined quickly."""
    ordered: list[int] = []
    for start in range(0, len(numbers), _SLICE):
        ordered += sorted(numbers[start : start + _SLICE])
        await turns.breathe()
    ordered.sort()
    ranges: list[tuple[int, int]] = []
    for start in range(0, len(ordered), _SLICE):
        await turns.breathe()
        more = UidSet.of(ordered[start : start + _SLICE]).ranges
        if ranges and more[0][0] <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], more[0][1])
            more = more[1:]
        ranges += more
    return UidSet(tuple(ranges))
