"""What changed in the list of folders. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


@frozen
class FolderChanges:
    """Paths that came and paths that are gone, each in the order of its list."""

    new: tuple[str, ...]
    gone: tuple[str, ...]


def compare(known: Iterable[str], seen: Iterable[str]) -> FolderChanges:
    """Compare two folder lists by path. A rename is one gone and one new."""
    before, now = list(known), list(seen)
    old, fresh = set(before), set(now)
    return FolderChanges(
        new=tuple(path for path in now if path not in old),
        gone=tuple(path for path in before if path not in fresh),
    )
