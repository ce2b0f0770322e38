"""What to look at in a folder, out of what we know of it and what SELECT or STATUS says. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


@frozen
class Position:
    """
    How far a folder is indexed.

    `count` messages below `uidnext` are in the index, as of `modseq` (None without CONDSTORE). `silent_until` is the
    UIDNEXT at first sight: mail below it was there before us. While a first pass runs, `todo` is the lowest UID below
    `silent_until` that is not indexed yet; 0 when it is over. What a `quiet` first pass finds is not announced: the
    folder was known under another UIDVALIDITY. `commit` counts the writes.
    """

    uidvalidity: int
    uidnext: int
    count: int
    modseq: int | None
    silent_until: int
    todo: int = 0
    commit: int = 0
    quiet: bool = False


@frozen
class Seen:
    """What the server says of a folder now; None where it does not tell."""

    uidvalidity: int
    exists: int
    uidnext: int | None
    modseq: int | None


class Look(Enum):
    """What kind of pass a folder needs."""

    NOTHING = "nothing"
    START_OVER = "start over"  # first sight, or another UIDVALIDITY: nothing we know is true
    RESUME = "resume"  # the first pass is not over
    CHANGES = "changes"


class FlagLook(Enum):
    """Whose flags are to be read."""

    NONE = "none"
    CHANGED = "changed since"  # RFC 7162 CHANGEDSINCE
    ALL = "all"


@frozen
class Plan:
    """`new`: whether messages above the known ones may be there; `flags`: whose flags to read."""

    look: Look
    new: bool = False
    flags: FlagLook = FlagLook.NONE


def plan(known: Position | None, seen: Seen, *, thorough: bool) -> Plan:
    """
    Decide what to look at.

    An equal HIGHESTMODSEQ alone proves nothing: some servers do not raise it on expunge, so the count is compared too.
    `thorough` asks for flags where the server cannot tell whether any changed.
    """
    if known is None or known.uidvalidity != seen.uidvalidity:
        return Plan(Look.START_OVER)
    if known.todo:
        return Plan(Look.RESUME)
    new = seen.uidnext is None or seen.uidnext > known.uidnext or seen.exists > known.count
    if known.modseq is not None and seen.modseq is not None:
        flags = FlagLook.CHANGED if seen.modseq != known.modseq else FlagLook.NONE
    else:
        flags = FlagLook.ALL if thorough and known.count else FlagLook.NONE
    if not new and flags is FlagLook.NONE and seen.exists == known.count:
        return Plan(Look.NOTHING)
    return Plan(Look.CHANGES, new, flags)


def moved(known: Position | None, seen: Seen) -> bool:
    """Whether STATUS numbers tell that a folder must be opened; where they cannot tell, it must."""
    if known is None or known.uidvalidity != seen.uidvalidity or known.todo:
        return True
    if seen.exists != known.count or seen.uidnext is None or seen.uidnext != known.uidnext:
        return True
    return known.modseq is None or seen.modseq is None or known.modseq != seen.modseq


def is_announced(uid: int, internal_date: float | None, position: Position, notify_from: float | None) -> bool:
    """
    Whether a message that is new to the index is announced: if the server received it at `notify_from` or later.

    Whole seconds are compared, since INTERNALDATE has no more. A message without a date is announced if it came after
    the folder was first seen. `notify_from` None sets no limit to what came afterwards, and old mail stays silent.
    """
    if notify_from is None:
        return uid >= position.silent_until
    if internal_date is None:
        return uid >= position.silent_until
    return int(internal_date) >= int(notify_from)
