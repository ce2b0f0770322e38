"""Long loops in slices: work for a few milliseconds, then let the reactor breathe."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater


class Turns:
    """
    Call `await turns.breathe()` in a long loop.

    It returns at once until `budget` seconds of the current turn are used up, then the reactor runs once. Nothing of
    ours may hold the reactor longer than 50 ms; 5 ms a turn leaves room for ten such loops side by side.
    """

    __slots__ = ("_budget", "_clock", "_until")

    def __init__(self, clock: IReactorTime, budget: float = 0.005) -> None:
        self._clock = clock
        self._budget = budget
        self._until = clock.seconds() + budget

    async def breathe(self) -> None:
        if self._clock.seconds() < self._until:
            return
        await pause(self._clock, 0)
        self._until = self._clock.seconds() + self._budget


def pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Fires after `seconds`; cancelling takes the timer away."""
    return deferLater(clock, seconds, _nothing)


def _nothing() -> None:
    return None
