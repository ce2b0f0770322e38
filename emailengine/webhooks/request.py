"""One delivery as an HTTP request: URL, headers, signature. Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import frozen

from emailengine.model.account import HeaderField

LAST = frozenset(("x-ee-wh-event-id", "content-length", "x-ee-wh-signature"))
"""Headers that no custom header replaces."""


@frozen
class Facts:
    """What the headers tell of a delivery. `attempts` were made before; `age` is in seconds since it was queued."""

    id: str
    event_id: str
    attempts: int
    age: float


def without_login(url: str) -> tuple[str, str | None]:
    """A URL without its user and password, and these as an Authorization header."""
    parts = urlsplit(url)
    login, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = login.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    return urlunsplit(parts._replace(netloc=place)), f"Basic {b64encode(pair).decode('ascii')}"


def place_of(url: str) -> str:
    """The host that a URL leads to, for limits and in logs."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def signature(body: bytes, secret: str) -> str:
    """HMAC-SHA256 of the body's octets, base64url without padding."""
    made = hmac.new(secret.encode("utf-8"), body, hashlib.sha256).digest()
    return urlsafe_b64encode(made).rstrip(b"=").decode("ascii")


def compose(
    url: str, custom: Sequence[HeaderField], facts: Facts, body: bytes, *, secret: str | None, user_agent: str
) -> tuple[str, list[tuple[str, str]]]:
    """
    Where to send and with which headers, in their order.

    A custom header takes the place of ours of the same name (in any case), and a later one that of an earlier one,
    but for the three that are `LAST`. Content-Length is left to whoever sends.
    """
    address, authorization = without_login(url)
    headers = _Merged()
    headers.set("Content-Type", "application/json")
    headers.set("User-Agent", user_agent)
    headers.set("X-EE-Wh-Id", facts.id)
    headers.set("X-EE-Wh-Attempts-Made", str(facts.attempts))
    headers.set("X-EE-Wh-Queued-Time", f"{max(0, int(facts.age))}s")
    if authorization is not None:
        headers.set("Authorization", authorization)
    for one in custom:
        if one.key.lower() not in LAST:
            headers.set(one.key, one.value)
    headers.set("X-EE-Wh-Event-Id", facts.event_id)
    if secret:
        headers.set("X-EE-Wh-Signature", signature(body, secret))
    return address, headers.pairs()


class _Merged:
    """Headers in order; setting one again keeps its place."""

    __slots__ = ("_by_name",)

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[str, str]] = {}

    def set(self, name: str, value: str) -> None:
        self._by_name[name.lower()] = (name, value)

    def pairs(self) -> list[tuple[str, str]]:
        return list(self._by_name.values())
