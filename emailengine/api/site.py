"""HTTP itself: limits that act while bytes arrive, early refusals, and a port that stops without dropping answers.

A request with a body is looked at when its head is there: it is refused before its body is read if it is too large or
may not come in. A refused client is read from (and not listened to) for a moment longer, because closing a socket
with unread bytes resets it, and the client would never see why.
"""

# mypy: disallow-untyped-calls=False
# (Twisted's HTTP has no annotations, and seen through a subclass it is not excepted)

from __future__ import annotations

from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any, Protocol, cast

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IListeningPort, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.resource import IResource

from emailengine.api.errors import Refusal, phrase, plain, refusal
from emailengine.api.inputs import is_target, raw_path
from emailengine.core.deadline import bounded
from emailengine.core.flag import Flag
from emailengine.errors import StartupFailed, TimedOut

log = Logger()

IN_MEMORY = 1024 * 1024  # bytes of a body; what is above waits in a file until it is its turn to be read
LINGER = 2.0  # seconds that a refused client has to take the answer
GRACE = 10.0  # seconds that running requests have to end when the port stops


@frozen
class Limits:
    """Sizes in bytes, times in seconds. `large_body` is for routes that take messages."""

    body: int = 1024 * 1024
    large_body: int = 50 * 1024 * 1024
    body_seconds: float = 10.0
    command_seconds: float = 10.0
    idle_seconds: float = 60.0


class Door(Protocol):
    """What decides about a request whose body has not been read."""

    limits: Limits

    def limit(self, request: ApiRequest) -> int:
        """How large its body may be."""

    def knock(self, request: ApiRequest) -> Deferred[Any]:
        """Fires when it may come in, fails with the reason why not."""

    def refusal(self, request: ApiRequest, error: BaseException | None) -> Refusal:
        """The answer for an error."""

    def answered(self, request: ApiRequest, status: int) -> None:
        """A request was refused before it was read."""

    async def announce(self) -> None:
        """Say in the log who is let in."""


class Present:
    """What is there; `await gone()` until nothing is."""

    def __init__(self) -> None:
        self._all: set[Any] = set()
        self._empty = Flag()
        self._empty.raise_()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Any:
        return iter(list(self._all))

    def add(self, one: object) -> None:
        self._all.add(one)
        self._empty.clear()

    def remove(self, one: object) -> None:
        self._all.discard(one)
        if not self._all:
            self._empty.raise_()

    async def gone(self) -> None:
        while self._all:
            await self._empty.wait()


