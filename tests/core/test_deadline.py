"""Deadlines: one budget for many steps, and nothing left behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.deadline import Deadline, as_deferred, bounded
from emailengine.errors import TimedOut


class BoundedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.work: Deferred[str] = Deferred()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def bounded(self, seconds: float = 5.0) -> Deferred[str]:
        return Deferred.fromCoroutine(bounded(self.clock, seconds, self.work, "The greeting"))

    def test_in_time(self) -> None:
        """What comes in time is the answer, and the timer goes."""
        answer = self.bounded()
        self.clock.advance(4.9)
        self.work.callback("hello")
        self.assertEqual(self.successResultOf(answer), "hello")

    def test_done_already(self) -> None:
        """Work that is done is answered at once, even when no time is left."""
        self.work.callback("hello")
        self.assertEqual(self.successResultOf(self.bounded(0.0)), "hello")

    def test_late(self) -> None:
        """Late work is cancelled; the error names what was late and how long it had."""
        answer = self.bounded()
        self.clock.advance(5.0)
        error = self.failureResultOf(answer, TimedOut).value
        self.assertEqual(str(error), "The greeting took longer than 5 seconds")
        self.assertTrue(self.work.called)

    def test_told_round(self) -> None:
        """The time that is told is rounded as a person would."""
        for seconds, told in ((9.99987, "10"), (59.9512, "60"), (7199.98, "7200"), (2.5, "2.5"), (0.02, "0.02")):
            self.work = Deferred()
            waiting = self.bounded(seconds)
            self.clock.advance(seconds + 0.1)
            error = self.failureResultOf(waiting, TimedOut).value
            self.assertEqual(str(error), f"The greeting took longer than {told} seconds")

    def test_late_reply_is_dropped(self) -> None:
        """What arrives after the deadline disturbs nobody."""
        self.failureResultOf(self.after(self.bounded()), TimedOut)
        self.work.callback("too late")

    def after(self, answer: Deferred[str]) -> Deferred[str]:
        self.clock.advance(5.0)
        return answer

    def test_error_in_time(self) -> None:
        """An error of the work goes through as it is."""
        answer = self.bounded()
        self.work.errback(ValueError("no"))
        self.failureResultOf(answer, ValueError)

    def test_own_cancellation(self) -> None:
        """Cancelling the wait cancels the work and is not taken for a timeout."""
        answer = self.bounded()
        answer.cancel()
        self.failureResultOf(answer, CancelledError)

    def test_cancelled_before(self) -> None:
        """Work that was cancelled before ends in CancelledError at once."""
        self.work.cancel()
        self.failureResultOf(self.bounded(), CancelledError)

    def test_called_but_unfinished(self) -> None:
        """A Deferred that fired and then began to wait for another is bounded like any."""
        inner: Deferred[str] = Deferred()
        self.work.addCallback(lambda _: inner)
        self.work.callback("first step")
        answer = self.bounded()
        self.assertNoResult(answer)
        self.clock.advance(5.0)
        self.failureResultOf(answer, TimedOut)

    def test_cancelled_before_and_tidying(self) -> None:
        """A cancelled coroutine that is still tidying up is bounded too."""
        tidied: Deferred[None] = Deferred()

        async def work() -> str:
            try:
                return await self.work
            finally:
                await tidied

        running = Deferred.fromCoroutine(work())
        running.cancel()
        answer = Deferred.fromCoroutine(bounded(self.clock, 5.0, running))
        self.clock.advance(5.0)
        self.failureResultOf(answer, TimedOut)

    def test_waits_for_tidying(self) -> None:
        """TimedOut comes when the cancelled work has ended, not before."""
        tidied: Deferred[None] = Deferred()

        async def work() -> str:
            try:
                return await self.work
            finally:
                await tidied

        answer = Deferred.fromCoroutine(bounded(self.clock, 5.0, work()))
        self.clock.advance(5.0)
        self.assertNoResult(answer)
        tidied.callback(None)
        self.failureResultOf(answer, TimedOut)

    def test_cancelled_while_tidying(self) -> None:
        """Who is cancelled after the deadline, while late work tidies up, gets CancelledError and stops."""
        tidied: Deferred[None] = Deferred()

        async def work() -> str:
            try:
                return await self.work
            finally:
                await tidied

        answer = Deferred.fromCoroutine(bounded(self.clock, 5.0, work()))
        self.clock.advance(5.0)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)

    def test_expires_while_cancelled(self) -> None:
        """The deadline passing while cancelled work tidies up does not turn the cancellation into a timeout."""
        tidied: Deferred[None] = Deferred()

        async def work() -> str:
            try:
                return await self.work
            except CancelledError:
                await tidied
                raise

        answer = Deferred.fromCoroutine(bounded(self.clock, 5.0, work()))
        answer.cancel()
        self.clock.advance(5.0)
        self.failureResultOf(answer, CancelledError)

    def test_error_of_late_work(self) -> None:
        """Late work that answers its cancellation with another error is late all the same; the error is the cause."""

        async def work() -> str:
            try:
                return await self.work
            except CancelledError:
                raise ConnectionError("aborted") from None

        answer = Deferred.fromCoroutine(bounded(self.clock, 5.0, work()))
        self.clock.advance(5.0)
        self.assertIsInstance(self.failureResultOf(answer, TimedOut).value.__cause__, ConnectionError)

    def test_no_time(self) -> None:
        """A coroutine for which no time is left is closed without having begun."""
        begun = []

        async def work() -> str:
            begun.append(True)
            return "done"

        answer = Deferred.fromCoroutine(bounded(self.clock, 0.0, work(), "The greeting"))
        self.assertEqual(str(self.failureResultOf(answer, TimedOut).value), "The greeting could not begin in time")
        self.assertEqual(begun, [])

    def test_no_time_for_what_runs(self) -> None:
        """Work that runs already is cancelled in the next turn when no time is left, also for a negative time."""
        answer = self.bounded(-1.0)
        self.clock.advance(0)
        self.failureResultOf(answer, TimedOut)

    def test_deferred_stays_itself(self) -> None:
        """A Deferred is not wrapped."""
        work = succeed(1)
        self.assertIs(as_deferred(work), work)


class DeadlineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.deadline = Deadline.after(self.clock, 10.0)

    def test_left(self) -> None:
        """The rest shrinks with time and stops at nothing."""
        self.assertEqual((self.deadline.left(), self.deadline.passed), (10.0, False))
        self.clock.advance(7.5)
        self.assertEqual((self.deadline.left(), self.deadline.passed), (2.5, False))
        self.clock.advance(2.5)
        self.assertEqual((self.deadline.left(), self.deadline.passed), (0.0, True))
        self.clock.advance(100)
        self.assertEqual((self.deadline.left(), self.deadline.passed), (0.0, True))

    def test_one_budget(self) -> None:
        """Steps share the budget: the second has what the first left over."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def steps() -> int:
            return await self.deadline.bound(first, "First") + await self.deadline.bound(second, "Second")

        answer = Deferred.fromCoroutine(steps())
        self.clock.advance(6)
        first.callback(1)
        self.clock.advance(3.9)
        self.assertNoResult(answer)
        self.clock.advance(0.2)
        self.assertEqual(str(self.failureResultOf(answer, TimedOut).value), "Second took longer than 4 seconds")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_passed(self) -> None:
        """Nothing begins after the deadline."""
        begun = []

        async def work() -> None:
            begun.append(True)

        self.clock.advance(10)
        self.failureResultOf(Deferred.fromCoroutine(self.deadline.bound(work())), TimedOut)
        self.assertEqual(begun, [])

    @given(steps=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=12))
    def test_never_longer(self, steps: list[float]) -> None:
        """However the steps divide it, the whole is over by the deadline and leaves no timer."""
        clock = Clock()
        deadline = Deadline.after(clock, 10.0)
        waits: list[Deferred[None]] = []

        async def work() -> None:
            for _ in steps:
                waits.append(Deferred())
                await deadline.bound(waits[-1])

        answer = Deferred.fromCoroutine(work())
        for step in steps:
            clock.advance(step)
            if not waits[-1].called:
                waits[-1].callback(None)
        clock.advance(10.0)
        if sum(steps) < 9.99:
            self.successResultOf(answer)
        elif sum(steps) > 10.01:
            self.failureResultOf(answer, TimedOut)
        else:
            answer.addErrback(lambda failure: failure.trap(TimedOut) and None)
        self.assertEqual(clock.getDelayedCalls(), [])
