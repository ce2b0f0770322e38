"""Workers, with a real queue."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.flag import Flag
from emailengine.errors import StoreRefused, StoreUnavailable
from emailengine.outbox.mail import read_failure
from emailengine.outbox.workers import Workers, settle
from emailengine.store.queue import Job, NewJob, Queue
from tests.redis_server import RedisCase


class WorkersTests(RedisCase):
    def setUp(self) -> Any:
        ready = super().setUp()
        self.queue = Queue(redis=self.redis, keys=self.keys, name="submit", ordered=False)
        self.began: list[str] = []
        self.changed = Flag()
        self.holding = Flag()
        return ready

    def workers(self, work: Callable[[Job], Awaitable[None]], **more: Any) -> Workers:
        found = Workers(name="submit", queue=self.queue, work=work, clock=reactor, **more)
        found.startService()
        self.addCleanup(lambda: found.stopService() if found.running else None)
        return found

    async def put(self, id: str, *, lane: str = "ann", group: str = "host", delay: float | None = None) -> None:
        at = None if delay is None else time.time() + delay
        await self.queue.put(NewJob(queue="submit", lane=lane, id=id, group=group, at=at, data=b"{}"))

    async def until(self, count: int) -> None:
        """Wait until so many jobs have begun."""
        while len(self.began) < count:
            self.changed.clear()
            await self.changed.wait()

    async def finish(self, job: Job) -> None:
        self.begin(job)
        await self.queue.done(job)

    async def hold(self, job: Job) -> None:
        self.begin(job)
        await self.holding.wait()
        await self.queue.done(job)

    def begin(self, job: Job) -> None:
        self.began.append(job.id)
        self.changed.raise_()

    async def test_all(self) -> None:
        """Jobs that are there, that come, and that become due are worked on without anybody asking."""
        await self.put("first")
        workers = self.workers(self.finish)
        await self.until(1)
        await self.put("later", delay=0.2)
        await self.put("second")
        await self.until(3)
        self.assertEqual(self.began, ["first", "second", "later"])
        await workers.stopService()
        self.assertEqual(await self.all_keys(), [])

    async def test_limits(self) -> None:
        """A lane has one job at work, a group so many, all together so many."""
        for lane in "abcd":
            for number in (1, 2):
                await self.put(f"{lane}{number}", lane=lane, group="one")
        for lane in "xyz":
            await self.put(lane, lane=lane, group="two")
        workers = self.workers(self.hold, places=4, per_group=3)
        await self.until(4)
        self.assertEqual(workers.at_work, 4)
        self.assertEqual(len([id for id in self.began if id[0] in "abcd"]), 3)
        self.assertEqual(len({id[0] for id in self.began}), 4)
        self.holding.raise_()
        await self.until(11)
        self.assertEqual(len(set(self.began)), 11)

    async def test_stop_waits(self) -> None:
        """Stopping lets work end that ends in time, and claims nothing more."""
        await self.put("one")
        workers = self.workers(self.hold)
        await self.until(1)
        stopping: Deferred[None] = workers.stopService()
        await self.put("two", lane="bo")
        self.assertFalse(stopping.called)
        self.holding.raise_()
        await stopping
        self.assertEqual(self.began, ["one"])
        self.assertEqual(await self.queue.find("one"), None)
        self.assertEqual(await self.queue.counts(), {"active": 0, "delayed": 0, "waiting": 1, "total": 1})

    async def test_stop_cancels(self) -> None:
        """Work that does not end in time is cancelled, and its job is free for the next daemon."""
        await self.put("one")
        workers = self.workers(self.hold, grace=0.05)
        await self.until(1)
        await workers.stopService()
        job = await self.queue.claim(lease=60, per_group=8)
        assert isinstance(job, Job)
        self.assertEqual((job.id, job.error), ("one", None))
        self.assertEqual(workers.at_work, 0)

    async def test_again(self) -> None:
        """Workers that were stopped can be started again."""
        workers = self.workers(self.finish)
        await workers.stopService()
        await self.put("one")
        workers.startService()
        await self.until(1)

    async def test_broken(self) -> None:
        """Work that raises what nobody expects leaves its job for later, and the others go on."""

        async def work(job: Job) -> None:
            if job.id == "bad":
                self.begin(job)
                raise ZeroDivisionError
            await self.finish(job)

        await self.put("bad")
        await self.put("good")
        workers = self.workers(work)
        await self.until(2)
        await workers.stopService()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        listed = await self.queue.find("bad")
        assert listed is not None
        self.assertEqual(listed.state, "delayed")
        failure = read_failure(listed.job.error)
        assert failure is not None
        self.assertEqual(failure.message, "Internal error")

    async def test_lease(self) -> None:
        """The lease is kept while the work goes on; whoever loses the job is cancelled."""
        ended: list[str] = []

        async def work(job: Job) -> None:
            try:
                await self.hold(job)
            except CancelledError:
                ended.append(job.id)
                self.changed.raise_()
                raise

        await self.put("one")
        self.workers(work, lease=0.15)
        await self.until(1)
        began = time.monotonic()
        while time.monotonic() < began + 0.4:
            await self.redis.call("PING")
        self.assertEqual((self.began, ended), (["one"], []))
        await self.queue.cancel("one")
        while not ended:
            self.changed.clear()
            await self.changed.wait()
        self.assertEqual((self.began, ended), (["one"], ["one"]))

    async def test_freed(self) -> None:
        """A job that was worked on, with its body, is gone without the collector; so it is after its lease was kept."""
        jobs: list[weakref.ref[Job]] = []

        async def work(job: Job) -> None:
            jobs.append(weakref.ref(job))
            await self.hold(job)

        gc.disable()
        self.addCleanup(gc.enable)
        workers = self.workers(work, lease=0.06)
        await self.put("one")
        await self.until(1)
        began = time.monotonic()
        while time.monotonic() < began + 0.1:
            await self.redis.call("PING")
        self.holding.raise_()
        await self.put("two", lane="bo")
        await self.until(2)
        await workers.stopService()
        self.assertEqual([job() for job in jobs], [None, None])


class SettleTests(SynchronousTestCase):
    def test_until_taken(self) -> None:
        """An outcome is written until Redis takes it, soon after an outage and slowly when Redis refuses."""
        clock = Clock()
        answers: list[bool | Exception] = [StoreUnavailable("away"), StoreRefused("OOM"), True]

        async def write() -> bool:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        settled = Deferred.fromCoroutine(settle(clock, write))
        clock.advance(0.2)
        clock.advance(4.9)
        self.assertNoResult(settled)
        clock.advance(0.1)
        self.assertTrue(self.successResultOf(settled))
        self.assertEqual(clock.getDelayedCalls(), [])
