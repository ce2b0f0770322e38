"""Which folders an account has, and which of them moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emailengine.accounts.folders import Folder
from emailengine.accounts.oddities import bare_envelopes, watching
from emailengine.accounts.patience import patiently, stay_away
from emailengine.accounts.resting import Resting
from emailengine.accounts.syncing import PHANTOM, THOROUGH
from emailengine.core.flag import Flag
from emailengine.core.tasks import together
from emailengine.errors import AuthenticationRefused, ConnectionLost, Meaning, ProtocolFault, ServerRefused
from emailengine.imap.session import ListedFolder, Session
from emailengine.model.account import AccountSettings
from emailengine.model.event import Say
from emailengine.store.folders import StoredFolder
from emailengine.sync.folders import compare
from emailengine.sync.plan import Position, Seen, moved
from emailengine.sync.roles import Candidate, assign

if TYPE_CHECKING:
    from emailengine.accounts.account import Account
from emailengine.accounts.shared import Shared

log = Logger()

SLACK = 120.0  # seconds that the mail server's clock may be behind ours
STATUS_ITEMS = ("MESSAGES", "UIDNEXT", "UIDVALIDITY")


class Watch:
    """The folders of one account as one session sees them."""

    def __init__(self, account: Account, session: Session, shared: Shared) -> None:
        self._account = account
        self._folders = account.folders
        self._session = session
        self._shared = shared
        self._clock: IReactorTime = shared.clock
        imap = account.settings.imap
        host = (imap.host if imap is not None else None) or ""
        self._throttled_until = float("-inf")
        account.folders.bare_envelopes = bare_envelopes(host)
        self._resting = Resting(
            clock=shared.clock,
            session=session,
            folders=account.folders,
            way=watching(host, session.server, session.capabilities).within(shared.silence),
            compare=self._compare,
        )

    async def look_around(self) -> None:
        """
        Compare the list of folders and every folder's numbers with the server; what moved becomes dirty.

        Changes of the list are written, with their events. The folder that is rested in is looked into in any case:
        while it is selected nobody tells its numbers.
        """
        items = self._status_items()
        listed = await self._list(items)
        if listed:
            await self._merge(listed)
        main = self._folders.main
        told = {_path(one): one.status for one in listed}
        fresh = [one for one in self._folders.by_path.values() if one.watched and one.position is None]
        await together([self._take_empty(one, told.get(one.path)) for one in fresh if one is not main])
        for folder in list(self._folders.by_path.values()):
            if not folder.watched or not folder.selectable or folder.busy:
                continue
            if folder.aside_until > self._clock.seconds():
                await self._look_at_aside(folder, told.get(folder.path), items)
            elif folder.dirty:
                continue
            elif folder is main:
                folder.dirty = folder.stale = True
            else:
                await self._look_at(folder, told.get(folder.path), items)

    async def _list(self, items: Sequence[str]) -> Sequence[ListedFolder]:
        """What LIST tells; nothing where the server refuses to tell it again, or cannot be understood then."""
        try:
            if self._folders.by_path:
                listed = await self._session.list_folders(items)
            else:
                listed = await patiently(self._clock, lambda: self._session.list_folders(items))
        except ServerRefused as refused:
            if refused.meaning is Meaning.CREDENTIALS:  # Exchange takes a login that opens no mailbox
                raise AuthenticationRefused(refused.message, code=refused.code, meaning=refused.meaning) from refused
            if not self._folders.by_path:
                raise
            return ()
        except ProtocolFault:
            self._session.check()
            if not self._folders.by_path:
                raise
            return ()
        if not listed:
            raise ConnectionLost("The mail server lists no folder at all")
        return listed

    async def rest(self, woken: Flag, until: float) -> None:
        """As `Resting.rest`."""
        await self._resting.rest(woken, until)

    async def _compare(self, folder: Folder) -> None:
        await self._look_at(folder, None, self._status_items())

    def _status_items(self) -> Sequence[str]:
        if "CONDSTORE" in self._session.capabilities:
            return (*STATUS_ITEMS, "HIGHESTMODSEQ")
        return STATUS_ITEMS

    async def _look_at(self, folder: Folder, told: Mapping[str, int | str] | None, items: Sequence[str]) -> None:
        values = told if told is not None else await self._numbers(folder, items)
        if values is None:
            folder.dirty = folder.stale = True  # to open it tells
            return
        folder.told = seen = _seen(values)
        known = folder.position
        if seen is None or moved(known, seen):
            # without MODSEQ the numbers cannot tell whether flags changed: that is asked for now and then
            silent = known is not None and seen is not None and (known.modseq is None or seen.modseq is None)
            same = (
                silent
                and known is not None
                and seen is not None
                and not known.todo
                and (known.uidvalidity, known.count, known.uidnext) == (seen.uidvalidity, seen.exists, seen.uidnext)
            )
            if not same or self._clock.seconds() - folder.compared >= THOROUGH:
                folder.dirty = folder.stale = True

    async def _look_at_aside(self, folder: Folder, told: Mapping[str, int | str] | None, items: Sequence[str]) -> None:
        """A folder that the server lists and does not open is tried before its time when its numbers have changed."""
        if folder.failures < PHANTOM:
            return
        seen = _seen((told if told is not None else await self._numbers(folder, items)) or {})
        if seen is None:
            return
        before, folder.told = folder.told, seen
        if before is not None and seen != before:
            folder.aside_until = 0.0

    async def _numbers(self, folder: Folder, items: Sequence[str]) -> Mapping[str, int | str] | None:
        """What STATUS tells; None where it is refused or cannot be read, and while we are to ask for less."""
        if self._clock.seconds() < self._throttled_until:
            return None
        try:
            return await self._session.status(folder.path, items)
        except ServerRefused as refused:
            if refused.meaning is Meaning.THROTTLED:
                self._throttled_until = self._clock.seconds() + stay_away(refused, 0)
            log.info("no STATUS of {folder}: {reason}", folder=folder.path, reason=refused.message)
            return None
        except ProtocolFault:
            self._session.check()
            return None

    async def _take_empty(self, folder: Folder, told: Mapping[str, int | str] | None) -> None:
        """A folder that is new and empty is indexed by its numbers alone, without being selected."""
        seen = _seen(told) if told is not None else None
        if seen is None or seen.exists or not seen.uidnext:
            return
        ledger = await self._account.ledger(folder, seen.uidvalidity)
        position = Position(seen.uidvalidity, seen.uidnext, 0, seen.modseq, silent_until=seen.uidnext)
        await ledger.commit(position, {}, [ledger.teller().folder_new()])
        folder.dirty = False
        self._shared.said(self._account.id)

    def _new_since(self) -> float | None:
        """From which moment on mail in a folder that is found now is new."""
        account = self._account
        announced = account.settings.announced_from
        if not account.ever_connected or account.looked_at is None:
            return announced
        return max(account.looked_at - SLACK, announced or 0.0)

    async def _merge(self, listed: Sequence[ListedFolder]) -> None:
        """Take over what LIST told, and write what changed of it."""
        folders, settings = self._folders, self._account.settings
        entries = {_path(one): one for one in listed}
        candidates = [Candidate(path, one.entry.delimiter, one.entry.flags) for path, one in entries.items()]
        roles = assign(candidates, _chosen(settings))
        usable = [one.path for one in candidates if _usable(one)]
        changes = compare(folders.by_path, usable)
        changed: list[StoredFolder] = []
        says: list[Say] = []
        for path in usable:
            one, role = entries[path], roles.get(path)
            folder = folders.by_path.get(path)
            if folder is None:
                folder = folders.by_path[path] = Folder(path, since=self._new_since())
            told = (
                one.entry.delimiter,
                one.entry.flags - _PASSING,
                one.subscribed,
                role.use if role is not None else None,
                role.source if role is not None else None,
            )
            if path in changes.new or told != _facts(folder):
                folder.delimiter, folder.flags, folder.subscribed = told[0], told[1], told[2]
                folder.special_use, folder.special_use_source = told[3], told[4]
                changed.append(stored(folder))
        for path in changes.gone:
            folder = folders.by_path.pop(path)
            if folder.watched and folder.position is not None:
                says.append(self._account.voice.folder_gone(folder))
        folders.gmail = "X-GM-EXT-1" in self._session.capabilities and folders.with_role("\\All") is not None
        for folder in folders.by_path.values():
            folder.watched = _watched(folder, settings, gmail=folders.gmail)
        if changed or changes.gone:
            await self._shared.folders.save(self._account.id, self._account.owner, changed, list(changes.gone), says)
            if says:
                self._shared.said(self._account.id)


_PASSING = frozenset({"\\Marked", "\\Unmarked"})  # they tell of a moment, not of the folder


def _path(one: ListedFolder) -> str:
    name = one.entry.name
    return "INBOX" if name.upper() == "INBOX" else name


def _usable(one: Candidate) -> bool:
    return not any(flag.lower() in ("\\noselect", "\\nonexistent") for flag in one.flags)


def _facts(folder: Folder) -> tuple[str | None, frozenset[str], bool, str | None, str | None]:
    return folder.delimiter, folder.flags, folder.subscribed, folder.special_use, folder.special_use_source


def _chosen(settings: AccountSettings) -> dict[str, str]:
    """The folders that the account's owner named for a role."""
    imap = settings.imap
    if imap is None:
        return {}
    named = {
        "\\Sent": imap.sent_mail_path,
        "\\Drafts": imap.drafts_mail_path,
        "\\Junk": imap.junk_mail_path,
        "\\Trash": imap.trash_mail_path,
        "\\Archive": imap.archive_mail_path,
    }
    return {use: path for use, path in named.items() if path}


