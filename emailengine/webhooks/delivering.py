"""From the queue to the targets: claim a job, POST its body, judge what came of it, and write that down.

One coroutine claims; each job that it gets has a coroutine of its own, so a target that takes its time holds up its
own lane and its share of the places, and nobody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from attrs import define
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emailengine.core import metrics
from emailengine.core.clock import wall
from emailengine.core.deadline import bounded
from emailengine.core.gates import Gate
from emailengine.core.tasks import Tasks
from emailengine.core.turns import pause
from emailengine.errors import AccountNotFound, EmailEngineError, StoreRefused, StoreUnavailable, TimedOut
from emailengine.outward.http import Response
from emailengine.store.lease import Lease
from emailengine.store.queue import Job, Queue, Wait
from emailengine.webhooks import delivery
from emailengine.webhooks.circuit import Backlog, Circuits, Go, PutOff
from emailengine.webhooks.content import Accounts
from emailengine.webhooks.delivery import Delivery
from emailengine.webhooks.request import Facts, compose, place_of, without_login
from emailengine.webhooks.targets import Own, Settings, Target, own_of, policy_of, targets
from emailengine.webhooks.verdict import Again, Done, GiveUp, Reason, judge

log = Logger()

POSTS = 64  # at a time, and of these
POSTS_A_HOST = 16
LEASE = 20.0  # seconds that a crash may cost; it is kept up while a target takes longer
GRACE = 5.0  # seconds that requests on their way are given when we stop
FAILED_KEPT = 500  # failed jobs that can be looked at
_ANSWER = 4096  # octets of an answer that are kept, for nobody but a debugger
_LONGEST_WAIT = 60.0  # seconds before the queue is asked again, woken or not
_STORE_AWAY = 1.0
_COUNT = 1.0  # seconds for which counts are gathered


class Posting(Protocol):
    """The way to the targets."""

    async def post(
        self, url: str, body: bytes, headers: Sequence[tuple[str, str]], *, timeout: float, limit: int
    ) -> Response: ...


class Counting(Protocol):
    """Where the figures of the last days are kept."""

    async def add(self, names: Mapping[str, int]) -> None: ...


@define(eq=False)
class _Attempt:
    """A job in hand."""

    job: Job
    what: Delivery
    lost: bool = False


class Deliverer(Service):
    """
    Delivers what is in the queue, at least once and in order for each account and target.

    The settings are read for each attempt: a job whose event nobody wants any more is finished without one. `backlog`
    is the announcer's. Stopping gives requests on their way a few seconds, and hands back what is not done by then.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        queue: Queue,
        settings: Settings,
        http: Posting,
        clock: IReactorTime,
        random: Callable[[], float],
        user_agent: str,
        backlog: Backlog | None = None,
        counters: Counting | None = None,
        timeout: float = 30.0,
        posts: int = POSTS,
        lease: float = LEASE,
        grace: float = GRACE,
    ) -> None:
        self._accounts = accounts
        self._queue = queue
        self._settings = settings
        self._http = http
        self._clock = clock
        self._random = random
        self._user_agent = user_agent
        self._backlog = backlog if backlog is not None else Backlog()
        self._counters = counters
        self._timeout = timeout
        self._lease = lease
        self._grace = grace
        self._circuits = Circuits(clock.seconds, random)
        self._posts = posts
        self._places = Gate(posts)
        self._tasks = Tasks("deliverer")
        self._counting = Tasks("deliverer")
        self._counted: dict[str, int] = {}
        self._ending = False

    # the service

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._ending = False
        self._places = Gate(self._posts)
        self._tasks = Tasks("deliverer")
        self._counting = Tasks("deliverer")
        self._tasks.start("claim", self._claim_and_deliver())

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._ending = True
        self._queue.woken.raise_()
        try:
            await bounded(self._clock, self._grace, self._tasks.join(), "Delivering")
        except TimedOut:
            pass
        await self._tasks.stop()
        await self._counting.stop()
        await self._write_counts()

    # claiming

    async def _claim_and_deliver(self) -> None:
        while not self._ending:
            await self._places.acquire()
            job = None
            try:
                job = await self._claim()
            finally:
                if job is None:
                    self._places.release()
            if job is not None:
                self._tasks.start("deliver", self._deliver(job))

    async def _claim(self) -> Job | None:
        """The next job, waited for; None when we end."""
        while not self._ending:
            self._queue.woken.clear()
            try:
                claimed = await self._queue.claim(lease=self._lease, per_group=POSTS_A_HOST)
            except (StoreUnavailable, StoreRefused) as error:
                log.warn("the store does not answer: {reason}", reason=error.message)
                await pause(self._clock, _STORE_AWAY)
                continue
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001 - one job that cannot be claimed must not end all deliveries
                log.failure("claiming a webhook job failed")
                await pause(self._clock, _STORE_AWAY)
                continue
            if isinstance(claimed, Job):
                return claimed
            await self._wait(claimed)
        return None

    async def _wait(self, wait: Wait) -> None:
        if self._ending:
            return
        seconds = _LONGEST_WAIT if wait.seconds is None else min(wait.seconds, _LONGEST_WAIT)
        timer = self._clock.callLater(max(0.0, seconds), self._queue.woken.raise_)
        try:
            await self._queue.woken.wait()
        finally:
            if timer.active():
                timer.cancel()

    # delivering

    async def _deliver(self, job: Job) -> None:
        self._backlog.at_work.add(job.lane)
        freed = False
        try:
            freed = await self._work(job)
        finally:
            # without a wait in between: what was put into the lane woke nobody, since the end of this job does
            self._backlog.at_work.discard(job.lane)
            if not freed:
                self._queue.wake()
            self._places.release()

    async def _work(self, job: Job) -> bool:
        """What is to be done with a job; whether its lane was freed by it."""
        if self._ending:
            return await self._hand_back(job)
        what: Delivery | None = None
        try:
            what = delivery.decode(job.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        if what is None or job.body is None:
            log.error("a webhook job is damaged and is given up", job=job.id)
            error = _record(Reason("The job is damaged"))
            return await self._finish(job, lambda: self._queue.fail(job, error, keep=FAILED_KEPT))
        return await self._attempt(_Attempt(job, what))

    async def _attempt(self, attempt: _Attempt) -> bool:
        job, what = attempt.job, attempt.what
        target = self._target(what)
        if target is None:
            return await self._finish(job, lambda: self._queue.done(job))
        url, _ = without_login(target.url)
        permit = self._circuits.permit(url)
        if isinstance(permit, PutOff):
            at = wall() + permit.delay
            return await self._insist(lambda: self._queue.again(job, at, job.error or b""))
        try:
            outcome = await self._post(attempt, target)
        except CancelledError:
            self._circuits.untried(url, permit)
            await self._hand_back(job)
            raise
        except BaseException:
            self._circuits.untried(url, permit)
            raise
        if attempt.lost:
            self._circuits.untried(url, permit)
            return False
        return await self._settle(attempt, url, permit, outcome)

    def _target(self, what: Delivery) -> Target | None:
        """Where a job goes now; None if nowhere any more. A deleted account's goes where it was meant to."""
        own: Own
        try:
            own = own_of(self._accounts.get(what.account).settings)
        except AccountNotFound:
            own = what.own
        found = targets(policy_of(self._settings.value), own, what.event, what.place)
        return next((one for one in found if one.name == what.target), None)

    async def _post(self, attempt: _Attempt, target: Target) -> Response | EmailEngineError:
        job, what = attempt.job, attempt.what
        body = job.body or b""
        facts = Facts(job.id, what.event_id, what.attempts, wall() - job.created)
        secret = self._settings.value("serviceSecret", None)
        url, headers = compose(target.url, target.headers, facts, body, secret=secret, user_agent=self._user_agent)
        began = self._clock.seconds()
        posting = Deferred.fromCoroutine(self._http.post(url, body, headers, timeout=self._timeout, limit=_ANSWER))

        def lost() -> None:
            attempt.lost = True
            posting.cancel()

        lease = Lease(self._clock, self._tasks, self._queue, job, self._lease, lost)
        try:
            return await posting
        except CancelledError:
            if not attempt.lost:
                raise
            return TimedOut("The lease of the job was lost")
        except EmailEngineError as error:
            return error
        finally:
            lease.end()
            metrics.webhook_req.observe(1000 * (self._clock.seconds() - began))

    async def _settle(self, attempt: _Attempt, url: str, permit: Go, outcome: Response | EmailEngineError) -> bool:
        """Write down what came of an attempt."""
        job, what = attempt.job, attempt.what
        verdict = judge(outcome, what.attempts, self._random)
        facts = {
            "account": what.account,
            "event": what.event,
            "event_id": what.event_id,
            "host": place_of(url),
            "attempt": what.attempts + 1,
        }
        if isinstance(verdict, Done):
            self._circuits.succeeded(url)
            self._count(what, "success")
            keep = int(self._settings.value("queueKeep", 0) or 0)
            return await self._finish(job, lambda: self._queue.done(job, keep=keep, record=job.data if keep else b""))
        self._count(what, "fail")
        error = _record(verdict.reason)
        if isinstance(verdict, Again):
            self._circuits.failed(url, job.lane, permit)
            log.warn("a webhook was not delivered: {reason}", reason=verdict.reason.message, **facts)
            what.attempts += 1
            at = wall() + verdict.delay
            return await self._insist(lambda: self._queue.again(job, at, error, data=delivery.encode(what)))
        assert isinstance(verdict, GiveUp)
        self._circuits.untried(url, permit)
        log.error("a webhook is given up: {reason}", reason=verdict.reason.message, **facts)
        return await self._finish(job, lambda: self._queue.fail(job, error, keep=FAILED_KEPT))

    async def _finish(self, job: Job, work: Callable[[], Awaitable[bool]]) -> bool:
        freed = await self._insist(work)
        self._backlog.taken(job.group)
        return freed

    async def _hand_back(self, job: Job) -> bool:
        """Let somebody else try at once: this was no attempt."""
        try:
            return await self._queue.again(job, wall(), job.error or b"")
        except (StoreUnavailable, StoreRefused):
            return False  # its lease ends by itself

    async def _insist(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Write to the store, again until it answers: what was done already has no effect the second time."""
        while True:
            try:
                return await work()
            except (StoreUnavailable, StoreRefused) as error:
                log.warn("the store does not answer: {reason}", reason=error.message)
                await pause(self._clock, _STORE_AWAY)

    # counting

    def _count(self, what: Delivery, status: str) -> None:
        metrics.webhooks.labels(status, what.event).inc()
        metrics.webhook_targets_away.set(self._circuits.open)
        if self._counters is None:
            return
        if not self._counted:
            self._counting.start("count", self._count_later())
        name = f"webhooks:{status}"
        self._counted[name] = self._counted.get(name, 0) + 1

    async def _count_later(self) -> None:
        await pause(self._clock, _COUNT)
        await self._write_counts()

    async def _write_counts(self) -> None:
        counted, self._counted = self._counted, {}
        if self._counters is None or not counted:
            return
        try:
            await self._counters.add(counted)
        except (StoreUnavailable, StoreRefused) as error:
            log.warn("webhooks were not counted: {reason}", reason=error.message)


def _record(reason: Reason) -> bytes:
    told = {"message": reason.message, "code": reason.code, "statusCode": reason.status}
    return msgspec.json.encode({name: value for name, value in told.items() if value is not None})
