"""Sets of UIDs or sequence numbers as ranges: `1:5,9,12:14` (RFC 9051 `sequence-set`).

A set costs memory by its ranges, never by its members: `1:4294967295` is one range. Whoever loops over a set that came
from a server first cuts it down to what can be there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from attrs import frozen

from emailengine.wire.errors import TheyBrokeProtocol, WeMisusedProtocol

MAX_UID = (1 << 32) - 1
"""RFC 9051 2.3.1.1: a UID is a 32-bit value, not zero."""

_FEWER = 16  # one range is searched for in the time that walks over so many

_SET = re.compile(r"[0-9]{1,10}+(?::[0-9]{1,10}+)?+(?:,[0-9]{1,10}+(?::[0-9]{1,10}+)?+)*+")


@frozen
class UidSet:
    """
    An immutable set of numbers from 1 to MAX_UID, held as sorted ranges that neither touch nor overlap.

    `ranges` holds (first, last) pairs, both inclusive. Do not call the constructor with ranges of unknown order: use
    `of`, `parse` or `of_ranges`.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, uids: Iterable[int]) -> UidSet:
        """The set of these numbers, in any order, repeated or not. Raises WeMisusedProtocol outside 1..MAX_UID."""
        ordered = sorted(uids)
        if not ordered:
            return EMPTY
        if ordered[0] < 1 or ordered[-1] > MAX_UID:
            raise WeMisusedProtocol("a UID is a number from 1 to 4294967295")
        ranges: list[tuple[int, int]] = []
        first = last = ordered[0]
        for uid in ordered:
            if uid > last + 1:
                ranges.append((first, last))
                first = uid
            last = uid
        ranges.append((first, last))
        return cls(tuple(ranges))

    @classmethod
    def of_range(cls, first: int, last: int) -> UidSet:
        """All numbers from `first` to `last`; the empty set if there are none. Raises as `of`."""
        if first > last:
            return EMPTY
        return cls.of_ranges([(first, last)])

    @classmethod
    def of_ranges(cls, ranges: Iterable[tuple[int, int]]) -> UidSet:
        """The union of ranges in any order, each (first, last) or (last, first). Raises as `of`."""
        ordered = sorted((a, b) if a <= b else (b, a) for a, b in ranges)
        if not ordered:
            return EMPTY
        if ordered[0][0] < 1 or max(last for _, last in ordered) > MAX_UID:
            raise WeMisusedProtocol("a UID is a number from 1 to 4294967295")
        return cls(tuple(_merge(ordered)))

    @classmethod
    def parse(cls, text: bytes | str) -> UidSet:
        """
        Read what a server wrote. `5:3` means `3:5`; order does not matter; an empty text is the empty set.

        Raises TheyBrokeProtocol for anything else, `*` included: it has no meaning outside of a command.
        """
        return cls(tuple(_merge(sorted((a, b) if a <= b else (b, a) for a, b in _read(text)))))

    def __str__(self) -> str:
        return ",".join([str(first) if first == last else f"{first}:{last}" for first, last in self.ranges])

    def __len__(self) -> int:
        return sum([last - first + 1 for first, last in self.ranges])

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __reversed__(self) -> Iterator[int]:
        for first, last in reversed(self.ranges):
            yield from range(last, first - 1, -1)

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int):
            return False
        at = bisect_right(self.ranges, (uid, MAX_UID + 1)) - 1
        return at >= 0 and self.ranges[at][0] <= uid <= self.ranges[at][1]

    @property
    def first(self) -> int | None:
        """The smallest member, None if there is none."""
        return self.ranges[0][0] if self.ranges else None

    @property
    def last(self) -> int | None:
        """The greatest member, None if there is none."""
        return self.ranges[-1][1] if self.ranges else None

    @property
    def bounds(self) -> tuple[int, int]:
        """The smallest and the greatest member. Raises WeMisusedProtocol for the empty set."""
        if not self.ranges:
            raise WeMisusedProtocol("an empty set has no bounds")
        return self.ranges[0][0], self.ranges[-1][1]

    def union(self, other: UidSet) -> UidSet:
        if not self.ranges or not other.ranges:
            return self if self.ranges else other
        return UidSet(tuple(_merge(sorted(self.ranges + other.ranges))))

    def intersection(self, other: UidSet) -> UidSet:
        """The members of both. With few ranges on one side it costs those and the result, whatever the other holds."""
        few, many = (self.ranges, other.ranges) if len(self.ranges) < len(other.ranges) else (other.ranges, self.ranges)
        return UidSet(tuple(_cut(few, many) if len(few) * _FEWER < len(many) else _common(few, many)))

    def difference(self, other: UidSet) -> UidSet:
        """The members of this set that are not in the other. It costs as `intersection` does."""
        mine, theirs = self.ranges, other.ranges
        if len(mine) * _FEWER < len(theirs):
            theirs = tuple(_cut(mine, theirs))
        elif len(theirs) * _FEWER < len(mine):
            return UidSet(tuple(_cut(_others(theirs), mine))) if theirs else self
        return UidSet(tuple(_left(mine, theirs)))

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
        for first, last in self.ranges:
            while first <= last:
                end = min(last, first + room - 1)
                part.append((first, end))
                room -= end - first + 1
                first = end + 1
                if room == 0:
                    yield UidSet(tuple(part))
                    part, room = [], size
        if part:
            yield UidSet(tuple(part))

    def texts(self, longest: int = 1000) -> Iterator[str]:
        """
        The set as texts of at most `longest` characters each (or one range, if that is longer).

        RFC 7162 4: servers may refuse command lines over 8192 octets, older ones over 1000.
        """
        part: list[str] = []
        used = 0
        for first, last in self.ranges:
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


