"""Which address of this machine the connections of an account are made from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Literal

Strategy = Literal["default", "dedicated", "random"]


def source_address(
    addresses: Sequence[str], strategy: Strategy, account: str, random: Callable[[], float]
) -> str | None:
    """
    One of `addresses`, or None to leave it to the system. Only IPv4 ones count: every mail server has such an address.

    A single one is always taken. Of several, `dedicated` gives an account the same one for as long as it is in the
    list, whatever else comes or goes; `random` any; `default` none.
    """
    usable = [one for one in addresses if ":" not in one]
    if len(usable) <= 1:
        return usable[0] if usable else None
    if strategy == "dedicated":  # rendezvous hashing: the highest weight wins
        return max(usable, key=lambda one: _weight(one, account))
    return usable[int(random() * len(usable))] if strategy == "random" else None


def _weight(address: str, account: str) -> bytes:
    return blake2b(f"{address}\0{account}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
