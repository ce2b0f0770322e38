"""Listing: what is asked for, and what is asked for where the server does not understand that."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from emailengine.errors import ServerRefused
from emailengine.imap.session import ListedFolder
from emailengine.wire.imap.responses import Namespace, NamespaceEntry
from emailengine.wire.imap.uidset import UidSet
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

    def names(self, listed: list[ListedFolder]) -> list[str]:
        return [one.entry.name for one in listed]

    def plain(self, result: Deferred[Any], *lines: str, lsub: str = "") -> list[ListedFolder]:
        """Answer LIST and LSUB, which come together."""
        tags = dict([line.split(" ")[1::-1] for line in self.peer.heard().splitlines()])
        self.peer.say(*lines, f"{tags['LIST']} OK", *([lsub] if lsub else []), f"{tags['LSUB']} OK")
        found: list[ListedFolder] = self.successResultOf(result)
        return found

    def test_step_by_step(self) -> None:
        """What is refused as a whole is asked for in parts, and only once."""
        with_status = 'LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES))'
        without = 'LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE)'
        told = '* LIST (\\Subscribed) "/" a\n. OK'
        for exchanges in ([(with_status, ". BAD what"), (without, told)], [(without, told)]):
            listed = self.ask(self.session.list_folders(["MESSAGES"]), *exchanges)
            self.assertEqual([(one.entry.name, one.subscribed, one.status) for one in listed], [("a", True, None)])

    def test_refused_for_now(self) -> None:
        """What was refused for another reason than its form is asked for again."""
        said = 'LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE)'
        for refusal in ("NO not now", "BAD Request is throttled. Suggested Backoff Time: 5 milliseconds"):
            result = self.start(self.session.list_folders())
            self.peer.answer((said, f". {refusal}"))
            self.assertEqual(self.names(self.plain(result, '* LIST () "/" a')), ["a"])

    def test_special_use_alone(self) -> None:
        """Special uses are asked for where nothing else can be, and subscriptions beside."""
        self.connect("IMAP4rev1 SPECIAL-USE XLIST")
        listed = self.ask(
            self.session.list_folders(["MESSAGES"]),
            ('LIST "" "*" RETURN (SPECIAL-USE)', '* LIST (\\Sent) "/" Sent\n. OK'),
            ('LSUB "" "*"', '* LSUB () "/" Sent\n. OK'),
        )
        self.assertEqual([(one.entry.name, one.subscribed) for one in listed], [("Sent", True)])

    def test_xlist(self) -> None:
        """XLIST names INBOX in the user's language."""
        self.connect("IMAP4rev1 XLIST")
        result = self.start(self.session.list_folders())
        xlist, lsub = [line.split() for line in self.peer.heard().splitlines()]
        self.assertEqual(xlist[1:], ["XLIST", '""', '"*"'])
        self.peer.say(
            '* XLIST (\\Inbox) "/" "Posteingang"', '* XLIST (\\Sent) "/" "x"', f"{xlist[0]} OK", f"{lsub[0]} OK"
        )
        self.assertEqual(self.names(self.successResultOf(result)), ["INBOX", "x"])

    def test_offered_numbers(self) -> None:
        """Only numbers that the server knows are asked for, beside the folders or alone."""
        items = ["MESSAGES", "SIZE", "HIGHESTMODSEQ", "MAILBOXID", "DELETED"]
        self.connect("IMAP4rev1 LIST-EXTENDED LIST-STATUS STATUS=SIZE")
        self.ask(
            self.session.list_folders(items),
            ('LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES SIZE))', '* LIST () "/" a\n. OK'),
        )
        for capabilities, known in (
            ("IMAP4rev1 CONDSTORE", "MESSAGES HIGHESTMODSEQ"),
            ("IMAP4rev1 QRESYNC OBJECTID", "MESSAGES HIGHESTMODSEQ MAILBOXID"),
            ("IMAP4rev2", "MESSAGES SIZE DELETED"),
            ("IMAP4rev1 IMAP4rev2", "MESSAGES"),
        ):
            self.connect(capabilities)
            self.ask(self.session.status("x", items), (f'STATUS "x" ({known})', ". OK"))
        self.connect(OLD)
        self.assertEqual(self.ask(self.session.status("x", ["SIZE"])), {})

    def test_status_step_by_step(self) -> None:
        """Numbers that the server only offers are left out when it refuses; the others come."""
        self.connect("IMAP4rev1 CONDSTORE")
        told = self.ask(
            self.session.status("x", ["MESSAGES", "HIGHESTMODSEQ"]),
            ('STATUS "x" (MESSAGES HIGHESTMODSEQ)', ". BAD what"),
            ('STATUS "x" (MESSAGES)', "* STATUS x (MESSAGES 3)\n. OK"),
        )
        self.assertEqual(told, {"MESSAGES": 3})
        self.error(ServerRefused, self.session.status("x", ["MESSAGES"]), ('STATUS "x" (MESSAGES)', ". BAD no"))
        work = self.session.status("x", ["MESSAGES", "HIGHESTMODSEQ"])
        self.error(ServerRefused, work, ('STATUS "x" (MESSAGES HIGHESTMODSEQ)', ". NO no"))

    def test_mailbox_id(self) -> None:
        """What names a folder whatever it is called."""
        self.connect("IMAP4rev1 OBJECTID")
        told = self.ask(
            self.session.mailbox_id("x"), ('STATUS "x" (MAILBOXID)', "* STATUS x (MAILBOXID (F221-a))\n. OK")
        )
        self.assertEqual(told, "F221-a")
        self.connect(OLD)
        self.assertIsNone(self.ask(self.session.mailbox_id("x")))


