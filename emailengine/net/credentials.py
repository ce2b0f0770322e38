"""Who logs in to a mail server, and with what."""

from __future__ import annotations

from attrs import field, frozen


@frozen(kw_only=True)
class Credentials:
    """A user with a password or an access token. Its repr shows neither."""

    user: str
    password: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
