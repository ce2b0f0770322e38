"""Searching: in the form that the server understands, and in a charset that it knows."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from attrs import define
from twisted.internet.interfaces import IReactorTime

from emailengine.core.turns import Turns
from emailengine.errors import InvalidInput, ServerRefused
from emailengine.imap.commands.command import Command
from emailengine.imap.commands.search import BadCharset, SearchUids, SortUids
from emailengine.imap.connection import Connection
from emailengine.imap.offers import not_understood
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap import search, write
from emailengine.wire.imap.search import Criterion
from emailengine.wire.imap.tokens import Literal, Piece
from emailengine.wire.imap.uidset import UidSet

T = TypeVar("T")

_SLICE = 5000  # ranges looked at before the reactor may run
_LONGEST_SET = 4000
_CHARSETS: Final = re.compile(
    r"ISO-8859-[0-9]{1,2}|WINDOWS-125[0-9]|CP125[0-9]|KOI8-[RU]|UTF8|GB2312|GBK|GB18030|BIG5|EUC-KR|EUC-JP|SHIFT_JIS"
)
"""What may be tried of the charsets that a server names: Python knows codecs of other kinds by similar names."""


class _Make(Protocol[T]):
    """A search by this criterion, its texts being in that charset."""

    def __call__(self, criterion: Sequence[Piece], /, *, charset: str | None) -> Command[T]: ...


@define(eq=False)
class Finding:
    """The searches of one session."""

    _clock: IReactorTime
    _connection: Connection
    _offers: Collection[str]

    async def uids(self, criterion: Sequence[Piece], within: UidSet | None, *, save: bool = False) -> UidSet:
        """As `Session.search`."""
        if within is None:
            return await self._found(criterion, save=save)
        sets = [
            await self._found(search.all_of([search.uid(numbers), criterion])) for numbers in within.texts(_LONGEST_SET)
        ]
        return UidSet.of_ranges([one for part in sets for one in part.ranges])

    async def page(self, criterion: Sequence[Piece], first: int, last: int) -> UidSet:
        """As `Session.search_page`."""
        try:
            options = write.result_options(page=(first, last))
        except WeMisusedProtocol as error:
            raise InvalidInput(str(error)) from None
        if "PARTIAL" in self._offers or ("CONTEXT=SEARCH" in self._offers and first > 0):
            found = await self._asked(criterion, partial(SearchUids, returning=options))
            return await found.joined(Turns(self._clock))
        return await self._cut(await self._found(criterion), first, last)

    async def sorted(self, criterion: Sequence[Piece], keys: Sequence[str]) -> list[int] | None:
        """As `Session.search_sorted`."""
        if "SORT" not in self._offers:
            return None
        if any("DISPLAY" in one.upper() for one in keys) and "SORT=DISPLAY" not in self._offers:
            return None

        usual = "UTF-8" if self._connection.utf8 and search.needs_utf8(criterion) else "US-ASCII"

        def ask(text: Sequence[Piece], *, charset: str | None) -> Command[list[int]]:
            return SortUids(text, keys, charset=charset or usual)

        try:
            return await self._asked(criterion, ask, bare=False)
        except BadCharset:
            return None

    async def _found(self, criterion: Sequence[Piece], *, save: bool = False) -> UidSet:
        options = write.result_options(["SAVE", "ALL"] if save else ["ALL"]) if "ESEARCH" in self._offers else None
        found = await self._asked(criterion, partial(SearchUids, returning=options))
        return await found.joined(Turns(self._clock))

    async def _asked(self, criterion: Sequence[Piece], make: _Make[T], *, bare: bool = True) -> T:
        """
        What a command finds, its texts in UTF-8 or else in what the server prefers.

        `bare` is whether the charset may be left out: not in SORT (RFC 5256 3).
        """
        if self._connection.utf8 or not search.needs_utf8(criterion):
            return await self._connection.run(
                make(criterion, charset=None)
            )  # RFC 6855 3: all is UTF-8 then, and no charset is named
        try:
            return await self._connection.run(make(criterion, charset="UTF-8"))
        except ServerRefused as error:
            refusal = error
        for text, charset in _other_ways(criterion, refusal):
            if charset is None and not bare:
                continue
            try:
                return await self._connection.run(make(text, charset=charset))
            except ServerRefused:
                continue
        raise refusal

    async def _cut(self, found: UidSet, first: int, last: int) -> UidSet:
        """The members from the first to the last place, from the start or, where negative, from the end."""
        turns = Turns(self._clock)
        ranges = found.ranges
        if first < 0:
            total = 0
            for at in range(0, len(ranges), _SLICE):
                total += sum([high - low + 1 for low, high in ranges[at : at + _SLICE]])
                await turns.breathe()
            first, last = total + first + 1, total + last + 1
        first, last = max(1, min(first, last)), max(first, last)
        page: list[tuple[int, int]] = []
        before = 0  # members of all ranges so far
        for n, (low, high) in enumerate(ranges, 1):
            if before >= last:
                break
            start, end = max(low, low + first - before - 1), min(high, low + last - before - 1)
            if start <= end:
                page.append((start, end))
            before += high - low + 1
            if n % _SLICE == 0:
                await turns.breathe()
        return UidSet.of_ranges(page)


def younger(offers: Collection[str], now: float, seconds: int) -> Criterion:
    """As `Session.younger`."""
    return search.younger(seconds) if "WITHIN" in offers else search.since(now - seconds)


def older(offers: Collection[str], now: float, seconds: int) -> Criterion:
    """As `Session.older`."""
    return search.older(seconds) if "WITHIN" in offers else search.before(search.day_after(now - seconds))


def _other_ways(criterion: Sequence[Piece], refusal: ServerRefused) -> Iterator[tuple[Sequence[Piece], str | None]]:
    """Other forms of a criterion, in the order to try them, after UTF-8 was refused."""
    known: list[str] = []
    if isinstance(refusal, BadCharset):
        known = [one.upper() for one in refusal.known]
    elif not not_understood(refusal):
        return  # refused for what is searched, not for how it is said
    for name in known:
        text = _recoded(criterion, name) if _CHARSETS.fullmatch(name) else None
        if text is not None:
            yield text, name
    if not known or not {"UTF-8", "US-ASCII"}.isdisjoint(known):
        yield criterion, None


def _recoded(criterion: Sequence[Piece], charset: str) -> list[Piece] | None:
    """The criterion with its texts in another charset, which is ASCII for ASCII; None where it cannot say them."""
    try:
        codec = codecs.lookup(charset)
        return [
            Literal(codec.encode(one.data.decode("utf-8"))[0]) if isinstance(one, Literal) else one for one in criterion
        ]
    except (LookupError, UnicodeError):
        return None
