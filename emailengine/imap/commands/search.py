"""SEARCH, as ranges where the server can say them (RFC 4731), and SORT (RFC 5256)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from attrs import define, field

from emailengine.core.turns import Turns
from emailengine.errors import EmailEngineError, ServerRefused
from emailengine.imap.commands.command import Command
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import ESearch, Response, Search, Sort, Tagged
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import EMPTY, UidSet

_SLICE = 20_000  # numbers sorted at a time: 5 ms


class BadCharset(ServerRefused):
    """The server does not know a charset; `known` are those that it says it knows, which may be none."""

    known: tuple[str, ...] = ()


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
    """
    UID SEARCH by a criterion of `wire.imap.search`.

    `returning` is what `write.result_options` makes, None for a server that knows no RETURN. `charset` names how the
    texts in the criterion are written, None for nothing to be said of it.
    """

    __slots__ = ("_charset", "_criterion", "_found", "_returning")
    word = "UID SEARCH"

    def __init__(
        self, criterion: Sequence[Piece], *, returning: bytes | None = None, charset: str | None = None
    ) -> None:
        self._criterion = criterion
        self._returning = returning
        self._charset = charset
        self._found = Found()

    def line(self) -> Sequence[Piece]:
        words: list[Piece] = [b"UID SEARCH"]
        if self._returning is not None:
            words.append(self._returning)
        if self._charset is not None:
            words.append(b"CHARSET " + self._charset.encode("ascii"))
        return write.command(*words, self._criterion)

    def take(self, response: Response) -> bool:
        if isinstance(response, ESearch):
            self._found.sets += [one for one in (response.all, response.partial) if one]
        elif isinstance(response, Search):
            self._found.numbers += response.uids
        else:
            return False
        return True

    def result(self, final: Tagged) -> Found:
        return self._found

    def refused(self, final: Tagged) -> EmailEngineError:
        return _refused(final, self.word) or super().refused(final)


class SortUids(Command["list[int]"]):
    """UID SORT; `keys` are the RFC's, each with REVERSE before it or not: `REVERSE ARRIVAL`."""

    __slots__ = ("_charset", "_criterion", "_found", "_keys")
    word = "UID SORT"

    def __init__(self, criterion: Sequence[Piece], keys: Sequence[str], *, charset: str) -> None:
        self._criterion = criterion
        self._keys = keys
        self._charset = charset
        self._found: list[int] = []

    def line(self) -> Sequence[Piece]:
        return write.command(b"UID SORT", write.sort_keys(self._keys), self._charset.encode("ascii"), self._criterion)

    def take(self, response: Response) -> bool:
        if not isinstance(response, Sort):
            return False
        self._found += response.uids
        return True

    def result(self, final: Tagged) -> list[int]:
        return self._found

    def refused(self, final: Tagged) -> EmailEngineError:
        return _refused(final, self.word) or super().refused(final)


def _refused(final: Tagged, word: str) -> BadCharset | None:
    if final.code is None or final.code.name != "BADCHARSET":
        return None
    error = BadCharset(final.status, final.code.name, final.text, command=word)
    error.known = final.code.flags
    return error


async def _set_of(numbers: list[int], turns: Turns) -> UidSet:
    """Numbers in any order, sorted in slices first: runs in order are sorted together quickly."""
    ordered: list[int] = []
    for start in range(0, len(numbers), _SLICE):
        ordered += sorted(numbers[start : start + _SLICE])
        await turns.breathe()
    ordered.sort()
    await turns.breathe()
    return UidSet.of(ordered)
