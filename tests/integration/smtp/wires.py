"""Certificates and a dialler for the SMTP tests: a certificate authority of their own, and plain endpoints."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.protocols.tls import TLSMemoryBIOFactory


def certificate(directory: Path) -> tuple[str, str]:
    """A self-signed certificate for `localhost` and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(paths[0]), str(paths[1])


class Contexts:
    """A policy is the PEM text to trust, or `platform` for what that trusts."""

    def creator(self, policy: Any, host: str) -> Any:
        trust = platformTrust() if policy == "platform" else trustRootFromCertificates([Certificate.loadPEM(policy)])
        return optionsForClientTLS(host, trust)


class Dialer:
    """Dials the loopback address, whatever the host is called."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.dialled = 0
        self.gone: list[Deferred[None]] = []

    async def connect(self, build: Callable[[], Any], host: str, port: int, *, tls: Any, **_: Any) -> Any:
        self.dialled += 1
        factory: Any = Factory.forProtocol(build)
        factory.noisy = False
        protocol: Any
        if tls is None:
            return await TCP4ClientEndpoint(self._reactor, "127.0.0.1", port).connect(factory)
        wrapped: Any = TLSMemoryBIOFactory(Contexts().creator(tls, host), True, factory)
        wrapped.noisy = False
        protocol = await TCP4ClientEndpoint(self._reactor, "127.0.0.1", port).connect(wrapped)
        return protocol.wrappedProtocol
