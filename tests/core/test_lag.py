"""The measurement of the reactor's delay."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core import metrics
from emailengine.core.lag import EVERY, Lag


class LagTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lag = Lag(self.clock)
        self.lag.startService()
        self.lines: list[str] = []
        observer = cast(ILogObserver, self._heard)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _heard(self, event: LogEvent) -> None:
        self.lines.append(str(event.get("log_format")))

    def _sum(self) -> float:
        return float(metrics.reactor_lag._sum.get())

    def test_on_time(self) -> None:
        """A timer that fires when it is due counts as no delay and says nothing."""
        before = self._sum()
        self.clock.pump([EVERY] * 3)
        self.assertEqual(self._sum(), before)
        self.assertEqual(self.lines, [])

    def test_late(self) -> None:
        """A held reactor is measured, and told once it was held for long."""
        before = self._sum()
        self.clock.advance(EVERY + 0.25)
        self.assertAlmostEqual(self._sum() - before, 0.25)
        self.assertEqual(len(self.lines), 1)

    def test_stop(self) -> None:
        """Nothing of it is left when it has stopped."""
        self.lag.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
