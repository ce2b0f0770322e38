"""Listing: what is asked for, and what is asked for where the server does not understand that."""

from __future__ import annotations

from emailengine.errors import ServerRefused
from emailengine.wire.imap.responses import Namespace, NamespaceEntry
from tests.imap.case import OLD, SessionCase


class FolderTests(SessionCase):
    def test_one_command(self) -> None:
        """A modern server tells everything in one command."""
        listed = self.ask(
            self.session.list_folders(["MESSAGES", "UIDNEXT"]),
            (
                'LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UIDNEXT))',
                '* LIST (\\Subscribed) "/" inbox\n* STATUS INBOX (MESSAGES 3 UIDNEXT 12)\n'
                '* LIST (\\Sent \\HasNoChildren) "/" Sent\n* LIST (\\Noselect) NIL x\n* LIST (\\Marked) "/" inbox\n. OK',
            ),
        )
        found = [(one.entry.name, one.entry.delimiter, one.subscribed, one.status) for one in listed]
        self.assertEqual(
            found,
            [
                ("inbox", "/", True, {"MESSAGES": 3, "UIDNEXT": 12}),
                ("Sent", "/", False, None),
                ("x", None, False, None),
            ],
        )
        self.assertIn("\\Sent", listed[1].entry.flags)
        self.assertEqual(listed[0].entry.flags, {"\\Subscribed", "\\Marked"})

    def test_two_commands(self) -> None:
        """An older one is asked for subscriptions beside; it may refuse to tell them."""
        self.connect(OLD)
        for lsub, subscribed in (('* LSUB () "." a', ["a"]), ("", [])):
            result = self.start(self.session.list_folders(["MESSAGES"]))
            tags = [line.split()[0] for line in self.peer.heard().splitlines()]
            self.peer.say('* LIST () "." a', '* LIST () "." b', f"{tags[0]} OK")
            self.peer.say(*([lsub] if lsub else []), f"{tags[1]} {'OK' if lsub else 'NO'}")
            listed = self.successResultOf(result)
            self.assertEqual([one.entry.name for one in listed if one.subscribed], subscribed)
            self.assertEqual([one.status for one in listed], [None, None])

    def test_offers_more_than_it_understands(self) -> None:
        """When the long form is refused the short one is used; when that is, too, its refusal is the error."""
        result = self.start(self.session.list_folders())
        self.peer.answer(('LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE)', ". BAD what"))
        first, second = [line.split()[0] for line in self.peer.heard().splitlines()]
        self.peer.say(f"{first} NO never", f"{second} NO never")
        self.failureResultOf(result, ServerRefused)
        self.assertTrue(self.session.alive)

    def test_status(self) -> None:
        """Numbers by name; what the server does not tell is missing."""
        told = self.ask(
            self.session.status("a b", ["MESSAGES", "UNSEEN"]),
            ('STATUS "a b" (MESSAGES UNSEEN)', '* STATUS "A B" (MESSAGES 3 X y)\n. OK'),
        )
        self.assertEqual(told, {"MESSAGES": 3})
