"""Web servers on the loopback address, inside the test's own process, and names that lead to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Nothing goes on."""


@implementer(IHostnameResolver)
class Names:
    """Resolves the names of a test, and addresses to themselves."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        address = self.names.get(hostName, hostName)
        if ":" in address:
            resolutionReceiver.addressResolved(IPv6Address("TCP", address, portNumber))
        elif address.replace(".", "").isdigit():
            resolutionReceiver.addressResolved(IPv4Address("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


class NamingReactor:
    """The reactor with names of the test's own."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.nameResolver = Names(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class Hook(Resource):
    """A target of webhooks: keeps what it gets, and answers as `answer` says (a status, or a Deferred of one)."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.raw: list[list[tuple[bytes, bytes]]] = []
        self.answer: Callable[[dict[str, str], bytes], int | Deferred[int]] = lambda headers, body: 200
        self.answer_headers: dict[str, str] = {}
        self.peers: set[tuple[str, int]] = set()
        self.working = 0
        self.most = 0
        self._expected: list[tuple[int, Deferred[None]]] = []

    def render_POST(self, request: Any) -> Any:
        headers = {
            name.decode().lower(): values[-1].decode("utf-8", "replace")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        body = request.content.read()
        self.peers.add((request.client.host, request.client.port))
        self.working += 1
        self.most = max(self.most, self.working)
        self.got.append((headers, body))
        status = self.answer(headers, body)
        for name, value in self.answer_headers.items():
            request.setHeader(name.encode(), value.encode())
        gone: list[bool] = []
        request.notifyFinish().addErrback(lambda _: gone.append(True))

        def finish(code: int) -> None:
            self.working -= 1
            if not gone:
                request.setResponseCode(code)
                # without it Twisted names a header in str, which under -bb does not go with the client's in bytes
                request.setHeader(b"content-length", b"6")
                request.write(b"thanks")
                request.finish()

        if isinstance(status, Deferred):
            status.addCallback(finish)
        else:
            finish(status)
        for expected in [one for one in self._expected if len(self.got) >= one[0]]:
            self._expected.remove(expected)
            expected[1].callback(None)
        return NOT_DONE_YET

    def count(self, number: int) -> Deferred[None]:
        """Fires when so many requests have come."""
        waiting: Deferred[None] = Deferred()
        if len(self.got) >= number:
            waiting.callback(None)
        else:
            self._expected.append((number, waiting))
        return waiting


class Scripted(Protocol):
    """Says what it is told to for each request line it sees, octet by octet."""

    def __init__(self, factory: ScriptedFactory) -> None:
        self.told = factory

    def connectionMade(self) -> None:
        self.told.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.told.received += data
        if self.told.received.endswith(self.told.until):
            self.told.say(self)

    def connectionLost(self, reason: Any = None) -> None:
        for one in self.told.lost:
            one.callback(None)
        self.told.lost.clear()


class ScriptedFactory(Factory[Scripted]):
    def __init__(self, say: Callable[[Any], None], until: bytes) -> None:
        self.say = say
        self.until = until
        self.received = b""
        self.connections: list[Scripted] = []
        self.lost: list[Deferred[None]] = []

    def buildProtocol(self, addr: Any) -> Scripted:
        return Scripted(self)


def self_signed(address: str) -> PrivateCertificate:
    """A certificate for an IP address that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate: PrivateCertificate = PrivateCertificate.loadPEM(private + made.public_bytes(pem))
    return certificate


class WebCase(TestCase):
    """A test with servers that end with it."""

    def listen(self, factory: Any) -> int:
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def hook(self) -> tuple[Hook, int]:
        hook = Hook()
        site = Site(hook, timeout=None)
        return hook, self.listen(site)

    def scripted(self, say: Callable[[Any], None], until: bytes = b"{}") -> tuple[ScriptedFactory, int]:
        factory = ScriptedFactory(say, until)
        return factory, self.listen(factory)
