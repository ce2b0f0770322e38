"""From a target to a connection that is logged in: connect, greeting, STARTTLS, login, and what the server can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from emailengine.core.deadline import Deadline, bounded
from emailengine.errors import (
    AuthenticationRefused,
    ConnectionLost,
    InvalidInput,
    ProtocolFault,
    ServerRefused,
    TimedOut,
    TlsFailed,
)
from emailengine.imap.commands.auth import (
    Authenticate,
    Capabilities,
    Enable,
    Identify,
    LogIn,
    NotUnderstood,
    capabilities_of,
)
from emailengine.imap.connection import Connection
from emailengine.imap.target import ImapTarget
from emailengine.imap.wirelog import WireLog
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts
from emailengine.wire import sasl
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap.responses import Namespace, Response
from emailengine.wire.imap.write import LiteralMode

T = TypeVar("T")

_GREETING = 20.0  # seconds; a port that waits for TLS says nothing at all


@define
class Opened:
    """
    A connection that is logged in, what its server offers now, and what it says of itself.

    `enabled` is what the server said it has switched on, in upper case; `namespaces` is None where it did not tell.
    """

    connection: Connection
    capabilities: frozenset[str]
    server: Mapping[str, str | None]
    enabled: frozenset[str] = frozenset()
    namespaces: Namespace | None = None


async def open_connection(
    *,
    clock: IReactorTime,
    dialer: Dialer,
    contexts: Contexts,
    target: ImapTarget,
    credentials: Credentials,
    news: Callable[[Response], None],
    client_id: Mapping[str, str] | None,
    timeout: float,
    silence: float | None = None,
    wire_log: WireLog | None = None,
) -> Opened:
    """Raises as `session.open_session`. No connection is left behind when it does."""
    deadline = Deadline.after(clock, timeout)
    logged = {} if wire_log is None else {"wire_log": wire_log}
    connection = await dialer.connect(
        partial(Connection, clock, target.host, news, **logged),
        target.host,
        target.port,
        tls=target.tls if target.secure else None,
        deadline=deadline,
        proxy=target.proxy,
        local_address=target.local_address,
    )
    if silence is not None:
        connection.silence = silence
    ready = False
    try:
        opened = await deadline.bound(_prepare(clock, connection, contexts, target, credentials, client_id))
        ready = True
    except TimedOut as late:
        what = late.message if deadline.left() else f"Logging in to {target.host} took longer than {timeout:g} seconds"
        raise TimedOut(what, code="ETIMEDOUT") from late
    finally:
        if not ready:
            connection.abort("it could not be used")
    return opened


async def _prepare(
    clock: IReactorTime,
    connection: Connection,
    contexts: Contexts,
    target: ImapTarget,
    credentials: Credentials,
    client_id: Mapping[str, str] | None,
) -> Opened:
    greeting = await bounded(clock, _GREETING, connection.greeting(), f"The greeting of {target.host}")
    if greeting.status == "BYE":
        code = greeting.code.name if greeting.code is not None else None
        raise ConnectionLost(f"The mail server does not want us now: {greeting.text}", code=code)
    if greeting.status not in ("OK", "PREAUTH"):
        raise ProtocolFault(f"The mail server greets with {greeting.status}")
    preauth = greeting.status == "PREAUTH"
    if preauth and target.starttls == "required" and not target.secure:
        # RFC 9051 11.1: STARTTLS is impossible then, and somebody may want it so
        raise TlsFailed("The mail server logs us in before TLS could be started", transient=False)
    offered = capabilities_of(greeting.code)
    if offered is None:
        offered = await connection.run(Capabilities())
    if not target.secure and not preauth and await _secured(connection, contexts, target, offered):
        # all that was said before TLS is forgotten (RFC 9051 6.2.1)
        offered = await connection.run(Capabilities())
    if not preauth:
        told = await _log_in(connection, target, credentials, offered)
        offered = await connection.run(Capabilities()) if told is None else told
    connection.literals = literal_mode(offered)
    server = await _introduce(connection, offered, client_id)
    return Opened(connection, shared(offered), server)


async def _secured(connection: Connection, contexts: Contexts, target: ImapTarget, offered: frozenset[str]) -> bool:
    """Whether TLS was started. Once a server has offered it, no failure leads back to clear text."""
    if target.starttls == "never":
        return False
    if "STARTTLS" not in offered:
        if target.starttls == "required":
            raise TlsFailed("The mail server does not offer STARTTLS", transient=False)
        return False
    await connection.secure(contexts.creator(target.tls, target.host))
    return True


async def _log_in(
    connection: Connection, target: ImapTarget, credentials: Credentials, offered: frozenset[str]
) -> frozenset[str] | None:
    """The capabilities that the server listed with its OK, if it did."""
    token = credentials.access_token is not None
    mechanisms = {one.removeprefix("AUTH=") for one in offered if one.startswith("AUTH=")}
    if not token and "PLAIN" not in mechanisms and "LOGINDISABLED" not in offered:
        return await _plain_login(connection, credentials)
    mechanism = sasl.choose(mechanisms, password=credentials.password is not None, token=token)
    if mechanism is None:
        if "LOGINDISABLED" in offered and not target.secure:
            raise TlsFailed("The mail server allows no login without TLS", transient=False)
        known = ", ".join(sorted(mechanisms)) or "none"
        raise AuthenticationRefused(
            f"The mail server offers no login that fits the credentials (it offers: {known})", code="ENOAUTH"
        )
    try:
        dialogue = sasl.begin(
            mechanism,
            user=credentials.user,
            password=credentials.password,
            access_token=credentials.access_token,
            host=target.host,
            port=target.port,
        )
    except WeMisusedProtocol as error:
        raise AuthenticationRefused(f"Login is not possible: {error}") from None
    try:
        return await connection.run(Authenticate(dialogue, credentials, initial="SASL-IR" in offered))
    except NotUnderstood:
        if token or "LOGINDISABLED" in offered:
            raise
    return await _plain_login(connection, credentials)


async def _plain_login(connection: Connection, credentials: Credentials) -> frozenset[str] | None:
    if credentials.password is None:
        raise AuthenticationRefused("There is no password to log in with", code="ENOAUTH")
    try:
        return await connection.run(LogIn(credentials))
    except InvalidInput as error:
        raise AuthenticationRefused(f"Login is not possible: {error.message}") from None


async def _introduce(
    connection: Connection, offered: frozenset[str], client_id: Mapping[str, str] | None
) -> Mapping[str, str | None]:
    """Say who we are and switch on what helps, in one go; a server that refuses either is as good as before."""
    wanted = extensions(offered)
    asked = connection.run(Identify(client_id)) if client_id is not None and "ID" in offered else None
    enabled = connection.run(Enable(wanted)) if wanted else None
    server: Mapping[str, str | None] = {}
    try:
        if asked is not None:
            server = await unless_refused(connection, asked) or {}
        if enabled is not None:
            await unless_refused(connection, enabled)
    finally:
        for one in (asked, enabled):
            if one is not None:
                one.addErrback(lambda _: None)
    return server


async def unless_refused(connection: Connection, waiting: Deferred[T]) -> T | None:
    """A command's value, None if the server refused it or answered what nobody can read."""
    try:
        return await waiting
    except (ServerRefused, ProtocolFault):
        connection.check()
        return None


def extensions(offered: frozenset[str]) -> tuple[str, ...]:
    """What to ENABLE. QRESYNC brings VANISHED in place of EXPUNGE: UIDs in place of numbers."""
    if "ENABLE" not in offered:
        return ()
    return tuple(one for one in ("CONDSTORE", "QRESYNC") if one in offered)


def literal_mode(offered: frozenset[str]) -> LiteralMode:
    """How a server takes literals."""
    if "LITERAL+" in offered:
        return LiteralMode.PLUS
    return LiteralMode.MINUS if "LITERAL-" in offered else LiteralMode.SYNCHRONIZING


_shared: dict[frozenset[str], frozenset[str]] = {}
_MOST_SHARED = 500


def shared(offered: frozenset[str]) -> frozenset[str]:
    """The same set, one object for all the accounts of a server: each costs some kilobytes."""
    if len(_shared) >= _MOST_SHARED:
        _shared.clear()
    return _shared.setdefault(offered, offered)
