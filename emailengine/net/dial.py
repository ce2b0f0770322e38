"""Connections to mail servers: every address of a name, a deadline over all of it, TLS where a policy is given.

With a proxy the addresses are the proxy's, and the mail server's name goes to it unresolved.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterable
from errno import EADDRNOTAVAIL, EAFNOSUPPORT, ENETUNREACH
from functools import partial
from typing import Any, Final, TypeVar, cast

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IHostResolution,
    IProtocol,
    IResolutionReceiver,
    ITCPTransport,
)
from twisted.internet.protocol import ClientFactory, Factory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from emailengine.core.deadline import Deadline
from emailengine.errors import ConnectFailed, TimedOut
from emailengine.model.proxy import Proxy, read_proxy
from emailengine.net import proxies
from emailengine.net.hosts import Host, read_host
from emailengine.net.tls import Contexts, TlsPolicy, translate

P = TypeVar("P", bound=IProtocol)

_ATTEMPT: Final = 120.0
"""Seconds for one address; the deadline is over all of them."""
_READ: Final = 16_384
"""
Octets read at once. OpenSSL keeps a buffer of the largest read for as long as the connection lives, and Twisted's own
64 KiB would double what a resting account costs; a record of TLS is no larger than this either.
"""
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 4))
"""Seconds of silence before the kernel asks, between two questions, and how many of them may go unanswered."""
_STAGGER: Final = 0.3
"""Seconds that an address has for itself before the next is tried beside it (RFC 8305 5)."""


@define(kw_only=True, eq=False)
class Dialer:
    """Makes the daemon's connections to mail servers."""

    reactor: Any
    contexts: Contexts
    proxy_tls: TlsPolicy = field(factory=TlsPolicy)  # for TLS with a proxy itself

    async def connect(
        self,
        build: Callable[[], P],
        host: str,
        port: int,
        /,
        *,
        tls: TlsPolicy | None,
        deadline: Deadline,
        proxy: str | None = None,
        local_address: str | None = None,
    ) -> P:
        """
        The protocol that `build` makes, connected to the first address of `host` that answers.

        With `tls` the handshake runs when this returns: a certificate that is refused is the TlsFailed of the
        protocol's `connectionLost`, before the server can have said anything. `proxy` is the URL of one that makes the
        connection for us; TLS is with the mail server all the same. Raises ConnectFailed (`EPROXY` for what the proxy
        or the way to it did), TlsFailed (for a policy that cannot be followed) and TimedOut.
        """
        via = None if proxy is None else _read(proxy)
        target = read_host(host)
        name = target.text
        factory: Any = _Building(build)
        if tls is not None:
            factory = TLSMemoryBIOFactory(self.contexts.creator(tls, host), True, factory, self.reactor)
        try:
            if via is None:
                made = await deadline.bound(self._reach(name, port, factory, local_address))
            else:
                made = await deadline.bound(self._through(via, target, port, factory, local_address))
        except TimedOut as late:
            raise TimedOut(f"{name} does not answer on port {port}{_by(via)}", code="ETIMEDOUT") from late
        if isinstance(made, TLSMemoryBIOProtocol):
            made = made.wrappedProtocol
        return cast("P", made)

    async def _through(
        self, proxy: Proxy, target: Host, port: int, factory: Factory, local_address: str | None
    ) -> IProtocol:
        """The protocol at the other end of a tunnel."""
        if proxy.kind in ("socks4", "socks4a"):
            target = await self._for_socks4(target, port, names=proxy.kind == "socks4a")
        way: Any = _Building(
            lambda: proxies.Tunnel(
                proxy,
                proxies.dialogue(proxy, target, port),
                lambda: cast("IProtocol", factory.buildProtocol(None)),
            )
        )
        try:
            if proxy.kind == "https":
                way = TLSMemoryBIOFactory(self.contexts.creator(self.proxy_tls, proxy.host), True, way, self.reactor)
                way.protocol = proxies.OuterTls
            made: Any = await self._reach(read_host(proxy.host).text, proxy.port, way, local_address)
        except ConnectFailed as error:
            told = f"The proxy {proxy} cannot be used: {error.message}"
            raise ConnectFailed(told, code=proxies.CODE, transient=error.transient) from error
        tunnel: proxies.Tunnel = made.wrappedProtocol if proxy.kind == "https" else made
        return await tunnel.stands()

    async def _for_socks4(self, target: Host, port: int, *, names: bool) -> Host:
        """The target as SOCKS4 can say it: as an IPv4 address, or a name where the proxy resolves it."""
        if target.is_ip:
            found: list[IAddress] = [] if ":" in target.text else [IPv4Address("TCP", target.text, port)]
        elif names:
            return target
        else:
            found = await _Resolving(self.reactor, target.text, port).found()
        for one in found:
            if isinstance(one, IPv4Address):
                return Host(one.host, True)
        raise ConnectFailed(f"SOCKS4 cannot reach {target.text}: it has no IPv4 address", code=proxies.CODE)

    async def _reach(self, name: str, port: int, factory: Factory, local_address: str | None) -> IProtocol:
        found = await _Resolving(self.reactor, name, port).found()
        bind = None
        if local_address is not None:
            bind = (local_address, 0)
            kind = IPv6Address if ":" in local_address else IPv4Address
            found = [one for one in found if isinstance(one, kind)]
            if not found:
                raise ConnectFailed(
                    f"{name} has no address that can be reached from {local_address}", code="EADDRNOTAVAIL"
                )
        attempts = [partial(_attempt, self.reactor, one, factory, bind) for one in found]
        return await _Race(self.reactor, attempts, name).won


