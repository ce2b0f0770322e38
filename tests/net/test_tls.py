"""TLS in memory: which certificates are accepted for whom, and what is said of the others."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import connect, makeFakeClient, makeFakeServer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from emailengine.errors import ConnectFailed, ConnectionLost, EmailEngineError, TlsFailed
from emailengine.net.tls import Contexts, TlsPolicy, translate
from tests.integration.certificates import Authority, Pair


@implementer(IOpenSSLServerConnectionCreator)
class _Server:
    """The server's end; `name` is what the client asked for."""

    def __init__(self, pair: Pair, highest: int | None = None) -> None:
        self.name: bytes | None = None
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.use_certificate_file(str(pair.certificate))
        self._context.use_privatekey_file(str(pair.key))
        if highest is not None:
            self._context.set_min_proto_version(SSL.TLS1_VERSION)
            self._context.set_max_proto_version(highest)
            self._context.set_cipher_list(b"DEFAULT@SECLEVEL=0")
        self._context.set_tlsext_servername_callback(self._asked)

    def _asked(self, connection: SSL.Connection) -> None:
        self.name = connection.get_servername()

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return SSL.Connection(self._context, None)


class _Client(Protocol):
    def __init__(self) -> None:
        self.heard = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.lost = reason


class _Greeter(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"* OK hello\r\n")


class CertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.authority = Authority(self.directory)
        self.contexts = Contexts()
        self.server: _Server

    def shake(
        self, pair: Pair, host: str, policy: TlsPolicy | None = None, highest: int | None = None
    ) -> EmailEngineError | None:
        """What a client hears of a server with this certificate: None if it is accepted."""
        clock, client = Clock(), _Client()
        self.server = _Server(pair, highest)
        creator = self.contexts.creator(policy or TlsPolicy(ca=self.authority.ca), host)
        theirs = TLSMemoryBIOFactory(self.server, False, Factory.forProtocol(_Greeter), clock)
        ours = TLSMemoryBIOFactory(creator, True, Factory.forProtocol(lambda: client), clock)
        server, protocol = theirs.buildProtocol(None), ours.buildProtocol(None)
        pump = connect(server, makeFakeServer(server), protocol, makeFakeClient(protocol))
        for _ in range(5):
            clock.advance(1)
            pump.flush()
        if client.lost is not None:
            self.assertEqual(client.heard, b"")
            return translate(client.lost, host)
        self.assertEqual(client.heard, b"* OK hello\r\n")
        return None

    def assertRefused(self, error: EmailEngineError | None, code: str, *words: str) -> None:
        self.assertIsInstance(error, TlsFailed)
        assert error is not None
        self.assertEqual(error.code, code)
        for one in words:
            self.assertIn(one, error.message)

    def test_accepted(self) -> None:
        """A certificate for the name, or for the address, is accepted; SNI tells names and never addresses."""
        pair = self.authority.server(
            ("mail.example.com", "*.example.net", "192.0.2.1", "2001:db8::1", "a_b.example.com")
        )
        for host, name in (
            ("mail.example.com", b"mail.example.com"),
            ("MAIL.example.com.", b"mail.example.com"),
            ("x.example.net", b"x.example.net"),
            ("a_b.example.com", b"a_b.example.com"),
            ("192.0.2.1", None),
            ("[2001:db8::1]", None),
        ):
            self.assertIsNone(self.shake(pair, host), host)
            self.assertEqual(self.server.name, name)

    def test_wrong_host(self) -> None:
        """Names and addresses must be those of the certificate; wildcards stand for one label."""
        pair = self.authority.server(("mail.example.com", "*.example.net", "192.0.2.1"))
        for host in ("example.com", "x.y.example.net", "example.net", "192.0.2.2", "2001:db8::1"):
            self.assertRefused(self.shake(pair, host), "ERR_TLS_CERT_ALTNAME_INVALID", host, "DNS:mail.example.com")
        nameless = self.authority.server(())
        self.assertRefused(self.shake(nameless, "nobody"), "ERR_TLS_CERT_ALTNAME_INVALID")

    def test_dates(self) -> None:
        """Certificates have their time; that comes before all else that may be wrong with them."""
        self.assertRefused(self.shake(self.authority.server(expired=True), "localhost"), "CERT_HAS_EXPIRED", "expired")
        self.assertRefused(self.shake(self.authority.server(early=True), "localhost"), "CERT_NOT_YET_VALID")
        strange = self.authority.server(expired=True, self_signed=True)
        self.assertRefused(self.shake(strange, "localhost"), "CERT_HAS_EXPIRED")

    def test_unknown_authority(self) -> None:
        """Only authorities of the policy are trusted: the platform's, or in their place the account's own."""
        pair = self.authority.server()
        other = Authority(self.directory, "Other Authority")
        code = "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
        self.assertRefused(self.shake(pair, "localhost", TlsPolicy(ca=other.ca)), code, "first certificate")
        self.assertRefused(self.shake(pair, "localhost", TlsPolicy()), code)
        self.assertIsNone(self.shake(pair, "localhost", TlsPolicy(ca=other.ca + self.authority.ca)))

    def test_self_signed(self) -> None:
        """A self-signed certificate is refused, unless it is itself what the policy trusts."""
        pair = self.authority.server(self_signed=True)
        self.assertRefused(self.shake(pair, "localhost"), "DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed")
        self.assertIsNone(self.shake(pair, "localhost", TlsPolicy(ca=pair.certificate.read_text())))

    def test_unverified(self) -> None:
        """Where verification is off everything is accepted, and the name is told all the same."""
        pair = self.authority.server(("mail.example.com",), expired=True, self_signed=True)
        self.assertIsNone(self.shake(pair, "localhost", TlsPolicy(verify=False)))
        self.assertEqual(self.server.name, b"localhost")

    def test_versions(self) -> None:
        """Versions below the policy's are not spoken."""
        pair = self.authority.server()
        ca = self.authority.ca
        self.assertIsNone(self.shake(pair, "localhost", TlsPolicy(ca=ca), SSL.TLS1_2_VERSION))
        error = self.shake(pair, "localhost", TlsPolicy(ca=ca, min_version="TLSv1.3"), SSL.TLS1_2_VERSION)
        self.assertIsInstance(error, TlsFailed)
        assert error is not None
        self.assertIn("ERR_SSL_", error.code or "")

    def test_old_versions(self) -> None:
        """Servers that speak nothing newer than TLS 1.0 or 1.1 are spoken with where the policy allows it, only there."""
        pair = self.authority.server()
        ca = self.authority.ca
        for highest, allowed, refused in (
            (SSL.TLS1_VERSION, ("TLSv1",), ("TLSv1.1", "TLSv1.2", "TLSv1.3")),
            (SSL.TLS1_1_VERSION, ("TLSv1", "TLSv1.1"), ("TLSv1.2",)),
        ):
            for version in allowed:
                self.assertIsNone(self.shake(pair, "localhost", TlsPolicy(ca=ca, min_version=version), highest))
            for version in refused:
                error = self.shake(pair, "localhost", TlsPolicy(ca=ca, min_version=version), highest)
                self.assertIsInstance(error, TlsFailed, version)
            wrong = self.shake(pair, "other.example", TlsPolicy(ca=ca, min_version="TLSv1"), highest)
            self.assertRefused(wrong, "ERR_TLS_CERT_ALTNAME_INVALID")
        newest = TlsPolicy(ca=ca, min_version="TLSv1")
        self.assertIsNone(self.shake(pair, "localhost", newest, SSL.TLS1_3_VERSION))

    def test_words(self) -> None:
        """What is wrong with a certificate is said in words that people can search for."""
        self.assertEqual(
            self.told(self.shake(self.authority.server(), "localhost", TlsPolicy(verify=True))),
            "The certificate of localhost is not accepted: unable to verify the first certificate",
        )
        self.assertEqual(
            self.told(self.shake(self.authority.server(expired=True), "localhost")),
            "The certificate of localhost is not accepted: certificate has expired",
        )
        self.assertEqual(
            self.told(self.shake(self.authority.server(self_signed=True), "localhost")),
            "The certificate of localhost is not accepted: self-signed certificate",
        )
        self.assertEqual(
            self.told(self.shake(self.authority.server(("a.example",)), "b.example")),
            "Hostname/IP does not match certificate's altnames: Host: b.example. is not in the cert's altnames: "
            "DNS:a.example",
        )

    def told(self, error: EmailEngineError | None) -> str:
        assert error is not None
        return error.message

    def test_shared_context(self) -> None:
        """Connections of a policy share their context, whatever the host; the policies of accounts are bounded."""
        creator: Any = self.contexts.creator(TlsPolicy(), "a.example")
        again: Any = self.contexts.creator(TlsPolicy(), "b.example")
        self.assertIs(creator._context, again._context)
        for n in range(100):
            self.contexts.creator(TlsPolicy(ca=f"{self.authority.ca}\n{n}"), "a.example")
        self.assertLessEqual(len(self.contexts._own), 64)

    def test_no_host(self) -> None:
        """What is no host is an error of ours at once."""
        self.assertRaises(ConnectFailed, self.contexts.creator, TlsPolicy(), "a..b")


