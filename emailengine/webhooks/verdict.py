"""What becomes of a delivery after an attempt. Pure."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from emailengine.core.delays import Delays
from emailengine.errors import EmailEngineError
from emailengine.outward.http import Response

ATTEMPTS = 10
BLOCKED = "EEGRESSBLOCKED"
REDIRECTED = "EREDIRECTNOTFOLLOWED"

_DELAYS = Delays(first=5.0, factor=2.0, cap=1280.0, jitter=0.2)


@frozen
class Reason:
    """Why an attempt failed: for the log and for the record of the failure. No login of a URL is in it."""

    message: str
    code: str | None = None
    status: int | None = None


@frozen
class Done:
    """The target has it."""


@frozen
class Again:
    """To be tried again in `delay` seconds."""

    delay: float
    reason: Reason


@frozen
class GiveUp:
    """Not to be tried again."""

    reason: Reason


Verdict = Done | Again | GiveUp


def judge(outcome: Response | EmailEngineError, attempts: int, random: Callable[[], float]) -> Verdict:
    """
    The verdict on one attempt, before which there were `attempts` others.

    Any 2xx is a success, a redirect or a forbidden address is final, and everything else may be better later.
    """
    if isinstance(outcome, Response):
        if 200 <= outcome.status <= 299:
            return Done()
        reason = Reason(f"The target answered with status {outcome.status}", status=outcome.status)
        if 300 <= outcome.status <= 399:
            text = f"The target redirects (status {outcome.status}), which is not followed"
            return GiveUp(Reason(text, REDIRECTED, outcome.status))
    else:
        reason = Reason(outcome.message, outcome.code)
        if outcome.code == BLOCKED:
            return GiveUp(reason)
    if attempts + 1 >= ATTEMPTS:
        return GiveUp(reason)
    return Again(_DELAYS.delay(attempts, random), reason)
