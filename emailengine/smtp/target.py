"""Where to send through, how long to wait there, and what this package asks of those who dial."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal, Protocol, TypeVar

from attrs import field, frozen
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocol

from emailengine.core.deadline import Deadline

P = TypeVar("P", bound=IProtocol)


@frozen(kw_only=True)
class SmtpTarget:
    """
    A mail server and the way to it.

    `secure` is TLS from the first octet. Else STARTTLS is used when it is offered (`auto`), must be (`required`), or
    is not used at all (`never`). `tls` is the policy for both.
    """

    host: str
    port: int
    secure: bool
    tls: Hashable
    starttls: Literal["auto", "required", "never"] = "auto"
    proxy: str | None = field(default=None, repr=False)  # a URL that may hold a password
    local_address: str | None = None


@frozen(kw_only=True)
class Patience:
    """Seconds granted to each stage. RFC 5321 4.5.3.2 asks for minutes at the envelope and ten for the final reply."""

    opening: float = 60.0
    """For all of connecting, greeting, TLS and login together."""
    envelope: float = 120.0
    """For each of MAIL, RCPT and DATA."""
    final: float = 600.0
    """For the reply to the message. Given up too early, the message is sent twice."""
    reset: float = 10.0
    """For a connection that rested to show that it lives."""


class Login(Protocol):
    """Credentials: a user with a password or an access token."""

    @property
    def user(self) -> str: ...
    @property
    def password(self) -> str | None: ...
    @property
    def access_token(self) -> str | None: ...


class Dialling(Protocol):
    """Makes connections, with TLS where a policy is given; what goes wrong is ConnectFailed, TlsFailed or TimedOut."""

    async def connect(
        self,
        build: Callable[[], P],
        host: str,
        port: int,
        /,
        *,
        tls: Any,
        deadline: Deadline,
        proxy: str | None = None,
        local_address: str | None = None,
    ) -> P: ...


class Securing(Protocol):
    """Knows how to verify a host under a TLS policy."""

    def creator(self, policy: Any, host: str, /) -> IOpenSSLClientConnectionCreator: ...
