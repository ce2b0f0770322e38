"""A large literal over a socket: as fast as its consumer takes it, and no faster, with and without TLS."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from emailengine.core.deadline import Deadline
from emailengine.imap.commands.command import Plain
from emailengine.imap.connection import Connection
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.wire.imap.responses import Response
from emailengine.wire.imap.tokens import Piece
from tests.integration.certificates import Authority

clock: Any = reactor
SIZE = 4 << 20
AT_ONCE = 65_536


@implementer(IPushProducer)
class _Mail(Protocol):
    """Answers every command with one large literal, as fast as it is taken."""

    transport: Any

    def connectionMade(self) -> None:
        self.transport.write(b"* OK ready\r\n")

    def dataReceived(self, data: bytes) -> None:
        self.tag = data.split(b" ")[0]
        self.left = SIZE
        self.random = Random(7)
        self.transport.write(b"* 1 FETCH (UID 1 BODY[1] {%d}\r\n" % SIZE)
        self.paused = False
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        while self.left and not self.paused:
            self.left -= AT_ONCE
            self.transport.write(self.random.randbytes(AT_ONCE))
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.write(b")\r\n* 5 EXISTS\r\n%s OK\r\n" % self.tag)

    def stopProducing(self) -> None:
        self.paused = True


class _Flow(Plain):
    word = "FLOW"

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def line(self) -> Sequence[Piece]:
        return [b"FLOW"]

    def sink(self, pieces: Sequence[Piece], size: int) -> Callable[[bytes], None] | None:
        return self._write


class FlowTests(TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        authority = Authority(self.directory)
        pair = authority.server(("127.0.0.1",))
        self.policy = TlsPolicy(ca=authority.ca)
        factory = Factory.forProtocol(_Mail)
        factory.noisy = False
        context = ssl.DefaultOpenSSLContextFactory(str(pair.key), str(pair.certificate))
        self.plain = clock.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self.plain.stopListening)
        self.secure = clock.listenSSL(0, factory, context, interface="127.0.0.1")
        self.addCleanup(self.secure.stopListening)

    async def flow(self, *, tls: bool, paused: bool) -> None:
        news: list[Response] = []
        digest = sha256()
        counts = {"taken": 0, "while paused": 0, "pauses": 0, "most": 0}
        held = False

        def go_on() -> None:
            nonlocal held
            held = False
            counts["while paused"] = 0
            connection.resume()

        def write(octets: bytes) -> None:
            nonlocal held
            digest.update(octets)
            counts["taken"] += len(octets)
            if held:
                counts["while paused"] += len(octets)
                counts["most"] = max(counts["most"], counts["while paused"])
            elif paused:
                held = True
                counts["pauses"] += 1
                connection.pause()
                clock.callLater(0.002, go_on)

        dialer = Dialer(reactor=clock, contexts=Contexts())
        connection: Connection = await dialer.connect(
            lambda: Connection(clock, "127.0.0.1", news.append),
            "127.0.0.1",
            (self.secure if tls else self.plain).getHost().port,
            tls=self.policy if tls else None,
            deadline=Deadline.after(clock, 20),
        )
        try:
            await connection.greeting()
            await connection.run(_Flow(write))
        finally:
            connection.abort("it is over")
            await connection.gone()
        random = Random(7)
        expected = sha256()
        for _ in range(SIZE // AT_ONCE):
            expected.update(random.randbytes(AT_ONCE))
        self.assertEqual((counts["taken"], digest.digest()), (SIZE, expected.digest()))
        self.assertEqual(len(news), 2)
        if paused:
            self.assertGreater(counts["pauses"], 20)
            self.assertLessEqual(counts["most"], AT_ONCE)

    def test_flow(self) -> Deferred[None]:
        """All of it comes, in order, and what follows it."""
        return Deferred.fromCoroutine(self.flow(tls=False, paused=False))

    def test_flow_tls(self) -> Deferred[None]:
        """So it does with TLS."""
        return Deferred.fromCoroutine(self.flow(tls=True, paused=False))

    def test_pauses(self) -> Deferred[None]:
        """A consumer that pauses most of the time gets no more than it wants, and all of it."""
        return Deferred.fromCoroutine(self.flow(tls=False, paused=True))

    def test_pauses_tls(self) -> Deferred[None]:
        """So it does with TLS."""
        return Deferred.fromCoroutine(self.flow(tls=True, paused=True))
