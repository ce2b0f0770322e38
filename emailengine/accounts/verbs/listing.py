"""One page of a folder, newest first."""

from __future__ import annotations

from attrs import frozen

from emailengine.accounts.addresses import HEADER_ITEM
from emailengine.accounts.folders import Folders
from emailengine.accounts.shaping import ENTRY_ITEMS, shape_entry
from emailengine.accounts.verbs.entering import enter
from emailengine.errors import ServerRefused
from emailengine.imap.session import Session
from emailengine.model.accountview import Quota
from emailengine.model.mailbox import MailboxStatus
from emailengine.model.message import MessageEntry
from emailengine.wire.imap.fetch import Fetched

_TRIES = 3


@frozen
class Page:
    """One page of messages; `total` counts the whole folder."""

    total: int
    entries: list[MessageEntry]


@frozen
class ListPage:
    """The page number `page` (from 0) of `size` messages, by UID from the highest down."""

    path: str
    page: int
    size: int
    repeatable = True

    async def run(self, session: Session, folders: Folders) -> Page:
        path = folders.find(self.path).path
        selected = await enter(session, path)
        number = await folders.number(path, selected.uidvalidity)
        for _ in range(_TRIES):
            total = selected.exists
            last = total - self.page * self.size
            if last < 1:
                return Page(total, [])
            rows: list[Fetched] = await session.fetch_sequence(
                f"{max(1, last - self.size + 1)}:{last}",
                [*entry_items(session), *([HEADER_ITEM] if folders.bare_envelopes else [])],
            )
            # a message that came or went meanwhile moves every page by one
            if session.selected is None or session.selected.exists == total:
                break
            selected = session.selected
        rows = [row for row in rows if row.uid is not None]
        rows.sort(key=lambda row: row.uid or 0, reverse=True)
        return Page(total, [shape_entry(row, number) for row in rows])


def entry_items(session: Session) -> list[str]:
    """What to fetch for a list entry, with the ids that the server offers."""
    return [*ENTRY_ITEMS, *id_items(session)]


def id_items(session: Session) -> list[str]:
    """The items that tell ids which outlive a move (RFC 8474), or Gmail's own."""
    if "OBJECTID" in session.capabilities:
        return ["EMAILID", "THREADID"]
    if "X-GM-EXT-1" in session.capabilities:
        return ["X-GM-MSGID", "X-GM-THRID", "X-GM-LABELS"]
    return []


@frozen
class MeasureStorage:
    """How much storage the account uses; None where the server does not tell."""

    repeatable = True

    async def run(self, session: Session, folders: Folders) -> Quota | None:
        main = folders.main
        try:
            told = await session.storage(main.path if main is not None else "INBOX")
        except ServerRefused:
            return None
        if told is None or not told.limit:
            return None
        return Quota(usage=told.used, limit=told.limit, status=f"{round(100 * told.used / told.limit)}%")


@frozen
class CountFolders:
    """The live numbers of every folder, by path; a folder that cannot be counted says why."""

    repeatable = True

    async def run(self, session: Session, folders: Folders) -> dict[str, MailboxStatus]:
        found = {}
        for path, folder in list(folders.by_path.items()):
            if not folder.selectable:
                continue
            try:
                values = await session.status(path, ["MESSAGES", "UNSEEN"])
            except ServerRefused as refused:
                found[path] = MailboxStatus(error=refused.message)
            else:
                found[path] = MailboxStatus(messages=values.get("MESSAGES"), unseen=values.get("UNSEEN"))
        return found
