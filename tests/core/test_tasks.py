"""Background work: kept, counted, cancelled and awaited."""

from __future__ import annotations

import gc

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core import metrics
from emailengine.core.tasks import Tasks, together
from emailengine.core.turns import pause


class TasksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tasks = Tasks("test")
        self.door: Deferred[None] = Deferred()
        self.said: list[str] = []
        # what a dropped coroutine has to complain about belongs to the test that dropped it
        self.addCleanup(gc.collect)

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.tasks.stop())

    async def work(self, name: str = "work") -> None:
        self.said.append(f"{name} begins")
        try:
            await self.door
            self.said.append(f"{name} is done")
        except CancelledError:
            self.said.append(f"{name} is cancelled")
            raise

    async def tidying(self, tidied: Deferred[None]) -> None:
        try:
            await self.door
        finally:
            await tidied
            self.said.append("tidied")

    def test_runs(self) -> None:
        """Work runs at once, is counted while it runs, and its end is told."""
        over = self.tasks.start("work", self.work())
        self.assertEqual((self.said, len(self.tasks)), (["work begins"], 1))
        self.assertNoResult(over)
        self.door.callback(None)
        self.successResultOf(over)
        self.assertEqual((self.said[1:], len(self.tasks)), (["work is done"], 0))

    def test_value_is_dropped(self) -> None:
        """The answer says that it is over, not what came of it."""

        async def work() -> int:
            return 7

        self.assertIsNone(self.successResultOf(self.tasks.start("work", work())))

    def test_failure(self) -> None:
        """A failure is logged and counted under the task's name, and raised nowhere."""

        async def work() -> None:
            await self.door
            raise ValueError("broken")

        over = self.tasks.start("breaking", work())
        before = metrics.REGISTRY.get_sample_value("tasks_failed_total", {"name": "breaking"}) or 0.0
        self.door.callback(None)
        self.successResultOf(over)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        after = metrics.REGISTRY.get_sample_value("tasks_failed_total", {"name": "breaking"})
        self.assertEqual(after, before + 1)

    def test_failure_at_once(self) -> None:
        """A failure before the first wait is treated like any."""

        async def work() -> None:
            raise ValueError("broken")

        self.successResultOf(self.tasks.start("breaking", work()))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.tasks), 0)

    def test_errors_reach_the_work(self) -> None:
        """An error of what the work awaits is raised in the work, which may go on."""

        async def work() -> None:
            try:
                await self.door
            except ValueError as error:
                self.said.append(str(error))
            await pause(clock, 1)
            self.said.append("went on")

        clock = Clock()
        over = self.tasks.start("work", work())
        self.door.errback(ValueError("refused"))
        clock.advance(1)
        self.successResultOf(over)
        self.assertEqual(self.said, ["refused", "went on"])

    def test_values_reach_the_work(self) -> None:
        """What awaited Deferreds give arrives in the work."""

        async def work() -> None:
            self.said.append(await answer)

        answer: Deferred[str] = Deferred()
        self.tasks.start("work", work())
        answer.callback("value")
        self.assertEqual(self.said, ["value"])

    def test_cancelled(self) -> None:
        """Cancelling the answer cancels the work, silently."""
        over = self.tasks.start("work", self.work())
        over.cancel()
        self.assertEqual((self.said[1:], len(self.tasks)), (["work is cancelled"], 0))
        self.successResultOf(over)

    def test_cancelled_while_tidying(self) -> None:
        """Work that takes time to end after its cancellation is still kept, and nothing is left unhandled."""
        tidied: Deferred[None] = Deferred()
        self.tasks.start("work", self.tidying(tidied)).cancel()
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(self.tasks), 1)
        tidied.callback(None)
        self.assertEqual((self.said, len(self.tasks)), (["tidied"], 0))

    def test_awaiting_and_cancelled(self) -> None:
        """One who awaits the end of a task and is cancelled does not go on as if the task had ended."""

        async def awaiting() -> None:
            await self.tasks.start("work", self.work())
            self.said.append("went on")

        waiting = Deferred.fromCoroutine(awaiting())
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.said, ["work begins", "work is cancelled"])

    def test_stop(self) -> None:
        """Stopping cancels all that runs."""
        other: Deferred[None] = Deferred()
        ends = [self.tasks.start("one", self.work()), self.tasks.start("other", self.wait(other))]
        self.successResultOf(self.stop())
        for end in ends:
            self.successResultOf(end)
        self.assertTrue(other.called)
        self.assertEqual((self.said, len(self.tasks)), (["work begins", "work is cancelled"], 0))

    async def wait(self, what: Deferred[None]) -> None:
        await what

    def test_stop_waits(self) -> None:
        """Stopping is over when the last task has tidied up."""
        tidied: Deferred[None] = Deferred()
        self.tasks.start("work", self.tidying(tidied))
        stopped = self.stop()
        self.assertNoResult(stopped)
        tidied.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.said, ["tidied"])

    def test_stop_twice(self) -> None:
        """A second stop waits like the first one and does not cut the tidying short."""
        tidied: Deferred[None] = Deferred()
        self.tasks.start("work", self.tidying(tidied))
        first, second = self.stop(), self.stop()
        self.assertNoResult(first)
        self.assertNoResult(second)
        tidied.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.said, ["tidied"])

    def test_stop_given_up(self) -> None:
        """Cancelling the wait for the stop leaves the tidying alone and nothing unhandled."""
        tidied: Deferred[None] = Deferred()
        self.tasks.start("work", self.tidying(tidied))
        first, second = self.stop(), self.stop()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        tidied.callback(None)
        self.successResultOf(second)
        self.assertEqual(self.said, ["tidied"])
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stop_with_nothing(self) -> None:
        """Stopping when nothing runs is over at once."""
        self.successResultOf(self.stop())
        self.assertTrue(self.tasks.stopping)

    def test_start_after_stop(self) -> None:
        """Work that comes after the stop is closed without having run, and warns of nothing."""
        self.successResultOf(self.stop())
        self.successResultOf(self.tasks.start("late", self.work()))
        gc.collect()
        self.assertEqual((self.said, len(self.tasks), self.flushWarnings()), ([], 0, []))

    def test_cancelled_work_starts_more(self) -> None:
        """A task that starts another one while it is being cancelled finds it refused."""

        async def restarting() -> None:
            try:
                await self.door
            finally:
                self.tasks.start("again", restarting())
                self.said.append("ended")

        self.tasks.start("work", restarting())
        self.successResultOf(self.stop())
        self.assertEqual((self.said, len(self.tasks)), (["ended"], 0))

    def test_cancelled_work_ends_another(self) -> None:
        """Tasks whose end cancels other tasks of the same owner all end once."""

        async def ending(other: str) -> None:
            try:
                await Deferred()
            finally:
                self.said.append(other)
                ends[other].cancel()

        ends = {"a": self.tasks.start("b", ending("b")), "b": self.tasks.start("a", ending("a"))}
        self.successResultOf(self.stop())
        self.assertEqual(sorted(self.said), ["a", "b"])

    def test_stopped_from_within(self) -> None:
        """A task that makes its owner stop is cancelled at its next wait, even in the middle of a loop."""

        async def looping() -> None:
            while True:
                await pause(clock, 1)
                self.said.append("turn")
                stops.append(self.stop())

        clock = Clock()
        stops: list[Deferred[None]] = []
        self.tasks.start("loop", looping())
        clock.advance(1)
        self.successResultOf(stops[0])
        self.assertEqual((self.said, clock.getDelayedCalls()), (["turn"], []))

    def test_stopped_in_first_step(self) -> None:
        """The same holds for a task that has not waited yet."""

        async def looping() -> None:
            stops.append(self.stop())
            self.assertNoResult(stops[0])
            while True:
                await Deferred()

        stops: list[Deferred[None]] = []
        over = self.tasks.start("loop", looping())
        self.successResultOf(over)
        self.successResultOf(stops[0])

    def test_awaits_its_own_stop(self) -> None:
        """A task that awaits the stop of its own owner is cancelled in that wait: nobody waits for ever."""

        async def stopping_all() -> None:
            await self.door
            try:
                await self.tasks.stop()
            except CancelledError:
                self.said.append("cancelled")
                raise

        over = self.tasks.start("work", stopping_all())
        self.door.callback(None)
        self.successResultOf(over)
        self.assertEqual((self.said, len(self.tasks)), (["cancelled"], 0))

    def test_stopped_from_within_and_done(self) -> None:
        """A task that stops its owner and waits no more ends as it likes."""

        async def last() -> None:
            stops.append(self.stop())
            self.said.append("done")

        stops: list[Deferred[None]] = []
        self.tasks.start("last", last())
        self.successResultOf(stops[0])
        self.assertEqual(self.said, ["done"])

    def test_join(self) -> None:
        """Joining waits for what runs, and for what that starts, and cancels nothing."""

        async def first() -> None:
            await self.door
            self.tasks.start("second", self.wait(other))

        other: Deferred[None] = Deferred()
        self.tasks.start("first", first())
        joined = Deferred.fromCoroutine(self.tasks.join())
        self.door.callback(None)
        self.assertNoResult(joined)
        other.callback(None)
        self.successResultOf(joined)
        self.assertFalse(self.tasks.stopping)

    def test_end_starts_more(self) -> None:
        """Work that is started because other work ended is joined too."""
        other: Deferred[None] = Deferred()
        over = self.tasks.start("first", self.wait(self.door))
        over.addCallback(lambda _: self.tasks.start("second", self.wait(other)))
        joined = Deferred.fromCoroutine(self.tasks.join())
        self.door.callback(None)
        self.assertNoResult(joined)
        other.callback(None)
        self.successResultOf(joined)


class TogetherTests(SynchronousTestCase):
    def test_side_by_side(self) -> None:
        """All run at once; the results keep their order."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def wait(what: Deferred[int]) -> int:
            return await what

        both = Deferred.fromCoroutine(together([wait(first), wait(second)]))
        second.callback(2)
        self.assertNoResult(both)
        first.callback(1)
        self.assertEqual(self.successResultOf(both), [1, 2])
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(together([]))), [])

    def test_failure(self) -> None:
        """A failure is raised when the others have ended, too."""
        other: Deferred[None] = Deferred()

        async def fail() -> None:
            raise ValueError("no")

        async def wait() -> None:
            await other

        both = Deferred.fromCoroutine(together([fail(), wait()]))
        self.assertNoResult(both)
        other.callback(None)
        self.failureResultOf(both, ValueError)

    def test_cancelled(self) -> None:
        """Cancelling ends all of them."""
        waits: list[Deferred[None]] = [Deferred(), Deferred()]

        async def wait(what: Deferred[None]) -> None:
            await what

        both = Deferred.fromCoroutine(together([wait(one) for one in waits]))
        both.cancel()
        self.failureResultOf(both, CancelledError)
        self.assertTrue(all(one.called for one in waits))
