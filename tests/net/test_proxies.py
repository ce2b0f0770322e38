"""Dialogues with proxies as values, and the step from a proxy's answer to the protocol behind it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectFailed
from emailengine.model.proxy import read_proxy
from emailengine.net.hosts import Host, read_host
from emailengine.net.proxies import Talk, Tunnel, dialogue

NAME = read_host("mail.example.com")
SOCKS5 = b"\x05\x01\x00\x03\x10mail.example.com\x03\xe1"
BOUND = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def talk(url: str, host: Host = NAME) -> Talk:
    proxy = read_proxy(url)
    return Talk(proxy, dialogue(proxy, host, 993))


def held(url: str, answers: list[bytes], host: Host = NAME, size: int = 1) -> list[bytes]:
    """What we say to these answers, each given in pieces of some size; the last one has the greeting behind it."""
    going = talk(url, host)
    said = [going.begin()]
    for n, answer in enumerate(answers):
        reply = b""
        for start in range(0, len(answer), size):
            assert not going.done, answer[:start]
            reply += going.feed(answer[start : start + size])
        if n < len(answers) - 1:
            said.append(reply)
    assert going.done
    assert going.feed(b"* OK") == b""
    assert going.rest.endswith(b"* OK"), going.rest
    return said


class DialogueTests(SynchronousTestCase):
    def assertSaid(self, url: str, answers: list[bytes], said: list[bytes], host: Host = NAME) -> None:
        for size in (1, 2, 3, 1000):
            self.assertEqual(held(url, answers, host, size), said, size)

    def test_socks5(self) -> None:
        """Without a login none is offered; the name goes to the proxy; any kind of bound address may come back."""
        for bound in (
            BOUND,
            b"\x05\x00\x00\x03\x00\x00\x00",
            b"\x05\x00\x00\x03\x05hello\x00\x01",
            b"\x05\x00\x00\x04" + bytes(18),
        ):
            self.assertSaid("socks5://p", [b"\x05\x00", bound], [b"\x05\x01\x00", SOCKS5])

    def test_socks5_addresses(self) -> None:
        """Addresses are sent as such."""
        for host, sent in (("192.0.2.1", b"\x01\xc0\x00\x02\x01"), ("[2001:db8::1]", b"\x04\x20\x01\x0d\xb8")):
            going = talk("socks://p", read_host(host))
            going.begin()
            self.assertTrue(going.feed(b"\x05\x00").startswith(b"\x05\x01\x00" + sent))

    def test_socks5_login(self) -> None:
        """A login is offered beside going without; it is said where the proxy asks for it."""
        offer, login = b"\x05\x02\x00\x02", b"\x01\x04anna\x07hunter2"
        self.assertSaid("socks5://anna:hunter2@p", [b"\x05\x02", b"\x01\x00", BOUND], [offer, login, SOCKS5])
        self.assertSaid("socks5://anna:hunter2@p", [b"\x05\x00", BOUND], [offer, SOCKS5])

    def test_socks4(self) -> None:
        """SOCKS 4 says an address and a user id, 4a a name behind them."""
        head = b"\x04\x01\x03\xe1"
        granted = b"\x00\x5a" + bytes(6)
        address = read_host("192.0.2.1")
        self.assertSaid("socks4://p", [granted], [head + b"\xc0\x00\x02\x01\x00"], address)
        self.assertSaid("socks4a://me@p", [granted], [head + b"\xc0\x00\x02\x01me\x00"], address)
        self.assertSaid("socks4a://me@p", [granted], [head + b"\x00\x00\x00\x01me\x00mail.example.com\x00"])

    def test_connect(self) -> None:
        """CONNECT with the login, if there is one; any 2xx will do, with whatever headers and line ends."""
        asked = b"CONNECT mail.example.com:993 HTTP/1.1\r\nHost: mail.example.com:993\r\n"
        for answer in (
            b"HTTP/1.1 200 Connection established\r\n\r\n",
            b"HTTP/1.0 200\r\nVia: x\r\nContent-Length: 99\r\n\r\n",
            b"HTTP/1.1 204 x\n\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ):
            self.assertSaid("http://p", [answer], [asked + b"\r\n"])
        login = b"Proxy-Authorization: Basic " + b64encode(b"anna:hunter2") + b"\r\n"
        self.assertSaid("https://anna:hunter2@p", [answer], [asked + login + b"\r\n"])
        self.assertTrue(talk("http://p", read_host("::1")).begin().startswith(b"CONNECT [::1]:993 HTTP/1.1\r\n"))

    def test_refused(self) -> None:
        """What proxies refuse is told in words, and neither the password nor what they made of it."""
        secret = b"hunter2 " + b64encode(b"anna:hunter2")
        for url, answers, told in (
            ("socks5://p", [b"\x05\xff"], "it wants a login"),
            ("socks5://anna:hunter2@p", [b"\x05\xff"], "accepts no login"),
            ("socks5://anna:hunter2@p", [b"\x05\x02", b"\x01\x01"], "login is not accepted"),
            ("socks5://p", [b"\x05\x00", b"\x05\x05"], "refused the connection"),
            ("socks5://p", [b"\x05\x00", b"\x05\x02\x00"], "rules"),
            ("socks5://p", [b"\x05\x00", b"\x05\x77"], "error 119"),
            ("socks4://me@p", [b"\x00\x5b" + bytes(6)], "rejected"),
            ("socks4://me@p", [b"\x00\x5d" + bytes(6)], "user id"),
            ("http://anna:hunter2@p", [b"HTTP/1.1 407 " + secret + b"\r\n\r\n"], "login is not accepted (407"),
            ("http://p", [b"HTTP/1.1 407 x\r\n\r\n"], "407 Proxy Authentication Required"),
            ("http://anna:hunter2@p", [b"HTTP/1.1 502 " + secret + b"\r\nX: hunter2\r\n\r\n"], "502 Bad Gateway"),
            ("http://p", [b"HTTP/1.1 599 hunter2\r\n\r\n"], "refuses: 599"),
            ("http://p", [b"HTTP/1.1 301 x\r\n\r\n"], "301 Moved"),
        ):
            self.assertRefused(url, answers, "refuses: ", told)

    def test_hostile(self) -> None:
        """What is no answer of a proxy is a refusal too, of bounded size."""
        for url, answers in (
            ("socks5://anna:hunter2@p", [b"\x04\x00"]),
            ("socks5://anna:hunter2@p", [b"\x05\x01"]),
            ("socks5://anna:hunter2@p", [b"HTTP/1.1 400 hunter2\r\n\r\n"]),
            ("socks5://p", [b"\x05\x02"]),  # no login was offered
            ("socks5://p", [b"\x05\x00", b"\x04\x00"]),
            ("socks5://p", [b"\x05\x00", b"\x05\x00\x00\x02"]),
            ("socks4://p", [b"\x05\x5a" + bytes(6)]),
            ("http://p", [b"* OK hunter2\r\n\r\n"]),
            ("http://p", [b"\r\n\r\n"]),
            ("http://p", [b"HTTP/1.1 20 x\r\n\r\n"]),
            ("http://p", [b"HTTP/1.1 200 OK\rX\r\n\r\n"]),
            ("http://p", [b"HTTP/1.1 100 x\r\n\r\n" * 6]),
            ("http://p", [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000]),
            ("http://p", [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n"]),
        ):
            self.assertRefused(url, answers, "")

    @given(
        st.sampled_from(("socks5://a:hunter2@p", "socks4a://a@p", "http://a:hunter2@p")),
        st.lists(
            st.binary(max_size=40)
            | st.sampled_from((b"\x05\x02", b"\x01\x00", BOUND, b"\x00\x5a", b"HTTP/1.1 200 \r\n", b"\r\n\r\n")),
            max_size=8,
        ),
    )
    def test_anything(self, url: str, pieces: list[bytes]) -> None:
        """Whatever a proxy says ends in a tunnel, a refusal or more waiting, the same however it is cut."""
        outcomes = []
        for cut in (pieces, [bytes([one]) for piece in pieces for one in piece]):
            going, told = talk(url), "waits"
            said = going.begin()
            try:
                for one in cut:
                    said += going.feed(one)
            except ConnectFailed as error:
                told, said = error.message, b""
            outcomes.append((told, said, going.done, going.rest if going.done else b""))
        self.assertEqual(outcomes[0], outcomes[1])

    def assertRefused(self, url: str, answers: list[bytes], *told: str) -> None:
        host = read_host("192.0.2.1") if url.startswith("socks4:") else NAME
        for size in (1, 10_000):
            going = talk(url, host)
            going.begin()

            def feed(going: Talk = going, size: int = size) -> None:
                for answer in answers:
                    for start in range(0, len(answer), size):
                        going.feed(answer[start : start + size])

            error = self.assertRaises(ConnectFailed, feed)
            self.assertEqual(error.code, "EPROXY")
            for one in told:
                self.assertIn(one, error.message)
            self.assertNotIn("hunter2", error.message)
            self.assertNotIn(b64encode(b"anna:hunter2").decode(), error.message)


class _Behind(Protocol):
    heard = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class _Transport(StringTransport):
    protocol: Any = None
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class TunnelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.proxy = read_proxy("socks5://anna:hunter2@p")
        self.behind: list[_Behind] = []
        self.tunnel = Tunnel(self.proxy, dialogue(self.proxy, NAME, 993), self._build)
        self.transport = _Transport()
        self.transport.protocol = self.tunnel
        self.tunnel.makeConnection(self.transport)

    def _build(self) -> _Behind:
        self.behind.append(_Behind())
        return self.behind[-1]

    def test_stands(self) -> None:
        """The protocol is made when the tunnel stands, takes the tunnel's place, and hears what came along."""
        stands = self.tunnel.stands()
        for octet in (b"\x05\x00" + BOUND)[:-1]:
            self.tunnel.dataReceived(bytes([octet]))
        self.assertEqual(self.behind, [])
        self.assertNoResult(stands)
        self.transport.clear()
        self.tunnel.dataReceived(b"\x00* OK greeting\r\n")
        behind: Any = self.successResultOf(stands)
        self.assertEqual([behind], self.behind)
        self.assertIs(self.transport.protocol, behind)
        self.assertIs(behind.transport, self.transport)
        self.assertEqual((self.behind[0].heard, self.transport.value()), (b"* OK greeting\r\n", b"hello"))

    def test_refused(self) -> None:
        """A refusal ends the connection; nothing is built."""
        stands = self.tunnel.stands()
        self.tunnel.dataReceived(b"\x05\xff" + b"x" * 100)
        self.tunnel.dataReceived(b"more")
        self.assertEqual(self.failureResultOf(stands, ConnectFailed).value.code, "EPROXY")
        self.tunnel.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.transport.aborted)
        self.assertEqual(self.behind, [])

    def test_lost(self) -> None:
        """A proxy that hangs up is named; it does not matter when one asks."""
        self.tunnel.dataReceived(b"\x05")
        self.tunnel.connectionLost(Failure(ConnectionDone()))
        error = self.failureResultOf(self.tunnel.stands(), ConnectFailed).value
        self.assertEqual(error.code, "EPROXY")
        self.assertEqual(error.message, "The proxy socks5://p:1080 cannot be used: the connection was closed")

    def test_cancelled(self) -> None:
        """Who does not want it any more leaves no connection, and builds nothing."""
        stands = self.tunnel.stands()
        stands.cancel()
        self.failureResultOf(stands, CancelledError)
        self.assertTrue(self.transport.aborted)
        self.tunnel.dataReceived(b"\x05\x00" + BOUND)
        self.tunnel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.behind, [])
