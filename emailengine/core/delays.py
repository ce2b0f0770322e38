"""Series of delays: how long to wait before the next attempt. Pure."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen


@frozen
class Delays:
    """`first` seconds, each time `factor` longer, never above `cap`; `jitter` is the part taken off at random."""

    first: float
    factor: float
    cap: float
    jitter: float = 0.2

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds to wait after attempt number `attempt` (0 for the first); `random` gives a number in [0, 1)."""
        # an exponent above 64 is over every cap, and 2.0 ** 2000 is an OverflowError
        whole = min(self.cap, self.first * self.factor ** min(attempt, 64))
        return whole * (1.0 - self.jitter * random())
