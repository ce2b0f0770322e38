"""When to dial again: told what happened, it says how long to wait. Pure.

A delay is reset by a connection that stayed, not by one that was made: a server that accepts and drops would be
hammered otherwise. Refused credentials back off much further, since every try may count towards a lockout.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from attrs import define, field

from emailengine.core.delays import Delays

STAYED = 300.0  # seconds after which a connection counts as one that works

_LOST = Delays(first=2.0, factor=1.5, cap=30.0)
_FAILED = Delays(first=2.0, factor=2.0, cap=600.0)
_REFUSED = Delays(first=10.0, factor=3.0, cap=4 * 3600.0)


class Outcome(Enum):
    """How an attempt to be connected ended."""

    FAILED = "failed"  # no usable session came about
    REFUSED = "refused"  # the server refused the credentials
    LOST = "lost"  # a session that was ready ended


@define
class Reconnect:
    """The policy of one account; keeps how often the same thing has happened in a row."""

    _last: Outcome | None = field(default=None, init=False)
    _times: int = field(default=0, init=False)

    def reset(self) -> None:
        """Something changed (new settings, a person asked): the next try is a first one."""
        self._last = None
        self._times = 0

    def next_delay(
        self, outcome: Outcome, lived: float, random: Callable[[], float], *, at_least: float = 0.0
    ) -> float:
        """
        Seconds to wait before the next dial; `at_least` those that the server asked for.

        `lived` is how long the session was ready, in seconds. One that stayed is dialled again at once, with a random
        second so that all the accounts of a server that restarts do not come back in the same instant.
        """
        if outcome is Outcome.LOST and lived >= STAYED:
            self.reset()
            return max(at_least, 0.0) + random()
        if outcome is not self._last:
            # a lost young session must not forgive a series of failures, nor the reverse
            self._times = 0 if outcome is Outcome.REFUSED or self._last is Outcome.REFUSED else self._times
            self._last = outcome
        series = {Outcome.FAILED: _FAILED, Outcome.REFUSED: _REFUSED, Outcome.LOST: _LOST}[outcome]
        delay = series.delay(self._times, random)
        self._times += 1
        return max(delay, at_least)
