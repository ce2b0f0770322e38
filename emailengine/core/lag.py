"""How late the reactor is: a timer that measures by how much it is overdue, and says so when it matters."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from emailengine.core import metrics

log = Logger()

EVERY = 0.5  # seconds between two measurements
LOUD = 0.1  # seconds of delay that are worth a line


class Lag(Service):
    """Measures while it runs."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._due = 0.0
        self._timer: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._arm()

    def stopService(self) -> None:
        super().stopService()  # type: ignore[no-untyped-call]
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _arm(self) -> None:
        self._due = self._clock.seconds() + EVERY
        self._timer = self._clock.callLater(EVERY, self._measure)

    def _measure(self) -> None:
        late = max(0.0, self._clock.seconds() - self._due)
        metrics.reactor_lag.observe(late)
        if late >= LOUD:
            log.warn("the reactor was held for {late:.3f} s", late=late)
        self._arm()
