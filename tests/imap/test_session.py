"""A session: the folder that is selected, waiting for news, and the end."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from emailengine.errors import ConnectionLost, ServerRefused
from emailengine.imap.session import Known, Selected
from emailengine.wire.imap.responses import Exists, Expunge, Status, Vanished
from emailengine.wire.imap.uidset import UidSet
from tests.imap.case import OLD, SELECTED, SessionCase
from tests.imap.peer import MODERN


class SelectTests(SessionCase):
    def test_select(self) -> None:
        """All that SELECT tells is in its value, and none of it is news."""
        selected = self.select()
        self.assertEqual(selected, Selected("INBOX", 7, 3, 12, 99, False, frozenset({"\\Seen", "\\*"})))
        self.assertIs(self.session.selected, selected)
        self.assertEqual(self.news, [])

    def test_plain(self) -> None:
        """A server that tells little; EXAMINE is read-only by itself."""
        self.connect(OLD)
        selected = self.ask(
            self.session.select("Bücher", read_only=True), ('EXAMINE "B&APw-cher"', "* 0 EXISTS\n. OK done")
        )
        self.assertEqual(selected, Selected("Bücher", 0, 0, None, None, True, None))

    def test_no_modseq(self) -> None:
        """NOMODSEQ and a HIGHESTMODSEQ of zero both say that the folder has none."""
        for said in ("HIGHESTMODSEQ 0", "NOMODSEQ"):
            selected = self.ask(
                self.session.select("INBOX"),
                ('SELECT "INBOX" (CONDSTORE)', f"* 3 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [{said}] x\n. OK done"),
            )
            self.assertIsNone(selected.modseq, said)
        self.assertEqual(self.news, [])

    def test_raw_name(self) -> None:
        """A name that breaks the rules goes back byte for byte."""
        self.connect(OLD)
        listed = self.start(self.session.list_folders())
        self.peer.heard()
        self.peer.connection.dataReceived(b'* LIST () "/" "R&D"\r\n* LIST () "/" "caf\xe9"\r\n1 OK\r\n2 OK\r\n')
        names = [one.entry.name for one in self.successResultOf(listed)]
        for name, raw in zip(names, (b"R&D", b"caf\xe9"), strict=True):
            self.start(self.session.select(name))
            said = self.peer.value()
            self.peer.clear()
            if raw.isascii():
                self.assertIn(b'"' + raw + b'"', said)
            else:
                self.assertIn(b"{%d}" % len(raw), said)
                self.peer.say("+ go")
                self.assertEqual(self.peer.value(), raw + b"\r\n")
                self.peer.clear()
            tag = self.peer.connection._tags
            self.peer.say(f"{tag} OK done")

    def test_counts(self) -> None:
        """`exists` follows EXISTS, EXPUNGE and VANISHED, and all of them are news."""
        selected = self.select()
        for line, exists in (
            ("* 5 EXISTS", 5),
            ("* 2 EXPUNGE", 4),
            ("* VANISHED 1:2,9", 1),
            ("* VANISHED (EARLIER) 1:100", 1),
            ("* VANISHED 1:100", 0),
        ):
            self.peer.say(line)
            self.assertEqual(selected.exists, exists, line)
        self.assertEqual([type(one) for one in self.news], [Exists, Expunge, Vanished, Vanished, Vanished])

    def test_counts_while_selecting(self) -> None:
        """News of the old folder change nothing in the new one, and those of the new one count."""
        self.select()
        selected = self.ask(
            self.session.select("x"),
            (
                'SELECT "x" (CONDSTORE)',
                "* 1 EXPUNGE\n* 9 EXISTS\n* OK [CLOSED] x\n* 4 EXISTS\n* 2 EXPUNGE\n. OK [READ-ONLY]",
            ),
        )
        self.assertEqual((selected.exists, selected.read_only), (3, True))

    def test_refused(self) -> None:
        """When a folder is refused, or while it is being selected, none is selected."""
        self.select()
        result = self.start(self.session.select("x"))
        self.assertIsNone(self.session.selected)
        self.peer.answer(('SELECT "x" (CONDSTORE)', ". NO [NONEXISTENT] no"))
        self.assertEqual(self.failureResultOf(result, ServerRefused).value.code, "NONEXISTENT")
        self.assertIsNone(self.session.selected)

    def test_still_selected_while_waiting(self) -> None:
        """A SELECT that waits for its turn leaves the folder to the command before it."""
        self.select()
        first, second = self.start(self.session.noop()), self.start(self.session.select("x"))
        self.assertIsNotNone(self.session.selected)
        self.peer.answer(("NOOP", ". OK"))
        self.successResultOf(first)
        self.assertIsNone(self.session.selected)
        self.peer.answer(('SELECT "x" (CONDSTORE)', SELECTED))
        self.assertEqual(self.successResultOf(second).path, "x")

    def test_unselect(self) -> None:
        """Leaving a folder expunges nothing: CLOSE is only used on one that was opened read-only."""
        self.select()
        self.ask(self.session.unselect(), ("UNSELECT", ". OK"))
        self.assertIsNone(self.session.selected)
        self.ask(self.session.unselect())
        self.connect(OLD)
        self.ask(self.session.select("x"), ('SELECT "x"', ". OK"))
        self.ask(self.session.unselect(), ('EXAMINE "x"', ". OK"), ("CLOSE", ". OK"))
        self.assertIsNone(self.session.selected)

    def test_unselect_refused(self) -> None:
        """UNSELECT that is only offered is not needed; nor is CLOSE, which some refuse to a read-only folder."""
        self.select()
        self.ask(
            self.session.unselect(),
            ("UNSELECT", ". BAD what"),
            ('EXAMINE "INBOX" (CONDSTORE)', ". OK"),
            ("CLOSE", ". NO [READ-ONLY] not here"),
            ('EXAMINE "INBOX 0 not there" (CONDSTORE)', ". NO no such folder"),
        )
        self.assertIsNone(self.session.selected)


class CatchingUpTests(SessionCase):
    """QRESYNC: what happened to a folder since."""

    known = Known(7, 90, UidSet.parse("1:3,9"))
    since = 'SELECT "x" (QRESYNC (7 90 1:3,9))'
    told = (
        "* OK [CLOSED] x\n* 3 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 99] x\n* OK [MAILBOXID (F2-1)] x\n"
        "* VANISHED (EARLIER) 2,4:8\n* 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (95))\n* 3 FETCH (UID 9 MODSEQ (96))\n"
        "* 3 FETCH (UID 9 FLAGS ())\n. OK [READ-WRITE] done"
    )

    def setUp(self) -> None:
        super().setUp()
        self.connect(MODERN, enabled="QRESYNC CONDSTORE")

    def test_changes(self) -> None:
        """What is gone of what was known, and the new flags, once for each message; none of it is news."""
        selected = self.ask(self.session.select("x", known=self.known), (self.since, self.told))
        self.assertEqual((str(selected.vanished), selected.exists, selected.mailbox_id), ("2", 3, "F2-1"))
        self.assertEqual(
            [(one.uid, one.flags, one.modseq) for one in selected.changed], [(3, ("\\Seen",), 95), (9, (), 96)]
        )
        self.assertEqual(self.news, [])
        known = Known(7, 90)
        selected = self.ask(self.session.select("x", known=known), ('SELECT "x" (QRESYNC (7 90))', self.told))
        self.assertEqual(str(selected.vanished), "2,4:8")

    def test_vanished_one_by_one(self) -> None:
        """What is gone may be told in any number of responses."""
        gone = "".join(f"* VANISHED (EARLIER) {uid}\n" for uid in (9, 7, 4, 5, 6))
        said = f"* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 99] x\n{gone}* VANISHED 2\n. OK"
        selected = self.ask(self.session.select("x", known=Known(7, 90)), ('SELECT "x" (QRESYNC (7 90))', said))
        self.assertEqual(str(selected.vanished), "2,4:7,9")

    def test_nothing_happened(self) -> None:
        """Nothing gone is not the same as nothing told."""
        said = "* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 90] x\n. OK"
        selected = self.ask(self.session.select("x", known=self.known), (self.since, said))
        self.assertEqual((selected.vanished, selected.changed), (UidSet.of([]), []))
        for said in (
            "* OK [UIDVALIDITY 8] x\n* OK [HIGHESTMODSEQ 90] x\n. OK",
            "* OK [UIDVALIDITY 7] x\n* OK [NOMODSEQ] x\n. OK",
        ):
            selected = self.ask(self.session.select("x", known=self.known), (self.since, said))
            self.assertEqual((selected.vanished, selected.changed), (None, []))

    def test_of_the_old_folder(self) -> None:
        """What comes before CLOSED is of the folder that was selected until then."""
        self.select()
        said = "* 1 FETCH (UID 1 FLAGS (old))\n* VANISHED 2\n" + self.told
        selected = self.ask(self.session.select("x", known=self.known), (self.since, said))
        self.assertEqual([one.uid for one in selected.changed], [3, 9])
        self.assertEqual(selected.exists, 3)

    def test_not_enabled(self) -> None:
        """It is asked for only once the server has switched it on, and with numbers that can be."""
        for known in (Known(0, 90), Known(7, 0)):
            self.ask(self.session.select("x", known=known), ('SELECT "x" (CONDSTORE)', ". OK"))
        self.connect(MODERN)
        self.ask(self.session.select("x", known=self.known), ('SELECT "x" (CONDSTORE)', ". OK"))
        self.connect(OLD)
        self.ask(self.session.select("x", known=self.known), ('SELECT "x"', ". OK"))

    def test_not_understood(self) -> None:
        """A server that does not understand what it offers is asked plainly."""
        selected = self.ask(
            self.session.select("x", known=self.known), (self.since, ". BAD what"), ('SELECT "x"', SELECTED)
        )
        self.assertIsNone(selected.vanished)
        self.assertIs(self.session.selected, selected)

    def test_long(self) -> None:
        """Too many ranges for a line become one, and only what was known is told of."""
        known = Known(7, 90, UidSet.of(range(1, 10_000, 2)))
        said = "* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 99] x\n* VANISHED (EARLIER) 1:4\n. OK"
        selected = self.ask(self.session.select("x", known=known), ('SELECT "x" (QRESYNC (7 90 1:9999))', said))
        self.assertEqual(str(selected.vanished), "1,3")


class LifeTests(SessionCase):
    def test_idle(self) -> None:
        """IDLE begins when the server agrees, and ends with its last news; both are harmless when repeated."""
        begun = self.start(self.session.idle_start())
        self.assertEqual(self.peer.heard(), "1 IDLE\r\n")
        self.assertNoResult(begun)
        self.peer.say("+")
        self.successResultOf(begun)
        self.ask(self.session.idle_start())
        ended = self.start(self.session.idle_stop())
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.assertNoResult(ended)
        self.peer.say("* OK [HIGHESTMODSEQ 9] x", "* 1 EXISTS", "1 OK")
        self.successResultOf(ended)
        self.assertEqual([type(one) for one in self.news], [Status, Exists])
        self.ask(self.session.idle_stop())

    def test_idle_again(self) -> None:
        """After another command ended IDLE it can begin anew."""
        self.start(self.session.idle_start())
        self.peer.heard()
        self.peer.say("+")
        noop = self.start(self.session.noop())
        self.peer.heard()
        self.peer.say("1 OK")
        self.peer.answer(("NOOP", ". OK"))
        self.successResultOf(noop)
        self.start(self.session.idle_start())
        self.assertEqual(self.peer.heard(), "3 IDLE\r\n")
        self.peer.say("+")

    def test_idle_while_ending(self) -> None:
        """IDLE that another command is ending does not count: one that is begun now follows, and tells of its end."""
        ended: list[str] = []
        self.ask(self.session.idle_start(lambda: ended.append("first")), ("IDLE", "+"))
        noop = self.start(self.session.noop())
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        begun = self.start(self.session.idle_start(lambda: ended.append("second")))
        self.assertNoResult(begun)
        self.peer.say("1 OK")
        self.assertEqual(ended, ["first"])
        self.peer.answer(("NOOP", ". OK"), ("IDLE", "+"))
        self.successResultOf(noop)
        self.successResultOf(begun)
        self.assertTrue(self.session.idling)
        self.peer.say("3 OK")
        self.assertEqual((ended, self.session.idling), (["first", "second"], False))

    def test_idle_stopped_before_it_is_sent(self) -> None:
        """IDLE that still waits for its turn is not sent any more, and nobody waits for it."""
        ended: list[str] = []
        noop = self.start(self.session.noop())
        begun = self.start(self.session.idle_start(lambda: ended.append("ended")))
        self.successResultOf(self.start(self.session.idle_stop()))
        self.successResultOf(begun)
        self.assertEqual((ended, self.session.idling), (["ended"], False))
        self.peer.answer(("NOOP", ". OK"))
        self.successResultOf(noop)
        self.assertEqual(self.peer.heard(), "")

    def test_idle_refused(self) -> None:
        """A server that does not let us is an error, and nothing is left to stop."""
        self.error(ServerRefused, self.session.idle_start(), ("IDLE", ". NO no"))
        self.ask(self.session.idle_stop())

    def test_idle_lost(self) -> None:
        """A connection that ends in IDLE tells whoever asked to hear of it, and stopping says why."""
        calls: list[str] = []
        self.session.on_lost(lambda: calls.append("lost"))
        self.start(self.session.idle_start())
        self.peer.say("+", "* BYE restart")
        self.peer.lose()
        self.assertEqual(calls, ["lost"])
        self.assertIn(
            "restart", self.failureResultOf(self.start(self.session.idle_stop()), ConnectionLost).value.message
        )
        self.session.on_lost(lambda: calls.append("late"))
        self.assertEqual(calls, ["lost", "late"])

    def test_idle_without_end(self) -> None:
        """DONE must be answered in half a minute."""
        self.start(self.session.idle_start())
        self.peer.say("+")
        ended = self.start(self.session.idle_stop())
        self.clock.advance(30)
        self.failureResultOf(ended, ConnectionLost)
        self.assertTrue(self.peer.closed)

    def test_idle_ends_slowly(self) -> None:
        """A server that tells its news for long before it answers DONE is not silent."""
        self.start(self.session.idle_start())
        self.peer.say("+")
        ended = self.start(self.session.idle_stop())
        for n in range(5):
            self.clock.advance(20)
            self.peer.say(f"* {n} EXISTS")
        self.assertNoResult(ended)
        self.clock.advance(29)
        self.peer.say("1 OK")
        self.successResultOf(ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_idle_cancelled(self) -> None:
        """Who gives up waiting for IDLE leaves none running."""
        begun = self.start(self.session.idle_start())
        self.peer.heard()
        begun.cancel()
        self.failureResultOf(begun, CancelledError)
        self.peer.say("+ idling")
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.peer.say("1 OK")
        first = self.start(self.session.noop())
        begun = self.start(self.session.idle_start())
        begun.cancel()
        self.failureResultOf(begun, CancelledError)
        self.peer.answer(("NOOP", ". OK"))
        self.successResultOf(first)
        self.assertEqual(self.peer.heard(), "")

    def test_cancelled_select(self) -> None:
        """A SELECT that nobody waits for any more selects nothing as far as we know."""
        result = self.start(self.session.select("x"))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.peer.answer(('SELECT "x" (CONDSTORE)', SELECTED))
        self.assertIsNone(self.session.selected)
        self.select()

    def test_logout(self) -> None:
        """LOGOUT, and the connection is gone; nothing of it raises, whatever the server does."""
        self.ask(self.session.logout(), ("LOGOUT", "* BYE bye\n. OK"))
        self.assertFalse(self.session.alive)
        self.assertTrue(self.peer.closed)
        self.assertRaises(ConnectionLost, self.session.check)
        self.ask(self.session.logout())
        self.connect(OLD)
        result = self.start(self.session.logout())
        self.clock.advance(5)
        self.successResultOf(result)
        self.assertTrue(self.peer.closed)

    def test_dead(self) -> None:
        """Every method of a dead session raises why it died."""
        self.session.check()
        self.session.abort("the settings changed")
        for work in (
            self.session.noop(),
            self.session.select("x"),
            self.session.idle_start(),
            self.session.list_folders(),
        ):
            self.assertIn("the settings changed", self.failureResultOf(self.start(work), ConnectionLost).value.message)