def _merge(ordered: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    if not ordered:
        return merged
    first, last = ordered[0]
    for low, high in ordered:
        if low > last + 1:
            merged.append((first, last))
            first, last = low, high
        elif high > last:
            last = high
    merged.append((first, last))
    return merged


def _cut(few: Sequence[tuple[int, int]], many: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """What few ranges have in common with many, which are searched, not walked."""
    found: list[tuple[int, int]] = []
    end = 0
    for first, last in few:
        start = bisect_right(many, (first, MAX_UID + 1), max(0, end - 1))
        if start and many[start - 1][1] >= first:
            start -= 1
        end = bisect_right(many, (last, MAX_UID + 1), start)
        if start == end:
            continue
        at = len(found)
        found += many[start:end]
        if found[at][0] < first:
            found[at] = (first, found[at][1])
        if found[-1][1] > last:
            found[-1] = (found[-1][0], last)
    return found


def _others(ranges: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """All numbers outside of some ranges."""
    edges = [(0, 0), *ranges, (MAX_UID + 1, MAX_UID + 1)]
    return [(last + 1, first - 1) for (_, last), (first, _) in pairwise(edges) if last + 1 < first]


def _common(mine: tuple[tuple[int, int], ...], theirs: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(mine) and j < len(theirs):
        first = max(mine[i][0], theirs[j][0])
        last = min(mine[i][1], theirs[j][1])
        if first <= last:
            found.append((first, last))
        if mine[i][1] < theirs[j][1]:
            i += 1
        else:
            j += 1
    return found


def _left(mine: tuple[tuple[int, int], ...], theirs: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    left: list[tuple[int, int]] = []
    j = 0
    for first, last in mine:
        while j < len(theirs) and theirs[j][1] < first:
            j += 1
        at = j
        while at < len(theirs) and theirs[at][0] <= last:
            if theirs[at][0] > first:
                left.append((first, theirs[at][0] - 1))
            first = theirs[at][1] + 1
            at += 1
        if first <= last:
            left.append((first, last))
        j = max(j, at - 1)
    return left


EMPTY = UidSet()
