"""From a target to a connection that is logged in: connect, greeting, STARTTLS, login, and what the server can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emailengine.core.deadline import Deadline, bounded
from emailengine.errors import ProtocolFault, ServerRefused, TimedOut, TlsFailed
from emailengine.imap.commands.auth import Capabilities, Enable, Identify, Namespaces, capabilities_of, without
from emailengine.imap.commands.command import farewell
from emailengine.imap.connection import Connection
from emailengine.imap.login import log_in
from emailengine.imap.target import ImapTarget
from emailengine.imap.wirelog import WireLog
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts
from emailengine.wire.imap.responses import Namespace, Response, Status
from emailengine.wire.imap.write import LiteralMode

log = Logger()
T = TypeVar("T")

_GREETING = 20.0  # seconds; a port that waits for TLS says nothing at all
_LONGEST_ALERT = 400  # characters
_TOLD = 2  # fields of ID; who tells less before login may tell more after it
_LONG_KNOWN = ("CONDSTORE", "QRESYNC")
_UTF8 = frozenset(("UTF8=ACCEPT", "IMAP4REV2"))


@define
class Opened:
    """
    A connection that is logged in, what its server offers now, and what it says of itself.

    `encrypted` is whether TLS is on; `enabled` what the server said it has switched on, in upper case; `namespaces` is
    None where it did not tell.
    """

    connection: Connection
    capabilities: frozenset[str]
    server: Mapping[str, str | None]
    encrypted: bool
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
    ears = _Alerts(target.host, credentials, news)
    connection = await dialer.connect(
        partial(Connection, clock, target.host, ears.hear, wire_log=wire_log),
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


@define
class _Alerts:
    """Passes the news on, and tells the operator what the server wants a person to read (RFC 9051 7.1)."""

    _host: str
    _credentials: Credentials
    _news: Callable[[Response], None]
    _last: str = ""

    def hear(self, response: Response) -> None:
        if type(response) is Status and response.code is not None and response.code.name == "ALERT":
            text = without(response.text, self._credentials)[:_LONGEST_ALERT]
            if text != self._last:  # some say it with each answer
                self._last = text
                log.warn("{host} wants somebody to read this: {alert}", host=self._host, alert=text)
        self._news(response)


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
        raise farewell(greeting, "The mail server does not want us now")
    if greeting.status not in ("OK", "PREAUTH"):
        raise ProtocolFault(f"The mail server greets with {greeting.status}")
    preauth = greeting.status == "PREAUTH"
    if preauth and target.starttls == "required" and not target.secure:
        # RFC 9051 11.1: STARTTLS is impossible then, and somebody may want it so
        raise TlsFailed("The mail server logs us in before TLS could be started", transient=False)
    offered = capabilities_of(greeting.code)
    if offered is None:
        offered = await connection.run(Capabilities())
    encrypted = target.secure
    if not target.secure and not preauth and await _secured(connection, contexts, target, offered):
        # all that was said before TLS is forgotten (RFC 9051 6.2.1)
        encrypted = True
        offered = await connection.run(Capabilities())
    server: Mapping[str, str | None] = {}
    if not preauth:
        if client_id is not None and "ID" in offered:  # some let nobody in who has not said who he is
            server = await unless_refused(connection, connection.run(Identify(client_id))) or {}
        told = await log_in(connection, target, credentials, offered, encrypted=encrypted)
        offered = await connection.run(Capabilities()) if told is None else told
    connection.literals = literal_mode(offered)
    return await _equip(connection, target, offered, client_id, Opened(connection, offered, server, encrypted))


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


async def _equip(
    connection: Connection,
    target: ImapTarget,
    offered: frozenset[str],
    client_id: Mapping[str, str] | None,
    opened: Opened,
) -> Opened:
    """
    Say who we are, switch on what helps and ask where the folders are, in one go; then compress.

    A server that refuses any of it is as good as before.
    """
    if not target.rev2 and "IMAP4REV1" in offered:
        offered -= {"IMAP4REV2"}
    wanted = extensions(offered)
    namespaced = "NAMESPACE" in offered
    if "IMAP4REV2" in offered and "IMAP4REV1" not in offered:  # it speaks nothing else
        connection.utf8 = namespaced = True
        opened.enabled = frozenset(("IMAP4REV2",))

    def believe(on: frozenset[str]) -> frozenset[str]:
        on &= frozenset(wanted)
        if on & _UTF8:  # what comes right behind the answer is read so
            connection.utf8 = True
        return on

    introduction: Deferred[Mapping[str, str | None]] | None = None
    if client_id is not None and "ID" in offered and len(opened.server) < _TOLD:
        introduction = connection.run(Identify(client_id))
    enabling = connection.run(Enable(wanted)).addCallback(believe) if wanted else None
    asked = connection.run(Namespaces()) if namespaced else None
    try:
        if introduction is not None:
            opened.server = await unless_refused(connection, introduction) or opened.server
        if enabling is not None:
            on = await unless_refused(connection, enabling)
            if on is None and (fewer := tuple(one for one in wanted if one in _LONG_KNOWN)) not in ((), wanted):
                on = await unless_refused(connection, connection.run(Enable(fewer)).addCallback(believe))
            opened.enabled |= on or frozenset()
        if asked is not None:
            opened.namespaces = await unless_refused(connection, asked)
    finally:
        for one in (introduction, enabling, asked):
            if one is not None:
                one.addErrback(lambda _: None)
    if target.compress and "COMPRESS=DEFLATE" in offered:
        await unless_refused(connection, connection.compress())
    opened.capabilities = shared(offered)
    return opened


async def unless_refused(connection: Connection, waiting: Deferred[T]) -> T | None:
    """A command's value, None if the server refused it or answered what nobody can read."""
    try:
        return await waiting
    except (ServerRefused, ProtocolFault):
        connection.check()
        return None


def extensions(offered: frozenset[str]) -> tuple[str, ...]:
    """What to ENABLE. QRESYNC brings VANISHED in place of EXPUNGE: UIDs in place of numbers."""
    if "ENABLE" not in offered and "IMAP4REV2" not in offered:
        return ()
    wanted = [one for one in _LONG_KNOWN if one in offered]
    if "UTF8=ACCEPT" in offered or "UTF8=ONLY" in offered:  # RFC 6855 6: the same is enabled for both
        wanted.append("UTF8=ACCEPT")
    if "IMAP4REV2" in offered and "IMAP4REV1" in offered:
        wanted.append("IMAP4REV2")
    return tuple(wanted)


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
