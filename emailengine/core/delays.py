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
        try:
            whole = min(self.cap, self.first * self.factor**attempt)
        except OverflowError:
            whole = self.cap
        return whole * (1.0 - self.jitter * random())
