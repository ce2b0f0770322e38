"""What changed between the rows we know and the rows we see. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from emailengine.sync.rows import Flags


@frozen
class FlagChange:
    """A message's flags: what came, what went, and all that it has now."""

    uid: int
    added: Flags
    deleted: Flags
    value: Flags


@frozen
class Changes:
    """By UID, ascending: messages that came, whose flags changed, that are gone."""

    new: tuple[int, ...]
    changed: tuple[FlagChange, ...]
    gone: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone)


def diff(known: Mapping[int, Flags], seen: Mapping[int, Flags]) -> Changes:
    """Compare the same range of UIDs: applying the answer to `known` gives `seen`."""
    return Changes(
        new=tuple(sorted(seen.keys() - known.keys())),
        changed=flag_changes(known, seen),
        gone=tuple(sorted(known.keys() - seen.keys())),
    )


def flag_changes(known: Mapping[int, Flags], seen: Mapping[int, Flags]) -> tuple[FlagChange, ...]:
    """The messages of both whose flags differ."""
    found = []
    for uid in sorted(seen.keys() & known.keys()):
        before, now = known[uid], seen[uid]
        if before != now:
            added = tuple(flag for flag in now if flag not in before)
            deleted = tuple(flag for flag in before if flag not in now)
            found.append(FlagChange(uid, added, deleted, now))
    return tuple(found)
