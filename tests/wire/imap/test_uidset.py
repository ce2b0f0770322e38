"""Sets of numbers."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import TheyBrokeProtocol, WeMisusedProtocol
from emailengine.wire.imap.uidset import EMPTY, MAX_UID, UidSet, expand

SOME = st.sets(st.integers(1, 40), max_size=30)
ANY = st.sets(st.integers(1, MAX_UID), max_size=20)


def timed(work: Callable[[], object]) -> float:
    begun = process_time()
    work()
    return process_time() - begun


class UidSetTests(SynchronousTestCase):
    def same(self, found: UidSet, members: set[int]) -> None:
        self.assertEqual(found, UidSet.of(members))
        self.assertEqual(list(found), sorted(members))
        self.assertEqual(list(reversed(found)), sorted(members, reverse=True))
        for (_, last), (first, _) in zip(found.ranges, found.ranges[1:], strict=False):
            self.assertLess(last + 1, first)
        self.assertTrue(all(first <= last for first, last in found.ranges))

    @given(SOME | ANY, SOME | ANY)
    def test_algebra(self, a: set[int], b: set[int]) -> None:
        """Union, intersection and difference are those of sets, and ranges never touch."""
        x, y = UidSet.of(a), UidSet.of(b)
        self.same(x | y, a | b)
        self.same(x & y, a & b)
        self.same(x - y, a - b)
        self.assertEqual(((x - y) | (x & y)), x)

    @given(
        st.sets(st.integers(1, 400), min_size=60),
        st.lists(st.tuples(st.integers(1, 420), st.integers(1, 420)), max_size=3),
    )
    def test_unequal_algebra(self, many: set[int], few: list[tuple[int, int]]) -> None:
        """Few ranges against many give what sets give, on either side."""
        x, y = UidSet.of(many), UidSet.of_ranges(few)
        members = set(y)
        self.same(x & y, many & members)
        self.same(y & x, many & members)
        self.same(x - y, many - members)
        self.same(y - x, members - many)

    def test_unequal_cost(self) -> None:
        """A range cut out of very many is searched for: a thousand times in less than twenty walks over all."""
        many = UidSet.of(range(1, 200_000, 2))
        one = UidSet.of_range(99_999, 100_003)
        begun = process_time()
        for _ in range(20):
            str(many)
        walks = process_time() - begun
        begun = process_time()
        for _ in range(1000):
            self.assertEqual(len(many & one), 3)
            self.assertEqual(len(one - many), 2)
        self.assertLess(process_time() - begun, walks)

    @given(SOME | ANY)
    def test_parse(self, members: set[int]) -> None:
        """A set reads back from its text, as from any other way to write it."""
        found = UidSet.of(members)
        self.assertEqual(UidSet.parse(str(found)), found)
        self.assertEqual(UidSet.parse(str(found).encode()), found)
        backwards = ",".join(f"{last}:{first}" for first, last in reversed(found.ranges))
        self.assertEqual(UidSet.parse(backwards), found)
        self.assertEqual(UidSet.parse(",".join(map(str, members))), found)
        self.assertEqual(UidSet.of_ranges(found.ranges[::-1]), found)

    @given(SOME, st.integers(-1, 42))
    def test_members(self, members: set[int], one: int) -> None:
        """Membership, size, truth, first and last."""
        found = UidSet.of(members)
        self.assertEqual(one in found, one in members)
        self.assertEqual((len(found), bool(found)), (len(members), bool(members)))
        self.assertEqual((found.first, found.last), (min(members, default=None), max(members, default=None)))

    @given(SOME, st.integers(1, 9))
    def test_slices(self, members: set[int], size: int) -> None:
        """Slices hold the members in order, all but the last one full."""
        slices = list(UidSet.of(members).slices(size))
        self.assertEqual([uid for one in slices for uid in one], sorted(members))
        self.assertTrue(all(len(one) == size for one in slices[:-1]))
        self.assertTrue(all(slices))

    @given(ANY, st.integers(1, 60))
    def test_texts(self, members: set[int], longest: int) -> None:
        """A set cut into texts is the same set; only a single range may be longer than asked."""
        texts = list(UidSet.of(members).texts(longest))
        self.assertEqual(UidSet.parse(",".join(texts)), UidSet.of(members))
        self.assertTrue(all(len(one) <= longest or "," not in one for one in texts))

    def test_large(self) -> None:
        """The set of all costs one range, and is cut and counted without looking at its members."""
        every = UidSet.of_range(1, MAX_UID)
        self.assertEqual(len(every), MAX_UID)
        self.assertEqual(every & UidSet.parse("7,9:8"), UidSet.of([7, 8, 9]))
        self.assertEqual(str(every - UidSet.of([5])), "1:4,6:4294967295")
        self.assertEqual(next(every.slices(256)).ranges, ((1, 256),))

    def test_many_ranges(self) -> None:
        """Sets of very many ranges are read, joined and cut in less time than it takes to write them out three times."""
        a, b = UidSet.of(range(1, 400_000, 4)), UidSet.of(range(3, 400_000, 6))
        text = str(a)
        limit = 3 * min(timed(lambda: str(a)) for _ in range(3))
        for work in (lambda: UidSet.parse(text), lambda: a | b, lambda: a & b, lambda: a - b):
            self.assertLess(min(timed(work) for _ in range(3)), limit)

    def test_refused(self) -> None:
        """What is no set is told apart: their text, our numbers."""
        for text in ("*", "1:*", "0", "1,", ",1", "1:2:3", "a", " 1", "4294967296", "-1", "1:0", "٣", "1\n"):
            self.assertRaises(TheyBrokeProtocol, UidSet.parse, text)
            self.assertRaises(TheyBrokeProtocol, UidSet.parse, text.encode())
        for numbers in ([0], [-1, 5], [MAX_UID + 1]):
            self.assertRaises(WeMisusedProtocol, UidSet.of, numbers)
        self.assertRaises(WeMisusedProtocol, UidSet.of_range, 0, 5)
        self.assertRaises(WeMisusedProtocol, list, EMPTY.slices(0))
        self.assertEqual(UidSet.of_range(5, 4), EMPTY)
        self.assertEqual(UidSet.parse(b""), EMPTY)
        for text in ("1,[2]", "1e3", "1.5", "9" * 5000, "1, 2", "1\t", "NaN", "true", "1::2", ":1", "1:"):
            self.assertRaises(TheyBrokeProtocol, UidSet.parse, text)
        self.assertEqual(UidSet.parse("01,3:0000000002"), UidSet.of([1, 2, 3]))
        self.assertEqual(UidSet.parse("1,3,5", max_ranges=3), UidSet.of([1, 3, 5]))
        self.assertRaises(TheyBrokeProtocol, UidSet.parse, "1,3,5", max_ranges=2)

    def test_expand(self) -> None:
        """COPYUID pairs numbers in the order written, up to a limit."""
        self.assertEqual(expand("7:5,1,2:3"), [7, 6, 5, 1, 2, 3])
        self.assertEqual(len(expand("1:100000")), 100_000)
        self.assertRaises(TheyBrokeProtocol, expand, "1:100001")
        self.assertRaises(TheyBrokeProtocol, expand, "4294967295:1")
