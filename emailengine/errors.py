"""The error tree: one class for each decision a caller can make.

Every error knows three things: `code`, a stable word for programs; `status`, the HTTP status it becomes; and
`transient`, whether the same call may succeed later without anybody changing anything. Foreign errors are turned into
these where they enter (floor 2) and nowhere else. Texts are made for people and never hold a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar


class EmailEngineError(Exception):
    """
    The root of all our errors.

    `extra` holds further members of the REST error body (`fields`, `state`, `info` ...), in wire names.
    """

    default_code: ClassVar[str | None] = None
    default_status: ClassVar[int] = 500
    default_transient: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        transient: bool | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.status = self.default_status if status is None else status
        self.transient = self.default_transient if transient is None else transient
        self.extra: dict[str, Any] = dict(extra or {})


# Start-up


class StartupFailed(EmailEngineError):
    """The daemon cannot start: `message` is the one line the operator reads."""


class ConfigurationInvalid(StartupFailed):
    """An option, environment variable or configuration file is unusable."""


# What a caller of the API did


class InvalidInput(EmailEngineError):
    """The request breaks the documented shape; `fields` lists every fault as `{"message", "key"}`."""

    default_status = 400

    def __init__(self, message: str, *, fields: Sequence[Mapping[str, str]] = (), code: str | None = None) -> None:
        super().__init__(message, code=code, extra={"fields": [dict(one) for one in fields]} if fields else None)


class Unauthorized(EmailEngineError):
    """No credential, or one that nobody knows."""

    default_status = 401


class Forbidden(EmailEngineError):
    """A known credential that may not do this."""

    default_status = 403


class NotFound(EmailEngineError):
    """Nothing of that name is here."""

    default_status = 404
    default_code = "NotFound"


class AccountNotFound(NotFound):
    """No account has that id."""

    default_code = "AccountNotFound"


class MessageNotFound(NotFound):
    """The message id names nothing that is (still) here; also for its texts and attachments."""

    default_code = "MessageNotFound"


class FolderNotFound(NotFound):
    """The account has no such folder."""

    default_code = "FolderNotFound"


class TooLarge(EmailEngineError):
    """The request's body is over the limit."""

    default_status = 413


class UnsupportedMedia(EmailEngineError):
    """The request's body is of a type that cannot be read."""

    default_status = 415


class MissingExtension(EmailEngineError):
    """The mail server lacks what the request needs."""

    default_status = 422
    default_code = "MissingServerExtension"


# What we cannot do now


class Busy(EmailEngineError):
    """Too much is waiting; `retry_after` says in seconds when to come again."""

    default_status = 503
    default_code = "Busy"
    default_transient = True

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AccountUnavailable(EmailEngineError):
    """The account has no usable session; `extra["state"]` is its state, `code` the anchor's word for it."""

    default_status = 503
    default_code = "NoAvailable"
    default_transient = True


class TimedOut(EmailEngineError):
    """Something took longer than its deadline."""

    default_status = 504
    default_code = "Timeout"
    default_transient = True


class StoreUnavailable(EmailEngineError):
    """Redis did not answer; the command may or may not have run."""

    default_status = 503
    default_code = "StoreUnavailable"
    default_transient = True


class StoreRefused(EmailEngineError):
    """Redis answered with an error."""

    default_code = "StoreRefused"


class StoredUnreadable(EmailEngineError):
    """What Redis holds of one account or folder is damaged, or was written by a version that this one cannot read."""

    default_code = "StoredUnreadable"


class Outdated(EmailEngineError):
    """The write came from an owner or a position that is no longer current, and changed nothing."""

    default_code = "Outdated"
    default_transient = True


# What a mail server, or the way to it, did