class ApiRequest(server.Request):
    """A request. From its head on it has `began` and `raw_path`, the path with its escapes."""

    channel: Channel
    site: ApiSite
    content: Any
    began = 0.0
    raw_path = "/"
    has_body = False
    admission: Deferred[Any] | None = None
    received = 0
    _limit = 0
    _timer: IDelayedCall | None = None
    _complete = False

    def head(self, method: bytes, target: bytes, length: int | None) -> None:
        """The head is there; `length` is None where only the end of the body tells."""
        site = self.channel.site
        self.site = site
        self.began = site.reactor.seconds()
        self.method, self.uri = method, target
        self.raw_path = raw_path(target)
        self.content = BytesIO()
        if length == 0:
            return
        self.has_body = True
        self._limit = site.door.limit(self)
        if length is not None and length > self._limit:
            self._refuse_size()
            return
        if length is None or length > IN_MEMORY:
            self.content = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the request
        self._timer = site.reactor.callLater(site.door.limits.body_seconds, self._late)
        self.admission = site.door.knock(self).addErrback(self._turned_away)
        if not self.admission.called:
            self.channel.hold()
            self.admission.addBoth(self._let_in)

    def _let_in(self, result: Any) -> Any:
        if self.channel is not None and not self.channel.refusing:
            self.channel.go_on()
        return result

    def _turned_away(self, reason: Failure) -> Failure | None:
        if self._complete or self._disconnected:
            return reason
        self.refuse(self.site.door.refusal(self, reason.value))
        return None

    def _refuse_size(self) -> None:
        self.refuse(plain(413, f"The body may have at most {self._limit} bytes"))

    def _late(self) -> None:
        self._timer = None
        self.refuse(plain(408, f"The body did not arrive within {self.site.door.limits.body_seconds:g} seconds"))

    def refuse(self, answer: Refusal) -> None:
        """Answer now, unless that is done, whatever of the body is still to come, and end the connection."""
        self._untime()
        if self.channel.refusing:
            return
        self.channel.refuse(answer, self.method == b"HEAD")
        self.site.door.answered(self, answer.status)

    def handleContentChunk(self, data: bytes) -> None:
        if self.channel.refusing:
            return
        self.received += len(data)
        if self.received > self._limit:
            self._refuse_size()
            return
        self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self._complete = True
        self._untime()
        self.clientproto = version
        self.path = path.partition(b"?")[0]
        self.args = {}
        self.content.seek(0)
        self.process()

    def process(self) -> None:
        if self.channel.refusing:
            return
        self.responseHeaders.setRawHeaders(b"date", [self.site.date()])
        self.prepath = []
        self.postpath = self.raw_path[1:].encode("ascii").split(b"/")
        try:
            self.render(self.site.resource)
        except Exception:  # noqa: BLE001 - whatever it was, the client gets an answer
            self.processingFailed(Failure())

    def processingFailed(self, reason: Failure) -> None:
        log.failure("a request could not be processed", failure=reason)
        self.respond(refusal(reason.value))

    def respond(self, answer: Refusal) -> None:
        """Give an answer, unless one has begun."""
        if self._disconnected or self.finished or self.startedWriting:
            return
        self.setResponseCode(answer.status, phrase(answer.status).encode("ascii"))
        for name, value in answer.headers:
            self.responseHeaders.addRawHeader(name, value)
        self.setHeader(b"content-length", b"%d" % len(answer.body))
        self.write(answer.body)
        self.finish()

    def text(self, name: bytes) -> str | None:
        """The last value of a header."""
        values = self.requestHeaders.getRawHeaders(name)
        return None if not values else values[-1].decode("utf-8", "replace")

    def getRequestHostname(self) -> bytes:
        """One name for all: routes do not depend on it, and a malformed Host must not reach the router."""
        return b"localhost"

    def connectionLost(self, reason: Failure) -> None:
        self._untime()
        super().connectionLost(reason)
        if self.admission is not None:
            self.admission.addErrback(_silent)
            self.admission.cancel()

    def _untime(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _silent(_: Failure) -> None:
    """Nobody is there any more to be told."""


_DONE = Failure(ConnectionDone())


class Channel(http.HTTPChannel):
    """A connection."""

    site: ApiSite
    requests: list[ApiRequest]
    transport: Any
    MAX_LENGTH = 32768  # ids of texts may have 10 240 characters, and proxies add headers of their own
    totalHeadersSize = 65536
    refusing = False  # an answer was given that ends it: nothing that still arrives is looked at
    _expects = False
    _linger: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self.site.present.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure = _DONE) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self.site.present.remove(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if not self.refusing:
            super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        if not self.refusing:
            super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        if not self.refusing:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        if not self.refusing:
            super().allContentReceived()

    def allHeadersReceived(self) -> None:
        if self.refusing:
            return
        if not is_target(self._command, self._path):
            self.refuse(plain(400, "The target of the request must be a path"), self._command == b"HEAD")
            return
        request = self.requests[-1]
        self.persistent = self.site.open and self.checkPersistence(request, self._version)
        if not self.site.open:
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        expect = request.requestHeaders.getRawHeaders(b"expect", [b""])[0]
        self._expects = expect.lower() == b"100-continue" and self._version == b"HTTP/1.1"
        request.head(self._command, self._path, self.length)
        if self._expects and not self.refusing and (request.admission is None or request.admission.called):
            self._send100Continue()
            self._expects = False

    def hold(self) -> None:
        """Read no more for now."""
        self._networkProducer.pauseProducing()

    def go_on(self) -> None:
        """Read on."""
        if self._expects:
            self._send100Continue()
            self._expects = False
        self._networkProducer.resumeProducing()

    def refuse(self, answer: Refusal, headless: bool = False) -> None:
        """Send an answer, and end the connection without listening any more."""
        if self.refusing:
            return
        self.refusing = True
        self.setTimeout(None)
        lines = [b"HTTP/1.1 %d %b" % (answer.status, phrase(answer.status).encode("ascii"))]
        lines += [b"%b: %b" % header for header in answer.headers]
        lines += [b"content-length: %d" % len(answer.body), b"connection: close", b"", b""]
        self.transport.write(b"\r\n".join(lines) + (b"" if headless else answer.body))
        self._networkProducer.resumeProducing()
        if ITCPTransport.providedBy(self.transport) and not self.isSecure():
            self.transport.loseWriteConnection()
            self._linger = self.callLater(LINGER, self._abort)
        else:
            self.loseConnection()

    def _abort(self) -> None:
        self._linger = None
        self.transport.abortConnection()

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(plain(431, "The head of the request is too long"))

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(plain(400, "This is no HTTP request"))

    def close(self) -> None:
        """End the connection: at once if it is idle, else with the answer that is under way."""
        if not self.requests:
            self.loseConnection()
            return
        self.persistent = False
        self.requests[0].responseHeaders.setRawHeaders(b"connection", [b"close"])


class ApiSite(server.Site):
    """
    Makes a `Channel` of each connection.

    `present` holds connections and whatever else must have ended before the site is closed.
    """

    protocol = Channel  # type: ignore[assignment]  # without the choice of HTTP/2

    def __init__(self, resource: IResource, door: Door, present: Present, reactor: Any) -> None:
        super().__init__(
            resource, ApiRequest, timeout=door.limits.idle_seconds, parsePOSTFormSubmission=False, reactor=reactor
        )
        self.door = door
        self.present = present
        self.open = True
        self._date = (-1, b"")

    def date(self) -> bytes:
        """Now, as a header: made once a second."""
        second = int(self.reactor.seconds())
        if self._date[0] != second:
            self._date = (second, http.datetimeToString())
        return self._date[1]

    def log(self, request: http.Request) -> None:
        """Requests are logged where it is known who they came from."""

    def startFactory(self) -> None:
        self.open = True
        super().startFactory()

    def close(self) -> None:
        """Take no further request; those that run go on."""
        self.open = False
        for one in self.present:
            if isinstance(one, Channel):
                one.close()

    def cut(self) -> None:
        """End all connections, and with them what runs for them."""
        for one in self.present:
            if isinstance(one, Channel):
                one.transport.abortConnection()


class RestPort(Service):
    """
    Listens while it runs.

    `ready` raises `StartupFailed` if it cannot. Stopping gives running requests `GRACE` seconds to end.
    """

    def __init__(self, *, reactor: Any, site: ApiSite, interface: str, port: int, grace: float = GRACE) -> None:
        self.port = port
        self.interface = interface
        self._reactor = reactor
        self._site = site
        self._wanted = port
        self._grace = grace
        self._listening: IListeningPort | None = None

    @property
    def url(self) -> str:
        """Where clients find it; after `ready` with the port that was really taken."""
        host = f"[{self.interface}]" if ":" in self.interface else self.interface
        return f"http://{host}:{self.port}"

    async def ready(self) -> None:
        """Return once it listens; `port` is the real one then."""
        await self._site.door.announce()
        try:
            self._listening = self._reactor.listenTCP(self._wanted, self._site, interface=self.interface)
        except (CannotListenError, OSError, OverflowError) as problem:
            reason = getattr(problem, "socketError", None) or problem
            words = getattr(reason, "strerror", None) or str(reason)
            raise StartupFailed(
                f"Cannot listen on {self.interface}:{self._wanted}: {words} (options --api.host and --api.port)"
            ) from problem
        assert self._listening is not None
        self.port = cast("IPv4Address", self._listening.getHost()).port
        log.info("listening on {url}", url=self.url)

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is None:
            return
        await maybeDeferred(listening.stopListening)
        self._site.close()
        try:
            await bounded(self._reactor, self._grace, self._site.present.gone(), "The last request")
        except TimedOut:
            log.warn("cutting {count} connections and requests that did not end", count=len(self._site.present))
            self._site.cut()
            await self._site.present.gone()
