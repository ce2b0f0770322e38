"""Through real proxies on loopback to a real mail server behind them, with TLS and STARTTLS."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from emailengine.core.deadline import Deadline
from emailengine.errors import ConnectFailed, TimedOut, TlsFailed
from emailengine.imap.commands.auth import Capabilities
from emailengine.imap.connection import Connection
from emailengine.net.dial import Dialer
from emailengine.net.proxies import Tunnel
from emailengine.net.tls import Contexts, TlsPolicy
from tests.integration.certificates import Authority, Pair
from tests.integration.net.proxy import ProxyServer

LOGIN = "anna:hunter2"
clock: Any = reactor


class _Mail(Protocol):
    """Greets, lists its capabilities, starts TLS."""

    transport: Any

    def __init__(self, pair: Pair) -> None:
        self._pair = pair

    def connectionMade(self) -> None:
        self.transport.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")

    def dataReceived(self, data: bytes) -> None:
        tag, _, word = data.strip().partition(b" ")
        if word == b"STARTTLS":
            self.transport.write(tag + b" OK go on\r\n")
            self.transport.startTLS(_context(self._pair))
        else:
            self.transport.write(b"* CAPABILITY IMAP4rev1 X-" + b"BEHIND" * 3000 + b"\r\n" + tag + b" OK\r\n")


def _context(pair: Pair) -> ssl.DefaultOpenSSLContextFactory:
    return ssl.DefaultOpenSSLContextFactory(str(pair.key), str(pair.certificate))


class ProxyTests(TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        authority = Authority(self.directory)
        self.pair = authority.server(("mail.example.com", "127.0.0.1"))
        self.policy = TlsPolicy(ca=authority.ca)
        factory = Factory.forProtocol(lambda: _Mail(self.pair))
        factory.noisy = False
        self.plain = clock.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self.plain.stopListening)
        self.secure = clock.listenSSL(0, factory, _context(self.pair), interface="127.0.0.1")
        self.addCleanup(self.secure.stopListening)
        self.contexts = Contexts()
        self.dialer = Dialer(reactor=clock, contexts=self.contexts, proxy_tls=self.policy)
        self.connections: list[Connection] = []

    async def tearDown(self) -> None:  # type: ignore[override]
        for one in self.connections:
            one.abort("the test is over")
            await one.gone()
        for _ in range(100):
            if not any(one.open for one in self.proxies):
                break
            await deferLater(clock, 0.01)
        self.assertEqual([one.open for one in self.proxies], [0] * len(self.proxies))

    @property
    def proxies(self) -> list[ProxyServer]:
        return self.__dict__.setdefault("_proxies", [])  # type: ignore[no-any-return]

    def proxy(self, to: Any, *, pair: Pair | None = None, **options: Any) -> ProxyServer:
        proxy = ProxyServer(clock, None if to is None else to.getHost().port, **options).start(pair)
        self.addCleanup(proxy.stop)
        self.proxies.append(proxy)
        return proxy

    async def connect(self, url: str, *, tls: bool = True, host: str = "mail.example.com", seconds: float = 10) -> Any:
        made = await self.dialer.connect(
            lambda: Connection(clock, host, lambda _: None),
            host,
            993,
            tls=self.policy if tls else None,
            deadline=Deadline.after(clock, seconds),
            proxy=url,
        )
        self.connections.append(made)
        return made

    async def check(self, connection: Connection) -> None:
        """It works, and nothing of the tunnel is left in its way."""
        greeting = await connection.greeting()
        self.assertEqual(greeting.text, "ready")
        offered = await connection.run(Capabilities())
        self.assertTrue(any(one.startswith("X-BEHIND") for one in offered))
        layer: Any = connection.transport
        while layer is not None:
            self.assertNotIsInstance(getattr(layer, "wrappedProtocol", getattr(layer, "protocol", None)), Tunnel)
            below = getattr(layer, "transport", None)
            if below is None:
                self.assertEqual(layer.bufferSize, 16_384)
            layer = below

    async def test_every_kind(self) -> None:
        """Each kind leads to a server with TLS, verified by the mail server's name, which the proxy resolves."""
        for kind in ("socks", "socks5", "socks4a", "http", "https"):
            for slowly in (False, True):
                login = "anna" if kind == "socks4a" else LOGIN
                pair = self.pair if kind == "https" else None
                proxy = self.proxy(self.secure, pair=pair, login=login, slowly=slowly)
                await self.check(await self.connect(f"{kind}://{login}@127.0.0.1:{proxy.port}"))
                self.assertEqual(proxy.asked, [("mail.example.com", 993)])

    async def test_without_login(self) -> None:
        """Proxies that want no login get none."""
        for kind in ("socks5", "socks4", "socks4a", "http", "https"):
            proxy = self.proxy(self.secure, pair=self.pair if kind == "https" else None)
            await self.check(await self.connect(f"{kind}://127.0.0.1:{proxy.port}", host="127.0.0.1"))
            self.assertEqual(proxy.asked, [("127.0.0.1", 993)])

    async def test_one_segment(self) -> None:
        """A greeting that comes in one segment with the proxy's answer is not lost."""
        for kind in ("socks5", "socks4a", "http", "https"):
            proxy = self.proxy(self.plain, pair=self.pair if kind == "https" else None, together=True)
            await self.check(await self.connect(f"{kind}://127.0.0.1:{proxy.port}", tls=False))

    async def test_starttls(self) -> None:
        """STARTTLS is with the mail server, also inside of TLS with the proxy."""
        for kind in ("socks5", "http", "https"):
            proxy = self.proxy(self.plain, pair=self.pair if kind == "https" else None)
            connection = await self.connect(f"{kind}://127.0.0.1:{proxy.port}", tls=False)
            await connection.greeting()
            await connection.secure(self.contexts.creator(self.policy, "mail.example.com"))
            await connection.run(Capabilities())
            certificate = connection.transport.getPeerCertificate()
            self.assertIsNotNone(certificate)

    async def test_wrong_certificate(self) -> None:
        """A proxy that leads to another server is found out by the certificate."""
        for kind in ("socks5", "https"):
            proxy = self.proxy(self.secure, pair=self.pair if kind == "https" else None)
            connection = await self.connect(f"{kind}://127.0.0.1:{proxy.port}", host="other.example.com")
            with self.assertRaises(TlsFailed) as raised:
                await connection.run(Capabilities())
            self.assertEqual(raised.exception.code, "ERR_TLS_CERT_ALTNAME_INVALID")

    async def assertRefused(self, url: str, *told: str) -> None:
        with self.assertRaises(ConnectFailed) as raised:
            await self.connect(url)
        self.assertEqual(raised.exception.code, "EPROXY")
        for one in told:
            self.assertIn(one, raised.exception.message)
        self.assertNotIn("hunter2", raised.exception.message)

    async def test_refusals(self) -> None:
        """Wrong logins, servers out of reach, proxies that are not there or not who they say: each in its words."""
        for kind, wrong in (("socks5", "anna:hunter2x"), ("socks4a", "hunter2x"), ("http", "anna:hunter2x")):
            proxy = self.proxy(self.secure, login=LOGIN)
            await self.assertRefused(f"{kind}://{wrong}@127.0.0.1:{proxy.port}", f"{kind}://127.0.0.1", "refuses")
        for kind in ("socks5", "socks4a", "http"):
            proxy = self.proxy(None)
            await self.assertRefused(f"{kind}://127.0.0.1:{proxy.port}", "refuses")
        await self.assertRefused(f"socks5://a:hunter2@127.0.0.1:{self.free()}", "Connection refused")
        await self.assertRefused(f"https://a:hunter2@127.0.0.1:{self.plain.getHost().port}", "TLS", "wrong version")
        self.dialer.proxy_tls = TlsPolicy()
        proxy = self.proxy(self.secure, pair=self.pair)
        await self.assertRefused(f"https://a:hunter2@127.0.0.1:{proxy.port}", "not accepted")
        self.assertEqual(proxy.asked, [])
        await self.assertRefused("gopher://a:hunter2@127.0.0.1", "must be a URL of the kind")

    def free(self) -> int:
        port = clock.listenTCP(0, Factory(), interface="127.0.0.1")
        number: int = port.getHost().port
        self.addCleanup(port.stopListening)
        port.stopListening()
        return number

    async def test_deadline(self) -> None:
        """The deadline is over the proxy's answer too; nothing is left behind."""
        proxy = self.proxy(self.secure, silent=True)
        with self.assertRaises(TimedOut) as raised:
            await self.connect(f"socks5://127.0.0.1:{proxy.port}", seconds=0.2)
        self.assertIn("proxy", raised.exception.message)
        self.assertEqual(raised.exception.code, "ETIMEDOUT")

    async def test_cancelled(self) -> None:
        """Who gives up while the proxy is asked leaves nothing behind."""
        proxy = self.proxy(self.secure, silent=True)
        going = Deferred.fromCoroutine(self.connect(f"socks5://127.0.0.1:{proxy.port}"))
        while not proxy.open:
            await deferLater(clock, 0.005)
        going.cancel()
        self.failureResultOf(going)
