"""Accounts: what registration and update take, and what Redis keeps. What is shown of it: `accountview`.

`Registration` and `AccountUpdate` tell "not sent" (UNSET) from null; `registered` and `updated` apply them to the
stored `AccountSettings`. Secrets are shown as `******`, and that mask sent back means "as it is".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from emailengine.model import codec
from emailengine.model.dates import parse_iso
from emailengine.model.formats import EmailOrBlank, Host, Moment, Name, Port, ProxyUrl, Text256, Text1024, Url
from emailengine.model.shape import Record, Request

MASK = "******"
RESYNC_DELAY = 900  # seconds between full comparisons of the folders

State = Literal[
    "init",
    "connecting",
    "syncing",
    "connected",
    "authenticationError",
    "connectError",
    "unset",
    "disconnected",
    "paused",
]
STATES: tuple[State, ...] = get_args(State)
AccountType = Literal["imap", "sending", "invalid"]

_FALSE = Meta(extra={"false": True})
_SINGLE = Meta(extra={"single": True})
_TOKEN = Annotated[str, Meta(max_length=16384)]
_Indexer = Annotated[Literal["full"], Meta(extra={"later": {"fast": "indexer that only sees what is new"}})]


class HeaderField(Record, kw_only=True):
    """A header that is added to webhook requests."""

    key: Annotated[str, Meta(min_length=1, max_length=1024, extra={"trim": True})]
    value: Annotated[str, Meta(max_length=10240, extra={"trim": True})] = ""

    def __repr__(self) -> str:
        return f"HeaderField(key={self.key!r})"  # the value is often a token

    def faults(self) -> Iterator[tuple[str, str]]:
        if not self.key.isascii() or any(sign in self.key for sign in ' :\r\n\0"'):
            yield "key", "must be the name of a header"
        if any(sign in self.value for sign in "\r\n\0"):
            yield "value", "must be on one line"


class Auth(Record, kw_only=True):
    """Who logs in: a user with a password or an OAuth2 access token."""

    user: Annotated[str, Meta(min_length=1, max_length=256)]
    pass_: Annotated[Text256 | None, _FALSE] = field(name="pass", default=None)
    access_token: Annotated[_TOKEN | None, _FALSE] = None

    def __repr__(self) -> str:
        return f"Auth(user={self.user!r})"  # what is logged must not hold a secret

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.access_token:
            if self.pass_:
                yield "pass", "is not allowed beside accessToken"
        elif not self.pass_:
            yield "pass", "is required"


class Tls(Record, kw_only=True):
    """TLS options of one mail server; None means the default. Options that we do not know are left out."""

    open_ended: ClassVar[bool] = True

    reject_unauthorized: bool | None = None
    min_version: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None = None
    ca: Annotated[str, Meta(max_length=65536)] | None = None

    @property
    def verify(self) -> bool:
        """Whether the server's certificate is checked."""
        return self.reject_unauthorized is not False


_ServerLater: Mapping[str, str] = {"useAuthServer": "external authentication server"}


class ImapSettings(Record, kw_only=True):
    """An account's IMAP server. `resync_delay` is in seconds; a disabled one needs neither host nor auth."""

    later: ClassVar[Mapping[str, str]] = _ServerLater

    auth: Annotated[Auth | None, _FALSE] = None
    host: Host | None = None
    port: Port | None = None
    secure: bool | None = None
    tls: Tls | None = None
    resync_delay: Annotated[int, Meta(ge=1, le=86400 * 30)] = RESYNC_DELAY
    disabled: bool = False
    disable_imap4rev2: bool = field(name="disableIMAP4rev2", default=False)
    sent_mail_path: Text1024 | None = None
    drafts_mail_path: Text1024 | None = None
    junk_mail_path: Text1024 | None = None
    trash_mail_path: Text1024 | None = None
    archive_mail_path: Text1024 | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        if not self.disabled:
            yield from _missing(host=self.host, port=self.port, auth=self.auth)


class SmtpSettings(Record, kw_only=True):
    """An account's SMTP server; without `auth` nobody logs in."""

    later: ClassVar[Mapping[str, str]] = _ServerLater

    auth: Annotated[Auth | None, _FALSE] = None
    host: Host | None = None
    port: Port | None = None
    secure: bool | None = None
    tls: Tls | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        yield from _missing(host=self.host, port=self.port)


def _missing(**needed: object) -> Iterator[tuple[str, str]]:
    for name, value in needed.items():
        if value is None:
            yield name, "is required"


