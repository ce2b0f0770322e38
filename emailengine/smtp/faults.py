"""What can go wrong with SMTP beyond the shared errors, each with what the server said."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from emailengine.errors import AuthenticationRefused, EmailEngineError, SmtpRefused


@frozen
class Refusal:
    """One recipient the server would not take; `text` is its whole reply."""

    recipient: str
    reply_code: int
    text: str


class RecipientsRefused(SmtpRefused):
    """
    No recipient was accepted; `rejected` says why for each.

    The reply is that of the first recipient who may be accepted later, if there is one, else that of the first.
    """

    def __init__(self, rejected: Sequence[Refusal]) -> None:
        told = next((one for one in rejected if one.reply_code < 500), rejected[0])
        super().__init__(told.reply_code, told.text, command="RCPT TO")
        self.rejected = tuple(rejected)


class LoginRefused(AuthenticationRefused):
    """The server itself refused the credentials, with the reply it gave to `command`."""

    default_code = "EAUTH"

    def __init__(self, message: str, *, reply_code: int | None = None, response: str = "", command: str = "") -> None:
        super().__init__(message)
        self.reply_code = reply_code
        self.response = response
        self.command = command


class OutcomeUnknown(EmailEngineError):
    """
    The final dot was sent and no reply came: the message may or may not have been accepted.

    A further attempt may deliver it twice; the Message-ID stays the same. `__cause__` is what happened.
    """

    default_code = "EUNKNOWN"
    default_status = 502
    default_transient = True