def _read(proxy: str) -> Proxy:
    try:
        return read_proxy(proxy)
    except ValueError as fault:
        raise ConnectFailed(f"The URL of the proxy {fault}", code=proxies.CODE, transient=False) from None


def _by(proxy: Proxy | None) -> str:
    return "" if proxy is None else f", asked through the proxy {proxy}"


class _Building(Factory):
    noisy = False

    def __init__(self, build: Callable[[], IProtocol]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._build()


class _Attempt(ClientFactory):
    """One attempt to reach one address. Endpoints would leave a protocol of theirs in the way of every octet."""

    noisy = False

    def __init__(self, reactor: Any, factory: Factory) -> None:
        self._reactor = reactor
        self._factory = factory
        self._connector: IConnector | None = None
        self.made: Deferred[IProtocol] = Deferred(self._cancel)

    def begin(self, connector: IConnector) -> None:
        self._connector = connector

    def buildProtocol(self, addr: IAddress | None) -> Any:
        protocol = self._factory.buildProtocol(addr)
        # by then it has its transport, and nothing has been read from it
        self._reactor.callLater(0, self._tell, protocol)
        return protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._connector = None
        if not self.made.called:
            self.made.errback(reason)

    def _tell(self, protocol: Any) -> None:
        self._connector = None
        protocol.transport.bufferSize = _READ
        _keep_alive(protocol.transport)
        if not self.made.called:
            self.made.callback(protocol)

    def _cancel(self, made: Deferred[IProtocol]) -> None:
        made.errback(CancelledError())
        if self._connector is not None:
            self._connector.disconnect()


def _keep_alive(transport: Any) -> None:
    """Have the kernel ask whether the other side is still there, which resting connections would not notice."""
    if not ITCPTransport.providedBy(transport):
        return
    made: Any = transport
    if not made.connected:  # it may be over already
        return
    made.setTcpKeepAlive(True)
    for name, value in _KEEP_ALIVE:
        option = getattr(socket, name, None)  # not all systems have all of them
        if option is not None:
            made.getHandle().setsockopt(socket.IPPROTO_TCP, option, value)


def _attempt(reactor: Any, address: IAddress, factory: Factory, bind: tuple[str, int] | None) -> Deferred[IProtocol]:
    assert isinstance(address, IPv4Address | IPv6Address)
    attempt = _Attempt(reactor, factory)
    attempt.begin(reactor.connectTCP(address.host, address.port, attempt, timeout=_ATTEMPT, bindAddress=bind))
    return attempt.made


@implementer(IResolutionReceiver)
class _Resolving:
    """One question to the reactor's resolver."""

    def __init__(self, reactor: Any, name: str, port: int) -> None:
        self._name = name
        self._resolution: IHostResolution | None = None
        self._addresses: list[IAddress] = []
        self._done: Deferred[list[IAddress]] = Deferred(self._cancel)
        reactor.nameResolver.resolveHostName(self, name, port)

    def found(self) -> Deferred[list[IAddress]]:
        return self._done

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._resolution = resolutionInProgress

    def addressResolved(self, address: IAddress) -> None:
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        if self._done.called:
            return
        if self._addresses:
            self._done.callback(self._addresses)
        elif getattr(self._resolution, "temporary", False):
            self._done.errback(ConnectFailed(f"No name server tells the address of {self._name}", code="EAI_AGAIN"))
        else:
            self._done.errback(ConnectFailed(f"The host {self._name} was not found", code="ENOTFOUND"))

    def _cancel(self, done: Deferred[list[IAddress]]) -> None:
        done.errback(TimedOut(f"Resolving {self._name} was given up", code="ETIMEDOUT"))
        if self._resolution is not None:
            try:
                self._resolution.cancel()
            except NotImplementedError:
                pass


class _Race:
    """
    Attempts started one after the other, the next when one failed or has had its time; the first that succeeds wins.

    When all fail, the first failure tells why that is not about a family of addresses that we do not have.
    """

    def __init__(self, reactor: Any, attempts: Iterable[Callable[[], Deferred[IProtocol]]], host: str) -> None:
        self._reactor = reactor
        self._host = host
        self._waiting = deque(attempts)
        self._running: list[Deferred[IProtocol]] = []
        self._failure: Failure | None = None
        self._timer: IDelayedCall | None = None
        self.won: Deferred[IProtocol] = Deferred(lambda _: self._stop())
        self._next()

    def _next(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if not self._waiting:
            if not self._running and not self.won.called:
                assert self._failure is not None
                self.won.errback(translate(self._failure, self._host))
            return
        attempt = self._waiting.popleft()
        if self._waiting:
            self._timer = self._reactor.callLater(_STAGGER, self._next)
        going = attempt()
        self._running.append(going)
        going.addCallbacks(self._made, self._failed, callbackArgs=(going,), errbackArgs=(going,))

    def _made(self, protocol: IProtocol, going: Deferred[IProtocol]) -> None:
        self._running.remove(going)
        self._stop()
        self.won.callback(protocol)

    def _failed(self, failure: Failure, going: Deferred[IProtocol]) -> None:
        self._running.remove(going)
        if self.won.called or self._failure is _STOPPED:
            return
        if self._failure is None or _no_way(self._failure):
            self._failure = failure
        self._next()

    def _stop(self) -> None:
        """Give up whatever is under way."""
        self._failure = _STOPPED
        self._waiting.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for going in list(self._running):
            going.cancel()


def _no_way(failure: Failure) -> bool:
    error = failure.value
    return isinstance(error, ConnectError) and error.osError in (ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT)


_STOPPED: Final = Failure(ConnectFailed("The attempt was given up"))
