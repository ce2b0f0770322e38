"""Comparing rows, and folder lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.sync.diff import FlagChange, diff
from emailengine.sync.folders import FolderChanges, compare
from emailengine.sync.rows import Flags, flag_set

FLAGS = st.lists(st.sampled_from(["\\Seen", "\\Flagged", "x"]), max_size=3).map(flag_set)
ROWS = st.dictionaries(st.integers(1, 40), FLAGS)


class DiffTests(SynchronousTestCase):
    @given(ROWS, ROWS)
    def test_applied(self, known: dict[int, Flags], seen: dict[int, Flags]) -> None:
        """Applying the changes to what was known gives what is seen."""
        changes = diff(known, seen)
        rows = dict(known)
        for uid in changes.gone:
            del rows[uid]
        for change in changes.changed:
            self.assertEqual(set(rows[change.uid]) - set(change.deleted) | set(change.added), set(change.value))
            rows[change.uid] = change.value
        for uid in changes.new:
            rows[uid] = seen[uid]
        self.assertEqual(rows, seen)

    def test_flags(self) -> None:
        """A flag change tells what came, what went and what is there."""
        changes = diff({5: ("\\Flagged",)}, {5: ("\\Seen",)})
        self.assertEqual(changes.changed, (FlagChange(5, ("\\Seen",), ("\\Flagged",), ("\\Seen",)),))

    def test_equal(self) -> None:
        """Equal rows are no changes."""
        self.assertFalse(diff({1: ()}, {1: ()}))


class FolderTests(SynchronousTestCase):
    def test_compare(self) -> None:
        """A rename is one folder gone and one new."""
        self.assertEqual(compare(["INBOX", "Old"], ["INBOX", "New"]), FolderChanges(("New",), ("Old",)))
