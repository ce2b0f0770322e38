"""The port on a real network: clients that do not read, uploads that are refused, a stop that waits."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from emailengine.api.access import AccessRules
from emailengine.api.app import build
from emailengine.api.seams import Download
from emailengine.api.site import RestPort
from emailengine.core.deadline import bounded
from emailengine.errors import StartupFailed
from tests.api.client import head, parse, watch
from tests.api.parts import SomeAccounts, SomeFigures, SomeLogs, SomeMailing, SomeOutbox, SomeSettings, SomeTokens

CLOCK: Any = reactor


class Raw(Protocol):
    """A client that keeps what it gets."""

    transport: Any

    def __init__(self) -> None:
        self.got = b""
        self.lost: Deferred[type[BaseException]] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(reason.type)


class Endless:
    """A download without end that counts what was asked of it."""

    def __init__(self) -> None:
        self.taken = 0
        self.closed: Deferred[None] = Deferred()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.taken += 1
        return b"x" * 262144

    async def aclose(self) -> None:
        self.closed.callback(None)


class PortTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.mailing = SomeMailing()
        self.accounts = SomeAccounts()
        self.tokens = SomeTokens()
        self.tokens.records = {}

    def port(self, *, port: int = 0, grace: float = 10.0) -> RestPort:
        site = build(
            accounts=self.accounts,
            mailing=self.mailing,
            outbox=SomeOutbox(),
            logs=SomeLogs(),
            settings=SomeSettings(),
            tokens=self.tokens,
            figures=SomeFigures(),
            clock=CLOCK,
            version="1",
            access=AccessRules(),
        )
        return RestPort(reactor=CLOCK, site=site, interface="127.0.0.1", port=port, grace=grace)

    async def started(self, **more: Any) -> RestPort:
        port = self.port(**more)
        port.startService()
        await port.ready()
        self.addCleanup(port.stopService)
        return port

    async def client(self, port: RestPort) -> Raw:
        endpoint = TCP4ClientEndpoint(CLOCK, "127.0.0.1", port.port)
        raw: Raw = await connectProtocol(endpoint, Raw())
        self.addCleanup(lambda: raw.transport and raw.transport.abortConnection())
        return raw

    async def until(self, look: Any, seconds: float = 10.0) -> None:
        async def wait() -> None:
            while not look():
                await deferLater(CLOCK, 0.005)

        await bounded(CLOCK, seconds, wait(), "What the test waits for")

    async def test_real_port(self) -> None:
        """With port 0 the system chooses, and the port tells what was chosen; it answers there."""
        port = await self.started()
        self.assertNotEqual(port.port, 0)
        raw = await self.client(port)
        raw.transport.write(head("GET", "/v1/account/a%2Fb", [("host", "localhost")]))
        await self.until(lambda: raw.got)
        self.assertEqual(parse(raw.got).json["account"], "a/b")

    async def test_in_use(self) -> None:
        """A port that is taken ends the start with one line that names it and the option."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = other.getsockname()[1]
            port = self.port(port=taken)
            port.startService()
            with self.assertRaises(StartupFailed) as caught:
                await port.ready()
            self.assertIn(f"127.0.0.1:{taken}", str(caught.exception))
            self.assertIn("--api.port", str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))
            await port.stopService()

    async def test_says_who_comes_in(self) -> None:
        """A start without tokens and password leaves a warning; one with a token does not."""
        lines: list[str] = []

        def observe(event: Any) -> None:
            if event["log_namespace"].startswith("emailengine.api") and event["log_level"].name == "warn":
                lines.append(event["log_format"])

        watch(self, observe)
        await self.started()
        self.assertEqual(len(lines), 1)
        self.assertIn("--api.auth", lines[0])
        self.tokens.records = {"x": None}  # type: ignore[dict-item]  # any will do
        await self.started()
        self.assertEqual(len(lines), 1)

    async def test_does_not_read(self) -> None:
        """A client that does not read costs what the socket holds and a window, not the download."""
        endless = Endless()
        self.mailing.say["open_attachment"] = Download("a/b", endless)
        raw = await self.client(await self.started())
        raw.transport.pauseProducing()
        raw.transport.write(head("GET", "/v1/account/a/attachment/abc", [("host", "localhost")]))
        await self.until(lambda: endless.taken > 0)
        seen = -1
        while seen != endless.taken:
            seen = endless.taken
            await deferLater(CLOCK, 0.1)
        self.assertLess(endless.taken, 64)  # 16 MB: what the kernel buffers at most
        raw.transport.resumeProducing()
        await self.until(lambda: endless.taken > seen + 20)
        raw.transport.abortConnection()
        await endless.closed

    async def test_refused_upload(self) -> None:
        """A client that sends all of a refused upload before it reads still gets the answer."""
        port = await self.started()
        raw = await self.client(port)
        raw.transport.write(head("POST", "/v1/account", [("host", "localhost"), ("content-length", "20000000")]))
        for _ in range(20):
            raw.transport.write(b"x" * 1_000_000)
            await deferLater(CLOCK, 0)
        self.assertIs(await raw.lost, ConnectionDone)  # and not reset
        self.assertEqual(parse(raw.got).status, 413)

    async def test_stop_waits(self) -> None:
        """Stopping refuses new connections, lets a running request end, and ends when all is over."""
        waiting: Deferred[Any] = Deferred()
        self.accounts.say["delete"] = waiting
        port = await self.started()
        raw, idle = await self.client(port), await self.client(port)
        raw.transport.write(head("DELETE", "/v1/account/a", [("host", "localhost")]))
        await self.until(lambda: self.accounts.calls)
        stopped = port.stopService()
        await idle.lost
        with self.assertRaises(Exception):  # noqa: B017 - whatever the system calls it
            await self.client(port)
        self.assertNoResult(stopped)
        waiting.callback(None)
        await raw.lost
        await stopped
        self.assertEqual(parse(raw.got).json, {"account": "a", "deleted": True})

    async def test_stop_cuts(self) -> None:
        """What does not end in time is cut and cancelled."""
        self.accounts.say["delete"] = Deferred()
        port = await self.started(grace=0.05)
        raw = await self.client(port)
        raw.transport.write(head("DELETE", "/v1/account/a", [("host", "localhost")]))
        await self.until(lambda: self.accounts.calls)
        await port.stopService()
        self.assertEqual(self.accounts.cancelled, ["delete"])
        await raw.lost
        self.assertEqual(raw.got, b"")
