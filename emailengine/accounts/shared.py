"""What all accounts use together; `service.py` makes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from emailengine.accounts.verbs.reading import TextWish
from emailengine.core.gates import KeyedGate
from emailengine.imap.session import Session
from emailengine.model.account import AccountSettings
from emailengine.store.accounts import AccountStore
from emailengine.store.folders import FolderStore
from emailengine.store.index import Index
from emailengine.wire.imap.responses import Response


class Opens(Protocol):
    """What opens a session for an account."""

    def __call__(
        self, settings: AccountSettings, news: Callable[[Response], None], /, *, compress: bool
    ) -> Awaitable[Session]:
        """`compress`: whether what the server sends is worth a window of 32 KiB for as long as the session lives."""


@define(eq=False)
class Shared:
    """What all accounts use together."""

    clock: IReactorTime
    random: Callable[[], float]
    open_session: Opens
    accounts: AccountStore
    folders: FolderStore
    index: Index
    said: Callable[[str], None]  # there is something to announce for an account
    became: Callable[[str, str, str], None]  # account, state before, state now
    usable: Callable[[str], None]  # the account has a session again
    left: Callable[[str], Awaitable[object]]  # an account was deleted: remove what others keep for it
    text_wish: Callable[[], TextWish | None]  # what webhooks tell of a new message's text; None: no content at all
    connecting: KeyedGate = field(factory=lambda: KeyedGate(50, 50))
    slices: KeyedGate = field(factory=lambda: KeyedGate(16, 4))
    silence: float = 60.0  # seconds after which a mail server that owes an answer is given up
