"""What people type as the host of a server: a name in any script, an address, brackets and dots too many."""

from __future__ import annotations

import re
from ipaddress import ip_address

import idna
from attrs import frozen

from emailengine.errors import ConnectFailed

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")


@frozen
class Host:
    """A host as the network knows it: an address (`is_ip`), or a name in lower-case ASCII without its last dot."""

    text: str
    is_ip: bool


def read_host(written: str) -> Host:
    """The host that is meant. Raises ConnectFailed (`ENOTFOUND`) for what can be none."""
    text = written.strip()
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ip_address(bare)
    except ValueError:
        pass
    else:
        return Host(bare, True)
    name = text.removesuffix(".").lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii").lower()
        except UnicodeError:
            raise _not_found(written) from None
    # more than IDNA allows: names with underscores exist, and are found
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise _not_found(written)
    return Host(name, False)


def _not_found(written: str) -> ConnectFailed:
    shown = written if len(written) <= 100 else written[:100] + "..."
    return ConnectFailed(f"{shown!r} is not the name of a host", code="ENOTFOUND", transient=False)