class PlaceTests(SessionCase):
    """Servers that keep our folders behind a prefix."""

    prefix = Namespace((NamespaceEntry("INBOX.", b"INBOX.", "."),))

    def test_prefix(self) -> None:
        """Where nothing but INBOX is at the root, the folders are at our prefix."""
        self.connect("IMAP4rev1 LIST-EXTENDED", namespaces=self.prefix)
        listed = self.ask(
            self.session.list_folders(),
            ('LIST "" "*" RETURN (SUBSCRIBED)', ". OK"),
            ('LIST "" "INBOX" RETURN (SUBSCRIBED)', '* LIST () "." INBOX\n. OK'),
            (
                'LIST "" "INBOX.*" RETURN (SUBSCRIBED)',
                '* LIST () "." INBOX.a\n* LIST (\\Subscribed) "." INBOX.b\n. OK',
            ),
        )
        self.assertEqual(
            [(one.entry.name, one.subscribed) for one in listed],
            [("INBOX", False), ("INBOX.a", False), ("INBOX.b", True)],
        )

    def test_old(self) -> None:
        """An old server as well, with its subscriptions."""
        self.connect(OLD, namespaces=self.prefix)
        result = self.start(self.session.list_folders())
        first, second = [line.split()[0] for line in self.peer.heard().splitlines()]
        self.peer.say('* LIST () "." INBOX', f"{first} OK", f"{second} OK")
        self.peer.answer(
            ('LIST "" "INBOX.*"', '* LIST () "." INBOX.a\n. OK'),
            ('LSUB "" "*"', ". OK"),
            ('LSUB "" "INBOX.*"', '* LSUB () "." INBOX.a\n. OK'),
        )
        listed = self.successResultOf(result)
        self.assertEqual([(one.entry.name, one.subscribed) for one in listed], [("INBOX", False), ("INBOX.a", True)])

    def test_root(self) -> None:
        """What is listed at the root is all, whatever the prefix."""
        self.connect("IMAP4rev1 LIST-EXTENDED", namespaces=self.prefix)
        self.ask(
            self.session.list_folders(),
            ('LIST "" "*" RETURN (SUBSCRIBED)', '* LIST () "." INBOX\n* LIST () "." INBOX.a\n. OK'),
        )

    def test_nothing(self) -> None:
        """Where nothing is to be found nothing is invented, and the old way is tried as well."""
        self.connect("IMAP4rev1 LIST-EXTENDED")
        result = self.start(self.session.list_folders())
        self.peer.answer(('LIST "" "*" RETURN (SUBSCRIBED)', ". OK"))
        first, second = [line.split()[0] for line in self.peer.heard().splitlines()]
        self.peer.say(f"{first} OK", f"{second} OK")
        self.assertEqual(self.successResultOf(result), [])

    def test_leading_delimiter(self) -> None:
        """A delimiter before a name is no part of it, unless that would make two names one."""
        self.connect("IMAP4rev1 LIST-EXTENDED LIST-STATUS")
        said = '* LIST () "/" "/a"\n* STATUS "/a" (MESSAGES 3)\n* LIST () "/" "/b"\n* LIST () "/" b\n* LIST () "/" "/"\n. OK'
        listed = self.ask(
            self.session.list_folders(["MESSAGES"]),
            ('LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES))', said),
        )
        self.assertEqual(
            [(one.entry.name, one.entry.raw, one.status) for one in listed],
            [("a", b"a", {"MESSAGES": 3}), ("/b", b"/b", None), ("b", b"b", None), ("/", b"/", None)],
        )
        self.connect("IMAP4rev1 LIST-EXTENDED", namespaces=Namespace((NamespaceEntry("/u/", b"/u/", "/"),)))
        listed = self.ask(
            self.session.list_folders(), ('LIST "" "*" RETURN (SUBSCRIBED)', '* LIST () "/" "/u/a"\n. OK')
        )
        self.assertEqual(listed[0].entry.name, "/u/a")


