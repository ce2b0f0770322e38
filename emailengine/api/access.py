"""Who may come in: a token, the operator's user and password, or, with neither configured, whoever is on this machine.

The order of checks is fixed: credential, scope, permissions, account, address, referrer, rate.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define, field, frozen

from emailengine.api.cors import Cors
from emailengine.api.restrictions import Rates, check_origin, check_permissions, check_scope, plain_address
from emailengine.api.routing import JSON, Grant
from emailengine.api.seams import Tokens
from emailengine.core.clock import wall
from emailengine.errors import Forbidden, Unauthorized, UnsupportedMedia
from emailengine.model.token import token_id

_CREDENTIAL = re.compile(r"([A-Za-z]+)[ \t]+([^ \t]+)")
_HOST = re.compile(rb"(?:([0-9A-Za-z.-]+)|\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\])(?::([0-9]{1,5}))?")
_FORWARDING = frozenset((b"forwarded", b"via", b"x-real-ip"))


@frozen
class AccessRules:
    """`basic` is the operator's `user:password`; `interface` is the address that the daemon listens on."""

    basic: str | None = field(default=None, repr=False)
    interface: str = "127.0.0.1"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect at all."""
        return self.interface == "localhost" or is_loopback(self.interface)


@define
class Presented:
    """What a request shows of itself before it is read."""

    authorization: Sequence[bytes]
    access_token: str | None
    peer: str
    hosts: Sequence[bytes]
    names: Iterable[bytes]  # of its headers, in lower case; read once at most
    content_type: str | None
    has_body: bool
    referrer: str
    origins: Sequence[bytes] = ()
    fetch_site: str = ""  # where a browser says that the page stands which asks


@frozen
class Admitted:
    """Who was let in: `token` is the id of the token, if it was one. `headers` go with the answer."""

    who: str
    token: str | None = None
    account: str | None = None
    headers: Mapping[bytes, bytes] = field(factory=dict)


_OPERATOR = Admitted("operator")
_LOCAL = Admitted("local")
EVERYBODY = Admitted("everybody")


class Access:
    """Decides about each request."""

    def __init__(
        self, rules: AccessRules, tokens: Tokens, wall: Callable[[], float] = wall, cors: Cors | None = None
    ) -> None:
        self.rules = rules
        self._cors = cors or Cors()
        self._tokens = tokens
        self._rates = Rates(wall)
        self._basic = None if rules.basic is None else rules.basic.encode()
        self.challenges = [b'Bearer realm="emailengine"']
        if self._basic is not None:
            self.challenges.append(b'Basic realm="emailengine", charset="UTF-8"')

    async def unguarded(self) -> bool:
        """Whether nothing is configured that a client could show."""
        return self._basic is None and not await self._tokens.any()

    async def admit(self, shown: Presented, grant: Grant | None, account: str | None) -> Admitted:
        """
        Let a request in, or raise `Unauthorized`, `Forbidden`, `UnsupportedMedia` or `TooManyRequests`.

        `account` is the one in the request's path. Without a `grant` the route is open.
        """
        if grant is None:
            return EVERYBODY
        if shown.authorization:
            if len(shown.authorization) != 1:
                raise Unauthorized("One credential at a time")
            found = _CREDENTIAL.fullmatch(shown.authorization[0].decode("latin-1").strip())
            scheme = found.group(1).lower() if found else ""
            if found and scheme == "bearer":
                return await self._token(found.group(2), shown, grant, account)
            if found and scheme == "basic" and self._is_operator(found.group(2)):
                self._check_operator(shown)
                return _OPERATOR
            raise Unauthorized("Unknown credentials")
        if shown.access_token is not None:
            return await self._token(shown.access_token, shown, grant, account)
        if await self.unguarded():
            self._check_local(shown)
            return _LOCAL
        raise Unauthorized("Credentials are needed")

    def _is_operator(self, encoded: str) -> bool:
        try:
            sent = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return self._basic is not None and hmac.compare_digest(sent, self._basic)

    async def _token(self, value: str, shown: Presented, grant: Grant, account: str | None) -> Admitted:
        id_ = token_id(value)
        record = None if id_ is None else await self._tokens.find(id_)
        if id_ is None or record is None:
            raise Unauthorized("Unknown or expired token")
        check_scope(record, grant)
        check_permissions(record.permissions, grant)
        if record.account is not None and record.account != account:
            raise Forbidden("The token is bound to another account")
        check_origin(record.restrictions, shown.peer, shown.referrer)
        headers: Mapping[bytes, bytes] = {}
        if record.restrictions is not None and record.restrictions.get("rateLimit") is not None:
            headers = self._rates.take(id_, record.restrictions["rateLimit"])
        return Admitted("token", id_, record.account, headers)

    def _check_operator(self, shown: Presented) -> None:
        """What keeps other pages out of a browser that remembers the password and sends it with all it is asked."""
        if not self._cors.allows_all:
            self._check_page(shown, trusting=True)
        if shown.has_body and shown.content_type != JSON:
            raise UnsupportedMedia("With --api.auth a body needs Content-Type: application/json")

    def _check_page(self, shown: Presented, *, trusting: bool) -> None:
        """
        `Forbidden` for a page of another site that is not one of the configured origins.

        With `trusting` a browser's word that the page is ours is enough: a proxy may have changed the Host.
        """
        if len(shown.origins) == 1 and self._cors.names(shown.origins[0].decode("latin-1")):
            return
        site = shown.fetch_site.strip().lower()
        foreign = bool(shown.origins) and not _same_host(shown.origins, shown.hosts)
        if site == "cross-site" or (foreign and not (trusting and site == "same-origin")):
            raise Forbidden("Pages of other origins are let in if --cors.origin names them")

    def _check_local(self, shown: Presented) -> None:
        """What keeps pages in a browser and proxies out of a daemon that asks for no credential."""
        if not self.rules.loopback or not is_loopback(shown.peer):
            raise Unauthorized("Without a token or --api.auth only this machine is let in, on a loopback address")
        if len(shown.hosts) != 1 or not _is_loopback_host(shown.hosts[0]):
            raise Unauthorized("Without a token or --api.auth the Host must be a loopback name")
        if any(name in _FORWARDING or name.startswith(b"x-forwarded") for name in shown.names):
            raise Unauthorized("Without a token or --api.auth no proxy may stand in between")
        self._check_page(shown, trusting=False)
        if shown.has_body and shown.content_type != JSON:
            raise UnsupportedMedia("Without a token or --api.auth a body needs Content-Type: application/json")


def _same_host(origins: Sequence[bytes], hosts: Sequence[bytes]) -> bool:
    """Whether a page came from the host that it asks."""
    if len(origins) != 1 or len(hosts) != 1:
        return False
    scheme, _, host = origins[0].strip().lower().partition(b"://")
    usual = {b"http": b":80", b"https": b":443"}.get(scheme)
    return usual is not None and host.removesuffix(usual) == hosts[0].strip().lower().removesuffix(usual) != b""


def _is_loopback_host(host: bytes) -> bool:
    """Whether a Host names this machine to itself."""
    found = _HOST.fullmatch(host.strip())
    if found is None or not 0 < int(found.group(3) or b"80") < 65536:
        return False
    name = (found.group(1) or found.group(2)).decode("ascii").lower()
    return name == "localhost" or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Whether an IP address is one of this machine to itself."""
    plain = plain_address(address)
    return plain is not None and plain.is_loopback
