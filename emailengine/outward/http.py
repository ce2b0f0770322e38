"""Requests to other people's web servers: one deadline over all of it, addresses checked where they are dialled.

Connections are kept for the next request to the same place. Names of headers go out as they are written and in the
order in which they come, since receivers of webhooks compare both in their logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, cast
from urllib.parse import quote, urlsplit, urlunsplit

import idna
from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IOpenSSLClientConnectionCreator,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import ClientFactory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.client import ResponseDone as Done
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from emailengine.core.deadline import bounded
from emailengine.errors import ConnectFailed, EmailEngineError, ProtocolFault, TimedOut
from emailengine.net.tls import TlsPolicy, translate

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_FRAMING = frozenset(  # what the connection decides, not the caller
    ("content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect")
)
_AS_IS = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986; what is quoted already stays so
_DIAL = 20.0  # seconds for one address; the deadline of the request is over all of them
_KEPT = 16  # connections to one place that wait for the next request
_KEPT_FOR = 50  # seconds; most servers close earlier, then a request is sent a second time at once


class Securing(Protocol):
    """Knows how to verify a host under a TLS policy."""

    def creator(self, policy: TlsPolicy, host: str, /) -> IOpenSSLClientConnectionCreator: ...


class Checking(Protocol):
    """Knows which addresses may not be reached."""

    def check(self, ip: str, /) -> None:
        """Raise `ConnectFailed` for such an address."""


@frozen
class Response:
    """An answer. Names of headers are in lower case, a repeated one is joined by commas; `body` is cut at the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient(Service):
    """
    Sends requests and reads their answers to the end.

    No redirect is followed: it is an answer like any other. All servers are verified under the policy `tls`. Stopping
    closes the connections that are kept.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        contexts: Securing,
        egress: Checking,
        tls: TlsPolicy = TlsPolicy(),  # noqa: B008 - frozen
    ) -> None:
        self._clock: IReactorTime = reactor
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = _KEPT
        self._pool.cachedConnectionTimeout = _KEPT_FOR
        self._pool.retryAutomatically = False
        self._agent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor, contexts, egress, tls), self._pool)

    def stopService(self) -> Deferred[Any]:
        super().stopService()  # type: ignore[no-untyped-call]
        return cast("Deferred[Any]", self._pool.closeCachedConnections())

    async def post(
        self, url: str, body: bytes, headers: Sequence[tuple[str, str]], *, timeout: float, limit: int
    ) -> Response:
        """
        POST `body` and answer what the server said, whatever its status.

        `timeout` is over connecting, sending and the whole answer, whose body is read to its end and dropped beyond
        `limit` octets. The length of the body and its framing are set here, and headers about these are ignored; so
        are headers whose name is none. A login in the URL is not used. When a connection ends before the first octet
        of the answer the request is sent a second time: a kept connection may have been closed meanwhile.

        Raises `TimedOut` (`ETIMEDOUT`), `ConnectFailed` (also for an address that may not be reached), `TlsFailed`,
        `ConnectionLost` and `ProtocolFault`.
        """
        address, host = _address(url)
        sent = _WrittenHeaders(_host_of(address), headers)
        try:
            return await bounded(self._clock, timeout, self._post(address, host, body, sent, limit), "The web server")
        except TimedOut as late:
            raise TimedOut(late.message, code="ETIMEDOUT") from late

    async def _post(self, address: URI, host: str, body: bytes, headers: Headers, limit: int) -> Response:
        for last in (False, True):
            try:
                response = await self._request(address, headers, body)
                received = await _received(response, limit)
                return Response(response.code, _read_headers(response), received)
            except (CancelledError, EmailEngineError):
                raise
            except Exception as error:
                if any(isinstance(one, CancelledError | ConnectingCancelledError) for one in _reasons(error)):
                    raise CancelledError from error
                if last or not _unheard(error):
                    raise _translated(error, host) from error
        raise AssertionError("unreachable")

    def _request(self, address: URI, headers: Headers, body: bytes) -> Deferred[IResponse]:
        answer: Deferred[IResponse] = self._agent.request(b"POST", address.toBytes(), headers, _Body(body))
        return answer


def _address(url: str) -> tuple[URI, str]:
    """A URL as it goes on the wire, without its login, and its host."""
    try:
        parts = urlsplit(url.strip())
        name, port = parts.hostname, parts.port
        if parts.scheme.lower() not in ("http", "https") or not name:
            raise ValueError("not a web address")
        if not name.isascii():
            name = idna.encode(name, uts46=True).decode("ascii")
        place = f"[{name}]" if ":" in name else name
        if port is not None:
            place = f"{place}:{port}"
        path, query = quote(parts.path, _AS_IS), quote(parts.query, _AS_IS)
        address = URI.fromBytes(urlunsplit((parts.scheme.lower(), place, path, query, "")).encode("ascii"))
    except ValueError as problem:
        raise ConnectFailed("The URL is none of a web server", code="EINVALIDURL") from problem
    return address, name


def _host_of(address: URI) -> str:
    host = address.host.decode("ascii")
    if ":" in host:
        host = f"[{host}]"
    return host if address.port == (443 if address.scheme == b"https" else 80) else f"{host}:{address.port}"


class _WrittenHeaders(Headers):
    """Headers that are sent with the names and in the order given."""

    def __init__(self, host: str, given: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._written: list[tuple[bytes, list[bytes]]] = []
        names = {name.lower() for name, _ in given}
        for name, value in [*([] if "host" in names else [("Host", host)]), *given]:
            if not _NAME.fullmatch(name) or name.lower() in _FRAMING:
                continue
            clean = value.replace("\r", " ").replace("\n", " ").replace("\0", " ").strip()
            try:
                raw = clean.encode("latin-1")
            except UnicodeEncodeError:
                raw = clean.encode("utf-8", "replace")
            self.addRawHeader(name.encode("ascii"), raw)
            self._written.append((name.encode("ascii"), [raw]))

    def getAllRawHeaders(self) -> Iterator[tuple[bytes, list[bytes]]]:
        return iter(self._written)


@implementer(IBodyProducer)
class _Body:
    """A body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All of it has been written already."""

    resumeProducing = stopProducing = pauseProducing


class _Receiver(TwistedProtocol):
    """Reads a body to its end and keeps the start of it."""

    def __init__(self, limit: int) -> None:
        self.over: Deferred[bytes] = Deferred(self._abandon)
        self._limit = limit
        self._kept = bytearray()

    def dataReceived(self, data: bytes) -> None:
        room = self._limit - len(self._kept)
        if room > 0:
            self._kept += data[:room]

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 - Twisted's signature
        if self.over.called:
            return
        if reason.check(Done, PotentialDataLoss):
            self.over.callback(bytes(self._kept))
        else:
            self.over.errback(reason)

    def _abandon(self, over: Deferred[bytes]) -> None:
        over.errback(CancelledError())
        if self.transport is not None:
            # this closes the socket itself: TLS would wait for a peer that has nothing to say
            cast("Any", self.transport).stopProducing()


def _received(response: IResponse, limit: int) -> Deferred[bytes]:
    receiver = _Receiver(limit)
    response.deliverBody(receiver)
    return receiver.over


def _read_headers(response: IResponse) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): ", ".join(value.decode("latin-1") for value in values)
        for name, values in response.headers.getAllRawHeaders()
    }


def _reasons(error: BaseException) -> list[BaseException]:
    """What is behind an error of Twisted's HTTP client."""
    inside: list[Failure] | None = getattr(error, "reasons", None)
    if not inside:
        return [error]
    return [found for one in inside if one.value is not None for found in _reasons(one.value)]


