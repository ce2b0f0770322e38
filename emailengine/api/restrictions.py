"""What narrows a token: permissions, addresses, referrers, a rate. Pure but for the counts of the rate.

What cannot be understood in a token's record refuses the request: a restriction that is not enforced would be none.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from attrs import define, field

from emailengine.api.errors import TooManyRequests
from emailengine.api.routing import Grant
from emailengine.errors import Forbidden
from emailengine.model.token import TokenPermissions, TokenRecord

_EPOCH = 946684800  # windows are counted from 2000-01-01
_WINDOW = 180  # seconds, where a rate limit names none
_KEYS = frozenset(("addresses", "referrers", "rateLimit"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_scope(record: TokenRecord, grant: Grant) -> None:
    """`Forbidden` if the token has scopes and neither the needed one nor `*` is among them."""
    if record.scopes is not None and grant.scope not in record.scopes and "*" not in record.scopes:
        raise Forbidden("The token lacks the scope for this", extra={"requestedScope": grant.scope})


def check_permissions(permissions: TokenPermissions | None, grant: Grant) -> None:
    """`Forbidden` if the token is narrowed and may not do this. A missing axis is free, none at all is nothing."""
    if permissions is None:
        return
    actions, groups = permissions.actions, permissions.groups
    if (
        (actions is None and groups is None)
        or grant.group == "admin"
        or (actions is not None and grant.action not in actions)
        or (groups is not None and grant.group not in groups)
    ):
        needed = f"{grant.action}:{grant.group}"
        raise Forbidden("The token may not do this", extra={"requiredPermission": needed})


def check_origin(restrictions: dict[str, Any] | None, peer: str, referrer: str) -> None:
    """`Forbidden` unless the client's address and the page it comes from are among those the token allows."""
    if restrictions is None:
        return
    if restrictions.keys() - _KEYS:
        raise Forbidden("The token has a restriction that this version does not know")
    addresses = restrictions.get("addresses")
    if addresses and not _allowed_address(addresses, peer):
        raise Forbidden("The token may not be used from this address", extra={"remoteAddress": peer})
    referrers = restrictions.get("referrers")
    if referrers and not _allowed_referrer(referrers, referrer):
        raise Forbidden("The token may not be used from this page")


def plain_address(text: str) -> Address | None:
    """An IP address, an IPv4 one even if it came as `::ffff:192.0.2.1`; None for any other text."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _allowed_address(addresses: Any, peer: str) -> bool:
    client = plain_address(peer)
    if client is None or not isinstance(addresses, list):
        return False
    for one in addresses:
        try:
            if client in ipaddress.ip_network(str(one), strict=False):
                return True
        except ValueError:
            continue
    return False


def _allowed_referrer(referrers: Any, referrer: str) -> bool:
    if not isinstance(referrers, list):
        return False
    return any(
        re.fullmatch(".*".join(map(re.escape, str(one).split("*"))), referrer, re.DOTALL) is not None
        for one in referrers
    )


@define
class Rates:
    """How often each token was used in its present window. Counted in this process: a restart begins anew."""

    wall: Callable[[], float]
    _used: dict[str, tuple[int, int]] = field(factory=dict, init=False)

    def take(self, token: str, limit: Any) -> dict[bytes, bytes]:
        """Count one use: the headers that tell how many are left. `TooManyRequests` if none is."""
        if not isinstance(limit, dict):
            raise Forbidden("The token's rate limit cannot be read")
        most, length = limit.get("maxRequests"), limit.get("timeWindow") or _WINDOW
        if type(most) is not int or type(length) is not int or length < 1:
            raise Forbidden("The token's rate limit cannot be read")
        since = self.wall() - _EPOCH
        window = int(since // length)
        reset = max(1, round((window + 1) * length - since))
        before, used = self._used.get(token, (window, 0))
        used = used if before == window else 0
        if used >= most:
            raise TooManyRequests("The token's rate limit is used up", limit=most, reset=reset)
        self._used[token] = (window, used + 1)
        return {
            b"x-ratelimit-limit": b"%d" % most,
            b"x-ratelimit-reset": b"%d" % reset,
            b"x-ratelimit-remaining": b"%d" % (most - used - 1),
        }
