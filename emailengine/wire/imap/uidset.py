"""Sets of UIDs or sequence numbers as ranges: `1:5,9,12:14` (RFC 9051 `sequence-set`).

A set costs memory by its ranges, never by its members: `1:4294967295` is one range. Whoever loops over a set that came
from a server first cuts it down to what can be there.

Servers may send hundreds of thousands of ranges. So that these do not hold up everything else, their first numbers are
kept in one sequence and their last ones in another, and read, sorted, merged and cut there by functions written in C.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import compress, islice, repeat
from operator import add, gt, le, sub

from attrs import frozen

from emailengine.wire.errors import TheyBrokeProtocol, WeMisusedProtocol

MAX_UID = (1 << 32) - 1
"""RFC 9051 2.3.1.1: a UID is a 32-bit value, not zero."""

_FEWER = 16  # one range is searched for in the time that walks over so many

_SET = re.compile(r"[0-9]{1,10}+(?::[0-9]{1,10}+)?+(?:,[0-9]{1,10}+(?::[0-9]{1,10}+)?+)*+")
_NEXT_IS_FIRST = bytes.maketrans(b",:", b"\1\0")


@frozen
class UidSet:
    """
    An immutable set of numbers from 1 to MAX_UID, held as sorted ranges that neither touch nor overlap.

    Do not call the constructor, except without arguments: use `of`, `parse` or `of_ranges`.
    """

    _firsts: tuple[int, ...] = ()
    _lasts: tuple[int, ...] = ()

    @classmethod
    def of(cls, uids: Iterable[int]) -> UidSet:
        """The set of these numbers, in any order, repeated or not. Raises WeMisusedProtocol outside 1..MAX_UID."""
        ordered = sorted(uids)
        if not ordered:
            return EMPTY
        if ordered[0] < 1 or ordered[-1] > MAX_UID:
            raise WeMisusedProtocol("a UID is a number from 1 to 4294967295")
        if ordered[-1] - ordered[0] > 2 * len(ordered):
            return _merged(ordered, ordered)
        firsts, lasts = [ordered[0]], []  # few gaps: a plain loop that rarely does anything is faster
        before = ordered[0]
        for uid in ordered:
            if uid > before + 1:
                lasts.append(before)
                firsts.append(uid)
            before = uid
        lasts.append(before)
        return cls(tuple(firsts), tuple(lasts))

    @classmethod
    def of_range(cls, first: int, last: int) -> UidSet:
        """All numbers from `first` to `last`; the empty set if there are none. Raises as `of`."""
        if first > last:
            return EMPTY
        return cls.of_ranges([(first, last)])

    @classmethod
    def of_ranges(cls, ranges: Iterable[tuple[int, int]]) -> UidSet:
        """The union of ranges in any order, each (first, last) or (last, first). Raises as `of`."""
        pairs = list(ranges)
        if not pairs:
            return EMPTY
        firsts = sorted([a if a <= b else b for a, b in pairs])
        lasts = sorted([b if a <= b else a for a, b in pairs])
        if firsts[0] < 1 or lasts[-1] > MAX_UID:
            raise WeMisusedProtocol("a UID is a number from 1 to 4294967295")
        return _merged(firsts, lasts)

    @classmethod
    def parse(cls, text: bytes | str, *, max_ranges: int | None = None) -> UidSet:
        """
        Read what a server wrote. `5:3` means `3:5`; order does not matter; an empty text is the empty set.

        Raises TheyBrokeProtocol for anything else, `*` included: it has no meaning outside of a command; and for more
        than `max_ranges` ranges.
        """
        if isinstance(text, str):
            text = text.encode("utf-8", "replace")
        if max_ranges is not None and text.count(b",") >= max_ranges:
            raise TheyBrokeProtocol("a set of UIDs has too many ranges")
        numbers, marks = _numbers(text)
        firsts = list(compress(numbers, b"\1" + marks))
        lasts = list(compress(numbers, marks + b"\1"))
        if sorted(numbers) != numbers:  # which costs next to nothing where they are in order
            if not all(map(le, firsts, lasts)):
                firsts, lasts = list(map(min, firsts, lasts)), list(map(max, firsts, lasts))
            firsts.sort()
            lasts.sort()
        return _merged(firsts, lasts) if numbers else EMPTY

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """(first, last) pairs, both inclusive, in order. They are made anew each time."""
        return tuple(zip(self._firsts, self._lasts, strict=True))

    @property
    def range_count(self) -> int:
        return len(self._firsts)

    def __str__(self) -> str:
        return ",".join(
            [
                str(first) if first == last else f"{first}:{last}"
                for first, last in zip(self._firsts, self._lasts, strict=True)
            ]
        )

    def __len__(self) -> int:
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __iter__(self) -> Iterator[int]:
        for first, last in zip(self._firsts, self._lasts, strict=True):
            yield from range(first, last + 1)

    def __reversed__(self) -> Iterator[int]:
        for first, last in zip(reversed(self._firsts), reversed(self._lasts), strict=True):
            yield from range(last, first - 1, -1)

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int):
            return False
        at = bisect_right(self._firsts, uid) - 1
        return at >= 0 and uid <= self._lasts[at]

    @property
    def first(self) -> int | None:
        """The smallest member, None if there is none."""
        return self._firsts[0] if self._firsts else None

    @property
    def last(self) -> int | None:
        """The greatest member, None if there is none."""
        return self._lasts[-1] if self._lasts else None

    def union(self, other: UidSet) -> UidSet:
        if not self._firsts or not other._firsts:
            return self if self._firsts else other
        return _merged(sorted(self._firsts + other._firsts), sorted(self._lasts + other._lasts))

    def intersection(self, other: UidSet) -> UidSet:
        """The members of both. With few ranges on one side it costs those and the result, whatever the other holds."""
        few, many = (self, other) if len(self._firsts) < len(other._firsts) else (other, self)
        return _cut(few, many) if len(few._firsts) * _FEWER < len(many._firsts) else _common(few, many)

    def difference(self, other: UidSet) -> UidSet:
        """The members of this set that are not in the other. It costs as `intersection` does."""
        if len(self._firsts) * _FEWER < len(other._firsts):
            other = _cut(self, other)
        if not self._firsts or not other._firsts:
            return self
        return self.intersection(_others(other))

    __or__ = union
    __and__ = intersection
    __sub__ = difference

    def slices(self, size: int) -> Iterator[UidSet]:
        """
        The same members in order, cut into sets of `size` members; the last one may hold fewer.

        Each is made when it is asked for: take them one at a time of a set that may hold millions.
        """
        if size < 1:
            raise WeMisusedProtocol("a slice holds at least one member")
        part: list[tuple[int, int]] = []
        room = size
        for first, last in zip(self._firsts, self._lasts, strict=True):
            while first <= last:
                end = min(last, first + room - 1)
                part.append((first, end))
                room -= end - first + 1
                first = end + 1
                if room == 0:
                    yield _of_pairs(part)
                    part, room = [], size
        if part:
            yield _of_pairs(part)

    def texts(self, longest: int = 1000) -> Iterator[str]:
        """
        The set as texts of at most `longest` characters each (or one range, if that is longer).

        RFC 7162 4: servers may refuse command lines over 8192 octets, older ones over 1000.
        """
        part: list[str] = []
        used = 0
        for first, last in zip(self._firsts, self._lasts, strict=True):
            one = str(first) if first == last else f"{first}:{last}"
            if part and used + len(one) + 1 > longest:
                yield ",".join(part)
                part, used = [], 0
            part.append(one)
            used += len(one) + 1
        if part:
            yield ",".join(part)


def expand(text: bytes | str, limit: int = 100_000) -> list[int]:
    """
    The members in the order written, as COPYUID needs it (RFC 9051 7.1): `7:5` is 7, 6, 5.

    Raises TheyBrokeProtocol for more than `limit` members: no command of ours copies more at once.
    """
    members: list[int] = []
    for first, last in _read(text):
        if len(members) + abs(last - first) >= limit:
            raise TheyBrokeProtocol("a set of UIDs is larger than anything we asked for")
        members.extend(range(first, last + 1) if first <= last else range(first, last - 1, -1))
    return members


def _read(text: bytes | str) -> list[tuple[int, int]]:
    """The ranges as written."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if not text:
        return []
    if not _SET.fullmatch(text):
        raise TheyBrokeProtocol("not a set of UIDs", text[:80].encode("utf-8", "replace"))
    found: list[tuple[int, int]] = []
    for one in text.split(","):
        first, colon, last = one.partition(":")
        low = int(first)
        high = int(last) if colon else low
        if not (0 < low <= MAX_UID and 0 < high <= MAX_UID):
            raise TheyBrokeProtocol("a UID outside 1 to 4294967295", one.encode())
        found.append((low, high))
    return found


