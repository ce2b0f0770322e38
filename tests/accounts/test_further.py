"""Further sessions of an account."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.further import KEPT, LIMIT, SHY, SHY_LONGEST, WAITING, Further
from emailengine.accounts.lane import Loan
from emailengine.core.tasks import Tasks
from emailengine.errors import Busy, ConnectFailed, EmailEngineError, Meaning, NotNow
from emailengine.imap.session import Session
from tests.accounts.sessions import Idle, session


class FurtherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tasks = Tasks("test")
        self.opened: list[Idle] = []
        self.opening: list[Deferred[Session]] | None = None
        self.refuse: EmailEngineError | None = None
        self.further = Further(clock=self.clock, open_=self.open, tasks=self.tasks)

    async def open(self) -> Session:
        if self.refuse is not None:
            raise self.refuse
        if self.opening is not None:
            coming: Deferred[Session] = Deferred()
            self.opening.append(coming)
            return await coming
        made, idle = session()
        self.opened.append(idle)
        return made

    def borrower(self) -> Deferred[Loan | None]:
        return Deferred.fromCoroutine(self.further.borrow())

    def loan(self) -> Loan:
        loan = self.successResultOf(self.borrower())
        assert loan is not None
        return loan

    def test_used_again(self) -> None:
        """A session that came back serves the next borrower; it is closed after a minute of rest."""
        first = self.loan()
        self.assertEqual((self.further.count, self.further.resting), (1, False))
        first.give_back()
        self.assertEqual((self.further.count, self.further.resting), (1, True))
        self.clock.advance(KEPT - 1)
        second = self.loan()
        self.assertIs(second.session, first.session)
        self.clock.advance(KEPT)
        self.assertEqual(self.opened[0].ended, [])
        second.give_back()
        self.clock.advance(KEPT)
        self.assertEqual(self.opened[0].ended, ["logout"])
        self.assertEqual((self.further.count, len(self.opened)), (0, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_dead_ones_are_dropped(self) -> None:
        """A session that died while it rested, or in a borrower's hands, is not handed out."""
        loan = self.loan()
        loan.give_back()
        self.opened[0].alive = False
        again = self.loan()
        self.assertIsNot(again.session, loan.session)
        self.opened[1].alive = False
        again.give_back()
        self.assertEqual(self.further.count, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_few(self) -> None:
        """There are so many and no more; the next borrower waits for one to come back."""
        loans = [self.loan() for _ in range(LIMIT)]
        waiting = self.borrower()
        self.assertNoResult(waiting)
        loans[0].give_back()
        loan = self.successResultOf(waiting)
        assert loan is not None
        self.assertIs(loan.session, loans[0].session)
        self.assertEqual(len(self.opened), LIMIT)

    def test_bounded(self) -> None:
        """So many may wait; the next one is told to come again."""
        for _ in range(LIMIT):
            self.loan()
        waiting = [self.borrower() for _ in range(WAITING)]
        self.failureResultOf(self.borrower(), Busy)
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        self.assertNoResult(self.borrower())

    def test_refused(self) -> None:
        """A server that grants no further session is believed for a while, and no place is lost by it."""
        self.refuse = ConnectFailed("nobody answers")
        for _ in range(LIMIT + 1):
            self.assertIsNone(self.successResultOf(self.borrower()))
        self.assertFalse(self.further.possible)
        self.clock.advance(SHY - 1)
        self.assertFalse(self.further.possible)
        self.clock.advance(1)
        self.assertTrue(self.further.possible)
        self.refuse = None
        self.loan()

    def test_too_many(self) -> None:
        """A server that says each time that there are too many is asked less and less often, down to hours apart."""
        self.refuse = NotNow("Maximum number of connections from user+IP exceeded", meaning=Meaning.LIMIT)
        waits = []
        for _ in range(8):
            self.assertIsNone(self.successResultOf(self.borrower()))
            began = self.clock.seconds()
            while not self.further.possible:
                self.clock.advance(SHY)
            waits.append(self.clock.seconds() - began)
        self.assertEqual(waits[:3] + waits[-1:], [SHY, 2 * SHY, 4 * SHY, SHY_LONGEST])
        self.refuse = None
        self.loan()
        self.refuse = NotNow("too many", meaning=Meaning.LIMIT)
        self.assertIsNone(self.successResultOf(self.borrower()))
        self.clock.advance(SHY)
        self.assertTrue(self.further.possible)

    def test_too_many_for_the_first(self) -> None:
        """Told so of the first session, none is opened beside it for a while; the seconds that it names are kept."""
        self.further.mind(ConnectFailed("nobody answers"))
        self.assertTrue(self.further.possible)
        self.further.mind(NotNow("too many", meaning=Meaning.LIMIT, retry_after=2 * SHY))
        self.clock.advance(2 * SHY - 1)
        self.assertFalse(self.further.possible)
        self.clock.advance(1)
        self.assertTrue(self.further.possible)

    def test_cancelled_while_opening(self) -> None:
        """A borrower that gives up while its session is opened gives its place back."""
        self.opening = []
        for _ in range(LIMIT + 1):
            waiting = self.borrower()
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
        self.opening = None
        self.loan()

    def test_close(self) -> None:
        """Closing ends the resting and the lent ones; what comes back afterwards is not kept."""
        lent, resting = self.loan(), self.loan()
        resting.give_back()
        self.further.close()
        self.assertEqual([one.ended for one in self.opened], [["closed"], ["closed"]])
        lent.give_back()
        self.assertEqual(self.further.count, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_kept_when_stopping(self) -> None:
        """When the account goes, a session that comes back is not left with a timer."""
        loan = self.loan()
        self.successResultOf(Deferred.fromCoroutine(self.tasks.stop()))
        loan.give_back()
        self.assertEqual(self.clock.getDelayedCalls(), [])
