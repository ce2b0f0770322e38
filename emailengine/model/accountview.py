"""Accounts as clients see them: the answers of the account routes, with secrets masked."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec
from msgspec import field

from emailengine.model.account import (
    MASK,
    AccountSettings,
    AccountType,
    Auth,
    HeaderField,
    ImapSettings,
    SmtpSettings,
    State,
    masked_headers,
    without_login,
)
from emailengine.model.shape import Answer, Request

Server = TypeVar("Server", ImapSettings, SmtpSettings)


class Registered(Answer, kw_only=True):
    """The answer to a registration."""

    account: str
    state: Literal["new", "existing"]


class AccountId(Answer, kw_only=True):
    """The answer to an update."""

    account: str


class AccountDeleted(Answer, kw_only=True):
    """The answer to a deletion."""

    account: str
    deleted: bool


class ReconnectRequest(Request, kw_only=True):
    """The body of PUT /v1/account/{account}/reconnect."""

    reconnect: bool = False


class ReconnectAnswer(Answer, kw_only=True):
    """Whether the account was asked to connect again."""

    reconnect: bool


class SyncRequest(Request, kw_only=True):
    """The body of PUT /v1/account/{account}/sync."""

    sync: bool = False


class SyncAnswer(Answer, kw_only=True):
    """Whether the account was asked to look at its folders now."""

    sync: bool


class LastError(Answer, kw_only=True):
    """Why the account is not connected."""

    response: str
    server_response_code: str | None = None
    description: str | None = None
    token_request: dict[str, Any] | None = None


class SmtpStatus(Answer, kw_only=True):
    """How the last delivery over the account's SMTP server ended."""

    status: Literal["ok", "error"]
    created: str | None
    response: str | None = None
    description: str | None = None
    response_code: int | None = None
    code: str | None = None
    command: str | None = None
    network_routing: dict[str, Any] | None = None


class SyncError(Answer, kw_only=True):
    """A folder that could not be synchronised."""

    path: str
    time: str
    error: str


class Counters(Answer, kw_only=True):
    """How often each event happened."""

    events: dict[str, int]


class Quota(Answer, kw_only=True):
    """Storage, in bytes."""

    usage: int
    limit: int
    status: str


class Live(Answer, kw_only=True):
    """What is known of an account beside its settings: the part of `AccountDetail` that its runner tells."""

    state: State = "init"
    smtp_status: SmtpStatus | None = None
    sync_error: SyncError | None = None
    connections: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    sync_time: str | None = None
    last_error: LastError | None = None
    quota: Quota | bool | None = None
    last_heard: str | None = None


class AccountDetail(Answer, kw_only=True):
    """
    One account, with its secrets masked. `quota` is false where the server does not tell. `lastHeard` is when the mail
    server last said anything on the connection that watches the mailbox, or on the last one; absent before the first.
    """

    account: str
    name: str
    email: str | None = None
    copy: bool | None = None
    logs: bool
    notify_from: str | None
    sync_from: str | None
    path: list[str] | None = None
    imap_indexer: Literal["full"]
    subconnections: list[str] | None = None
    webhooks: str | None = None
    proxy: str | None = None
    smtp_ehlo_name: str | None = None
    imap: ImapSettings | None = None
    smtp: SmtpSettings | None = None
    state: State
    smtp_status: SmtpStatus | None
    sync_error: SyncError | None = None
    connections: int
    send_only: bool = False
    webhooks_custom_headers: list[HeaderField] | None = None
    locale: str | None = None
    tz: str | None = None
    type: AccountType
    counters: Counters
    quota: Quota | bool | None = None
    sync_time: str | None = None
    last_heard: str | None = None
    last_error: LastError | None


class AccountListEntry(Answer, kw_only=True):
    """One account in a list."""

    account: str
    name: str
    email: str | None = None
    type: AccountType
    state: State
    webhooks: str | None = None
    proxy: str | None = None
    smtp_ehlo_name: str | None = None
    counters: Counters
    sync_time: str | None = None
    last_error: LastError | None


class AccountList(Answer, kw_only=True):
    """A page of accounts. `query` is false and `state` is `*` where none was asked for."""

    total: int
    page: int
    pages: int
    query: str | bool
    state: str
    accounts: list[AccountListEntry]


def shown(settings: AccountSettings, live: Live) -> AccountDetail:
    """An account as clients see it."""
    return AccountDetail(
        account=settings.account,
        name=settings.name,
        email=settings.email,
        copy=settings.copy,
        logs=settings.logs,
        notify_from=settings.notify_from,
        sync_from=settings.sync_from,
        path=settings.path,
        imap_indexer=settings.imap_indexer or "full",
        subconnections=settings.subconnections or None,
        webhooks=settings.webhooks and without_login(settings.webhooks),
        proxy=settings.proxy and without_login(settings.proxy),
        smtp_ehlo_name=settings.smtp_ehlo_name,
        imap=_masked(settings.imap),
        smtp=_masked(settings.smtp),
        state=live.state,
        smtp_status=live.smtp_status,
        sync_error=live.sync_error,
        connections=live.connections,
        send_only=settings.type == "sending",
        webhooks_custom_headers=masked_headers(settings.webhooks_custom_headers) or None,
        locale=settings.locale,
        tz=settings.tz,
        type=settings.type,
        counters=Counters(events=live.counters),
        quota=live.quota,
        sync_time=live.sync_time,
        last_heard=live.last_heard,
        last_error=None if live.state == "connected" else live.last_error,
    )


def listed(settings: AccountSettings, live: Live) -> AccountListEntry:
    """An account as it stands in a list."""
    return AccountListEntry(
        account=settings.account,
        name=settings.name,
        email=settings.email,
        type=settings.type,
        state=live.state,
        webhooks=settings.webhooks and without_login(settings.webhooks),
        proxy=settings.proxy and without_login(settings.proxy),
        smtp_ehlo_name=settings.smtp_ehlo_name,
        counters=Counters(events=live.counters),
        sync_time=live.sync_time,
        last_error=None if live.state == "connected" else live.last_error,
    )


def _masked(server: Server | None) -> Server | None:
    if server is None or server.auth is None:
        return server
    auth = Auth(
        user=server.auth.user,
        pass_=MASK if server.auth.pass_ else None,
        access_token=MASK if server.auth.access_token else None,
    )
    return msgspec.structs.replace(server, auth=auth)
