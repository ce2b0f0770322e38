"""The content of a new message: what was fetched along with the news of it, else read from the mail server."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from emailengine.accounts.fresh import FreshMessage, FreshMessages
from emailengine.accounts.shaping import shape_detail
from emailengine.accounts.verbs.entering import Verb
from emailengine.accounts.verbs.reading import ReadMessage, TextWish, join_texts, parts_of
from emailengine.core.deadline import Deadline
from emailengine.model.account import AccountSettings
from emailengine.model.event import Say
from emailengine.model.message import MessageDetail

PATIENCE = 60.0  # seconds for reading one message

_HEADER = "BODY[HEADER]"


class Account(Protocol):
    """An account, connected or not."""

    @property
    def settings(self) -> AccountSettings: ...
    @property
    def fresh(self) -> FreshMessages: ...

    async def ask(self, verb: Verb, deadline: Deadline, *, long: bool = False) -> Any:
        """Run a verb on one of its sessions."""


class Accounts(Protocol):
    """Where accounts are found. All of them must be there before the announcer starts."""

    def get(self, account: str) -> Account:
        """The account of that id. `AccountNotFound`."""


async def fresh_detail(
    message: FreshMessage, say: Say, wish: TextWish | None, clock: IReactorTime
) -> MessageDetail | None:
    """A message out of what was fetched with the news of it; None when that is not all that is wanted."""
    assert say.folder is not None
    header = message.sections.get(_HEADER) or message.seen.sections.get(_HEADER)
    if header is None or message.seen.envelope is None:
        return None
    texts = None
    if wish is not None:
        if any(message.sections.get(f"BODY[{part.number}]") is None for part in parts_of(message.leaves, wish)):
            return None
        texts = await join_texts(message.sections, message.leaves, wish, clock)
    return shape_detail(
        message.seen, message.leaves, say.folder, say.path or "", say.special_use, header, texts
    )


async def read_detail(account: Account, say: Say, wish: TextWish | None, clock: IReactorTime) -> MessageDetail:
    """A message as it is on the mail server now. Raises as `Account.ask`, and `MessageNotFound`."""
    assert say.folder is not None and say.uid is not None
    verb = ReadMessage(say.folder, say.uid, wish, clock)
    detail: MessageDetail = await account.ask(verb, Deadline.after(clock, PATIENCE))
    return detail
