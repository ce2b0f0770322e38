"""What REST asks of a mailbox: folders, pages of messages, one message, its text, its flags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from attrs import define
from twisted.internet.interfaces import IReactorTime

from emailengine.accounts.account import Account
from emailengine.accounts.folders import Folder
from emailengine.accounts.verbs.changing import ChangeFlags
from emailengine.accounts.verbs.listing import CountFolders, ListPage
from emailengine.accounts.verbs.reading import HTML, PLAIN, ReadMessage, ReadText, TextWish
from emailengine.core.deadline import Deadline
from emailengine.mailing.downloading import Downloads
from emailengine.model.ids import unpack_message, unpack_text
from emailengine.model.mailbox import Mailbox, MailboxList, MailboxStatus
from emailengine.model.message import (
    Changed,
    Changes,
    MessageDetail,
    MessageList,
    MessageUpdate,
    MessageUpdated,
    Text,
    TextType,
)
from emailengine.model.paging import cursors, page_count
from emailengine.sync.roles import ROLES

_ORDER = {use: place for place, use in enumerate(ROLES)}


class Finding(Protocol):
    """Where accounts are found."""

    def get(self, account: str) -> Account:
        """The account of that id. `AccountNotFound`."""


@define
class Mailing:
    """The mail of all accounts, by account id. Ids that were given for messages are resolved here."""

    accounts: Finding
    clock: IReactorTime
    downloads: Downloads

    async def list_mailboxes(self, account: str, *, counters: bool, deadline: Deadline) -> MailboxList:
        """The folders that can hold messages, those with a role first. With `counters` the server is asked."""
        actor = self.accounts.get(account)
        await actor.folders_known(deadline)
        counted: dict[str, MailboxStatus] = {}
        if counters:
            counted = await actor.ask(CountFolders(), deadline)
        folders = [folder for folder in actor.folders.by_path.values() if folder.selectable]
        folders.sort(key=lambda one: (_ORDER.get(one.special_use or "", len(_ORDER)), one.path))
        return MailboxList(mailboxes=[mailbox(folder, counted.get(folder.path)) for folder in folders])

    async def list_messages(
        self, account: str, path: str, *, page: int, page_size: int, deadline: Deadline
    ) -> MessageList:
        """A page of a folder, newest first, counted from 0; one past the end is empty."""
        found = await self.accounts.get(account).ask(ListPage(path, page, page_size), deadline)
        pages = page_count(found.total, page_size, least=1)
        following, previous = cursors(page, pages)
        return MessageList(
            total=found.total,
            page=page,
            pages=pages,
            next_page_cursor=following,
            prev_page_cursor=previous,
            messages=found.entries,
        )

    async def read_message(
        self,
        account: str,
        message: str,
        *,
        text_type: TextType | None,
        max_bytes: int | None,
        mark_as_seen: bool,
        deadline: Deadline,
    ) -> MessageDetail:
        """A message, with its text if a type is named."""
        actor = self.accounts.get(account)
        folder, uid = unpack_message(message)
        wish = None if text_type is None else _wish(text_type, max_bytes)
        detail: MessageDetail = await actor.ask(ReadMessage(folder, uid, wish, self.clock, mark_as_seen), deadline)
        return detail

    async def read_text(
        self, account: str, text: str, *, text_type: TextType, max_bytes: int | None, deadline: Deadline
    ) -> Text:
        """The parts that a text id names; a type asked for by its name is there even if the message has none."""
        actor = self.accounts.get(account)
        folder, uid, plain, html, _ = unpack_text(text)
        wish = _wish(text_type, max_bytes)
        found = await actor.ask(ReadText(folder, uid, tuple(plain), tuple(html), wish, self.clock), deadline)
        return Text(
            plain="" if found.plain is None and text_type == PLAIN else found.plain,
            html="" if found.html is None and text_type == HTML else found.html,
            has_more=found.has_more,
        )

    async def update_message(
        self, account: str, message: str, change: MessageUpdate, *, deadline: Deadline
    ) -> MessageUpdated:
        """Change a message's flags. Labels are Gmail's own, and ignored elsewhere."""
        actor = self.accounts.get(account)
        folder, uid = unpack_message(message)
        actor.check_usable()
        if change.flags is None:
            return MessageUpdated()
        done = await actor.ask(_flag_change(folder, uid, change.flags), deadline)
        return MessageUpdated(flags=Changed(**done))

    async def open_source(self, account: str, message: str, *, deadline: Deadline) -> Any:
        """The message as it stands on the server, in pieces."""
        folder, uid = unpack_message(message)
        return await self.downloads.source(self.accounts.get(account), folder, uid, deadline)

    async def open_attachment(self, account: str, attachment: str, *, deadline: Deadline) -> Any:
        """An attachment, decoded, in pieces."""
        return await self.downloads.attachment(self.accounts.get(account), attachment, deadline)


def _wish(text_type: TextType, max_bytes: int | None) -> TextWish:
    kinds = (PLAIN, HTML) if text_type == "*" else (text_type,)
    return TextWish(kinds, max_bytes)


def _flag_change(folder: int, uid: int, change: Changes) -> ChangeFlags:
    def listed(flags: Any) -> tuple[str, ...]:
        return tuple(flags) if isinstance(flags, Iterable) else ()

    replace = tuple(change.set) if isinstance(change.set, list) else None
    return ChangeFlags(folder, uid, listed(change.add), listed(change.delete), replace)


def mailbox(folder: Folder, status: MailboxStatus | None) -> Mailbox:
    """One folder as the API lists it."""
    parent, name = None, folder.path
    if folder.delimiter and folder.delimiter in folder.path:
        parent, name = folder.path.rsplit(folder.delimiter, 1)
    position = folder.position
    known = position is not None
    return Mailbox(
        path=folder.path,
        delimiter=folder.delimiter,
        parent_path=parent,
        name=name,
        listed=True,
        subscribed=folder.subscribed,
        special_use=folder.special_use,  # type: ignore[arg-type]  # one of sync.roles.ROLES
        special_use_source=folder.special_use_source,  # type: ignore[arg-type]  # as above
        no_inferiors="\\noinferiors" in {flag.lower() for flag in folder.flags},
        messages=position.count if known and position is not None else False,
        uid_next=position.uidnext if known and position is not None else False,
        status=status,
    )
