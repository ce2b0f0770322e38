"""What this package asks of others; each is passed to a constructor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol

from emailengine.accounts.folders import Folders
from emailengine.accounts.verbs.entering import Verb
from emailengine.core.deadline import Deadline
from emailengine.model.account import AccountSettings
from emailengine.smtp.session import OnFinalDot, SmtpResult
from emailengine.smtp.target import Login, SmtpTarget


class Account(Protocol):
    """An account, connected or not. `generation` tells it from an earlier one of the same id."""

    @property
    def settings(self) -> AccountSettings: ...
    @property
    def generation(self) -> int: ...
    @property
    def folders(self) -> Folders: ...

    async def ask(self, verb: Verb, deadline: Deadline, *, long: bool = False) -> Any:
        """Run a verb on one of its sessions."""


class Accounts(Protocol):
    """Where accounts are found."""

    def get(self, account: str) -> Account:
        """The account of that id. `AccountNotFound`."""


class Opened(Protocol):
    """An attachment on its way, decoded; `chunks` is closed if it is not read to its end."""

    @property
    def content_type(self) -> str: ...
    @property
    def filename(self) -> str | None: ...
    @property
    def chunks(self) -> AsyncGenerator[bytes]: ...


class Attachments(Protocol):
    """The attachments of stored messages."""

    async def open_attachment(self, account: str, attachment: str, *, deadline: Deadline) -> Opened:
        """An attachment by its id. `MessageNotFound`."""


class Settings(Protocol):
    """The settings as they are now, by their names on the wire."""

    def value(self, name: str, default: Any = None) -> Any:
        """The value, or `default` where none is set."""


class SmtpStatuses(Protocol):
    """Keeps how an account's last delivery ended."""

    async def set_smtp_status(self, account: str, status: dict[str, Any]) -> None:
        """Replace it."""


class Sender(Protocol):
    """Hands a message to an SMTP server."""

    async def send_message(
        self,
        *,
        target: SmtpTarget,
        credentials: Login | None,
        envelope_from: str,
        recipients: list[str],
        data: bytes,
        ehlo_name: str,
        on_final_dot: OnFinalDot | None = None,
    ) -> SmtpResult:
        """As `smtp.send.Senders.send_message`."""
