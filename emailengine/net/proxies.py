"""Proxies between us and a mail server: what is said to them until the tunnel stands, and the step to the protocol.

A dialogue is pure: it says octets and how many it wants to read next. `Tunnel` runs one on a connection and then puts
the real protocol in its own place, so that nothing of it is left in the way of the octets that follow.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Generator
from http import HTTPStatus
from ipaddress import IPv4Address, ip_address
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocol, ITLSTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from emailengine.errors import ConnectFailed
from emailengine.model.proxy import Proxy
from emailengine.net.hosts import Host
from emailengine.net.tls import translate

CODE: Final = "EPROXY"

_HEAD: Final = 8_192
"""Octets of an HTTP answer's head; proxies send a few hundred."""
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")

_SOCKS5_REFUSALS: Final = {
    1: "general failure",
    2: "its rules do not allow the connection",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "the mail server refused the connection",
    6: "the connection took too long",
    7: "it cannot make connections",
    8: "it does not know this kind of address",
}
_SOCKS4_REFUSALS: Final = {
    91: "the request was rejected or failed",
    92: "it cannot reach an identd of ours",
    93: "identd tells another user id",
}
_NAME, _IPV4, _IPV6 = 3, 1, 4  # kinds of address in SOCKS5 (RFC 1928 5)


@frozen
class Ask:
    """What to say, and how many octets to read then; `None` stands for a head of HTTP up to its empty line."""

    say: bytes
    read: int | None


Dialogue = Generator[Ask, bytes, None]


def dialogue(proxy: Proxy, host: Host, port: int) -> Dialogue:
    """
    How `proxy` is asked for a connection to `host`: it ends when the tunnel stands.

    Raises ConnectFailed (`EPROXY`) for whatever else the proxy answers. No text repeats what a proxy said beyond its
    numbers: it knows the password. SOCKS4 is for IPv4 addresses, and 4a also for names.
    """
    if proxy.kind == "socks5":
        return _socks5(proxy, host, port)
    if proxy.kind in ("socks4", "socks4a"):
        return _socks4(proxy, host, port)
    return _connect(proxy, host, port)


def _socks5(proxy: Proxy, host: Host, port: int) -> Dialogue:
    """RFC 1928 and, for the login, RFC 1929."""
    ways = b"\x00" if proxy.user is None else b"\x00\x02"
    version, way = yield Ask(b"\x05" + _counted(ways), 2)
    if version != 5:
        raise _odd(proxy)
    if way == 2 and proxy.user is not None:
        version, refused = yield Ask(b"\x01" + _counted(proxy.user) + _counted(proxy.password or b""), 2)
        if refused:
            raise _refused(proxy, "the login is not accepted")
    elif way == 255:
        wanted = "it wants a login" if proxy.user is None else "it accepts no login with a password"
        raise _refused(proxy, wanted)
    elif way != 0:
        raise _odd(proxy)
    version, refused = yield Ask(b"\x05\x01\x00" + _socks5_address(host) + port.to_bytes(2, "big"), 2)
    if version != 5:
        raise _odd(proxy)
    if refused:
        raise _refused(proxy, _SOCKS5_REFUSALS.get(refused, f"error {refused}"))
    _, kind = yield Ask(b"", 2)
    # the address that the proxy connects from is of no use to us
    if kind == _NAME:
        (length,) = yield Ask(b"", 1)
    elif kind in (_IPV4, _IPV6):
        length = 4 if kind == _IPV4 else 16
    else:
        raise _odd(proxy)
    yield Ask(b"", length + 2)


def _socks5_address(host: Host) -> bytes:
    if not host.is_ip:  # the proxy resolves it
        return b"\x03" + _counted(host.text.encode("ascii"))
    address = ip_address(host.text.partition("%")[0])
    return (b"\x01" if isinstance(address, IPv4Address) else b"\x04") + address.packed


def _socks4(proxy: Proxy, host: Host, port: int) -> Dialogue:
    """SOCKS 4, and 4a for names: an address that nobody has, and the name behind the user id."""
    if host.is_ip:
        packed, name = IPv4Address(host.text).packed, b""
    else:
        packed, name = b"\x00\x00\x00\x01", host.text.encode("ascii") + b"\x00"
    reply = yield Ask(b"\x04\x01" + port.to_bytes(2, "big") + packed + (proxy.user or b"") + b"\x00" + name, 8)
    if reply[0] != 0:
        raise _odd(proxy)
    if reply[1] != 90:
        raise _refused(proxy, _SOCKS4_REFUSALS.get(reply[1], f"error {reply[1]}"))


def _connect(proxy: Proxy, host: Host, port: int) -> Dialogue:
    """CONNECT (RFC 9110 9.3.6). A head alone makes the answer: content of a 2xx is no part of it."""
    name = f"[{host.text}]" if ":" in host.text else host.text
    lines = [f"CONNECT {name}:{port} HTTP/1.1".encode("ascii"), f"Host: {name}:{port}".encode("ascii")]
    if proxy.user is not None:
        lines.append(b"Proxy-Authorization: Basic " + b64encode(proxy.user + b":" + (proxy.password or b"")))
    head = yield Ask(b"\r\n".join([*lines, b"", b""]), None)
    for _ in range(5):
        found = _STATUS.match(head)
        if found is None:
            raise _odd(proxy)
        status = int(found[1])
        if status >= 200:
            break
        head = yield Ask(b"", None)
    if status >= 300 or status < 200:
        known = {one.value: one.phrase for one in HTTPStatus}
        told = f"{status} {known[status]}" if status in known else str(status)
        raise _refused(proxy, f"the login is not accepted ({told})" if status == 407 and proxy.user else told)


