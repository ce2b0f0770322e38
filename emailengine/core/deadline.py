"""Deadlines: a point in time handed down through calls, so that all the steps of a request share one budget."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar, cast

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from emailengine.errors import TimedOut

T = TypeVar("T")


@frozen
class Deadline:
    """A moment on `clock` after which nobody waits for the answer any more."""

    clock: IReactorTime
    at: float

    @classmethod
    def after(cls, clock: IReactorTime, seconds: float) -> Deadline:
        return cls(clock, clock.seconds() + seconds)

    def left(self) -> float:
        """Seconds that remain, 0 once it has passed."""
        return max(0.0, self.at - self.clock.seconds())

    @property
    def passed(self) -> bool:
        return self.clock.seconds() >= self.at

    async def bound(self, work: Awaitable[T], what: str = "The request") -> T:
        """The result of `work`, which is cancelled at the deadline; then `TimedOut`."""
        return await bounded(self.clock, self.left(), work, what)


async def bounded(clock: IReactorTime, seconds: float, work: Awaitable[T], what: str = "The request") -> T:
    """The result of `work` if it comes within `seconds`; else it is cancelled and `TimedOut` is raised."""
    waiting = as_deferred(work)
    if waiting.called:
        return await waiting
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        waiting.cancel()

    timer = clock.callLater(seconds, expire)
    try:
        return await waiting
    except CancelledError:
        if expired:
            raise TimedOut(f"{what} took longer than {seconds:g} seconds") from None
        raise
    finally:
        if timer.active():
            timer.cancel()


def as_deferred(work: Awaitable[T]) -> Deferred[T]:
    """The Deferred of a coroutine, or the Deferred itself."""
    if isinstance(work, Deferred):
        return work
    return Deferred.fromCoroutine(cast("Coroutine[Deferred[Any], Any, T]", work))
