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
    """
    The result of `work` if it comes within `seconds`; else it is cancelled and `TimedOut` is raised.

    `TimedOut` comes when the cancelled work has ended, whatever it raised in doing so. When no time is left, a
    coroutine is closed without having begun. Whoever cancels the wait gets CancelledError, also after the deadline.
    """
    if seconds <= 0 and isinstance(work, Coroutine):
        work.close()
        raise TimedOut(f"{what} could not begin in time")
    waiting = as_deferred(work)
    answer: _Answer[T] = _Answer(waiting)
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        waiting.cancel()

    timer = clock.callLater(max(0.0, seconds), expire)
    try:
        return await answer
    except Exception as error:
        if expired and not answer.unwanted:
            cause = None if isinstance(error, CancelledError) else error
            raise TimedOut(f"{what} took longer than {round(seconds, 1) or seconds:g} seconds") from cause
        raise
    finally:
        if timer.active():
            timer.cancel()


class _Answer(Deferred[T]):
    """The result of other work, and whether the one who waits for it has been cancelled."""

    def __init__(self, work: Deferred[T]) -> None:
        super().__init__()
        self.unwanted = False
        self.addCallback(lambda _: work)
        self.callback(cast("T", None))

    def cancel(self) -> None:
        self.unwanted = True
        super().cancel()


def as_deferred(work: Awaitable[T]) -> Deferred[T]:
    """The Deferred of a coroutine, or the Deferred itself."""
    if isinstance(work, Deferred):
        return work
    return Deferred.fromCoroutine(cast("Coroutine[Deferred[Any], Any, T]", work))