def _counted(octets: bytes) -> bytes:
    return bytes([len(octets)]) + octets


def _refused(proxy: Proxy, why: str) -> ConnectFailed:
    return ConnectFailed(f"The proxy {proxy} refuses: {why}", code=CODE)


def _odd(proxy: Proxy) -> ConnectFailed:
    return ConnectFailed(f"{proxy} does not answer like a proxy of this kind", code=CODE)


class Talk:
    """A dialogue fed with octets in whatever pieces they come."""

    def __init__(self, proxy: Proxy, steps: Dialogue) -> None:
        self._proxy = proxy
        self._steps = steps
        self._ask = Ask(b"", 0)
        self.done = False
        self.rest = b""
        """What came and is not read yet; once it is done, the first octets from the other end of the tunnel."""

    def begin(self) -> bytes:
        """What to say first."""
        self._ask = next(self._steps)
        return self._ask.say

    def feed(self, data: bytes) -> bytes:
        """What to say to that. Raises as `dialogue`."""
        self.rest += data
        said = b""
        while not self.done and (piece := self._piece()) is not None:
            try:
                self._ask = self._steps.send(piece)
            except StopIteration:
                self.done = True
            else:
                said += self._ask.say
        return said

    def _piece(self) -> bytes | None:
        """The next octets that were asked for, if they are all there."""
        size = self._ask.read
        if size is None:
            end = _HEAD_END.search(self.rest, 0, _HEAD)
            if end is None:
                if len(self.rest) >= _HEAD:
                    raise _odd(self._proxy)
                return None
            size = end.end()
        if len(self.rest) < size:
            return None
        piece, self.rest = self.rest[:size], self.rest[size:]
        return piece


class Tunnel(Protocol):
    """
    Asks a proxy for a connection, and makes way for the protocol of `build` when it stands.

    What the other end has said by then comes to it at once: no octet is lost.
    """

    def __init__(self, proxy: Proxy, steps: Dialogue, build: Callable[[], IProtocol]) -> None:
        self._proxy = proxy
        self._talk = Talk(proxy, steps)
        self._build = build
        self._outcome: IProtocol | ConnectFailed | None = None
        self._waiting: Deferred[IProtocol] | None = None

    def stands(self) -> Deferred[IProtocol]:
        """
        Fires with that protocol, which has its transport then; fails with ConnectFailed (`EPROXY`).

        Cancelling cuts the connection. To be asked for once.
        """
        self._waiting = Deferred(self._cancel)
        if self._outcome is not None:
            self._tell(self._outcome)
        return self._waiting

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._talk.begin())

    def dataReceived(self, data: bytes) -> None:
        if self._outcome is not None:
            return
        transport: Any = self.transport
        try:
            said = self._talk.feed(data)
        except ConnectFailed as error:
            self._tell(error)
            transport.abortConnection()
            return
        if said:
            transport.write(said)
        if self._talk.done:
            made = self._build()
            if isinstance(transport, TLSMemoryBIOProtocol):
                transport.wrappedProtocol = made
            else:
                transport.protocol = made
            made.makeConnection(transport)
            self._tell(made)
            if self._talk.rest:
                made.dataReceived(self._talk.rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._outcome is None:
            closed = reason.check(ConnectionClosed)
            told = "the connection was closed" if closed else translate(reason, self._proxy.host).message
            self._tell(ConnectFailed(f"The proxy {self._proxy} cannot be used: {told}", code=CODE))

    def _tell(self, outcome: IProtocol | ConnectFailed) -> None:
        self._outcome = outcome
        if self._waiting is None or self._waiting.called:
            return
        if isinstance(outcome, ConnectFailed):
            self._waiting.errback(outcome)
        else:
            self._waiting.callback(outcome)

    def _cancel(self, waiting: Deferred[IProtocol]) -> None:
        self._outcome = ConnectFailed("The proxy was given up", code=CODE)
        waiting.errback(CancelledError())
        transport: Any = self.transport
        transport.abortConnection()


@implementer(ITLSTransport)
class OuterTls(BufferingTLSTransport):
    """TLS with a proxy. What goes through it may start TLS of its own: inside of this, not in its place."""

    def startTLS(self, contextFactory: IOpenSSLClientConnectionCreator) -> None:  # type: ignore[override]  # as client
        protocol: Any = self.wrappedProtocol
        factory = TLSMemoryBIOFactory(contextFactory, True, None, self.factory._clock)  # type: ignore[arg-type]
        inner: Any = BufferingTLSTransport(factory, protocol, False)
        self.wrappedProtocol = inner
        inner.makeConnection(self)
        protocol.transport = inner
