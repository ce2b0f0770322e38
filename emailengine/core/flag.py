"""A flag that a loop waits for and anybody raises: "there is something to do"."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


class Flag:
    """
    Wakes the loop that owns some work.

    Raising is remembered until `clear`, so nothing that happens between looking and waiting is missed. The loop
    clears the flag, looks at what there is to do, does it, and waits.
    """

    __slots__ = ("_raised", "_waiting")

    def __init__(self) -> None:
        self._raised = False
        self._waiting: list[Deferred[None]] = []

    @property
    def raised(self) -> bool:
        return self._raised

    def raise_(self) -> None:
        """Wake all who wait, and those who will until the next `clear`."""
        self._raised = True
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.called:  # cancelled by one that woke before it
                one.callback(None)

    def clear(self) -> None:
        self._raised = False

    async def wait(self) -> None:
        """Return once the flag is up. Cancelling forgets this waiter and nothing else."""
        if self._raised:
            return
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiting.append(waiter)
        await waiter

    async def wait_for(self, clock: IReactorTime, seconds: float) -> None:
        """As `wait`, but raise the flag ourselves after so many seconds."""
        timer = clock.callLater(seconds, self.raise_)
        try:
            await self.wait()
        finally:
            if timer.active():
                timer.cancel()

    def _forget(self, waiter: Deferred[None]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
