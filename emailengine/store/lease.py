"""Holding a job while it is worked on."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from emailengine.core.tasks import Tasks
from emailengine.errors import StoreRefused, StoreUnavailable
from emailengine.store.queue import Job, Queue


@define(eq=False)
class Lease:
    """
    Keeps up the lease of a job, from the moment it is made until `end`.

    `on_loss` is called, once, when the job is somebody else's. While Redis does not answer it may still be ours. The
    body of the job is not held. Nothing is cancelled to end it: a traceback of that would hold whatever was on the
    stack.
    """

    _clock: IReactorTime
    _tasks: Tasks
    _queue: Queue
    _job: Job
    _seconds: float
    _on_loss: Callable[[], None] | None
    _timer: IDelayedCall | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._job = evolve(self._job, data=b"", body=None)
        self._wait()

    def end(self) -> None:
        self._on_loss = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = self._clock.callLater(self._seconds / 3, self._due)

    def _due(self) -> None:
        self._timer = None
        self._tasks.start("keep", self._keep())

    async def _keep(self) -> None:
        try:
            held = await self._queue.keep(self._job, self._seconds)
        except (StoreUnavailable, StoreRefused):
            held = True  # the next answer tells
        lost = self._on_loss
        if lost is None:
            return
        if held:
            self._wait()
        else:
            self._on_loss = None
            lost()
