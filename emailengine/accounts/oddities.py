"""How mail servers are watched: most by IDLE, some in ways of their own. Pure.

Each entry is a server that is known not to tell what it should: it says yes to IDLE and then nothing, or ends what it
does not like without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import frozen


class Ask(Enum):
    """What brings news where IDLE does not."""

    NOOP = "NOOP"
    STATUS = "STATUS"
    """Of the folder, though it is selected."""
    SELECT = "SELECT"
    """Of the folder, anew."""


@frozen
class Watching:
    """`renewal` is how many seconds IDLE lasts, `poll` how many lie between two questions where there is none."""

    idle: bool = True
    renewal: float = 300.0  # RFC 2177 asks for 29 minutes; a connection that died in silence is to be noticed sooner
    poll: float = 120.0
    ask: Ask = Ask.NOOP


USUAL: Final = Watching()
_COREMAIL = Watching(idle=False, poll=55.0, ask=Ask.STATUS)

_BY_DOMAIN: Final[Mapping[str, Watching]] = {
    "yahoo.com": Watching(renewal=180.0),
    "aol.com": Watching(renewal=180.0),
    "rambler.ru": Watching(renewal=55.0),
    "163.com": _COREMAIL,
    "126.com": _COREMAIL,
    "yeah.net": _COREMAIL,
    "naver.com": Watching(idle=False, poll=55.0, ask=Ask.SELECT),
}


def watching(host: str, server: Mapping[str, str | None]) -> Watching:
    """How to watch the server at `host`, which says `server` of itself (RFC 2971)."""
    labels = host.rstrip(".").lower().split(".")
    for start in range(len(labels)):
        known = _BY_DOMAIN.get(".".join(labels[start:]))
        if known is not None:
            return known
    name = f"{server.get('name') or ''} {server.get('vendor') or ''}".lower()
    return _COREMAIL if "coremail" in name else USUAL
