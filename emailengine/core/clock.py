"""The wall clock: the only place where the time of day is read."""

from __future__ import annotations

import time


def wall() -> float:
    """Seconds since the epoch, as other machines understand them. Use a reactor's clock for durations."""
    return time.time()