class Meaning(Enum):
    """What a mail server meant by its NO, BAD or BYE."""

    CREDENTIALS = "credentials"
    """It wants others, or somebody to change something about the account."""
    LIMIT = "limit"
    """As many connections, or of whatever else, as it allows."""
    THROTTLED = "throttled"
    """Too much in too short a time."""
    UNAVAILABLE = "unavailable"
    """It cannot serve now."""
    IN_USE = "in use"
    """Somebody else has a lock on it."""
    QUOTA = "quota"
    """There is no room left."""
    TOO_BIG = "too big"
    """It takes no message of that size."""
    TRY_CREATE = "try create"
    """The target folder is missing; it could be created."""
    MISSING = "missing"
    """There is no such folder."""
    EXISTS = "exists"
    """That folder is there already."""
    GONE = "gone"
    """Some of the messages are not there any more."""
    NOT_ALLOWED = "not allowed"
    """The account has no right to do this."""
    IMPOSSIBLE = "impossible"
    """This can never be done."""
    NOT_UNDERSTOOD = "not understood"
    """The server takes it for no command."""
    OTHER = "other"
    """It did not say anything that tells."""

    @property
    def passes(self) -> bool:
        """Whether to wait is all that is needed."""
        return self in (Meaning.LIMIT, Meaning.THROTTLED, Meaning.UNAVAILABLE, Meaning.IN_USE)


class MailServerError(EmailEngineError):
    """
    The root of what mail servers say and do.

    `meaning` is what the server's own words mean, OTHER where it said none; `retry_after` the seconds it wants us to
    stay away, if it told; `alert` what it wants a person to read.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        transient: bool | None = None,
        extra: Mapping[str, Any] | None = None,
        meaning: Meaning = Meaning.OTHER,
        retry_after: float | None = None,
        alert: str | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status, transient=transient, extra=extra)
        self.meaning = meaning
        self.retry_after = retry_after
        self.alert = alert


class ConnectFailed(MailServerError):
    """No connection came about; `code` is the socket's word (`ECONNREFUSED`, `ENOTFOUND`, `ETIMEDOUT` ...)."""

    default_status = 503
    default_code = "ECONNECTION"
    default_transient = True


class TlsFailed(ConnectFailed):
    """TLS could not be agreed on, or the certificate is not acceptable; the text says why."""

    default_code = "ETLS"


class NotNow(ConnectFailed):
    """The mail server lets nobody in at this time, which says nothing about the credentials; `meaning` says why."""


class ConnectionLost(MailServerError):
    """An established connection ended; the text says how, `meaning` why the server ended it, if it told."""

    default_status = 503
    default_code = "IMAPUnavailable"
    default_transient = True


class ProtocolFault(EmailEngineError):
    """The peer said something that no reading of the protocol allows."""

    default_status = 502
    default_code = "ProtocolFault"
    default_transient = True


class AuthenticationRefused(MailServerError):
    """The mail server itself refused the credentials; `code` is its response code if it gave one."""

    default_status = 503
    default_code = "AUTHENTICATIONFAILED"


class ServerRefused(MailServerError):
    """A mail server answered NO or BAD; `server_status` is that word, `code` its response code or None."""

    default_status = 502

    def __init__(
        self,
        server_status: str,
        code: str | None,
        text: str,
        *,
        command: str = "",
        meaning: Meaning = Meaning.OTHER,
        retry_after: float | None = None,
        alert: str | None = None,
    ) -> None:
        super().__init__(
            text or f"The mail server refused {command or 'the command'}",
            code=code,
            transient=meaning.passes,
            meaning=meaning,
            retry_after=retry_after,
            alert=alert,
        )
        self.server_status = server_status
        self.command = command


class SmtpRefused(EmailEngineError):
    """
    An SMTP server itself answered with an error.

    `reply_code` is its three digits, `response` the whole reply, `command` the word it answered to (`RCPT TO`).
    """

    default_status = 502
    default_code = "EENVELOPE"

    def __init__(self, reply_code: int, response: str, *, command: str, code: str | None = None) -> None:
        super().__init__(f"{command} was refused: {response}", code=code, transient=reply_code < 500)
        self.reply_code = reply_code
        self.response = response
        self.command = command
