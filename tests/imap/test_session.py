"""A session: what each method says, what it takes from the answers, and what it leaves to the news."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.turns import Turns
from emailengine.errors import ConnectionLost, EmailEngineError, MessageNotFound, ServerRefused
from emailengine.imap.commands.search import SearchUids
from emailengine.imap.session import Appended, Selected
from emailengine.wire.imap import search
from emailengine.wire.imap.responses import ESearch, Exists, Expunge, Fetch, Search, Status, Tagged, Vanished
from emailengine.wire.imap.uidset import UidSet
from tests.imap.peer import MODERN, opened

OLD = "IMAP4rev1 IDLE"
_SELECTED = (
    "* FLAGS (\\Seen)\n* 3 EXISTS\n* 0 RECENT\n* OK [UNSEEN 1] x\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 12] x\n"
    "* OK [HIGHESTMODSEQ 99] x\n* OK [PERMANENTFLAGS (\\Seen \\*)] x\n. OK [READ-WRITE] done"
)


class Ticking(Clock):
    """Time goes on by itself, so that every turn is soon used up; counts them."""

    turns = 0

    def seconds(self) -> float:
        self.rightNow += 0.01
        return super().seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:
        self.turns += 1
        return super().callLater(delay, callable, *args, **kw)


class SessionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connect(MODERN)

    def connect(self, capabilities: str) -> None:
        self.session, self.peer, self.news = opened(self.clock, capabilities)

    def tearDown(self) -> None:
        self.session.abort("over")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def start(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        return Deferred.fromCoroutine(work)

    def ask(self, work: Coroutine[Any, Any, Any], *exchanges: tuple[str, str]) -> Any:
        """The result of a method, the peer answering."""
        result = self.start(work)
        self.peer.answer(*exchanges)
        self.assertEqual(self.peer.heard(), "")
        return self.successResultOf(result)

    def error(self, kind: type[EmailEngineError], work: Coroutine[Any, Any, Any], *exchanges: tuple[str, str]) -> Any:
        result = self.start(work)
        self.peer.answer(*exchanges)
        return self.failureResultOf(result, kind).value

    def select(self) -> Selected:
        found: Selected = self.ask(self.session.select("INBOX"), ('SELECT "INBOX" (CONDSTORE)', _SELECTED))
        return found


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
        self.peer.answer(('SELECT "x" (CONDSTORE)', _SELECTED))
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


class FetchTests(SessionCase):
    def test_fetch(self) -> None:
        """One value a message, put together from all its responses; those of other messages are news."""
        rows = self.ask(
            self.session.fetch(UidSet.of([4, 5]), ["UID", "FLAGS", "RFC822.SIZE"]),
            (
                "UID FETCH 4:5 (UID FLAGS RFC822.SIZE)",
                "* 1 FETCH (UID 4 FLAGS (\\Seen))\n* 2 FETCH (UID 5 FLAGS () RFC822.SIZE 9)\n* 1 FETCH (RFC822.SIZE 8 UID 4)\n"
                "* 3 FETCH (UID 6 FLAGS ())\n* 3 FETCH (FLAGS (\\Seen))\n. OK",
            ),
        )
        self.assertEqual([(row.uid, row.flags, row.size) for row in rows], [(4, ("\\Seen",), 8), (5, (), 9)])
        self.assertEqual([one.seq for one in self.news if isinstance(one, Fetch)], [3, 3])

    def test_flags_nobody_asked_for(self) -> None:
        """Flags that change while contents are read are news, not an answer."""
        rows = self.ask(
            self.session.fetch(UidSet.of([4]), ["UID", "RFC822.SIZE"]),
            (
                "UID FETCH 4 (UID RFC822.SIZE)",
                "* 1 FETCH (UID 4 FLAGS (\\Seen))\n* 1 FETCH (UID 4 RFC822.SIZE 8)\n. OK",
            ),
        )
        self.assertEqual([(row.size, row.flags) for row in rows], [(8, None)])
        self.assertEqual(len(self.news), 1)

    def test_nothing(self) -> None:
        """No messages, no command."""
        self.assertEqual(self.ask(self.session.fetch(UidSet.of([]), ["UID"])), [])

    def test_changed_since(self) -> None:
        """CHANGEDSINCE where the server has CONDSTORE, else everything."""
        work = self.session.fetch(UidSet.of([1]), ["UID"], changed_since=5)
        self.ask(work, ("UID FETCH 1 (UID) (CHANGEDSINCE 5)", ". OK"))
        self.connect(OLD)
        self.ask(self.session.fetch(UidSet.of([1]), ["UID"], changed_since=5), ("UID FETCH 1 (UID)", ". OK"))

    def test_long_sets(self) -> None:
        """A set that makes too long a line goes in several commands."""
        uids = UidSet.of(range(1, 10_000, 2))
        result = self.start(self.session.fetch(uids, ["UID"]))
        rows = 0
        while line := self.peer.heard():
            self.assertLess(len(line), 8192)
            asked = UidSet.parse(line.split()[3])
            tag = line.split()[0]
            self.peer.say(*[f"* {one} FETCH (UID {one})" for one in asked], f"{tag} OK")
            rows += len(asked)
        self.assertEqual(rows, 5000)
        self.assertEqual([row.uid for row in self.successResultOf(result)], list(uids))

    def test_sequence(self) -> None:
        """By sequence numbers; the last message by a star."""
        rows = self.ask(
            self.session.fetch_sequence("2:3", ["UID"]),
            ("FETCH 2:3 (UID)", "* 2 FETCH (UID 5)\n* 9 FETCH (FLAGS ())\n* 3 FETCH (UID 6)\n. OK"),
        )
        self.assertEqual([row.uid for row in rows], [5, 6])
        self.assertEqual(len(self.news), 1)
        rows = self.ask(self.session.fetch_sequence("*", ["UID"]), ("FETCH * (UID)", "* 3 FETCH (UID 6)\n. OK"))
        self.assertEqual([row.seq for row in rows], [3])

    def part(self, said: str, *, offset: int = 0, section: str = "1") -> Any:
        return self.ask(
            self.session.fetch_part(4, section, offset=offset, size=5),
            (f"UID FETCH 4 (BODY.PEEK[{section}]<{offset}.5>)", said),
        )

    def test_part(self) -> None:
        """Octets of a part; fewer at its end and none behind it."""
        self.assertEqual(self.part("* 1 FETCH (UID 4 BODY[1]<0> {5}\nabc\n)\n. OK"), b"abc\r\n")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[1]<5> "d")\n. OK', offset=5), b"d")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[1]<10> "")\n. OK', offset=10), b"")
        self.assertEqual(self.part("* 1 FETCH (UID 4 BODY[1]<10> NIL)\n. OK", offset=10), b"")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[]<0> "x")\n. OK', section=""), b"x")
        self.assertEqual(self.part('* 1 FETCH (UID 4 body[1.mime]<0> "x")\n. OK', section="1.MIME"), b"x")

    def test_part_of_a_simple_server(self) -> None:
        """A server that sends the whole part each time."""
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[1] "0123456789ab")\n. OK', offset=5), b"56789")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[1] "0123456789ab")\n. OK', offset=10), b"ab")

    def test_part_of_nothing(self) -> None:
        """A message that is gone; flags of it alone are no answer."""
        work = self.session.fetch_part(4, "1", offset=0, size=5)
        self.error(MessageNotFound, work, ("UID FETCH 4 (BODY.PEEK[1]<0.5>)", "* 1 FETCH (UID 4 FLAGS ())\n. OK"))

    def test_search(self) -> None:
        """Ranges where the server can say them, else numbers; a wide text goes as a literal with its charset."""
        found = self.ask(
            self.session.search(search.flag("\\Seen")),
            ("UID SEARCH RETURN (ALL) SEEN", '* ESEARCH (TAG "2") UID ALL 4:6,9\n. OK'),
        )
        self.assertEqual(str(found), "4:6,9")
        nothing = self.ask(
            self.session.search(search.EVERY), ("UID SEARCH RETURN (ALL) ALL", '* ESEARCH (TAG "3") UID\n. OK')
        )
        self.assertFalse(nothing)
        self.connect("IMAP4rev1 LITERAL+")
        found = self.ask(
            self.session.search(search.subject("ü")),
            ("UID SEARCH CHARSET UTF-8 SUBJECT {2+}\r\nü", "* SEARCH 9 4\n* SEARCH 5\n. OK"),
        )
        self.assertEqual(str(found), "4:5,9")

    @given(st.lists(st.lists(st.integers(1, 60)), max_size=4))
    def test_search_lines(self, lines: list[list[int]]) -> None:
        """Numbers in any order, repeated, over any number of responses are one set; so are sets beside them."""
        command = SearchUids(search.EVERY, esearch=False)
        for line in lines:
            command.take(Search(line))
        command.take(ESearch(all=UidSet.parse("30:40")))
        found = command.result(Tagged(b"1", "OK", None, ""))
        joined = Deferred.fromCoroutine(found.joined(Turns(self.clock)))
        self.assertEqual(
            self.successResultOf(joined), UidSet.of([*range(30, 41), *(one for line in lines for one in line)])
        )

    def test_long_search(self) -> None:
        """A hundred thousand numbers become a set in turns, also in no order and cut inside of a range."""
        ticking = Ticking()
        numbers = [one for one in range(100_000, 0, -1) if one % 40_000]
        command = SearchUids(search.EVERY, esearch=False)
        for start in range(0, len(numbers), 30_000):
            command.take(Search(numbers[start : start + 30_000]))
        found = command.result(Tagged(b"1", "OK", None, ""))
        joined = Deferred.fromCoroutine(found.joined(Turns(ticking)))
        self.assertNoResult(joined)
        ticking.pump([0.01] * 20)
        self.assertEqual(str(self.successResultOf(joined)), "1:39999,40001:79999,80001:100000")
        self.assertGreaterEqual(ticking.turns, 8)


class ChangeTests(SessionCase):
    def test_store(self) -> None:
        """The new flags come back as news."""
        self.ask(
            self.session.store(UidSet.of([4, 5]), "+", ["\\Seen", "$Done"]),
            ("UID STORE 4:5 +FLAGS (\\Seen $Done)", "* 1 FETCH (UID 4 FLAGS (\\Seen $Done))\n. OK"),
        )
        self.assertEqual(len(self.news), 1)
        self.ask(self.session.store(UidSet.of([4]), "", []), ("UID STORE 4 FLAGS ()", ". OK"))
        work = self.session.store(UidSet.of([4]), "-", ["\\Seen"])
        self.error(ServerRefused, work, ("UID STORE 4 -FLAGS (\\Seen)", ". NO read-only"))

    def test_append(self) -> None:
        """Where the message is, as far as the server tells."""
        said = 'APPEND "x" (\\Seen) "04-Mar-2026 09:15:02 +0000" {3+}\r\nabc'
        work = self.session.append("x", b"abc", ["\\Seen"], 1772615702.0)
        self.assertEqual(self.ask(work, (said, ". OK [APPENDUID 7 12] done")), Appended("x", 7, 12))
        work = self.session.append("x", b"abc", [], None)
        self.assertEqual(self.ask(work, ('APPEND "x" {3+}\r\nabc', "* 4 EXISTS\n. OK")), Appended("x", None, None))
        self.assertEqual(self.news, [Exists(4)])
        work = self.session.append("y", b"abc", [], None)
        error = self.error(ServerRefused, work, ('APPEND "y" {3+}\r\nabc', ". NO [TRYCREATE] no"))
        self.assertEqual(error.code, "TRYCREATE")

    def test_expunge(self) -> None:
        """Only the given messages go; on an old server the others lose their mark for a moment."""
        self.ask(self.session.expunge(UidSet.of([4])), ("UID EXPUNGE 4", "* VANISHED 4\n. OK"))
        self.connect(OLD)
        self.ask(
            self.session.expunge(UidSet.of([4])),
            ("UID SEARCH DELETED", "* SEARCH 4 7\n. OK"),
            ("UID STORE 7 -FLAGS (\\Deleted)", ". OK"),
            ("EXPUNGE", "* 1 EXPUNGE\n. OK"),
            ("UID STORE 7 +FLAGS (\\Deleted)", ". OK"),
        )


class LifeTests(SessionCase):
    def test_idle(self) -> None:
        """IDLE begins when the server agrees, and ends with its last news; both are harmless when repeated."""
        begun = self.start(self.session.idle_start())
        self.assertEqual(self.peer.heard(), "2 IDLE\r\n")
        self.assertNoResult(begun)
        self.peer.say("+")
        self.successResultOf(begun)
        self.ask(self.session.idle_start())
        ended = self.start(self.session.idle_stop())
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.assertNoResult(ended)
        self.peer.say("* OK [HIGHESTMODSEQ 9] x", "* 1 EXISTS", "2 OK")
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
        self.peer.say("2 OK")
        self.peer.answer(("NOOP", ". OK"))
        self.successResultOf(noop)
        self.start(self.session.idle_start())
        self.assertEqual(self.peer.heard(), "4 IDLE\r\n")
        self.peer.say("+")

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

    def test_idle_cancelled(self) -> None:
        """Who gives up waiting for IDLE leaves none running."""
        begun = self.start(self.session.idle_start())
        self.peer.heard()
        begun.cancel()
        self.failureResultOf(begun, CancelledError)
        self.peer.say("+ idling")
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.peer.say("2 OK")
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
        self.peer.answer(('SELECT "x" (CONDSTORE)', _SELECTED))
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