class FolderChangeTests(SessionCase):
    def test_folders(self) -> None:
        """Made, remembered, renamed, forgotten and removed."""
        session = self.session
        self.assertEqual(self.ask(session.create("Büro"), ('CREATE "B&APw-ro"', ". OK [MAILBOXID (F1)] done")), "F1")
        self.assertIsNone(self.ask(session.create("x"), ('CREATE "x"', '* LIST () "/" x\n. OK')))
        self.ask(session.subscribe("x"), ('SUBSCRIBE "x"', ". OK"))
        self.ask(session.rename("x", 'y"'), ('RENAME "x" "y\\""', ". OK"))
        self.ask(session.unsubscribe("x"), ('UNSUBSCRIBE "x"', ". OK"))
        self.ask(session.delete("y"), ('DELETE "y"', ". OK"))
        error = self.error(ServerRefused, session.create("x"), ('CREATE "x"', ". NO [ALREADYEXISTS] there"))
        self.assertEqual(error.code, "ALREADYEXISTS")
        self.assertEqual(self.news, [])

    def test_selected(self) -> None:
        """The selected folder is left before it is renamed or removed, and nothing is expunged by that."""
        self.select()
        self.ask(self.session.rename("INBOX", "x"), ("UNSELECT", ". OK"), ('RENAME "INBOX" "x"', ". OK"))
        self.assertIsNone(self.session.selected)
        self.connect(OLD)
        self.select()
        self.ask(
            self.session.delete("INBOX"), ('EXAMINE "INBOX"', ". OK"), ("CLOSE", ". OK"), ('DELETE "INBOX"', ". OK")
        )

    def test_utf8(self) -> None:
        """Where UTF-8 is agreed upon every name goes as it is."""
        self.connect("IMAP4rev1 UIDPLUS MOVE QUOTA X-GM-EXT-1", utf8=True)
        session, one = self.session, UidSet.of([1])
        for work, said in (
            (session.create("ü&"), 'CREATE "ü&"'),
            (session.delete("ü"), 'DELETE "ü"'),
            (session.rename("ü", "ö"), 'RENAME "ü" "ö"'),
            (session.subscribe("ü"), 'SUBSCRIBE "ü"'),
            (session.unsubscribe("ü"), 'UNSUBSCRIBE "ü"'),
            (session.select("ü"), 'SELECT "ü"'),
            (session.status("ü", ["MESSAGES"]), 'STATUS "ü" (MESSAGES)'),
            (session.storage("ü"), 'GETQUOTAROOT "ü"'),
            (session.copy(one, "ü"), 'UID COPY 1 "ü"'),
            (session.move(one, "ü"), 'UID MOVE 1 "ü"'),
            (session.store_labels(one, "+", ["ü"]), 'UID STORE 1 +X-GM-LABELS ("ü")'),
        ):
            self.ask(work, (said, ". OK"))
        result = self.start(session.list_folders())
        self.assertEqual(self.plain_names(result), ["ü&"])

    def plain_names(self, result: Deferred[Any]) -> list[str]:
        first, second = [line.split()[0] for line in self.peer.heard().splitlines()]
        self.peer.say('* LIST () "/" "ü&"', f"{first} OK", f"{second} OK")
        return [one.entry.name for one in self.successResultOf(result)]