class AccountSettings(Record, kw_only=True):
    """
    What Redis keeps of an account: what its owner has set. The passwords and tokens in it are in clear text here.

    `path` None watches all folders. `proxy` is the way to both servers. `notify_from`: older messages are not
    announced. `copy` None leaves it to the rule whether a sent message is uploaded to the Sent folder.
    """

    account: str
    name: str = ""
    email: str | None = None
    path: list[str] | None = None
    subconnections: list[str] = field(default_factory=list)
    webhooks: str | None = None
    webhooks_custom_headers: list[HeaderField] = field(default_factory=list)
    copy: bool | None = None
    logs: bool = False
    notify_from: str | None = None
    sync_from: str | None = None
    proxy: str | None = None
    smtp_ehlo_name: str | None = None
    imap_indexer: Literal["full"] | None = None
    locale: str | None = None
    tz: str | None = None
    imap: ImapSettings | None = None
    smtp: SmtpSettings | None = None

    def __repr__(self) -> str:
        return f"AccountSettings(account={self.account!r})"  # the URLs in it have logins

    @property
    def announced_from(self) -> float | None:
        """`notify_from` in epoch seconds."""
        return None if self.notify_from is None else parse_iso(self.notify_from)

    @property
    def type(self) -> AccountType:
        """`imap` with a usable IMAP server, `sending` with an SMTP server only, else `invalid`."""
        if self.imap is not None and not self.imap.disabled:
            return "imap"
        return "sending" if self.smtp is not None else "invalid"


_AccountLater: Mapping[str, str] = {
    "oauth2": "OAuth2 applications",
    "expectedEmail": "check of the mailbox behind a sign-in",
}


class Registration(Request, kw_only=True):
    """The body of POST /v1/account. A null `account` asks for a generated id."""

    later: ClassVar[Mapping[str, str]] = _AccountLater

    account: Name | None
    name: Text256
    email: EmailOrBlank | UnsetType | None = UNSET
    path: Annotated[list[Text1024] | UnsetType | None, _SINGLE] = UNSET
    subconnections: Annotated[list[Text256] | UnsetType, _SINGLE] = UNSET
    webhooks: Url | UnsetType | None = UNSET
    webhooks_custom_headers: list[HeaderField] | UnsetType = UNSET
    copy: bool | UnsetType | None = UNSET
    logs: bool | UnsetType = UNSET
    notify_from: Moment | UnsetType | None = UNSET
    sync_from: Moment | UnsetType | None = UNSET
    proxy: ProxyUrl | UnsetType | None = UNSET
    smtp_ehlo_name: Host | UnsetType | None = UNSET
    imap_indexer: _Indexer | UnsetType | None = UNSET
    locale: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    tz: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    imap: Annotated[ImapSettings | UnsetType | None, _FALSE] = UNSET
    smtp: Annotated[SmtpSettings | UnsetType | None, _FALSE] = UNSET

    def __repr__(self) -> str:
        return "Registration()"  # as of what is stored


class ImapUpdate(Request, kw_only=True):
    """A change of the IMAP server: the whole block, or with `partial` the members that are sent."""

    later: ClassVar[Mapping[str, str]] = _ServerLater

    partial: bool = False
    auth: Annotated[Auth | UnsetType | None, _FALSE] = UNSET
    host: Host | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    secure: bool | UnsetType = UNSET
    tls: Tls | UnsetType = UNSET
    resync_delay: Annotated[int, Meta(ge=1, le=86400 * 30)] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    disable_imap4rev2: bool | UnsetType = field(name="disableIMAP4rev2", default=UNSET)
    sent_mail_path: Text1024 | UnsetType | None = UNSET
    drafts_mail_path: Text1024 | UnsetType | None = UNSET
    junk_mail_path: Text1024 | UnsetType | None = UNSET
    trash_mail_path: Text1024 | UnsetType | None = UNSET
    archive_mail_path: Text1024 | UnsetType | None = UNSET


class SmtpUpdate(Request, kw_only=True):
    """A change of the SMTP server: the whole block, or with `partial` the members that are sent."""

    later: ClassVar[Mapping[str, str]] = _ServerLater

    partial: bool = False
    auth: Annotated[Auth | UnsetType | None, _FALSE] = UNSET
    host: Host | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    secure: bool | UnsetType = UNSET
    tls: Tls | UnsetType = UNSET


class AccountUpdate(Request, kw_only=True):
    """The body of PUT /v1/account/{account}; what is not sent stays."""

    later: ClassVar[Mapping[str, str]] = _AccountLater

    name: Text256 | UnsetType = UNSET
    email: EmailOrBlank | UnsetType | None = UNSET
    path: Annotated[list[Text1024] | UnsetType | None, _SINGLE] = UNSET
    subconnections: Annotated[list[Text256] | UnsetType, _SINGLE] = UNSET
    webhooks: Url | UnsetType | None = UNSET
    webhooks_custom_headers: list[HeaderField] | UnsetType = UNSET
    copy: bool | UnsetType | None = UNSET
    logs: bool | UnsetType = UNSET
    notify_from: Moment | UnsetType | None = UNSET
    sync_from: Moment | UnsetType | None = UNSET
    proxy: ProxyUrl | UnsetType | None = UNSET
    smtp_ehlo_name: Host | UnsetType | None = UNSET
    imap_indexer: _Indexer | UnsetType | None = UNSET
    locale: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    tz: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    imap: Annotated[ImapUpdate | UnsetType | None, _FALSE] = UNSET
    smtp: Annotated[SmtpUpdate | UnsetType | None, _FALSE] = UNSET

    def __repr__(self) -> str:
        return "AccountUpdate()"  # as of what is stored


