"""Taking jobs from a queue and working on them, so many at a time, until told to stop."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emailengine.core.clock import wall
from emailengine.core.deadline import bounded
from emailengine.core.gates import Gate
from emailengine.core.tasks import Tasks
from emailengine.core.turns import pause
from emailengine.errors import StoreRefused, StoreUnavailable, TimedOut
from emailengine.outbox.mail import Failure, encode
from emailengine.store.lease import Lease
from emailengine.store.queue import Job, Queue, Wait

log = Logger()

_STORE_AWAY = 1.0  # seconds before the next claim when Redis does not answer
_SETTLING = 0.2  # the same for the outcome of a job: it must get there before its lease ends and it is claimed again
_REFUSED = 5.0  # and when Redis refuses it, for want of memory perhaps
_BROKEN_DELAY = 60.0
_BROKEN_MOST = 10  # attempts at a job that our own faults end
_LARGE = 1024 * 1024
"""Bytes of a body after which the collector looks at what is young.

An exception that was awaited is in a cycle with its frames, and these hold the body until then.
"""


@define(kw_only=True, eq=False)
class Workers(Service):
    """
    Works on the jobs of one queue.

    `work` settles its job with `settle`. While it runs the lease is kept; it is cancelled when the lease was lost. A
    job whose work is cancelled or raises goes back into the queue. Stopping ends the claiming, gives what runs `grace`
    seconds to finish, cancels the rest, and leaves nothing behind.
    """

    name: str
    queue: Queue
    work: Callable[[Job], Awaitable[None]]
    clock: IReactorTime
    places: int = 32
    per_group: int = 8
    lease: float = 180.0
    grace: float = 8.0
    now: Callable[[], float] = wall
    _gate: Gate = field(init=False)
    _claiming: Tasks = field(init=False)
    _working: Tasks = field(init=False)
    _ending: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._gate = Gate(self.places)
        self._claiming = Tasks(self.name)
        self._working = Tasks(self.name)

    @property
    def at_work(self) -> int:
        """How many jobs are being worked on."""
        return self.places - self._gate.free

    def _is_ending(self) -> bool:
        return self._ending  # it changes during waits

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        self._ending = False
        self._claiming = Tasks(self.name)
        self._working = Tasks(self.name)
        self._claiming.start("claim", self._claim())

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]  # as above
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        # not cancelled: a claim that is cut off would leave a job leased that nobody works on
        self._ending = True
        self.queue.woken.raise_()
        try:
            await bounded(self.clock, self.grace, self._working.join())
        except TimedOut:
            log.info("{queue}: stopping with {count} at work", queue=self.name, count=self.at_work)
        await self._working.stop()
        await self._claiming.join()

    async def _claim(self) -> None:
        woken = self.queue.woken
        while not self._is_ending():
            await self._gate.acquire()
            woken.clear()
            found: Job | Wait = Wait(0.0)
            try:
                if not self._is_ending():
                    found = await self._next()
            finally:
                if not isinstance(found, Job):
                    self._gate.release()
            if not isinstance(found, Job):
                await self._rest(found)
            elif self._is_ending():
                self._gate.release()
                await self._give_back(found)
            else:
                self._start(found)

    async def _next(self) -> Job | Wait:
        try:
            return await self.queue.claim(lease=self.lease, per_group=self.per_group)
        except (StoreUnavailable, StoreRefused) as error:
            log.warn("{queue}: the store does not answer: {reason}", queue=self.name, reason=error.message)
            return Wait(_STORE_AWAY)

    async def _rest(self, found: Wait) -> None:
        """Wait until there may be something to do."""
        woken = self.queue.woken
        timer = None if found.seconds is None else self.clock.callLater(max(0.0, found.seconds), woken.raise_)
        try:
            await woken.wait()
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    def _start(self, job: Job) -> None:
        large = len(job.body or b"") > _LARGE
        over = self._working.start("work", self._attend(job))
        if over.called:
            return
        id = job.id

        def lost() -> None:
            log.warn("{queue}: the lease of job {id} was lost", queue=self.name, id=id)
            over.cancel()

        lease = Lease(self.clock, self._working, self.queue, job, self.lease, lost)

        def ended(result: object) -> object:
            lease.end()
            if large:
                gc.collect(1)
            return result

        over.addBoth(ended)

    async def _attend(self, job: Job) -> None:
        try:
            await self.work(job)
        except CancelledError:
            await self._give_back(job)
            raise
        except Exception:  # noqa: BLE001 - one job's fault must not end the others
            log.failure("{queue}: job {id} failed", queue=self.name, id=job.id)
            await self._set_aside(job)
        finally:
            self._gate.release()
            self.queue.woken.raise_()  # the lane and its group are free again

    async def _give_back(self, job: Job) -> None:
        try:
            await self.queue.again(job, self.now(), job.error or b"")
        except (StoreUnavailable, StoreRefused):
            log.warn("{queue}: job {id} goes back when its lease ends", queue=self.name, id=job.id)

    async def _set_aside(self, job: Job) -> None:
        """What failed by a fault of ours is tried again a few times, later."""
        error = encode(Failure(attempt=job.attempt, message="Internal error"))
        try:
            if job.attempt >= _BROKEN_MOST:
                await self.queue.fail(job, error, keep=1000)
            else:
                await self.queue.again(job, self.now() + _BROKEN_DELAY, error)
        except (StoreUnavailable, StoreRefused):
            log.warn("{queue}: job {id} goes back when its lease ends", queue=self.name, id=job.id)


async def settle(clock: IReactorTime, write: Callable[[], Awaitable[bool]]) -> bool:
    """
    Write the outcome of a job, again and again until Redis takes it; whether it was still ours.

    A write that ran although its answer was lost is without effect the second time, and then counts as not ours.
    """
    while True:
        try:
            return await write()
        except StoreUnavailable:
            await pause(clock, _SETTLING)
        except StoreRefused as error:
            log.error("the outcome of a job cannot be stored: {reason}", reason=error.message)
            await pause(clock, _REFUSED)
