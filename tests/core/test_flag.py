"""The flag that wakes a loop."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.flag import Flag


class FlagTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.flag = Flag()

    def wait(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.flag.wait())

    def test_wakes(self) -> None:
        """Raising wakes everybody who waits."""
        waits = [self.wait(), self.wait()]
        for one in waits:
            self.assertNoResult(one)
        self.flag.raise_()
        for one in waits:
            self.successResultOf(one)

    def test_remembered(self) -> None:
        """A flag raised before anybody waits is still up, for every wait until it is cleared."""
        self.flag.raise_()
        self.assertTrue(self.flag.raised)
        self.successResultOf(self.wait())
        self.successResultOf(self.wait())
        self.flag.clear()
        self.assertFalse(self.flag.raised)
        self.assertNoResult(self.wait())

    def test_cancelled_alone(self) -> None:
        """A cancelled wait ends with CancelledError; the others still wake."""
        first, second = self.wait(), self.wait()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        self.flag.raise_()
        self.successResultOf(second)

    def test_woken_cancels_another(self) -> None:
        """One who wakes may cancel another who is about to: that one is cancelled, the rest wake."""

        async def cancelling() -> None:
            await self.flag.wait()
            second.cancel()

        first = Deferred.fromCoroutine(cancelling())
        second, third = self.wait(), self.wait()
        self.flag.raise_()
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)
        self.successResultOf(third)

    def test_loop(self) -> None:
        """A loop that clears, works and waits runs once for each raise, and misses none raised while it works."""
        turns: list[object] = []

        async def loop() -> None:
            while True:
                await self.flag.wait()
                self.flag.clear()
                turns.append(len(turns))
                if len(turns) == 2:
                    self.flag.raise_()

        running = Deferred.fromCoroutine(loop())
        self.flag.raise_()
        self.assertEqual(turns, [0])
        self.flag.raise_()
        self.assertEqual(turns, [0, 1, 2])
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.flag.raise_()
        self.assertEqual(turns, [0, 1, 2])
