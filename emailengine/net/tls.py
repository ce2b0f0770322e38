"""TLS as a client: one OpenSSL context for each policy, and every reason to refuse a certificate in its usual word.

A context costs most of a megabyte, so connections share it. What is particular to a connection, the host to verify,
hangs on the connection itself. A certificate is judged while the handshake runs, so nothing is said to a server that
is not the right one; the reason reaches the protocol as its `connectionLost`.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from typing import Any, Final

from attrs import frozen
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import extract_patterns
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from twisted.internet import error as failing
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from zope.interface import implementer

from emailengine.errors import ConnectFailed, ConnectionLost, EmailEngineError, TlsFailed
from emailengine.net.hosts import Host, read_host

_KEPT: Final = 64
"""Contexts with certificates of their own that are kept; the connections of one that went keep it themselves."""

_VERSIONS: Final = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}

# X509_verify_cert_error_string and the words that people find when they search for them
_REASONS: Final = {
    2: ("UNABLE_TO_GET_ISSUER_CERT", "unable to get issuer certificate"),
    7: ("CERT_SIGNATURE_FAILURE", "certificate signature failure"),
    9: ("CERT_NOT_YET_VALID", "certificate is not yet valid"),
    10: ("CERT_HAS_EXPIRED", "certificate has expired"),
    18: ("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate"),
    19: ("SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate in certificate chain"),
    20: ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "unable to get local issuer certificate"),
    21: ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify the first certificate"),
    22: ("CERT_CHAIN_TOO_LONG", "certificate chain too long"),
    23: ("CERT_REVOKED", "certificate revoked"),
    24: ("INVALID_CA", "invalid CA certificate"),
    25: ("PATH_LENGTH_EXCEEDED", "path length constraint exceeded"),
    26: ("INVALID_PURPOSE", "unsupported certificate purpose"),
    27: ("CERT_UNTRUSTED", "certificate not trusted"),
    28: ("CERT_REJECTED", "certificate rejected"),
}
_EXPIRED, _ISSUER_UNKNOWN, _LEAF_UNVERIFIED = 10, 20, 21
_UNTRUSTED: Final = frozenset((18, 19, 20, 21, 27))


@frozen(kw_only=True)
class TlsPolicy:
    """
    What is asked of a server's TLS.

    `verify`: its certificate must be valid, for its name, and lead to an authority that we trust: those of the
    platform or, in their place, those in `ca` (PEM). Versions below `min_version` (`TLSv1.2`) are not spoken.
    """

    verify: bool = True
    min_version: str = "TLSv1.2"
    ca: str | None = None


class Contexts:
    """The OpenSSL contexts of the daemon, one for each policy in use."""

    def __init__(self) -> None:
        self._plain: dict[TlsPolicy, SSL.Context] = {}
        self._own: OrderedDict[TlsPolicy, SSL.Context] = OrderedDict()

    def creator(self, policy: TlsPolicy, host: str, /) -> IOpenSSLClientConnectionCreator:
        """
        What secures one connection to `host` under a policy.

        Raises TlsFailed for a policy that cannot be followed, and ConnectFailed for what is no host.
        """
        return _Creator(self._context(policy), read_host(host), policy.verify)

    def _context(self, policy: TlsPolicy) -> SSL.Context:
        if policy.ca is None:
            context = self._plain.get(policy)
            if context is None:
                context = self._plain[policy] = _make_context(policy)
            return context
        context = self._own.get(policy)
        if context is None:
            context = self._own[policy] = _make_context(policy)
            if len(self._own) > _KEPT:
                self._own.popitem(last=False)
        else:
            self._own.move_to_end(policy)
        return context


def translate(reason: Failure | BaseException, host: str) -> EmailEngineError:
    """What went wrong on the way to `host`, as one of our errors: TlsFailed, ConnectFailed or ConnectionLost."""
    error = reason.value if isinstance(reason, Failure) else reason
    if isinstance(error, EmailEngineError):
        return error
    if isinstance(error, VerificationError | CertificateError):
        return TlsFailed(f"The certificate is not one for {host}", code="ERR_TLS_CERT_ALTNAME_INVALID")
    if isinstance(error, SSL.Error):
        return _tls_failed(error, host)
    if isinstance(error, failing.ConnectionClosed):
        told = "was closed" if isinstance(error, failing.ConnectionDone) else "was lost"
        return ConnectionLost(f"The connection to {host} {told}", code="ECONNRESET")
    if isinstance(error, failing.DNSLookupError | failing.UnknownHostError):
        return ConnectFailed(f"The host {host} was not found", code="ENOTFOUND")
    if isinstance(error, failing.TimeoutError | failing.TCPTimedOutError):
        return ConnectFailed(f"{host} does not answer", code="ETIMEDOUT")
    number = error.osError if isinstance(error, failing.ConnectError) else getattr(error, "errno", None)
    if isinstance(number, int):
        told = os.strerror(number)
        return ConnectFailed(f"Connecting to {host} failed: {told}", code=errno.errorcode.get(number))
    return ConnectFailed(f"Connecting to {host} failed: {error}")


def _tls_failed(error: SSL.Error, host: str) -> TlsFailed:
    told = [str(one[-1]) for one in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    if not told:
        return TlsFailed(f"TLS with {host} failed: the connection ended in the handshake")
    word = "ERR_SSL_" + told[0].upper().replace(" ", "_")
    hint = " (does this port speak TLS from the start?)" if "wrong version number" in told[0] else ""
    return TlsFailed(f"TLS with {host} failed: {', '.join(told)}{hint}", code=word)


def _make_context(policy: TlsPolicy) -> SSL.Context:
    version = _VERSIONS.get(policy.min_version)
    if version is None:
        raise TlsFailed(
            f"{policy.min_version!r} is not a version of TLS (known: {', '.join(_VERSIONS)})",
            code="ERR_TLS_INVALID_PROTOCOL_VERSION",
            transient=False,
        )
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    if version < SSL.TLS1_2_VERSION:
        # OpenSSL 3 speaks these only at the lowest level of security
        context.set_cipher_list(b"DEFAULT@SECLEVEL=0")
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 34 KiB less for each connection that rests
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    if not policy.verify:
        context.set_verify(SSL.VERIFY_NONE)
        return context
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _judge)
    if policy.ca is None:
        context.set_default_verify_paths()
    else:
        store = context.get_cert_store()
        assert store is not None
        for certificate in _read_certificates(policy.ca):
            store.add_cert(certificate)
    return context


def _read_certificates(pem: str) -> list[crypto.X509]:
    end = "-----END CERTIFICATE-----"
    try:
        found = [
            crypto.load_certificate(crypto.FILETYPE_PEM, (one + end).encode("ascii")) for one in pem.split(end)[:-1]
        ]
    except (crypto.Error, ValueError):
        found = []
    if not found:
        raise TlsFailed("The certificates to trust (`ca`) cannot be read: they must be in PEM form", transient=False)
    return found


class _Connection(SSL.Connection):
    judged: tuple[Host, Any] | None = None
    """The host to verify and the protocol to tell, until that is decided. (The application data is Twisted's.)"""


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    def __init__(self, context: SSL.Context, host: Host, verify: bool) -> None:
        self._context = context
        self._host = host
        self._verify = verify

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = _Connection(self._context, None)
        if not self._host.is_ip:  # RFC 6066 3: SNI holds names only
            connection.set_tlsext_host_name(self._host.text.encode("ascii"))
        if self._verify:
            connection.judged = (self._host, tlsProtocol)
        return connection


def _judge(connection: SSL.Connection, certificate: crypto.X509, problem: int, depth: int, fine: int) -> bool:
    """OpenSSL's question about each certificate of a chain, the server's own (depth 0) last."""
    if not isinstance(connection, _Connection) or connection.judged is None:  # decided already
        return False
    host, protocol = connection.judged
    try:
        if fine and depth:
            return True
        refusal = _wrong_host(host, certificate) if fine else _unacceptable(host, certificate, problem, depth)
    except Exception as error:  # noqa: BLE001 - raised into OpenSSL it would be lost
        refusal = TlsFailed(f"The certificate of {host.text} cannot be read: {type(error).__name__}")
    connection.judged = None
    if refusal is None:
        return True
    protocol.failVerification(Failure(refusal))
    return False


def _wrong_host(host: Host, certificate: crypto.X509) -> TlsFailed | None:
    wanted = IPAddress_ID(host.text) if host.is_ip else DNS_ID(host.text)
    named: list[str] = []
    try:
        patterns = extract_patterns(certificate.to_cryptography())
        named = [_shown(one) for one in patterns]
        verify_service_identity(patterns, [wanted], [])
    except (VerificationError, CertificateError):
        kind = "IP" if host.is_ip else "Host"
        listed = f"is not in the cert's altnames: {', '.join(named)}" if named else "the cert has no altnames"
        return TlsFailed(
            f"Hostname/IP does not match certificate's altnames: {kind}: {host.text}. {listed}",
            code="ERR_TLS_CERT_ALTNAME_INVALID",
        )
    return None


def _shown(pattern: Any) -> str:
    value = pattern.pattern
    return f"DNS:{value.decode('ascii', 'replace')}" if isinstance(value, bytes) else f"IP:{value}"


def _unacceptable(host: Host, certificate: crypto.X509, problem: int, depth: int) -> TlsFailed:
    if problem in _UNTRUSTED and certificate.has_expired():
        problem = _EXPIRED  # what its owner has to do first
    elif problem == _ISSUER_UNKNOWN and depth == 0:
        problem = _LEAF_UNVERIFIED
    word, told = _REASONS.get(problem, ("UNSPECIFIED", f"certificate verification error {problem}"))
    return TlsFailed(f"The certificate of {host.text} is not accepted: {told}", code=word)
