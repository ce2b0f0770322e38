"""A lease that is kept up while work goes on."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.tasks import Tasks
from emailengine.errors import StoreUnavailable
from emailengine.store.lease import Lease
from emailengine.store.queue import Job, Queue


@define(eq=False, slots=False)
class Answering(Queue):
    """A queue that answers what it is told to."""

    answers: list[Deferred[bool]] = field(factory=list)
    asked: list[tuple[Job, float]] = field(factory=list)

    async def keep(self, job: Job, lease: float) -> bool:
        self.asked.append((job, lease))
        return await self.answers.pop(0)


class LeaseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tasks = Tasks("test")
        self.lost: list[bool] = []
        self.queue = Answering(redis=None, keys=None, name="submit", ordered=False)  # type: ignore[arg-type]  # unused
        job = Job("1", "lane", "group", 3, 0.0, 0.0, b"data", b"body")
        self.lease = Lease(self.clock, self.tasks, self.queue, job, 30.0, lambda: self.lost.append(True))

    def test_kept(self) -> None:
        """It is kept up each third of its time, also while Redis is away, until it ends."""
        self.queue.answers = [succeed(True), fail(StoreUnavailable("away")), succeed(True)]
        for _ in range(3):
            self.clock.advance(10)
        self.assertEqual(
            [(job.id, job.attempt, job.body, lease) for job, lease in self.queue.asked], [("1", 3, None, 30)] * 3
        )
        self.lease.end()
        self.assertEqual((self.clock.getDelayedCalls(), self.lost, len(self.tasks)), ([], [], 0))

    def test_lost(self) -> None:
        """That it was lost is told once, and nothing is asked any more."""
        self.queue.answers = [succeed(False)]
        self.clock.advance(10)
        self.assertEqual((self.lost, self.clock.getDelayedCalls()), ([True], []))
        self.lease.end()

    def test_ended_meanwhile(self) -> None:
        """An answer that comes after the end, whatever it is, has no effect."""
        for held in (True, False):
            answer: Deferred[bool] = Deferred()
            self.setUp()
            self.queue.answers = [answer]
            self.clock.advance(10)
            self.lease.end()
            answer.callback(held)
            self.assertEqual((self.lost, self.clock.getDelayedCalls(), len(self.tasks)), ([], [], 0))