class TranslateTests(SynchronousTestCase):
    def test_errors(self) -> None:
        """Errors of sockets, names and TLS get the words that programs compare."""
        from twisted.internet import error as failing

        for error, kind, code in (
            (failing.ConnectionRefusedError(111), ConnectFailed, "ECONNREFUSED"),
            (failing.NoRouteError(113), ConnectFailed, "EHOSTUNREACH"),
            (failing.ConnectBindError(99), ConnectFailed, "EADDRNOTAVAIL"),
            (failing.TimeoutError(), ConnectFailed, "ETIMEDOUT"),
            (failing.TCPTimedOutError(110), ConnectFailed, "ETIMEDOUT"),
            (failing.DNSLookupError(), ConnectFailed, "ENOTFOUND"),
            (failing.ConnectionDone(), ConnectionLost, "ECONNRESET"),
            (failing.ConnectionLost(), ConnectionLost, "ECONNRESET"),
            (OSError(101, "x"), ConnectFailed, "ENETUNREACH"),
            (ValueError("x"), ConnectFailed, "ECONNECTION"),
            (SSL.Error([("SSL routines", "", "wrong version number")]), TlsFailed, "ERR_SSL_WRONG_VERSION_NUMBER"),
            (SSL.Error(), TlsFailed, "ETLS"),
        ):
            told = translate(Failure(error), "mail.example.com")
            self.assertIs(type(told), kind, error)
            self.assertEqual(told.code, code)
            self.assertIn("mail.example.com", told.message)
        ours = ConnectFailed("x")
        self.assertIs(translate(ours, "h"), ours)
