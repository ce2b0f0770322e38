"""The content of a new message: what was fetched along with the news of it, else read from the mail server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emailengine.accounts.fresh import FreshMessage, FreshMessages
from emailengine.accounts.shaping import shape_detail
from emailengine.accounts.verbs.entering import Verb
from emailengine.accounts.verbs.reading import ReadMessage, TextWish, join_texts, parts_of
from emailengine.core import metrics
from emailengine.core.clock import wall
from emailengine.core.deadline import Deadline
from emailengine.core.delays import Delays
from emailengine.core.flag import Flag
from emailengine.core.gates import KeyedGate
from emailengine.core.turns import pause
from emailengine.errors import (
    AccountNotFound,
    AccountUnavailable,
    Busy,
    EmailEngineError,
    MessageNotFound,
    StoreRefused,
    StoreUnavailable,
)
from emailengine.model.account import AccountSettings
from emailengine.model.dates import parse_iso
from emailengine.model.event import EventName, Say
from emailengine.model.message import MessageDetail
from emailengine.webhooks import payload
from emailengine.webhooks.payload import ContentPolicy, content_policy
from emailengine.webhooks.targets import Place, Settings, place_in, place_of

log = Logger()

PATIENCE = 60.0  # seconds for reading one message
TRIES = 5  # to read a message; then it is told without its content

_READS = 64  # messages that are read from mail servers at a time, so many of one server:
_READS_A_HOST = 16
_READY = frozenset(("syncing", "connected"))
_AWAY = Delays(first=1.0, factor=2.0, cap=30.0)
_UNUSABLE = 30.0  # seconds before an account that should have told that it is usable is asked again
_SOON = 1.0
_MISSING = (1.0, 1.7, 2.89)
"""Seconds before each further look for a message that is not found.

A server may name a message before it gives it. It has had that time when the event is as old as all of these together,
so whatever was said before or meanwhile is not looked for again: of many that are gone only the first ones are waited
for, and what follows them keeps its place without being held up for long.
"""


class Account(Protocol):
    """An account, connected or not."""

    @property
    def state(self) -> str: ...
    @property
    def generation(self) -> int: ...
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


def account_of(accounts: Accounts, account: str, say: Say) -> Account | None:
    """The account that said something; None when it is gone, also if there is another of the same id by now."""
    try:
        found = accounts.get(account)
    except AccountNotFound:
        return None
    return found if say.generation in (None, found.generation) else None


@frozen
class Told:
    """What is announced of an event, and where its message is."""

    event: EventName
    place: Place
    data: Any


def told_of(say: Say, detail: MessageDetail, policy: ContentPolicy) -> Told:
    """A new message with its content."""
    data = payload.new_message(detail, policy, say.data.get("seemsLikeNew"))
    return Told("messageNew", place_in(say, detail.message_special_use, detail.labels), data)


def told_bare(say: Say) -> Told:
    """A new message whose content nobody can read."""
    return Told("messageNew", place_of(say), payload.bare_message(say))


def is_whole(message: FreshMessage, wish: TextWish | None) -> bool:
    """Whether what was fetched with the news of a message is all that is wanted of it."""
    if _header(message) is None or message.seen.envelope is None:
        return False
    return wish is None or all(f"BODY[{part.number}]" in message.sections for part in parts_of(message.leaves, wish))


async def shape_fresh(message: FreshMessage, say: Say, wish: TextWish | None, clock: IReactorTime) -> MessageDetail:
    """The detail of a message that is whole."""
    texts = None if wish is None else await join_texts(message.sections, message.leaves, wish, clock)
    header = _header(message)
    return shape_detail(message.seen, message.leaves, say.folder or 0, say.path or "", say.special_use, header, texts)


def _header(message: FreshMessage) -> bytes | None:
    found = message.sections.get("BODY[HEADER]")
    return message.seen.sections.get("BODY[HEADER]") if found is None else found


@define(eq=False)
class Reading:
    """Reads new messages from the mail servers, so many at a time, so that one server cannot take all the places."""

    accounts: Accounts
    settings: Settings
    clock: IReactorTime
    random: Callable[[], float]
    now: Callable[[], float] = wall
    _places: KeyedGate = field(factory=lambda: KeyedGate(_READS, _READS_A_HOST))

    async def read(self, account: str, say: Say, heard: Flag) -> Told | None:
        """
        A new message, read as soon as its account can; `heard` is raised when that may have changed.

        None when the account is deleted meanwhile. A message that is still not found some seconds after it was said is
        told as messageMissing, and one that cannot be read for some other reason, `TRIES` times, without its content.
        """
        failures = missed = 0
        while True:
            heard.clear()
            actor = account_of(self.accounts, account, say)
            if actor is None:
                return None
            if actor.state not in _READY:
                # it tells when it is; to ask now would keep a place until then
                await self._wait(heard, _UNUSABLE)
                continue
            policy = content_policy(self.settings.value)
            try:
                async with self._places.of(_server(actor)):
                    verb = ReadMessage(say.folder or 0, say.uid or 0, policy.wish, self.clock)
                    detail = await actor.ask(verb, Deadline.after(self.clock, PATIENCE))
                told = told_of(say, detail, policy)
                if missed:
                    told.data.update(payload.missing(_MISSING[:missed]))
                return told
            except CancelledError:
                raise
            except MessageNotFound:
                if missed == len(_MISSING) or self._had_time(say):
                    return Told("messageMissing", place_of(say), payload.missing_message(say, _MISSING))
                await pause(self.clock, _MISSING[missed])
                missed += 1
                continue
            except AccountNotFound:
                return None
            except AccountUnavailable as error:
                # one that was stopped may keep its state, and there may be none or another in its place
                usable = actor.state in _READY or error.code == "Stopped"
                await self._wait(heard, _SOON if usable else _UNUSABLE)
                continue
            except (Busy, StoreUnavailable, StoreRefused):
                await pause(self.clock, _SOON)
                continue
            except EmailEngineError as error:
                log.info("a message cannot be read: {reason}", reason=error.message, account=account, uid=say.uid)
            except Exception:  # noqa: BLE001 - one message that nobody can read must not silence the account
                log.failure("a message cannot be read", account=account, uid=say.uid)
            failures += 1
            if failures == TRIES:
                metrics.announcements_failed.inc()
                return told_bare(say)
            await pause(self.clock, _AWAY.delay(failures - 1, self.random))

    def _had_time(self, say: Say) -> bool:
        """Whether it was said so long ago that the message would be there."""
        try:
            return self.now() - parse_iso(say.date) >= sum(_MISSING)
        except ValueError:
            return True

    async def _wait(self, heard: Flag, seconds: float) -> None:
        """Wait until something is heard, or so long."""
        timer = self.clock.callLater(seconds, heard.raise_)
        try:
            await heard.wait()
        finally:
            if timer.active():
                timer.cancel()


def _server(account: Account) -> str:
    imap = account.settings.imap
    return (imap.host if imap is not None else None) or ""
