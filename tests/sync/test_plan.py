"""What to look at in a folder."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from emailengine.sync.plan import FlagLook, Look, Plan, Position, Seen, is_announced, moved, plan

KNOWN = Position(uidvalidity=7, uidnext=11, count=10, modseq=100, silent_until=5)
SAME = Seen(uidvalidity=7, exists=10, uidnext=11, modseq=100)


class PlanTests(SynchronousTestCase):
    def test_first_sight(self) -> None:
        """An unknown folder and another UIDVALIDITY start over."""
        self.assertIs(plan(None, SAME, thorough=False).look, Look.START_OVER)
        self.assertIs(plan(KNOWN, evolve(SAME, uidvalidity=8), thorough=False).look, Look.START_OVER)

    def test_resume(self) -> None:
        """A first pass that is not over goes on."""
        self.assertIs(plan(evolve(KNOWN, todo=3), SAME, thorough=False).look, Look.RESUME)

    def test_nothing(self) -> None:
        """Equal numbers with CONDSTORE are nothing to do, thorough or not."""
        self.assertEqual(plan(KNOWN, SAME, thorough=True), Plan(Look.NOTHING))

    def test_new(self) -> None:
        """A higher UIDNEXT, or more messages, are new mail."""
        self.assertTrue(plan(KNOWN, evolve(SAME, uidnext=12), thorough=False).new)
        self.assertTrue(plan(KNOWN, evolve(SAME, exists=11, uidnext=None), thorough=False).new)

    def test_expunged_with_equal_modseq(self) -> None:
        """Fewer messages are looked into although HIGHESTMODSEQ did not move."""
        self.assertIs(plan(KNOWN, evolve(SAME, exists=9), thorough=False).look, Look.CHANGES)

    def test_flags(self) -> None:
        """With CONDSTORE flags are read since the known MODSEQ; without it all of them, when thorough."""
        self.assertIs(plan(KNOWN, evolve(SAME, modseq=101), thorough=False).flags, FlagLook.CHANGED)
        plain = evolve(KNOWN, modseq=None)
        self.assertIs(plan(plain, evolve(SAME, modseq=None), thorough=True).flags, FlagLook.ALL)
        self.assertIs(plan(plain, evolve(SAME, modseq=None), thorough=False).look, Look.NOTHING)


class MovedTests(SynchronousTestCase):
    def test_equal(self) -> None:
        """Only equal numbers, with a MODSEQ among them, spare the look."""
        self.assertFalse(moved(KNOWN, SAME))
        for seen in (
            evolve(SAME, modseq=101),
            evolve(SAME, modseq=None),
            evolve(SAME, exists=9),
            evolve(SAME, uidnext=12),
            evolve(SAME, uidnext=None),
            evolve(SAME, uidvalidity=8),
        ):
            self.assertTrue(moved(KNOWN, seen), seen)
        self.assertTrue(moved(None, SAME))
        self.assertTrue(moved(evolve(KNOWN, todo=1), SAME))


class AnnouncedTests(SynchronousTestCase):
    def test_whole_seconds(self) -> None:
        """A message of the very second of notifyFrom is announced, one of the second before is not."""
        self.assertTrue(is_announced(3, 1000.0, KNOWN, 1000.9))
        self.assertFalse(is_announced(9, 999.0, KNOWN, 1000.9))

    def test_no_limit(self) -> None:
        """Without notifyFrom what came after the first sight is announced."""
        self.assertFalse(is_announced(4, 5.0, KNOWN, None))
        self.assertTrue(is_announced(5, 5.0, KNOWN, None))

    def test_no_date(self) -> None:
        """A message without a date is judged by its UID."""
        self.assertFalse(is_announced(4, None, KNOWN, 1.0))
        self.assertTrue(is_announced(5, None, KNOWN, 1.0))
