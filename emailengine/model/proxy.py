"""What people write as a proxy: a URL whose login may hold a secret."""

from __future__ import annotations

import re
from typing import Final, Literal, cast
from urllib.parse import unquote_to_bytes, urlsplit

from attrs import field, frozen

Kind = Literal["http", "https", "socks4", "socks4a", "socks5"]

SCHEMES: Final = ("http", "https", "socks", "socks4", "socks4a", "socks5")

_PORTS: Final = {"http": 80, "https": 443}
_SOCKS_PORT: Final = 1080
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_LONGEST: Final = 255  # octets of a user or a password (RFC 1929 2)


@frozen
class Proxy:
    """A proxy and who we are to it: octets, since what they mean is the proxy's affair. Its text has no login."""

    kind: Kind
    host: str
    port: int
    user: bytes | None = field(default=None, repr=False)
    password: bytes | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


def read_proxy(written: str) -> Proxy:
    """The proxy that is meant. `ValueError` with what is wrong, to follow the field's name; it never has the login."""
    text = written.strip()
    if _CONTROL.search(text):
        raise ValueError("must have no spaces and no control signs")
    scheme, mark, _ = text.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in SCHEMES:
        raise ValueError(f"must be a URL of the kind {', '.join(SCHEMES)}")
    kind = cast("Kind", "socks5" if scheme == "socks" else scheme)
    if "/" in text.partition("://")[2].removesuffix("/") or "?" in text or "#" in text:
        raise ValueError("must end after the port (in a login, / is written %2F, ? %3F and # %23)")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must have a host, and a port from 1 to 65535") from None
    if not host:
        raise ValueError("must have a host")
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    user = None if parts.username is None else unquote_to_bytes(parts.username)
    password = None if parts.password is None else unquote_to_bytes(parts.password)
    _check_login(kind, user, password)
    return Proxy(kind, host, port or _PORTS.get(kind, _SOCKS_PORT), user, password)


def proxy_url(written: str) -> str:
    """The URL of a proxy as it was written, once it is known to be one. Raises as `read_proxy`."""
    read_proxy(written)
    return written.strip()


def _check_login(kind: Kind, user: bytes | None, password: bytes | None) -> None:
    if any(len(one) > _LONGEST for one in (user, password) if one is not None):
        raise ValueError(f"must have a user and a password of at most {_LONGEST} octets")
    if kind in ("socks4", "socks4a"):
        if password is not None:
            raise ValueError("must not have a password: SOCKS4 knows user ids only")
        if user is not None and b"\0" in user:
            raise ValueError("must have no zero octet in its user id")
    elif password is not None and not user:
        raise ValueError("must have a user beside its password")
    elif kind in ("http", "https") and user is not None and b":" in user:
        raise ValueError("must have no colon in its user")  # RFC 7617 2
