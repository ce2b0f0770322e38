"""The HTTP client against servers on the loopback address."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.web.server import Site

from emailengine.errors import ConnectFailed, ConnectionLost, EmailEngineError, ProtocolFault, TimedOut, TlsFailed
from emailengine.net.egress import Egress
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.outward.http import HttpClient, Response
from tests.integration.processes import free_port
from tests.outward.servers import Hook, NamingReactor, WebCase, self_signed


class HttpClientTests(WebCase):
    def client(
        self,
        *,
        policy: str = "link-local",
        names: dict[str, str] | None = None,
        tls: TlsPolicy = TlsPolicy(),  # noqa: B008
    ) -> HttpClient:
        client = HttpClient(reactor=NamingReactor(names or {}), contexts=Contexts(), egress=Egress(policy), tls=tls)
        client.startService()
        self.addCleanup(client.stopService)
        return client

    async def post(self, client: HttpClient, url: str, *headers: tuple[str, str], **more: Any) -> Response:
        return await client.post(url, b"{}", headers, **({"timeout": 5.0, "limit": 100} | more))

    async def refused(self, client: HttpClient, url: str, **more: Any) -> EmailEngineError:
        try:
            answer = await self.post(client, url, **more)
        except EmailEngineError as error:
            return error
        raise AssertionError(f"answered {answer}")

    async def test_as_written(self) -> None:
        """Headers go out with the names and in the order given, after the length; framing is not the caller's."""
        server, port = self.scripted(lambda peer: peer.transport.write(b"HTTP/1.1 204 No\r\nX-Y: 1\r\nx-y: 2\r\n\r\n"))
        answer = await self.post(
            self.client(),
            f"http://user:secret@127.0.0.1:{port}/a%2Fb?ü=1#there",
            ("X-EE-Wh-Id", "1"),
            ("content-length", "99"),
            ("Transfer-Encoding", "chunked"),
            ("b\tad", "x"),
            ("X-Text", "a\r\nInjected: ü"),
            ("X-Wide", "✓"),
        )
        self.assertEqual(answer, Response(204, {"x-y": "1, 2"}, b""))
        self.assertEqual(
            server.received,
            (
                f"POST /a%2Fb?%C3%BC=1 HTTP/1.1\r\nContent-Length: 2\r\nHost: 127.0.0.1:{port}\r\nX-EE-Wh-Id: 1\r\n"
                "X-Text: a  Injected: "
            ).encode()
            + b"\xfc\r\nX-Wide: \xe2\x9c\x93\r\n\r\n{}",
        )

    async def test_connection_is_kept(self) -> None:
        """Requests to one place, one after the other, use one connection."""
        hook, port = self.hook()
        client = self.client()
        for _ in range(3):
            self.assertEqual((await self.post(client, f"http://127.0.0.1:{port}/")).body, b"thanks")
        self.assertEqual(len(hook.peers), 1)

    async def test_closed_meanwhile(self) -> None:
        """A kept connection that ends before it says anything is no failure; one that ends again is."""
        answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ]

        def say(peer: Any) -> None:
            answer = answers.pop(0) if answers else b""
            if answer:
                peer.transport.write(answer)
            else:
                peer.transport.loseConnection()

        server, port = self.scripted(say)
        client = self.client()
        for _ in range(2):
            self.assertEqual((await self.post(client, f"http://127.0.0.1:{port}/")).status, 200)
        self.assertEqual(len(server.connections), 2)
        error = await self.refused(client, f"http://127.0.0.1:{port}/")
        self.assertIsInstance(error, ConnectionLost | ConnectFailed)
        self.assertEqual(server.received.count(b"POST"), 5)

    async def test_redirect_is_an_answer(self) -> None:
        """Nobody goes where a redirect points to."""
        hook, port = self.hook()
        hook.answer = lambda headers, body: 307
        hook.answer_headers = {"Location": f"http://127.0.0.1:{port}/elsewhere"}
        answer = await self.post(self.client(), f"http://127.0.0.1:{port}/")
        self.assertEqual(answer.status, 307)
        self.assertEqual(answer.headers["location"], f"http://127.0.0.1:{port}/elsewhere")
        self.assertEqual(len(hook.got), 1)

    async def test_no_cookies(self) -> None:
        """What one answer sets is not told with the next request."""
        hook, port = self.hook()
        hook.answer_headers = {"Set-Cookie": "a=b"}
        client = self.client()
        for _ in range(2):
            await self.post(client, f"http://127.0.0.1:{port}/")
        self.assertNotIn("cookie", hook.got[1][0])

    async def test_long_body(self) -> None:
        """A body is read to its end, kept up to the limit, and the connection serves the next request."""

        def say(peer: Any) -> None:
            peer.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300000)

        server, port = self.scripted(say)
        client = self.client()
        for _ in range(2):
            answer = await self.post(client, f"http://127.0.0.1:{port}/", limit=10)
            self.assertEqual(answer.body, b"x" * 10)
        self.assertEqual(len(server.connections), 1)

    async def test_body_without_length(self) -> None:
        """A body that the end of the connection ends is whole."""

        def say(peer: Any) -> None:
            peer.transport.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
            peer.transport.loseConnection()

        _, port = self.scripted(say)
        self.assertEqual((await self.post(self.client(), f"http://127.0.0.1:{port}/")).body, b"abc")

    async def test_deadline(self) -> None:
        """The deadline is over the head and the body of the answer, and closes the connection."""
        for said in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nslow"):
            server, port = self.scripted(lambda peer, said=said: peer.transport.write(said))  # type: ignore[misc]
            lost: Deferred[None] = Deferred()
            server.lost.append(lost)
            error = await self.refused(self.client(), f"http://127.0.0.1:{port}/", timeout=0.1)
            self.assertIsInstance(error, TimedOut)
            self.assertEqual(error.code, "ETIMEDOUT")
            await lost

    async def test_cancelled(self) -> None:
        """Whoever cancels a request gets its cancellation, and the connection is closed."""
        server, port = self.scripted(lambda peer: cancel())
        lost: Deferred[None] = Deferred()
        server.lost.append(lost)
        request = Deferred.fromCoroutine(self.post(self.client(), f"http://127.0.0.1:{port}/"))

        def cancel() -> None:
            request.cancel()

        await self.assertFailure(request, CancelledError)
        await lost

    async def test_trickle(self) -> None:
        """A server that says one octet after the other does not move the deadline."""

        async def trickle(peer: Any) -> None:
            peer.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while peer.transport.connected:
                peer.transport.write(b"x")
                await deferLater(reactor, 0.02)

        trickling: list[Deferred[None]] = []
        _, port = self.scripted(lambda peer: trickling.append(Deferred.fromCoroutine(trickle(peer))))
        error = await self.refused(self.client(), f"http://127.0.0.1:{port}/", timeout=0.2)
        self.assertIsInstance(error, TimedOut)
        for one in trickling:
            await one

    async def test_cut_short(self) -> None:
        """A body that ends too early, and what is no HTTP, are failures."""

        def short(peer: Any) -> None:
            peer.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nslow")
            peer.transport.loseConnection()

        _, port = self.scripted(short)
        error = await self.refused(self.client(), f"http://127.0.0.1:{port}/")
        self.assertIsInstance(error, ConnectionLost | ConnectFailed)
        _, port = self.scripted(lambda peer: peer.transport.write(b"SSH-2.0-OpenSSH\r\n\r\n"))
        error = await self.refused(self.client(), f"http://127.0.0.1:{port}/")
        self.assertIsInstance(error, ProtocolFault)

    async def test_any_name(self) -> None:
        """Names with an underscore, in any script, and addresses in brackets lead to their server."""
        hook, port = self.hook()
        client = self.client(names={"my_app": "127.0.0.1", "xn--bcher-kva.example": "127.0.0.1"})
        for host, said in (("my_app", "my_app"), ("Bücher.example", "xn--bcher-kva.example")):
            self.assertEqual((await self.post(client, f"http://{host}:{port}/")).status, 200)
            self.assertEqual(hook.got[-1][0]["host"], f"{said}:{port}")

    async def test_egress(self) -> None:
        """The address that a name leads to decides; nothing is sent to a forbidden one."""
        hook, port = self.hook()
        names = {
            "metadata.example": "169.254.169.254",
            "mapped.example": "::ffff:169.254.169.254",
            "hook.example": "127.0.0.1",
        }
        client = self.client(names=names)
        for host in ("metadata.example", "mapped.example", "169.254.169.254", "[fe80::1]"):
            error = await self.refused(client, f"http://{host}:{port}/")
            self.assertEqual((type(error), error.code), (ConnectFailed, "EEGRESSBLOCKED"), host)
        self.assertEqual((await self.post(client, f"http://hook.example:{port}/")).status, 200)
        self.assertEqual(hook.got[0][0]["host"], f"hook.example:{port}")
        error = await self.refused(self.client(policy="private", names=names), f"http://hook.example:{port}/")
        self.assertEqual(error.code, "EEGRESSBLOCKED")
        self.assertEqual(len(hook.got), 1)

    async def test_certificate(self) -> None:
        """A server whose certificate nobody vouches for gets nothing, and the failure has the known word."""
        hook = Hook()
        certificate = self_signed("127.0.0.1")
        listen: Any = reactor.listenSSL  # type: ignore[attr-defined]  # epoll's has it
        port = listen(0, Site(hook), certificate.options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"https://127.0.0.1:{port.getHost().port}/"
        error = await self.refused(self.client(), url)
        self.assertEqual((type(error), error.code), (TlsFailed, "DEPTH_ZERO_SELF_SIGNED_CERT"))
        self.assertEqual(hook.got, [])
        trusting = self.client(tls=TlsPolicy(ca=certificate.dumpPEM().decode()))
        for _ in range(2):
            self.assertEqual((await self.post(trusting, url)).status, 200)
        self.assertEqual(len(hook.peers), 1)

    async def test_no_connection(self) -> None:
        """Where nobody listens, a name that leads nowhere, a URL that is none: each has its word."""
        client = self.client()
        self.assertEqual((await self.refused(client, f"http://127.0.0.1:{free_port()}/")).code, "ECONNREFUSED")
        self.assertEqual((await self.refused(client, "http://nowhere.example/")).code, "ENOTFOUND")
        for url in ("ftp://127.0.0.1/", "http:///x", "http://a:b:c/", "http://[::1/"):
            self.assertEqual((await self.refused(client, url)).code, "EINVALIDURL", url)
