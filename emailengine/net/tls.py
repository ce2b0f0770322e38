"""TLS as a client: one OpenSSL context for each policy, and every reason to refuse a certificate in its usual word."""

from __future__ import annotations

from attrs import frozen
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure

from emailengine.errors import EmailEngineError


@frozen(kw_only=True)
class TlsPolicy:
    verify: bool = True
    min_version: str = "TLSv1.2"
    ca: str | None = None


class Contexts:
    def creator(self, policy: TlsPolicy, host: str, /) -> IOpenSSLClientConnectionCreator:
        raise NotImplementedError


def translate(reason: Failure | BaseException, host: str) -> EmailEngineError:
    raise NotImplementedError
