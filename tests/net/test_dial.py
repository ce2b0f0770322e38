"""Dialling: every address of a name, one deadline, the error that tells most."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.deadline import Deadline
from emailengine.errors import ConnectFailed, TimedOut, TlsFailed
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy

ADDRESSES: dict[str, list[Any]] = {
    "two.example": [IPv6Address("TCP", "2001:db8::1", 993), IPv4Address("TCP", "192.0.2.1", 993)],
    "203.0.113.1": [IPv4Address("TCP", "203.0.113.1", 1080)],
    "one.example": [IPv4Address("TCP", "192.0.2.1", 993)],
}


class _Resolution:
    def __init__(self, *, temporary: bool = False) -> None:
        self.temporary = temporary
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class _Resolver:
    def __init__(self) -> None:
        self.last: _Resolution | None = None

    def resolveHostName(self, receiver: Any, name: str, port: int) -> _Resolution:
        self.last = _Resolution(temporary=name == "nobody.example")
        receiver.resolutionBegan(self.last)
        if name != "slow.example":
            for one in ADDRESSES.get(name, []):
                receiver.addressResolved(one)
            receiver.resolutionComplete()
        return self.last


class _Connector:
    def __init__(self) -> None:
        self.given_up = False

    def disconnect(self) -> None:
        self.given_up = True


class _Reactor(MemoryReactorClock):
    def __init__(self) -> None:
        super().__init__()
        self.names = _Resolver()
        self.nameResolver: Any = self.names
        self.dialled: list[tuple[str, Any, Any, _Connector]] = []

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        connector = _Connector()
        self.dialled.append((host, factory, bindAddress, connector))
        return connector

    def succeed(self, n: int) -> StringTransport:
        transport = StringTransport()
        self.dialled[n][1].buildProtocol(None).makeConnection(transport)
        self.advance(0)
        return transport

    def fail(self, n: int, error: Exception) -> None:
        _, factory, _, connector = self.dialled[n]
        factory.clientConnectionFailed(connector, Failure(error))


class DialerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = _Reactor()
        self.dialer = Dialer(reactor=self.reactor, contexts=Contexts())

    def tearDown(self) -> None:
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def connect(self, host: str, tls: TlsPolicy | None = None, **options: Any) -> Deferred[Any]:
        deadline = Deadline.after(self.reactor, 10)
        return Deferred.fromCoroutine(self.dialer.connect(Protocol, host, 993, tls=tls, deadline=deadline, **options))

    @property
    def dialled(self) -> list[str]:
        return [one[0] for one in self.reactor.dialled]

    def test_first(self) -> None:
        """The first address that answers within its time is the only one dialled."""
        made = self.connect("two.example")
        transport = self.reactor.succeed(0)
        self.assertIs(self.successResultOf(made).transport, transport)
        self.assertEqual(self.dialled, ["2001:db8::1"])

    def test_next_after_failure(self) -> None:
        """A failure brings the next address at once."""
        made = self.connect("two.example")
        self.reactor.fail(0, ConnectionRefusedError(111))
        self.assertEqual(self.dialled, ["2001:db8::1", "192.0.2.1"])
        transport = self.reactor.succeed(1)
        self.assertIs(self.successResultOf(made).transport, transport)

    def test_next_after_silence(self) -> None:
        """An address that is silent gets company after a moment; the one that loses is given up."""
        made = self.connect("two.example")
        self.reactor.advance(0.31)
        self.assertEqual(self.dialled, ["2001:db8::1", "192.0.2.1"])
        transport = self.reactor.succeed(1)
        self.assertIs(self.successResultOf(made).transport, transport)
        self.assertTrue(self.reactor.dialled[0][3].given_up)

    def test_all_fail(self) -> None:
        """When all fail, the error is the first one that is not about a family that we lack."""
        made = self.connect("two.example")
        self.reactor.fail(0, ConnectError(101))
        self.reactor.fail(1, ConnectionRefusedError(111))
        error = self.failureResultOf(made, ConnectFailed).value
        self.assertEqual((error.code, error.status, error.transient), ("ECONNREFUSED", 503, True))

    def test_deadline(self) -> None:
        """At the deadline everything under way is given up."""
        made = self.connect("two.example")
        self.reactor.advance(0.31)
        self.reactor.advance(10)
        self.assertEqual(self.failureResultOf(made, TimedOut).value.code, "ETIMEDOUT")
        self.assertEqual([one[3].given_up for one in self.reactor.dialled], [True, True])

    def test_deadline_while_resolving(self) -> None:
        """The deadline is over resolving, too."""
        made = self.connect("slow.example")
        self.reactor.advance(10)
        self.failureResultOf(made, TimedOut)
        assert self.reactor.names.last is not None
        self.assertTrue(self.reactor.names.last.cancelled)

    def test_cancelled(self) -> None:
        """Who does not want the connection any more leaves nothing behind."""
        made = self.connect("one.example")
        made.cancel()
        self.failureResultOf(made, CancelledError)
        self.assertTrue(self.reactor.dialled[0][3].given_up)

    def test_no_address(self) -> None:
        """A name that is nowhere, one that nobody could tell, and what is no name."""
        for host, code in (("none.example", "ENOTFOUND"), ("nobody.example", "EAI_AGAIN"), ("a..b", "ENOTFOUND")):
            self.assertEqual(self.failureResultOf(self.connect(host), ConnectFailed).value.code, code)
        self.assertEqual(self.dialled, [])

    def test_local_address(self) -> None:
        """A local address is bound to, and only addresses of its family are dialled."""
        made = self.connect("two.example", local_address="198.51.100.1")
        self.assertEqual([one[::2] for one in self.reactor.dialled], [("192.0.2.1", ("198.51.100.1", 0))])
        self.reactor.succeed(0)
        self.successResultOf(made)
        error = self.failureResultOf(self.connect("one.example", local_address="2001:db8::9"), ConnectFailed).value
        self.assertEqual(error.code, "EADDRNOTAVAIL")

    def test_proxy(self) -> None:
        """With a proxy its addresses are dialled, not the mail server's, from the local address; then it is asked."""
        url = "socks5://two.example:1080"
        made = self.connect("mail.example", TlsPolicy(), proxy=url, local_address="198.51.100.1")
        self.assertEqual([one[::2] for one in self.reactor.dialled], [("192.0.2.1", ("198.51.100.1", 0))])
        transport = self.reactor.succeed(0)
        self.assertEqual(transport.value(), b"\x05\x01\x00")
        self.assertEqual(vars(transport)["bufferSize"], 16_384)
        made.cancel()
        self.failureResultOf(made, CancelledError)
        self.assertTrue(transport.disconnected or transport.disconnecting)

    def test_proxy_race(self) -> None:
        """Each address of a proxy has a dialogue of its own; what becomes of the one that lost is nobody's affair."""
        made = self.connect("mail.example", proxy="http://anna:hunter2@two.example")
        self.reactor.advance(0.31)
        first, second = (one[1].buildProtocol(None) for one in self.reactor.dialled)
        first.makeConnection(StringTransport())
        second.makeConnection(StringTransport())
        self.reactor.advance(0)
        second.connectionLost(Failure(ConnectionDone()))
        del second
        self.assertNoResult(made)
        first.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertIs(self.successResultOf(made).transport, first.transport)

    def test_proxy_for_addresses(self) -> None:
        """SOCKS 4 is told an address that we resolve, and no other than IPv4."""
        made = self.connect("two.example", proxy="socks4://203.0.113.1")
        self.assertEqual(self.dialled, ["203.0.113.1"])
        self.assertEqual(self.reactor.succeed(0).value(), b"\x04\x01\x03\xe1\xc0\x00\x02\x01\x00")
        made.cancel()
        self.failureResultOf(made)
        for host, url in (("2001:db8::1", "socks4a://p.example"), ("2001:db8::1", "socks4://p.example")):
            error = self.failureResultOf(self.connect(host, proxy=url), ConnectFailed).value
            self.assertEqual(error.code, "EPROXY")
        self.assertEqual(len(self.dialled), 1)

    def test_proxy_wrong(self) -> None:
        """A URL that is none dials nobody, and is not shown; a proxy that is nowhere is named."""
        error = self.failureResultOf(self.connect("one.example", proxy="x://a:hunter2@p"), ConnectFailed).value
        self.assertEqual((error.code, error.transient), ("EPROXY", False))
        self.assertNotIn("hunter2", error.message)
        error = self.failureResultOf(self.connect("one.example", proxy="http://none.example"), ConnectFailed).value
        self.assertEqual(error.code, "EPROXY")
        self.assertIn("none.example was not found", error.message)
        self.assertEqual(self.dialled, [])

    def test_tls(self) -> None:
        """With a policy the protocol that is built talks through TLS, and TLS begins at once."""
        made = self.connect("one.example", tls=TlsPolicy())
        transport = self.reactor.succeed(0)
        protocol = self.successResultOf(made)
        self.assertIs(type(protocol), Protocol)
        self.assertIsInstance(protocol.transport, TLSMemoryBIOProtocol)
        self.assertEqual(transport.value()[:1], b"\x16")  # a handshake record
        self.assertIn(b"one.example", transport.value())

    def test_impossible_policy(self) -> None:
        """A policy that cannot be followed dials nobody."""
        for policy in (TlsPolicy(min_version="SSLv3"), TlsPolicy(ca="not a certificate")):
            error = self.failureResultOf(self.connect("one.example", tls=policy), TlsFailed).value
            self.assertFalse(error.transient)
        self.assertEqual(self.dialled, [])