def registered(sent: Registration, stored: AccountSettings | None, *, account: str, now: str) -> AccountSettings:
    """
    The settings of an account that is registered, or registered again: then only what was sent changes.

    A new account announces messages from `now` (an ISO date) on, unless it says otherwise. `InvalidInput` if a mask
    was sent for a secret that is not stored.
    """
    if stored is None:
        stored = AccountSettings(account=account, notify_from=now)
    return _applied(stored, _sent(sent) | {"account": account})


def updated(sent: AccountUpdate, stored: AccountSettings) -> AccountSettings:
    """The settings after the change. `InvalidInput` if a server lacks its host, port or login afterwards."""
    return _applied(stored, _sent(sent))


def _sent(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name in struct.__struct_fields__ if (value := getattr(struct, name)) is not UNSET}


def _applied(stored: AccountSettings, changes: dict[str, Any]) -> AccountSettings:
    for block, type_ in (("imap", ImapSettings), ("smtp", SmtpSettings)):
        if changes.get(block) is not None:
            changes[block] = _server(block, type_, getattr(stored, block), changes[block])
    if "path" in changes and changes["path"] is not None and ("*" in changes["path"] or not changes["path"]):
        changes["path"] = None
    for blank in ("email", "webhooks", "proxy"):
        if changes.get(blank) == "":
            changes[blank] = None
    for name in ("webhooks", "proxy"):
        if changes.get(name):
            changes[name] = unmasked_url(name, changes[name], getattr(stored, name))
    if changes.get("webhooks_custom_headers"):
        changes["webhooks_custom_headers"] = unmasked_headers(
            changes["webhooks_custom_headers"], stored.webhooks_custom_headers
        )
    return msgspec.structs.replace(stored, **changes)


def _server(block: str, type_: type[Any], stored: Any, change: Any) -> Any:
    sent = _sent(change)
    partial = sent.pop("partial", False) and stored is not None
    if stored is not None and sent.get("auth") is not None:
        sent["auth"] = _with_stored_secrets(block, sent["auth"], stored.auth)
    elif sent.get("auth") is not None:
        _with_stored_secrets(block, sent["auth"], None)
    if partial and stored.tls is not None and sent.get("tls") is not None:
        tls = {name: value for name, value in _sent(sent["tls"]).items() if value is not None}
        sent["tls"] = msgspec.structs.replace(stored.tls, **tls)
    result = msgspec.structs.replace(stored, **sent) if partial else type_(**sent)
    faults = [codec.fault(f"{block}.{where}", text) for where, text in result.faults()]
    if faults:
        raise codec.invalid([one for fault in faults for one in fault.extra["fields"]])
    return result


def _with_stored_secrets(block: str, sent: Auth, stored: Auth | None) -> Auth:
    kept: dict[str, str | None] = {}
    for name, wire in (("pass_", "pass"), ("access_token", "accessToken")):
        if getattr(sent, name) == MASK:
            kept[name] = getattr(stored, name) if stored is not None and stored.user == sent.user else None
            if kept[name] is None:
                raise codec.fault(f"{block}.auth.{wire}", "is the mask of a secret; send the secret itself")
    return msgspec.structs.replace(sent, **kept) if kept else sent


def without_login(url: str) -> str:
    """A URL with the mask in place of its user and password."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=f"{MASK}:{MASK}@{parts.netloc.rpartition('@')[2]}"))


def unmasked_url(name: str, sent: str, stored: str | None) -> str:
    """The URL that was sent, or the stored one if it was sent as it is shown. `InvalidInput` for another mask."""
    if MASK not in sent:
        return sent
    if stored is None or without_login(stored) != sent:
        raise codec.fault(name, "holds a mask; send the URL with its login, or as it was shown")
    return stored


def masked_headers(headers: list[HeaderField]) -> list[HeaderField]:
    """The headers as they are shown."""
    return [HeaderField(key=one.key, value=MASK if one.value else "") for one in headers]


def unmasked_headers(sent: list[HeaderField], stored: list[HeaderField]) -> list[HeaderField]:
    """What was sent, with the stored value where it is the mask. `InvalidInput` where there is none."""
    known = {one.key: one.value for one in stored}
    result = []
    for one in sent:
        if one.value == MASK:
            if not known.get(one.key):
                raise codec.fault("webhooksCustomHeaders.value", "is the mask of a secret; send the value itself")
            one = HeaderField(key=one.key, value=known[one.key])
        result.append(one)
    return result
