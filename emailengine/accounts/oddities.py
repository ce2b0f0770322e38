"""How mail servers are watched: most by IDLE, some in ways of their own. Pure.

Each entry is a server that is known not to tell what it should: it says yes to IDLE and then nothing, or ends what it
does not like without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import Final

import attrs
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
    """
    In seconds: `renewal` is how long IDLE lasts, `poll` what lies between two questions where there is none, `answer`
    how long the server may be silent when IDLE begins or ends, or it is asked.
    """

    idle: bool = True
    renewal: float = 300.0  # RFC 2177 asks for 29 minutes; a connection that died in silence is to be noticed sooner
    poll: float = 120.0
    ask: Ask = Ask.NOOP
    answer: float = 30.0

    def within(self, silence: float) -> Watching:
        """The same, as much faster as the operator wants a silent server to be given up sooner than after a minute."""
        return attrs.evolve(
            self,
            renewal=min(self.renewal, 5 * silence),
            poll=min(self.poll, 2 * silence),
            answer=min(self.answer, silence / 2),
        )


USUAL: Final = Watching()
_YAHOO = Watching(renewal=180.0)
_COREMAIL = Watching(idle=False, poll=55.0, ask=Ask.STATUS)

_BY_DOMAIN: Final[Mapping[str, Watching]] = {
    "yahoo.com": _YAHOO,
    "aol.com": _YAHOO,
    "rambler.ru": Watching(renewal=55.0),
    "163.com": _COREMAIL,
    "126.com": _COREMAIL,
    "yeah.net": _COREMAIL,
    "naver.com": Watching(idle=False, poll=55.0, ask=Ask.SELECT),
}


_BARE_ENVELOPES: Final = frozenset(("larksuite.com", "feishu.cn"))


def bare_envelopes(host: str) -> bool:
    """Whether the server's ENVELOPE has no addresses, so that a listing must read the headers."""
    return any(one in _BARE_ENVELOPES for one in _domains(host))


def watching(host: str, server: Mapping[str, str | None], capabilities: Collection[str] = ()) -> Watching:
    """How to watch the server at `host`, which says `server` of itself (RFC 2971) and offers `capabilities`."""
    for domain in _domains(host):
        known = _BY_DOMAIN.get(domain)
        if known is not None:
            return known
    if "XYMHIGHESTMODSEQ" in capabilities:
        return _YAHOO
    name = f"{server.get('name') or ''} {server.get('vendor') or ''}".lower()
    return _COREMAIL if "coremail" in name else USUAL


def _domains(host: str) -> Iterator[str]:
    """The host's name and every domain that it is in."""
    labels = host.rstrip(".").lower().split(".")
    for start in range(len(labels)):
        yield ".".join(labels[start:])
