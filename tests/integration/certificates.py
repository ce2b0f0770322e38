"""A certificate authority of the tests, and the server certificates it signs."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@frozen
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A root of trust. `ca` is what a client trusts, as PEM text; `path` is the same as a file."""

    def __init__(self, directory: Path, name: str = "Test Authority") -> None:
        self._directory = directory
        self._made = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        now = datetime.datetime.now(datetime.UTC)
        root = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 20 * _DAY)
            .not_valid_after(now + 20 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = root.public_bytes(serialization.Encoding.PEM).decode("ascii")
        self.path = directory / f"{name.lower().replace(' ', '-')}.pem"
        self.path.write_text(self.ca)

    def server(
        self,
        names: Sequence[str] = ("localhost", "127.0.0.1"),
        *,
        expired: bool = False,
        early: bool = False,
        self_signed: bool = False,
    ) -> Pair:
        """A certificate for these host names and addresses; `early`: valid from tomorrow on."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(names[0] if names else "nobody")
        start, end = (-10, -1) if expired else (1, 10) if early else (-1, 10)
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if self_signed else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start * _DAY)
            .not_valid_after(now + end * _DAY)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_general(one) for one in names])
            builder = builder.add_extension(alternatives, critical=False)
        signed = builder.sign(key if self_signed else self._key, hashes.SHA256())
        self._made += 1
        pair = Pair(
            self._directory / f"{self.path.stem}-{self._made}.pem",
            self._directory / f"{self.path.stem}-{self._made}.key",
        )
        pair.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        pair.key.chmod(0o600)
        return pair


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
