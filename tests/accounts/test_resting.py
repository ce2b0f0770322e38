"""The rest between two pieces of work, on a clock: when the server is asked, and when it is given up."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred

from emailengine.accounts.folders import Folder, Folders
from emailengine.accounts.oddities import USUAL, Watching, watching
from emailengine.accounts.resting import IDLE_ENDED_POLL, IDLE_PAUSE, IDLE_TIRED, Resting
from emailengine.core.flag import Flag
from emailengine.errors import ConnectionLost
from emailengine.sync.plan import Position
from tests.imap.case import SessionCase

FAR = 86_400.0
SELECT = 'SELECT "INBOX"'
SAME = "* 3 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 12] x\n. OK [READ-WRITE] done"


class RestingCase(SessionCase):
    capabilities = "IMAP4rev1 IDLE"
    way: Watching = USUAL

    def setUp(self) -> None:
        super().setUp()
        self.inbox = Folder("INBOX", special_use="\\Inbox", dirty=False, position=Position(7, 12, 3, None, 12))
        self.folders = Folders(numbering=cast(Any, None), by_path={"INBOX": self.inbox})
        self.woken = Flag()
        self.compared: list[str] = []
        self.resting = self.made(self.way)

    def made(self, way: Watching) -> Resting:
        return Resting(clock=self.clock, session=self.session, folders=self.folders, way=way, compare=self.compare)

    async def compare(self, folder: Folder) -> None:
        self.compared.append(folder.path)
        await self.session.status(folder.path, ["MESSAGES"])

    def rest(self, until: float = FAR) -> Deferred[None]:
        self.woken.clear()
        return Deferred.fromCoroutine(self.resting.rest(self.woken, until))

    def settled(self) -> Deferred[None]:
        """A rest that has selected its folder."""
        resting = self.rest()
        self.peer.answer((SELECT, SAME))
        return resting

    def idle(self) -> Deferred[None]:
        resting = self.settled()
        self.peer.answer(("IDLE", "+ idling"))
        return resting


class IdleTests(RestingCase):
    def test_renewed(self) -> None:
        """IDLE lasts five minutes; the answer to DONE is the proof that the server is there, and IDLE goes on."""
        resting = self.idle()
        self.clock.advance(299)
        self.assertEqual(self.peer.heard(), "")
        self.clock.advance(1)
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.assertNoResult(resting)
        self.peer.say("2 OK done")
        self.successResultOf(resting)
        resting = self.rest()
        self.peer.answer(("IDLE", "+ idling"))
        self.assertNoResult(resting)
        self.assertEqual(self.session.heard_at, 300)
        self.session.abort("over")
        self.failureResultOf(resting, ConnectionLost)

    def test_cut_in_silence(self) -> None:
        """A connection that died in silence is given up 5 minutes and 30 seconds after IDLE began, and not later."""
        resting = self.idle()
        self.clock.pump([1] * 329)
        self.assertNoResult(resting)
        self.clock.advance(1)
        self.failureResultOf(resting, ConnectionLost)
        self.assertFalse(self.session.alive)

    def test_no_leave(self) -> None:
        """A server that does not answer IDLE at all is given up after 30 seconds."""
        resting = self.settled()
        self.assertEqual(self.peer.heard(), "2 IDLE\r\n")
        self.clock.advance(30)
        self.assertIn("no answer", self.failureResultOf(resting, ConnectionLost).value.message)

    def test_much_to_tell(self) -> None:
        """A server that goes on talking before it answers is not silent."""
        resting = self.settled()
        self.assertEqual(self.peer.heard(), "2 IDLE\r\n")
        for _ in range(10):
            self.clock.advance(20)
            self.peer.say("* OK Still here :)")
        self.assertNoResult(resting)
        self.peer.say("+ idling")
        self.woken.raise_()
        self.peer.say("2 OK done")
        self.successResultOf(resting)

    def test_proof_of_life(self) -> None:
        """Whatever a server says while IDLE is on is a proof of life."""
        resting = self.idle()
        self.clock.advance(120)
        self.peer.say("* OK Still here")
        self.clock.advance(10)
        self.assertEqual(self.session.heard_at, 120)
        self.woken.raise_()
        self.peer.say("2 OK done")
        self.successResultOf(resting)

    def test_ended_again_and_again(self) -> None:
        """A server that ends IDLE by itself each time is asked instead, for a while."""
        self.idle()
        self.peer.say("2 OK enough")
        for tag in range(3, 2 + IDLE_TIRED):
            self.rest()
            self.peer.answer(("IDLE", "+ idling"))
            self.peer.say(f"{tag} OK enough")
        resting = self.rest()
        self.clock.advance(IDLE_ENDED_POLL)
        self.peer.answer(("NOOP", ". OK"))
        self.successResultOf(resting)
        self.clock.advance(IDLE_PAUSE)
        resting = self.rest()
        self.peer.answer(("IDLE", "+ idling"))
        self.session.abort("over")
        self.failureResultOf(resting, ConnectionLost)

    def test_work_before_it_begins(self) -> None:
        """Work that comes while the folder is selected is no end of IDLE: the server is not polled for it."""
        for _ in range(IDLE_TIRED + 1):
            self.ask(self.session.select("Work"), ('SELECT "Work"', SAME))
            resting = self.rest()
            self.woken.raise_()
            self.peer.answer((SELECT, SAME))
            self.successResultOf(resting)
            self.assertEqual(self.peer.heard(), "")
        resting = self.rest()
        self.peer.answer(("IDLE", "+ idling"))
        self.session.abort("over")
        self.failureResultOf(resting, ConnectionLost)

    def test_refused(self) -> None:
        """IDLE that is refused for now is tried again after a while; refused for good, never on this session."""
        for answer, later in ((". NO [UNAVAILABLE] later", "IDLE"), (". BAD what", "NOOP")):
            self.setUp()
            resting = self.settled()
            self.peer.answer(("IDLE", answer))
            self.successResultOf(resting)
            resting = self.rest()
            self.clock.advance(IDLE_ENDED_POLL)
            self.peer.answer(("NOOP", ". OK"))
            self.successResultOf(resting)
            self.clock.advance(IDLE_PAUSE)
            resting = self.rest()
            self.clock.advance(0)
            self.assertEqual(self.peer.heard().split()[1], later)
            self.session.abort("over")
            self.failureResultOf(resting, ConnectionLost)

    def test_folder_set_aside(self) -> None:
        """The rest ends when a folder that was set aside is to be tried again."""
        self.folders.by_path["Work"] = Folder("Work", aside_until=100.0)
        resting = self.idle()
        self.clock.advance(100)
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.peer.say("2 OK done")
        self.successResultOf(resting)


class NumbersTests(RestingCase):
    def test_numbers_that_never_agree(self) -> None:
        """A folder whose SELECT never tells what we know is looked into once for each SELECT of another, no more."""
        resting = self.rest()
        self.peer.answer((SELECT, "* 4 EXISTS\n* OK [UIDVALIDITY 7] x\n. OK done"))
        self.successResultOf(resting)
        self.assertTrue(self.inbox.dirty)
        selected = self.ask(self.session.select("INBOX"), (SELECT, "* 4 EXISTS\n* OK [UIDVALIDITY 7] x\n. OK done"))
        self.inbox.judged, self.inbox.dirty = selected, False  # as the pass over it does
        resting = self.rest()
        self.peer.answer(("IDLE", "+ idling"))
        self.assertFalse(self.inbox.dirty)
        self.session.abort("over")
        self.failureResultOf(resting, ConnectionLost)

    def test_selected_by_another(self) -> None:
        """What the SELECT of a request told is looked at before the rest."""
        self.ask(self.session.select("INBOX"), (SELECT, SAME.replace("3 EXISTS", "4 EXISTS")))
        self.successResultOf(self.rest())
        self.assertTrue(self.inbox.dirty and self.inbox.stale)


class PollTests(RestingCase):
    capabilities = "IMAP4rev1"

    def test_noop(self) -> None:
        """Without IDLE the server is asked every two minutes, and given up when it does not answer for 30 seconds."""
        resting = self.settled()
        self.clock.advance(120)
        self.peer.answer(("NOOP", ". OK"))
        self.successResultOf(resting)
        resting = self.rest()
        self.clock.advance(120)
        self.assertEqual(self.peer.heard(), "3 NOOP\r\n")
        self.clock.pump([1] * 29)
        self.assertNoResult(resting)
        self.clock.advance(1)
        self.failureResultOf(resting, ConnectionLost)

    def test_woken(self) -> None:
        """Work that comes does not wait for a NOOP, and does not put off the next one for ever."""
        self.settled()
        for _ in range(3):
            self.clock.advance(35)
            self.woken.raise_()
            self.assertEqual(self.peer.heard(), "")
            resting = self.rest()
        self.clock.advance(15)
        self.peer.answer(("NOOP", ". OK"))
        self.successResultOf(resting)

    def test_answer_that_cannot_be_read(self) -> None:
        """News that cannot be read, or a SELECT that brings them, do not end the session: the folder is looked into."""
        resting = self.rest()
        self.peer.answer((SELECT, "* 1 FETCH (FLAGS\n. OK done"))
        self.successResultOf(resting)
        self.assertTrue(self.inbox.dirty and self.inbox.stale)
        self.inbox.dirty = self.inbox.stale = False
        self.ask(self.session.select("INBOX"), (SELECT, SAME))
        resting = self.rest()
        self.clock.advance(120)
        self.peer.answer(("NOOP", "* 1 FETCH (FLAGS\n. OK done"))
        self.successResultOf(resting)
        self.assertTrue(self.inbox.dirty and self.inbox.stale and self.session.alive)

    def test_noop_unknown(self) -> None:
        """A server that knows no NOOP is asked by a SELECT."""
        resting = self.settled()
        self.clock.advance(120)
        self.peer.answer(("NOOP", ". BAD what"))
        self.successResultOf(resting)
        self.assertTrue(self.inbox.dirty and self.inbox.stale)


class OddTests(RestingCase):
    def begin(self, host: str, **server: str) -> None:
        self.resting = self.made(watching(host, server))

    def test_yahoo(self) -> None:
        """Yahoo's IDLE is begun anew every three minutes."""
        self.begin("imap.mail.yahoo.com")
        resting = self.idle()
        self.clock.advance(179)
        self.assertEqual(self.peer.heard(), "")
        self.clock.advance(1)
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.peer.say("2 OK done")
        self.successResultOf(resting)

    def test_rambler(self) -> None:
        """Rambler's IDLE is begun anew every 55 seconds."""
        self.begin("imap.rambler.ru")
        resting = self.idle()
        self.clock.advance(55)
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.peer.say("2 OK done")
        self.successResultOf(resting)

    def test_coremail(self) -> None:
        """Coremail is not believed about IDLE and NOOP: STATUS of the selected folder every 55 seconds."""
        for host, server in (("imap.163.com", {}), ("imap.example.com", {"name": "Coremail"})):
            self.connect(self.capabilities)
            self.begin(host, **server)
            resting = self.settled()
            self.clock.advance(54)
            self.assertEqual(self.peer.heard(), "")
            self.clock.advance(1)
            self.peer.answer(('STATUS "INBOX" (MESSAGES)', '* STATUS "INBOX" (MESSAGES 3)\n. OK'))
            self.successResultOf(resting)
        self.assertEqual(self.compared, ["INBOX", "INBOX"])

    def test_coremail_cut(self) -> None:
        """The watchdog is over STATUS, too."""
        self.begin("imap.163.com")
        resting = self.settled()
        self.clock.advance(55)
        self.clock.advance(30)
        self.failureResultOf(resting, ConnectionLost)

    def test_naver(self) -> None:
        """Naver tells what is new to SELECT alone."""
        self.begin("imap.naver.com")
        resting = self.settled()
        self.clock.advance(55)
        self.assertEqual(self.peer.heard(), "")
        self.successResultOf(resting)
        self.assertTrue(self.inbox.dirty and self.inbox.stale)
