"""What an account knows of its folders."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.folders import Folder, Folders
from emailengine.errors import FolderNotFound, MessageNotFound


class Numbers:
    """Numbers in the order in which they are asked for."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, int], int] = {}
        self.asked = 0

    async def number(self, path: str, uidvalidity: int) -> int:
        self.asked += 1
        return self.given.setdefault((path, uidvalidity), len(self.given) + 1)

    async def resolve(self, number: int) -> tuple[str, int] | None:
        self.asked += 1
        return next((pair for pair, known in self.given.items() if known == number), None)


def some(*folders: Folder, gmail: bool = False) -> Folders:
    return Folders(Numbers(), {one.path: one for one in folders}, gmail)


class FindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folders = some(
            Folder("INBOX", special_use="\\Inbox"),
            Folder("Gesendet", special_use="\\Sent"),
            Folder("Parent", flags=frozenset(["\\NoSelect"])),
            Folder("inbox/sub"),
        )

    def test_found(self) -> None:
        """By path, the inbox in any case, or by role."""
        for wanted, path in [
            ("INBOX", "INBOX"),
            ("inbox", "INBOX"),
            ("Gesendet", "Gesendet"),
            ("\\Sent", "Gesendet"),
            ("\\sent", "Gesendet"),
            ("inbox/sub", "inbox/sub"),
        ]:
            self.assertEqual(self.folders.find(wanted).path, path)

    def test_not_found(self) -> None:
        """Not in another case, not by a role nobody has, and not where nothing can be selected."""
        for wanted in ("gesendet", "\\Trash", "Parent", "", "\\"):
            self.assertRaises(FolderNotFound, self.folders.find, wanted)
        self.assertIsNone(self.folders.with_role("\\Trash"))


class DirtyTests(SynchronousTestCase):
    def test_main_first(self) -> None:
        """The main folder is looked into before all others, whatever their order."""
        folders = some(Folder("A"), Folder("INBOX", special_use="\\Inbox"))
        main = folders.next_dirty(0.0)
        assert main is not None
        self.assertEqual(main.path, "INBOX")
        main.dirty = False
        other = folders.next_dirty(0.0)
        assert other is not None
        self.assertEqual(other.path, "A")
        other.dirty, other.busy = False, True
        self.assertIs(folders.next_dirty(0.0), other)
        other.busy = False
        self.assertIsNone(folders.next_dirty(0.0))

    def test_main(self) -> None:
        """At Gmail it is All Mail; without an inbox the first that is watched; none if nothing can be watched."""
        inbox, every = Folder("INBOX", special_use="\\Inbox"), Folder("All", special_use="\\All")
        self.assertIs(some(inbox, every, gmail=True).main, every)
        self.assertIs(some(every, inbox).main, inbox)
        inbox.watched = False
        self.assertIs(some(inbox, every).main, every)
        self.assertIsNone(some(Folder("x", flags=frozenset(["\\NonExistent"]))).main)

    def test_left_alone(self) -> None:
        """Folders that are not watched, cannot be selected or were set aside are not looked into."""
        aside = Folder("C", aside_until=10.0)
        folders = some(Folder("A", watched=False), Folder("B", flags=frozenset(["\\Noselect"])), aside)
        self.assertIsNone(folders.next_dirty(9.0))
        self.assertIs(folders.next_dirty(10.0), aside)


class HintTests(SynchronousTestCase):
    def test_which(self) -> None:
        """A few messages are named; hints are given once."""
        folder = Folder("A", dirty=False)
        folder.hint_flags(3)
        folder.hint_flags(5)
        folder.hint_changed(77)
        self.assertTrue(folder.dirty)
        told = folder.take_hints()
        self.assertEqual((told.moved, told.numbers, told.uids), (True, {3, 5}, {77}))
        told = folder.take_hints()
        self.assertEqual((told.moved, told.numbers, told.uids), (False, set(), set()))

    def test_any(self) -> None:
        """Too many, an unknown one, or numbers that mean others now: it may be any message."""
        for spoil in (
            lambda folder: [folder.hint_flags(n) for n in range(1, 100)],
            lambda folder: folder.hint_flags(None),
            lambda folder: folder.hint_gone(),
        ):
            folder = Folder("A")
            folder.hint_flags(3)
            spoil(folder)
            folder.hint_flags(4)
            told = folder.take_hints()
            self.assertEqual((told.moved, told.numbers), (True, None))

    def test_our_own_changes(self) -> None:
        """Changes of our own in a folder that nobody looks into are not kept one by one for ever."""
        folder = Folder("Work", watched=False)
        for uid in range(10_000):
            folder.hint_changed(uid)
        self.assertLessEqual(len(folder.moved_uids), 1000)
        self.assertIsNone(folder.take_hints().numbers)

    def test_gone_alone(self) -> None:
        """Messages that go say nothing of flags."""
        folder = Folder("A", dirty=False)
        folder.hint_gone()
        self.assertTrue(folder.dirty)
        self.assertEqual(folder.take_hints().moved, False)


class NumberTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        """A folder's number is asked for once; the same path with another UIDVALIDITY is another folder."""
        folders = some()
        numbers = folders.numbering
        assert isinstance(numbers, Numbers)

        async def ask() -> list[object]:
            return [
                await folders.number("A", 1),
                await folders.number("A", 2),
                await folders.number("A", 1),
                await folders.resolve(2),
            ]

        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(ask())), [1, 2, 1, ("A", 2)])
        self.assertEqual(numbers.asked, 2)

    def test_unknown(self) -> None:
        """A number that was never given is nobody's; one that another run gave is found."""
        folders = some()
        numbers = folders.numbering
        assert isinstance(numbers, Numbers)
        self.failureResultOf(Deferred.fromCoroutine(folders.resolve(9)), MessageNotFound)
        numbers.given["B", 4] = 9
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(folders.resolve(9))), ("B", 4))
