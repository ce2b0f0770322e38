"""What a failed delivery means, by who said it. Pure.

Only a server's own reply ends a delivery before its attempts are used up; so does a message that no attempt could hand
over. Whatever we concluded ourselves from silence, a lost connection or a certificate may be different next time.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from emailengine.core.delays import Delays
from emailengine.errors import ConnectionLost, EmailEngineError, InvalidInput, MissingExtension, SmtpRefused, TimedOut
from emailengine.smtp.faults import LoginRefused, OutcomeUnknown

ATTEMPTS = 10  # in all, where neither the message nor the settings say otherwise
DELAYS = Delays(first=5.0, factor=2.0, cap=3600.0, jitter=0.2)  # ten attempts span about 40 minutes


@frozen
class Again:
    """Try again at `at`, seconds since 1970."""

    at: float


@frozen
class GiveUp:
    """No further attempt: `refused` for good, or because there were enough."""

    refused: bool


Verdict = Again | GiveUp


@frozen(kw_only=True)
class Fault:
    """A failed attempt in the words of the API. What the server did not say is None."""

    message: str
    code: str | None = None
    response: str | None = None
    reply_code: int | None = None
    command: str | None = None


def describe(error: Exception) -> Fault:
    """An error as it is reported."""
    if isinstance(error, SmtpRefused):
        return Fault(
            message=error.message,
            code=error.code,
            response=error.response,
            reply_code=error.reply_code,
            command=error.command,
        )
    if isinstance(error, LoginRefused):
        return Fault(
            message=error.message,
            code=error.code,
            response=error.response or None,
            reply_code=error.reply_code,
            command=error.command or None,
        )
    if isinstance(error, OutcomeUnknown) and isinstance(error.__cause__, EmailEngineError):
        return Fault(message=error.message, code=describe(error.__cause__).code)
    if isinstance(error, TimedOut):
        return Fault(message=error.message, code="ETIMEDOUT")
    if isinstance(error, ConnectionLost):
        code = error.code if error.code != ConnectionLost.default_code else None
        return Fault(message=error.message, code=code or "ECONNECTION")
    if isinstance(error, EmailEngineError):
        return Fault(message=error.message, code=error.code)
    return Fault(message=f"Internal error: {type(error).__name__}")


def final(error: Exception) -> bool:
    """Whether trying again makes no sense."""
    if isinstance(error, SmtpRefused):
        # 503 (bad sequence of commands) tells of the conversation, not of the message
        return error.reply_code >= 500 and error.reply_code != 503
    if isinstance(error, LoginRefused):
        return error.reply_code is None or error.reply_code >= 500
    return isinstance(error, (InvalidInput, MissingExtension))


def judge(error: Exception, attempt: int, attempts: int, now: float, random: Callable[[], float]) -> Verdict:
    """What to do after attempt number `attempt` (1 for the first) of `attempts`."""
    if final(error):
        return GiveUp(refused=True)
    if attempt >= attempts:
        return GiveUp(refused=False)
    return Again(now + DELAYS.delay(attempt - 1, random))