def _numbers(text: bytes) -> tuple[list[int], bytes]:
    """The numbers as written, and for each but the last whether the next is the first of a range: 1, else 0."""
    between = text.translate(None, b"0123456789")
    if text and b"::" not in between and not between.translate(None, b",:"):
        try:
            found: list[int] = json.loads(b"[" + text.replace(b":", b",") + b"]")
        except ValueError:  # zeros before a number, which are allowed; numbers missing or endless, which are not
            found = [0]
        if min(found) > 0 and max(found) <= MAX_UID:
            return found, between.translate(_NEXT_IS_FIRST)
    pairs = _read(text)
    return [one for pair in pairs for one in pair], (b"\0\1" * len(pairs))[:-1]


def _merged(firsts: list[int], lasts: list[int]) -> UidSet:
    """
    The union of ranges, given as all their first numbers in order and all their last ones in order.

    Which last number belongs to which first one does not matter: a gap follows where as many ranges have ended as had
    begun.
    """
    gaps = bytes(map(gt, islice(firsts, 1, None), map(add, lasts, repeat(1))))
    if 0 not in gaps:
        return UidSet(tuple(firsts), tuple(lasts))
    return UidSet(tuple(compress(firsts, b"\1" + gaps)), tuple(compress(lasts, gaps + b"\1")))


