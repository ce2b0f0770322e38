"""The whole site over transports in memory: raw HTTP in, parsed answers out, time by hand."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from attrs import frozen
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from emailengine.api.access import AccessRules
from emailengine.api.app import build
from emailengine.api.cors import Cors
from emailengine.api.site import Limits
from emailengine.model.token import TokenRecord, token_id
from tests.api.parts import DATE, SomeAccounts, SomeFigures, SomeLogs, SomeMailing, SomeOutbox, SomeSettings, SomeTokens

TOKEN = "00" * 32


@frozen
class Answer:
    status: int
    headers: dict[str, list[str]]
    body: bytes
    rest: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        values = self.headers.get(name)
        return None if values is None else ", ".join(values)


def parse(raw: bytes, *, headless: bool = False) -> Answer:
    """The first answer in what a server has sent. AssertionError if it is not complete."""
    head, end, rest = raw.partition(b"\r\n\r\n")
    if not end:
        raise AssertionError(f"no answer: {raw[:200]!r}")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers.setdefault(name.lower(), []).append(value)
    status = int(first.split(" ")[1])
    if headless or status == 204:
        return Answer(status, headers, b"", rest)
    if headers.get("transfer-encoding") == ["chunked"]:
        body = b""
        while True:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            body, rest = body + rest[:length], rest[length + 2 :]
            if length == 0:
                return Answer(status, headers, body, rest)
    length = int(headers["content-length"][0])
    if len(rest) < length:
        raise AssertionError(f"the body is not complete: {len(rest)} of {length}")
    return Answer(status, headers, rest[:length], rest[length:])


def head(method: str, target: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def watch(case: SynchronousTestCase, observe: Callable[[LogEvent], None]) -> None:
    """Hand everything that is logged during a test to `observe`."""
    observer = cast("ILogObserver", observe)
    globalLogPublisher.addObserver(observer)
    case.addCleanup(globalLogPublisher.removeObserver, observer)


@implementer(ITCPTransport)
class Transport(StringTransport):
    """One with two halves, as TCP has them: what is still to be read can be read when ours is closed."""

    half_closed = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def getTcpNoDelay(self) -> bool:
        return False

    def setTcpNoDelay(self, enabled: object) -> None: ...

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: object) -> None: ...


class Connection:
    """A connection to the site."""

    def __init__(self, case: ApiCase, peer: str) -> None:
        self._lost = False
        self.transport = Transport(
            hostAddress=IPv4Address("TCP", "127.0.0.1", 3000), peerAddress=IPv4Address("TCP", peer, 4444)
        )
        self.channel = case.site.buildProtocol(IPv4Address("TCP", peer, 4444))
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def lose(self) -> None:
        """The network is gone, or the client; a second time nothing happens."""
        if self._lost:
            return
        self._lost = True
        self.channel.connectionLost(Failure(ConnectionLost()))

    @property
    def sent(self) -> bytes:
        return bytes(self.transport.value())

    @property
    def closing(self) -> bool:
        return self.transport.disconnecting or self.transport.disconnected or self.transport.half_closed

    def answer(self, *, headless: bool = False) -> Answer:
        return parse(self.sent, headless=headless)


class ApiCase(SynchronousTestCase):
    """A site of its own for each test. It asks for a token, and requests bring one, unless the test says otherwise."""

    rules = AccessRules()
    limits = Limits()
    cors = Cors()

    def setUp(self) -> None:
        self.clock = Clock()
        self.accounts = SomeAccounts()
        self.mailing = SomeMailing()
        self.outbox = SomeOutbox()
        self.logs = SomeLogs()
        self.settings = SomeSettings()
        self.tokens = SomeTokens()
        self.figures = SomeFigures()
        self.wall = 1_700_000_000.0
        self.allow()
        self.site = build(
            accounts=self.accounts,
            mailing=self.mailing,
            outbox=self.outbox,
            logs=self.logs,
            settings=self.settings,
            tokens=self.tokens,
            figures=self.figures,
            clock=self.clock,
            version="9.9.9",
            access=self.rules,
            limits=self.limits,
            cors=self.cors,
            now=lambda: self.wall,
        )

    def tearDown(self) -> None:
        # Twisted names Transfer-Encoding once as text and once as bytes, and looks both up in one dict
        for one in self.flushWarnings():
            if one["category"] is not BytesWarning or not one["filename"].endswith("twisted/web/http_headers.py"):
                warnings.warn_explicit(**one)

    def allow(self, **narrowed: Any) -> None:
        """Make the token one that is narrowed like this."""
        id_ = token_id(TOKEN)
        assert id_ is not None
        self.tokens.records[id_] = TokenRecord(created=DATE, **narrowed)

    def connect(self, peer: str = "127.0.0.1") -> Connection:
        connection = Connection(self, peer)
        self.addCleanup(connection.lose)
        return connection

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
        peer: str = "127.0.0.1",
    ) -> Answer:
        """The answer to one request on a connection of its own."""
        sent = {"host": "127.0.0.1:3000"}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent |= {"content-type": "application/json", "content-length": str(len(data))}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        connection = self.connect(peer)
        connection.send(head(method, target, [one for one in sent.items() if one[1]]) + data)
        return connection.answer(headless=method == "HEAD")

    def refused(self, answer: Answer, status: int) -> Any:
        """The JSON body of a refusal, whose three fixed members are as they must be."""
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.header("content-type"), "application/json; charset=utf-8")
        told = answer.json
        self.assertEqual(told["statusCode"], status)
        self.assertTrue(told["error"])
        self.assertTrue(told["message"])
        return told
