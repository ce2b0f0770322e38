"""The server's end of an SMTP connection in memory: the test says what the server says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, ITLSTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from emailengine.smtp.connection import Connection
from emailengine.smtp.target import SmtpTarget

TARGET = SmtpTarget(host="mail.example.com", port=587, secure=False, tls="policy")


@frozen
class Login:
    user: str
    password: str | None = None
    access_token: str | None = None


@implementer(ITLSTransport)
class Peer(StringTransport):
    """A transport that is a scripted server; `heard` are the client's octets since the last look."""

    def __init__(self, connection: Connection, *, greedy: bool = True) -> None:
        super().__init__()
        self.connection = connection
        self.greedy = greedy  # takes all a producer has at once
        self.tls: list[object] = []
        self.closed = False
        self.no_delay = self.keep_alive = False
        connection.makeConnection(self)

    def startTLS(self, contextFactory: object) -> bool:  # type: ignore[override]
        self.tls.append(contextFactory)
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def getTcpKeepAlive(self) -> bool:
        return self.keep_alive

    def loseWriteConnection(self) -> None:
        self.lose()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        super().registerProducer(producer, streaming)
        while self.greedy and self.producer is not None:
            producer.resumeProducing()

    def pull(self) -> None:
        assert self.producer is not None
        self.producer.resumeProducing()

    def loseConnection(self) -> None:
        super().loseConnection()
        self.lose()

    def abortConnection(self) -> None:
        super().abortConnection()
        self.lose()

    def lose(self, reason: Exception | None = None) -> None:
        if not self.closed:
            self.closed = True
            self.connection.connectionLost(Failure(reason or ConnectionDone()))

    def say(self, *lines: str) -> None:
        self.connection.dataReceived(b"".join([line.encode() + b"\r\n" for line in lines]))

    def heard(self) -> bytes:
        found: bytes = self.value()
        self.clear()
        return found

    def answer(self, *exchanges: tuple[str, str]) -> None:
        """Expect each line and answer it."""
        for line, reply in exchanges:
            got = self.heard().decode()
            if got != line + "\r\n":
                raise AssertionError(f"expected {line!r}, heard {got!r}")
            self.say(*reply.split("\n"))


class Dialer:
    """Connects to peers; the test picks them up from `peers`."""

    def __init__(self, *, greedy: bool = True) -> None:
        self.greedy = greedy
        self.peers: list[Peer] = []
        self.asked: list[dict[str, Any]] = []
        self.error: Exception | None = None

    async def connect(self, build: Callable[[], Any], host: str, port: int, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        connection = build()
        assert isinstance(connection, Connection)
        self.asked.append({"host": host, "port": port, **options})
        self.peers.append(Peer(connection, greedy=self.greedy))
        return connection


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    def __init__(self, policy: object, host: str) -> None:
        self.policy = policy
        self.host = host

    def clientConnectionForTLS(self, tlsProtocol: object) -> Any:
        raise AssertionError("no TLS in memory")


class Contexts:
    def creator(self, policy: Any, host: str) -> Any:
        return Creator(policy, host)


class Dot:
    """An `on_final_dot` that counts, and may wait or fail."""

    def __init__(self, waiting: Deferred[None] | None = None, error: Exception | None = None) -> None:
        self.calls = 0
        self.waiting = waiting
        self.error = error

    async def __call__(self) -> None:
        self.calls += 1
        if self.waiting is not None:
            await self.waiting
        if self.error is not None:
            raise self.error


def quiet(clock: Clock) -> bool:
    """Whether no timer is left."""
    return not clock.getDelayedCalls()


def give_up(work: Deferred[Any]) -> None:
    """End what a test left running."""
    work.addErrback(lambda _: None)
    work.cancel()