def _of_pairs(pairs: list[tuple[int, int]]) -> UidSet:
    return UidSet(tuple([first for first, _ in pairs]), tuple([last for _, last in pairs]))


def _common(a: UidSet, b: UidSet) -> UidSet:
    """As in `_merged`: what is in two ranges begins with a first number before the last one that is due ends."""
    firsts, lasts = sorted(a._firsts + b._firsts), sorted(a._lasts + b._lasts)
    twice = bytes(map(le, islice(firsts, 1, None), lasts))
    return UidSet(tuple(compress(islice(firsts, 1, None), twice)), tuple(compress(lasts, twice)))


def _cut(few: UidSet, many: UidSet) -> UidSet:
    """What few ranges have in common with many, which are searched, not walked."""
    firsts: list[int] = []
    lasts: list[int] = []
    end = 0
    for first, last in zip(few._firsts, few._lasts, strict=True):
        start = bisect_left(many._lasts, first, max(0, end - 1))
        end = bisect_right(many._firsts, last, start)
        if start == end:
            continue
        at = len(firsts)
        firsts += many._firsts[start:end]
        lasts += many._lasts[start:end]
        firsts[at] = max(firsts[at], first)
        lasts[-1] = min(lasts[-1], last)
    return UidSet(tuple(firsts), tuple(lasts))


def _others(some: UidSet) -> UidSet:
    """All numbers outside of a set that is not empty."""
    firsts = [1, *map(add, some._lasts, repeat(1))]
    lasts = [*map(sub, some._firsts, repeat(1)), MAX_UID]
    if not lasts[0]:
        del firsts[0], lasts[0]
    if firsts and firsts[-1] > MAX_UID:
        del firsts[-1], lasts[-1]
    return UidSet(tuple(firsts), tuple(lasts))


EMPTY = UidSet()