def _watched(folder: Folder, settings: AccountSettings, *, gmail: bool) -> bool:
    wanted = settings.path
    if wanted is not None:
        uses = {one.lower() for one in wanted if one.startswith("\\")}
        paths = {"INBOX" if one.upper() == "INBOX" else one for one in wanted}
        return folder.path in paths or (folder.special_use or "").lower() in uses
    if gmail:
        return folder.special_use in ("\\All", "\\Junk", "\\Trash")  # all others are labels
    return True


def _seen(values: Mapping[str, int | str]) -> Seen | None:
    def number(name: str) -> int | None:
        value = values.get(name)
        return value if isinstance(value, int) else None

    uidvalidity, exists = number("UIDVALIDITY"), number("MESSAGES")
    if uidvalidity is None or exists is None:
        return None
    return Seen(uidvalidity, exists, number("UIDNEXT"), number("HIGHESTMODSEQ") or None)


def stored(folder: Folder) -> StoredFolder:
    """What Redis keeps of a folder."""
    return StoredFolder(
        path=folder.path,
        delimiter=folder.delimiter,
        flags=sorted(folder.flags),
        subscribed=folder.subscribed,
        special_use=folder.special_use,
        special_use_source=folder.special_use_source,
        number=folder.number,
        position=folder.position,
        since=folder.since,
    )


def held(one: StoredFolder) -> Folder:
    """A folder as Redis kept it."""
    return Folder(
        path=one.path,
        delimiter=one.delimiter,
        flags=frozenset(one.flags),
        subscribed=one.subscribed,
        special_use=one.special_use,
        special_use_source=one.special_use_source,
        number=one.number,
        position=one.position,
        since=one.since,
        dirty=one.position is None,
    )
