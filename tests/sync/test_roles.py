"""Special use of folders."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.sync.roles import Candidate, Role, assign


def folder(path: str, *flags: str, delimiter: str | None = "/") -> Candidate:
    return Candidate(path, delimiter, frozenset(flags))


class AssignTests(SynchronousTestCase):
    def test_inbox(self) -> None:
        """INBOX is the inbox whatever its case and its flags."""
        self.assertEqual(assign([folder("Inbox", "\\Sent")], {}), {"Inbox": Role("\\Inbox", "name")})

    def test_extension_beats_name(self) -> None:
        """The server's flag wins over a name, wherever the folder stands in the list."""
        found = assign([folder("Sent"), folder("Out", "\\Sent")], {})
        self.assertEqual(found, {"Out": Role("\\Sent", "extension")})

    def test_setting_beats_extension(self) -> None:
        """The account's own setting wins over all."""
        found = assign([folder("Sent", "\\Sent"), folder("Mine")], {"\\Sent": "Mine"})
        self.assertEqual(found, {"Mine": Role("\\Sent", "user")})

    def test_names(self) -> None:
        """Names are compared without case, hidden marks and width, by their last element."""
        for path, use in (
            ("INBOX/Gesendete Elemente", "\\Sent"),
            ("Удаленные", "\\Trash"),
            ("ｓｐａｍ", "\\Junk"),
            ("\u200eDrafts ", "\\Drafts"),
            ("Archive", "\\Archive"),
            ("Wersje robocze", "\\Drafts"),
        ):
            self.assertEqual(assign([folder(path)], {})[path], Role(use, "name"), path)

    def test_general_words(self) -> None:
        """A general word beside a known name does not hide it, another word does."""
        self.assertEqual(assign([folder("Deleted Objects")], {})["Deleted Objects"].use, "\\Trash")
        self.assertEqual(assign([folder("Sent to Bob")], {}), {})

    def test_one_folder_per_role(self) -> None:
        """The first of two equal claims has the role."""
        found = assign([folder("a/Trash"), folder("b/Trash")], {})
        self.assertEqual(list(found), ["a/Trash"])

    def test_nonexistent(self) -> None:
        """A name that is no folder gets no role by name."""
        self.assertEqual(assign([folder("Sent", "\\NonExistent")], {}), {})
