"""Which addresses webhooks may not reach: a web server named by a customer must not be a door to our own network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from attrs import frozen

from emailengine.errors import ConnectFailed

BLOCKED: Final = "EEGRESSBLOCKED"

_LINK_LOCAL: Final = tuple(
    map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32"))
)  # the last two answer with a cloud machine's credentials
_PRIVATE: Final = tuple(map(ip_network, ("100.64.0.0/10", "fec0::/10", "198.18.0.0/15", "192.0.0.0/24")))
_NAT64: Final = ip_network("64:ff9b::/96")


@frozen
class Egress:
    """
    A policy: `link-local` keeps requests from link-local addresses and those where clouds keep their secrets,
    `private` from all that is not public, `off` from nothing.
    """

    policy: str = "link-local"

    def check(self, ip: str, /) -> None:
        """Raise `ConnectFailed` for an address that may not be reached, or for what is no address."""
        if self.policy == "off":
            return
        try:
            address = ip_address(ip.partition("%")[0])
        except ValueError:
            raise _blocked("a web server whose address cannot be read") from None
        for one in _meant(address):
            if any(one in network for network in _LINK_LOCAL):
                raise _blocked(f"{ip}, a link-local address")
            if self.policy == "private" and _is_private(one):
                raise _blocked(f"{ip}, an address that is not public")


def _meant(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and the IPv4 addresses that a translator on the way would take it for."""
    if isinstance(address, IPv4Address):
        return [address]
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inside.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *(one for one in inside if one is not None)]


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_private
        or address.is_loopback
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in network for network in _PRIVATE)
    )


def _blocked(what: str) -> ConnectFailed:
    return ConnectFailed(f"Requests may not go to {what}", code=BLOCKED, transient=False)
