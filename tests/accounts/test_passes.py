"""The slices of a first pass. Pure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.passes import SLICE, spans
from emailengine.sync.rows import BLOCK
from emailengine.wire.imap.uidset import UidSet


class SpansTests(SynchronousTestCase):
    @given(st.sets(st.integers(1, 5000), max_size=1500))
    def test_cover(self, uids: set[int]) -> None:
        """The slices lie behind each other, end where blocks end, hold every message, and none holds too many."""
        told = list(spans(UidSet.of(uids)))
        end = 0
        left = set(uids)
        for first, last in told:
            self.assertGreater(first, end)
            self.assertEqual((last + 1) % BLOCK, 0)
            inside = {uid for uid in left if first <= uid <= last}
            self.assertTrue(inside)
            self.assertLessEqual(len(inside), SLICE)
            left -= inside
            end = last
        self.assertEqual(left, set())

    def test_dense(self) -> None:
        """Where UIDs have no gaps, a slice is two blocks."""
        told = list(spans(UidSet.of_range(1, 2000)))
        self.assertEqual(told, [(1, 511), (512, 1023), (1024, 1535), (1536, 2047)])
