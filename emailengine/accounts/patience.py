"""What to do when a mail server says "not so fast": wait as long as it asks for, within reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from emailengine.errors import EmailEngineError, MailServerError, Meaning, ServerRefused

T = TypeVar("T")

TRIES: Final = 4
LONGEST: Final = 300.0
"""Seconds that one command is waited for."""
_FIRST: Final = 10.0
"""Seconds, doubled each time, where the server names none."""


def stay_away(error: EmailEngineError, times: int) -> float:
    """Seconds to leave the server alone after it has refused something `times` times before."""
    named = error.retry_after if isinstance(error, MailServerError) else None
    return min(LONGEST, _FIRST * 2 ** min(times, 10) if named is None else max(1.0, named))


async def patiently(
    clock: IReactorTime, work: Callable[[], Awaitable[T]], left: Callable[[], float] = lambda: inf
) -> T:
    """
    The result of `work`, begun anew while the server throttles us, four times in all.

    Only for work that may be repeated. `left` says how many seconds whoever asked has still: where the server wants
    more, the refusal is told at once.
    """
    for times in range(TRIES - 1):
        try:
            return await work()
        except ServerRefused as refused:
            if refused.meaning is not Meaning.THROTTLED:
                raise
            wait = stay_away(refused, times)
            if wait >= left():
                raise
        await deferLater(clock, wait)
    return await work()
