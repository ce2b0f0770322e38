"""The secrets in an account's settings, apart from the rest: they are sealed one by one, and stored beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from msgspec.structs import replace

from emailengine.model.account import AccountSettings, HeaderField, ImapSettings, SmtpSettings

_LOGIN = re.compile(r"([^:/?#]+://)([^/?#]*)@(.*)", re.DOTALL)

_URLS = ("webhooks", "proxy")

Server = TypeVar("Server", ImapSettings, SmtpSettings)


def take_out(settings: AccountSettings) -> tuple[AccountSettings, dict[str, str]]:
    """The settings without their secrets, and these by name."""
    secrets: dict[str, str] = {}
    bare_urls: dict[str, str | None] = {}
    for name in _URLS:
        bare_urls[name], login = without_login(getattr(settings, name))
        secrets[name] = login or ""
    headers = []
    for place, one in enumerate(settings.webhooks_custom_headers):
        secrets[f"header.{place}"] = one.value
        headers.append(HeaderField(key=one.key))
    bare = replace(
        settings,
        **bare_urls,
        webhooks_custom_headers=headers,
        imap=_take_from("imap", settings.imap, secrets),
        smtp=_take_from("smtp", settings.smtp, secrets),
    )
    return bare, {name: value for name, value in secrets.items() if value}


def put_in(bare: AccountSettings, secrets: Mapping[str, str]) -> AccountSettings:
    """The settings whose parts `take_out` gave."""
    return replace(
        bare,
        **{name: with_login(getattr(bare, name), secrets.get(name)) for name in _URLS},
        webhooks_custom_headers=[
            HeaderField(key=one.key, value=secrets.get(f"header.{place}", ""))
            for place, one in enumerate(bare.webhooks_custom_headers)
        ],
        imap=_put_into("imap", bare.imap, secrets),
        smtp=_put_into("smtp", bare.smtp, secrets),
    )


def without_login(url: str | None) -> tuple[str | None, str | None]:
    """A URL with nothing before its `@`, and what was there; None where there is no `@`."""
    found = _LOGIN.fullmatch(url) if url else None
    return (f"{found[1]}@{found[3]}", found[2]) if found else (url, None)


def with_login(url: str | None, login: str | None) -> str | None:
    """The URL whose parts `without_login` gave."""
    if not url or not login:
        return url
    return url.replace("://@", f"://{login}@", 1)


def _take_from(block: str, server: Server | None, secrets: dict[str, str]) -> Server | None:
    if server is None or server.auth is None:
        return server
    secrets[f"{block}.pass"] = server.auth.pass_ or ""
    secrets[f"{block}.accessToken"] = server.auth.access_token or ""
    return replace(server, auth=replace(server.auth, pass_=None, access_token=None))


def _put_into(block: str, server: Server | None, secrets: Mapping[str, str]) -> Server | None:
    if server is None or server.auth is None:
        return server
    kept = {"pass_": secrets.get(f"{block}.pass"), "access_token": secrets.get(f"{block}.accessToken")}
    return replace(server, auth=replace(server.auth, **kept))
