"""What the routes ask of the parts below: one Protocol each, passed to `app.build` by name.

All paths, ids and query values arrive already checked for their form. Every method may raise any `EmailEngineError`,
which becomes the answer. A method is cancelled when its client is gone or its deadline has passed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from emailengine.core.deadline import Deadline
from emailengine.mailing.downloading import Download as Download
from emailengine.model.account import AccountUpdate, Registration, State
from emailengine.model.accountview import AccountDetail, AccountList, Registered
from emailengine.model.mailbox import MailboxList
from emailengine.model.message import MessageDetail, MessageList, MessageUpdate, MessageUpdated, Text, TextType
from emailengine.model.stats import Stats
from emailengine.model.submission import OutboxPage, QueueEntry, SubmitRequest, SubmitResponse
from emailengine.model.token import TokenRecord


class Accounts(Protocol):
    """All accounts of the installation. A method that names one raises `AccountNotFound`."""

    async def create(self, sent: Registration) -> Registered:
        """Add an account, or change the one of that id. Nothing is tried against its servers here."""

    async def update(self, account: str, sent: AccountUpdate) -> None:
        """Change what was sent and connect again if that needs it."""

    async def delete(self, account: str) -> None:
        """Stop it and remove all that is kept of it."""

    async def describe(self, account: str, *, quota: bool, deadline: Deadline) -> AccountDetail:
        """Its settings with secrets masked, and its state; with `quota` also its storage, asked of the server."""

    async def page(self, *, query: str | None, state: State | None, page: int, page_size: int) -> AccountList:
        """Those whose id, name or address holds `query` in any case, and that are in `state`."""

    async def request_reconnect(self, account: str) -> None:
        """Connect again, at once and in the background."""

    async def request_sync(self, account: str) -> None:
        """Look at all folders, at once and in the background."""


class Mailing(Protocol):
    """
    The mail of one account. `AccountNotFound` for one that is not there, `AccountUnavailable` (with `state`) for one
    that has no usable session.

    `path` may be INBOX in any case or a role such as `\\Sent`.
    """

    async def list_mailboxes(self, account: str, *, counters: bool, deadline: Deadline) -> MailboxList:
        """Its folders; with `counters` the server is asked for their numbers."""

    async def list_messages(
        self, account: str, path: str, *, page: int, page_size: int, deadline: Deadline
    ) -> MessageList:
        """A page of a folder, counted from 0; one past the end is empty. `FolderNotFound`."""

    async def read_message(
        self,
        account: str,
        message: str,
        *,
        text_type: TextType | None,
        max_bytes: int | None,
        mark_as_seen: bool,
        deadline: Deadline,
    ) -> MessageDetail:
        """A message, with its text if a type is named, each cut to `max_bytes` characters. `MessageNotFound`."""

    async def read_text(
        self, account: str, text: str, *, text_type: TextType, max_bytes: int | None, deadline: Deadline
    ) -> Text:
        """The parts that a text id names. `MessageNotFound`."""

    async def update_message(
        self, account: str, message: str, change: MessageUpdate, *, deadline: Deadline
    ) -> MessageUpdated:
        """Change a message's flags; the answer says for each operation whether the server did it."""

    async def open_source(self, account: str, message: str, *, deadline: Deadline) -> Download:
        """The message as it stands on the server. `MessageNotFound`."""

    async def open_attachment(self, account: str, attachment: str, *, deadline: Deadline) -> Download:
        """An attachment, decoded. `MessageNotFound`."""


class Logs(Protocol):
    """The protocol logs of accounts."""

    def read(self, account: str) -> AsyncIterator[bytes]:
        """What is kept of one, oldest first: a JSON object a line, in chunks. Nothing where there is no log."""


class Outbox(Protocol):
    """Mail on its way out."""

    async def accept(
        self, account: str, sent: SubmitRequest, *, idempotency_key: str | None, deadline: Deadline
    ) -> SubmitResponse:
        """Compose a message and queue it. The same key again gives the first answer again. `AccountNotFound`."""

    async def page(self, page: int, page_size: int) -> OutboxPage:
        """A part of the queue, over all accounts."""

    async def entry(self, queue_id: str) -> QueueEntry:
        """One message of the queue. `NotFound`."""

    async def cancel(self, queue_id: str) -> bool:
        """Take a message out of the queue; False if it was not there (any more)."""


class SettingsStore(Protocol):
    """Settings that can be changed while the daemon runs, by their names on the wire; values are plain."""

    async def read(self, keys: Sequence[str]) -> Mapping[str, Any]:
        """The stored values; one that was never set may be absent."""

    async def write(self, changes: Mapping[str, Any]) -> None:
        """Store these, all of them or none."""


class Tokens(Protocol):
    """Access tokens by their id (`model.token.token_id`)."""

    async def find(self, token_id: str) -> TokenRecord | None:
        """The record of a token that exists and has not expired."""

    async def any(self) -> bool:
        """Whether there is a token at all."""


class Figures(Protocol):
    """Statistics and health."""

    async def stats(self, seconds: int) -> Stats:
        """The figures; counters of the last `seconds`."""

    async def healthy(self) -> bool:
        """Whether the store answers."""
