"""The folders of one account as it knows them: paths, roles, numbers, how far each is indexed, and what moved."""

from __future__ import annotations

from typing import Protocol

from attrs import define, field, frozen

from emailengine.errors import FolderNotFound, MessageNotFound
from emailengine.imap.session import Selected
from emailengine.store.folders import FolderStore
from emailengine.sync.plan import Position, Seen
from emailengine.wire.imap.responses import Exists, Expunge, Fetch, Response, Vanished

_HINTS = 64  # messages by sequence number; beyond that all flags are read again
_CHANGED = 1000  # messages by UID, the same


class Numbering(Protocol):
    """Gives folders their numbers, the same for the same path and UIDVALIDITY for ever."""

    async def number(self, path: str, uidvalidity: int) -> int:
        """The number of a folder as it is now."""

    async def resolve(self, number: int) -> tuple[str, int] | None:
        """The path and UIDVALIDITY behind a number; None if it was never given."""


@define(eq=False)
class StoredNumbers:
    """The folder registry of one account."""

    _store: FolderStore
    _account: str

    async def number(self, path: str, uidvalidity: int) -> int:
        return await self._store.number(self._account, path, uidvalidity)

    async def resolve(self, number: int) -> tuple[str, int] | None:
        return await self._store.resolve(self._account, number)


@frozen
class Hints:
    """
    Flags `moved`: of the messages with these sequence numbers (None: of any) and of those with these UIDs.
    """

    moved: bool
    numbers: set[int] | None
    uids: set[int]


@define(eq=False)
class Folder:
    """
    One folder. `position` is None until something of it has been committed.

    `since`: what the server received at that moment or later is new to us, though the folder has just been found; None:
    all that is in it was there before.

    `dirty`: something may have moved. `stale`: it must be selected anew, since what the server told while it was
    selected is not enough. `busy`: a pass over it has begun and is not over. All three are hints; a pass finds the
    truth.
    """

    path: str
    delimiter: str | None = None
    flags: frozenset[str] = frozenset()
    subscribed: bool = False
    special_use: str | None = None
    special_use_source: str | None = None
    number: int | None = None
    position: Position | None = None
    since: float | None = None
    dirty: bool = True
    stale: bool = False
    busy: bool = False
    watched: bool = True
    flags_moved: bool = False
    moved: set[int] | None = field(factory=set)  # sequence numbers whose flags changed; None: too many, or renumbered
    moved_uids: set[int] = field(factory=set)  # messages whose flags we changed ourselves
    compared: float = float("-inf")  # when all flags were last read, on the account's clock
    failures: int = 0  # times in a row that it was refused
    delays: int = 0  # times in a row that it was refused for a reason that passes
    vain: int = 0  # passes in a row that found nothing while news came that there is something
    aside_until: float = 0.0  # on the account's clock: not looked at before
    told: Seen | None = None  # its numbers, as STATUS told them last
    judged: Selected | None = None  # the selection of it whose numbers were dealt with last

    @property
    def selectable(self) -> bool:
        return not any(flag.lower() in ("\\noselect", "\\nonexistent") for flag in self.flags)

    def hint_flags(self, seq: int | None) -> None:
        """A message's flags changed: the one with that sequence number, or we do not know which."""
        self.dirty = self.flags_moved = True
        if self.moved is not None:
            if seq is None or len(self.moved) >= _HINTS:
                self.moved = None
            else:
                self.moved.add(seq)

    def hint_changed(self, uid: int) -> None:
        """We changed that message's flags: the server may not tell us."""
        self.dirty = self.flags_moved = True
        if len(self.moved_uids) >= _CHANGED:  # perhaps nobody ever looks into it
            self.moved_uids.clear()
            self.moved = None
        self.moved_uids.add(uid)

    def hint_gone(self) -> None:
        """Messages are gone: sequence numbers mean others now."""
        self.dirty = True
        if self.moved:
            self.moved = None

    def take_hints(self) -> Hints:
        """What is known of moved flags; it is forgotten here."""
        told = Hints(self.flags_moved, self.moved, self.moved_uids)
        self.flags_moved, self.moved, self.moved_uids = False, set(), set()
        return told


@define(eq=False)
class Folders:
    """All folders of an account, by path."""

    numbering: Numbering
    by_path: dict[str, Folder] = field(factory=dict)
    gmail: bool = False
    bare_envelopes: bool = False  # the server tells no addresses in them
    _numbers: dict[tuple[str, int], int] = field(factory=dict)
    _named: dict[int, tuple[str, int]] = field(factory=dict)

    def find(self, wanted: str) -> Folder:
        """The folder a client means: a path, INBOX in any case, or a role such as `\\Sent`. `FolderNotFound`."""
        folder = self.by_path.get(wanted)
        if folder is None and wanted.upper() == "INBOX":
            folder = self.by_path.get("INBOX")
        if folder is None and wanted.startswith("\\"):
            use = wanted.lower()
            folder = next((one for one in self.by_path.values() if (one.special_use or "").lower() == use), None)
        if folder is None or not folder.selectable:
            raise FolderNotFound(f"The account has no folder {wanted!r}: see its mailboxes for the paths there are")
        return folder

    def with_role(self, use: str) -> Folder | None:
        return next((one for one in self.by_path.values() if one.special_use == use), None)

    @property
    def main(self) -> Folder | None:
        """The folder to rest in: Gmail's All Mail, else the inbox, else the first that is watched."""
        watched = [one for one in self.by_path.values() if one.watched and one.selectable]
        use = "\\All" if self.gmail else "\\Inbox"
        return next((one for one in watched if one.special_use == use), watched[0] if watched else None)

    def next_dirty(self, now: float) -> Folder | None:
        """The folder to look into now: the main one before all others; None when nothing moved."""
        main = self.main
        if main is not None and (main.dirty or main.busy) and main.aside_until <= now:
            return main
        for folder in self.by_path.values():
            if (folder.dirty or folder.busy) and folder.watched and folder.selectable and folder.aside_until <= now:
                return folder
        return None

    def next_due(self, now: float) -> float:
        """When the next folder that was set aside is to be tried again; infinity if there is none."""
        waiting = (one for one in self.by_path.values() if (one.dirty or one.busy) and one.watched and one.selectable)
        return min((one.aside_until for one in waiting if one.aside_until > now), default=float("inf"))

    def hear(self, path: str, response: Response) -> bool:
        """Note what the server tells of a folder while it is selected; whether it tells that something moved."""
        folder = self.by_path.get(path)
        if folder is None:
            return False
        if isinstance(response, Exists):
            folder.dirty = True
        elif isinstance(response, Fetch):
            folder.hint_flags(response.seq)
        elif isinstance(response, Expunge | Vanished):
            folder.hint_gone()
        else:
            return False
        return True

    async def number(self, path: str, uidvalidity: int) -> int:
        """The folder's number for message ids."""
        known = self._numbers.get((path, uidvalidity))
        if known is None:
            known = await self.numbering.number(path, uidvalidity)
            self.remember(known, path, uidvalidity)
        return known

    async def resolve(self, number: int) -> tuple[str, int]:
        """The path and UIDVALIDITY that a message id was made for. `MessageNotFound`."""
        known = self._named.get(number)
        if known is None:
            known = await self.numbering.resolve(number)
            if known is None:
                raise MessageNotFound("No message has that id")
            self.remember(number, *known)
        return known

    def remember(self, number: int, path: str, uidvalidity: int) -> None:
        self._numbers[path, uidvalidity] = number
        self._named[number] = (path, uidvalidity)