def _unheard(error: Exception) -> bool:
    """Whether the connection ended before the server said anything."""
    return type(error).__name__ in ("ResponseNeverReceived", "RequestTransmissionFailed") and all(
        isinstance(one, ConnectionDone | ConnectionLost) for one in _reasons(error)
    )


def _translated(error: Exception, host: str) -> EmailEngineError:
    reasons = _reasons(error)
    ours = next((one for one in reasons if isinstance(one, EmailEngineError)), None)
    if ours is not None:
        return ours
    if any(type(one).__module__ == "twisted.web._newclient" for one in reasons):
        return ProtocolFault(f"The web server {host} does not answer in HTTP", code="EPROTOCOL")
    return translate(reasons[0], host)


@implementer(IHostnameResolver, IReactorTCP, IReactorTime, IReactorPluggableNameResolver)
class _Dialling:
    """
    The reactor as endpoints need it, with every address checked when it is dialled.

    A name may resolve to another address the next time, so that checking it beforehand would prove nothing.
    """

    def __init__(self, reactor: Any, egress: Checking, host: str) -> None:
        self._reactor = reactor
        self._egress = egress
        self._host = host

    @property
    def nameResolver(self) -> IHostnameResolver:
        return self

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Resolve our host, whatever name the endpoint was given: it takes none with an underscore."""
        resolver: IHostnameResolver = self._reactor.nameResolver
        return resolver.resolveHostName(resolutionReceiver, self._host, portNumber, addressTypes, transportSemantics)

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> IConnector:
        self._egress.check(host)
        connector: IConnector = self._reactor.connectTCP(host, port, factory, timeout, bindAddress)
        return connector

    def listenTCP(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("Only connections go through here")

    def installNameResolver(self, resolver: Any) -> Any:
        raise NotImplementedError("The name resolver belongs to the reactor")

    def seconds(self) -> float:
        now: float = self._reactor.seconds()
        return now

    def callLater(self, delay: float, callable: Any, *args: object, **kwargs: object) -> IDelayedCall:
        call: IDelayedCall = self._reactor.callLater(delay, callable, *args, **kwargs)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        calls: Sequence[IDelayedCall] = self._reactor.getDelayedCalls()
        return calls


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(self, reactor: Any, contexts: Securing, egress: Checking, tls: TlsPolicy) -> None:
        self._reactor = reactor
        self._contexts = contexts
        self._egress = egress
        self._policy = tls

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        plain = HostnameEndpoint(_Dialling(self._reactor, self._egress, host), "target", uri.port, timeout=_DIAL)
        if uri.scheme != b"https":
            return plain
        secured: IStreamClientEndpoint = wrapClientTLS(self._contexts.creator(self._policy, host), plain)
        return secured
