"""Who gets the session next."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.lane import WAITING, Lane, Loan
from emailengine.core.flag import Flag
from emailengine.errors import Busy, ConnectionLost
from tests.accounts.sessions import session


class LaneTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.woken = Flag()
        self.lane = Lane(self.woken)
        self.session, _ = session()

    def borrower(self) -> Deferred[Loan]:
        return Deferred.fromCoroutine(self.lane.borrow())

    def test_in_turn(self) -> None:
        """Borrowers get the session in the order in which they came, and a lender knows when it comes back."""
        self.assertIsNone(self.lane.lend(self.session))
        first, second = self.borrower(), self.borrower()
        self.assertTrue(self.woken.raised)
        returned = self.lane.lend(self.session)
        assert returned is not None
        loan = self.successResultOf(first)
        self.assertNoResult(second)
        self.assertNoResult(returned)
        self.assertIs(loan.session, self.session)
        loan.give_back()
        loan.give_back()
        self.successResultOf(returned)
        self.assertEqual(len(self.lane), 1)

    def test_given_back_by_a_failure(self) -> None:
        """A borrower that fails gives the session back all the same."""
        loan = Loan(self.session)

        async def work() -> None:
            async with loan as borrowed:
                self.assertIs(borrowed, self.session)
                raise ZeroDivisionError

        self.failureResultOf(Deferred.fromCoroutine(work()), ZeroDivisionError)
        self.successResultOf(loan.returned)

    def test_cancelled(self) -> None:
        """Whoever stops waiting leaves the lane, and the session goes to the next one."""
        first, second = self.borrower(), self.borrower()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertIsNotNone(self.lane.lend(self.session))
        self.successResultOf(second)
        self.assertIsNone(self.lane.lend(self.session))

    def test_bounded(self) -> None:
        """So many may wait; the next one is told to come again."""
        waiting = [self.borrower() for _ in range(WAITING)]
        self.failureResultOf(self.borrower(), Busy)
        waiting[5].cancel()
        self.failureResultOf(waiting[5], CancelledError)
        self.assertNoResult(self.borrower())

    def test_fail_all(self) -> None:
        """All who wait are told that there will be no session; who comes again after that waits anew."""
        again: list[Deferred[Loan]] = []
        first, second = self.borrower(), self.borrower()

        def come_again(failure: Failure) -> Failure:
            again.append(self.borrower())
            return failure

        first.addErrback(come_again)
        self.lane.fail_all(ConnectionLost("gone"))
        self.failureResultOf(first, ConnectionLost)
        self.failureResultOf(second, ConnectionLost)
        self.assertNoResult(again[0])
        self.assertEqual(len(self.lane), 1)
