"""Reads rows of messages past those that a server cannot show: one of them must not hide the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from emailengine.errors import Meaning, ProtocolFault, ServerRefused
from emailengine.imap.session import Session
from emailengine.wire.imap import search
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.uidset import UidSet

MOST_REFUSED: Final = 100
"""Commands in search of what cannot be shown; then the server has another trouble."""
NOTHING_SHOWN: Final = 20
"""The same, where it has shown no message at all meanwhile."""
_LATER = (Meaning.THROTTLED, Meaning.LIMIT)  # whatever else is asked for meets the same


def bear(session: Session, error: ServerRefused | ProtocolFault) -> None:
    """Raise what is not about single messages: the end of the session, or that we ask too much."""
    session.check()
    if isinstance(error, ServerRefused) and error.meaning in _LATER:
        raise error


async def legible(
    session: Session, uids: UidSet, items: Sequence[str], changed_since: int | None = None
) -> list[Fetched]:
    """
    As `Session.fetch`, without the messages that the server refuses to show or shows so that nobody can read it.

    They are found by halving. Raises as `fetch` where too much is refused.
    """
    try:
        return await session.fetch(uids, items, changed_since=changed_since)
    except (ServerRefused, ProtocolFault) as error:
        bear(session, error)
        last = error
    left = _halves(list(await session.search(search.uid(uids)) & uids))
    found: list[Fetched] = []
    refused = 0
    while left:
        part = left.pop()
        if not part:
            continue
        try:
            found += await session.fetch(UidSet.of(part), items, changed_since=changed_since)
        except (ServerRefused, ProtocolFault) as error:
            bear(session, error)
            refused += 1
            if refused >= (MOST_REFUSED if found else NOTHING_SHOWN):
                raise last from error
            if len(part) > 1:
                left += _halves(part)
    return found


def _halves(uids: Sequence[int]) -> list[Sequence[int]]:
    """The second half, and the first."""
    middle = (len(uids) + 1) // 2
    return [uids[middle:], uids[:middle]]
