"""When to dial again: told what happened, it says how long to wait. Pure.

A delay is reset by a connection that stayed, not by one that was made: a server that accepts and drops would be
hammered otherwise. Refused credentials back off much further, since every try may count towards a lockout. A server
that says why it cannot have us now is given the time that such a thing takes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from attrs import define, field

from emailengine.core.delays import Delays
from emailengine.errors import EmailEngineError, MailServerError, Meaning

STAYED = 300.0  # seconds after which a connection counts as one that works

_LOST = Delays(first=2.0, factor=1.5, cap=30.0)
_FAILED = Delays(first=2.0, factor=2.0, cap=600.0)
_REFUSED = Delays(first=10.0, factor=3.0, cap=4 * 3600.0)
_NOT_NOW: Final = {
    Meaning.LIMIT: Delays(first=30.0, factor=2.0, cap=1800.0),  # of dead connections, too: servers count them for long
    Meaning.THROTTLED: Delays(first=60.0, factor=2.0, cap=3600.0),
    Meaning.UNAVAILABLE: Delays(first=10.0, factor=2.0, cap=600.0),
    Meaning.IN_USE: Delays(first=15.0, factor=2.0, cap=300.0),
}


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
    _told: dict[Meaning, int] = field(factory=dict, init=False)

    def reset(self) -> None:
        """Something changed (new settings, a person asked): the next try is a first one."""
        self._last = None
        self._times = 0
        self._told.clear()

    def next_delay(
        self,
        outcome: Outcome,
        lived: float,
        random: Callable[[], float],
        why: EmailEngineError | None = None,
    ) -> float:
        """
        Seconds to wait before the next dial; `why` is what it ended with, where that is known.

        `lived` is how long the session was ready, in seconds. One that stayed is dialled again at once, with a random
        second so that all the accounts of a server that restarts do not come back in the same instant.
        """
        meaning, at_least = Meaning.OTHER, 0.0
        if isinstance(why, MailServerError):
            meaning, at_least = why.meaning, why.retry_after or 0.0
        if outcome is Outcome.LOST and lived >= STAYED:
            self.reset()
            if meaning not in _NOT_NOW:
                return at_least + random()
        if outcome is not self._last:
            # a lost young session must not forgive a series of failures, nor the reverse
            self._times = 0 if outcome is Outcome.REFUSED or self._last is Outcome.REFUSED else self._times
            self._last = outcome
        if outcome is not Outcome.REFUSED and meaning in _NOT_NOW:
            times = self._told.get(meaning, 0)
            self._told[meaning] = times + 1
            if at_least > 0:  # not all in the same instant, and not before it
                return max(at_least + random(), _FAILED.delay(times, random))
            return _NOT_NOW[meaning].delay(times, random)
        series = {Outcome.FAILED: _FAILED, Outcome.REFUSED: _REFUSED, Outcome.LOST: _LOST}[outcome]
        delay = series.delay(self._times, random)
        self._times += 1
        return max(delay, at_least)
