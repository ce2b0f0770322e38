"""All accounts: taken up at the start, added, changed and removed by the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger

from emailengine.accounts.account import Account
from emailengine.accounts.shared import Shared
from emailengine.accounts.verbs.listing import MeasureStorage
from emailengine.core.clock import wall
from emailengine.core.deadline import Deadline
from emailengine.core.gates import KeyedGate
from emailengine.core.ids import event_id, new_account_id
from emailengine.core.tasks import Tasks
from emailengine.core.turns import Turns, pause
from emailengine.errors import (
    AccountNotFound,
    AccountUnavailable,
    Busy,
    EmailEngineError,
    StoreRefused,
    StoreUnavailable,
)
from emailengine.model.account import AccountSettings, AccountUpdate, Registration, State, registered, updated
from emailengine.model.accountview import (
    AccountDetail,
    AccountList,
    LastError,
    Live,
    Quota,
    Registered,
    SmtpStatus,
    SyncError,
    listed,
    shown,
)
from emailengine.model.dates import iso
from emailengine.model.event import EventName, Say
from emailengine.model.paging import page_count
from emailengine.store.accounts import AccountRecord

log = Logger()

T = TypeVar("T")

_AGAIN = 1.0  # seconds before the store is asked again
_AT_ONCE = 200  # accounts read from the store in one go
_CHANGES = 64  # changes by the API at a time, one for each account


class Roster(MultiService):
    """The accounts of the installation, each an actor of its own. Implements `api.seams.Accounts`."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._shared = shared
        self._actors: dict[str, Account] = {}
        self._tasks = Tasks("roster")
        self._changing = KeyedGate(_CHANGES, 1)

    def __len__(self) -> int:
        return len(self._actors)

    def get(self, account: str) -> Account:
        """The actor of that id. `AccountNotFound`."""
        found = self._actors.get(account)
        if found is None:
            raise _unknown()
        return found

    # the service

    async def ready(self) -> None:
        """Return once every account that is stored has been taken up; connecting goes on by itself."""
        turns = Turns(self._shared.clock)
        after: str | None = None
        while True:
            ids = await self._shared.accounts.ids(after, _AT_ONCE)
            if not ids:
                return
            after = ids[-1]
            for account, record in zip(ids, await self._shared.accounts.some(ids), strict=True):
                if record is not None:
                    self._take_up(account, record)
                await turns.breathe()

    def stopService(self) -> Deferred[Any]:
        stopping = maybeDeferred(super().stopService)
        return Deferred.fromCoroutine(self._stopped(stopping))

    async def _stopped(self, stopping: Deferred[Any]) -> None:
        await self._tasks.stop()
        await stopping

    def _take_up(self, account: str, record: AccountRecord) -> Account:
        settings, broken = self._opened(account, record)
        actor = Account(account, record, settings, self._shared, broken=broken)
        self._actors[account] = actor
        self._shared.became(account, "", actor.state)
        actor.setServiceParent(self)  # type: ignore[no-untyped-call]
        return actor

    # what the API asks

    async def create(self, sent: Registration) -> Registered:
        account = sent.account or new_account_id()
        return await self._whatever_comes("create", account, lambda: self._create(account, sent))

    async def update(self, account: str, sent: AccountUpdate) -> None:
        await self._whatever_comes("update", account, lambda: self._update(account, sent))

    async def delete(self, account: str) -> None:
        await self._whatever_comes("delete", account, lambda: self._delete(account))

    async def _whatever_comes(self, name: str, account: str, work: Callable[[], Awaitable[T]]) -> T:
        """
        Do a change to its end, also when nobody waits for it any more.

        When the store leaves us in doubt whether it was done, what is stored is looked at later, and is what counts.
        """
        outcome: Deferred[T] = Deferred(lambda _: None)

        async def run() -> None:
            try:
                async with self._changing.of(account):
                    result = await work()
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - it is told to whoever waits
                if isinstance(error, StoreUnavailable | StoreRefused):
                    self._tasks.start("settle", self._settle(account))
                if not outcome.called:
                    outcome.errback(error)
            else:
                if not outcome.called:
                    outcome.callback(result)

        def stopped(_: object) -> None:
            if not outcome.called:
                outcome.errback(Busy("The daemon stops: try again shortly"))

        self._tasks.start(name, run()).addCallback(stopped)
        return await outcome

    async def _settle(self, account: str) -> None:
        """Go on with what is stored of an account, once the store tells it."""
        while True:
            await pause(self._shared.clock, _AGAIN)
            try:
                async with self._changing.of(account):
                    if (await self._shared.accounts.some([account]))[0] is not None:
                        await self._apply(account)
                    elif account in self._actors:
                        await self._part_with(account)
                self._shared.said(account)
                return
            except (StoreUnavailable, StoreRefused) as error:
                log.warn("the store does not answer: {reason}", account=account, reason=error.message)

    async def _create(self, account: str, sent: Registration) -> Registered:
        record = await self._shared.accounts.get(account)
        if record is None:
            settings = registered(sent, None, account=account, now=iso(wall()))
            added = _event("accountAdded", account, {"account": account})
            if await self._shared.accounts.create(settings, [added]) is not None:
                await self._apply(account)
                self._shared.said(account)
                return Registered(account=account, state="new")
            record = await self._existing(account)
        settings = registered(sent, record.settings, account=account, now=iso(wall()))
        await self._shared.accounts.change(settings)
        await self._apply(account)
        return Registered(account=account, state="existing")

    async def _update(self, account: str, sent: AccountUpdate) -> None:
        record = await self._existing(account)
        await self._shared.accounts.change(updated(sent, record.settings))
        await self._apply(account)

    async def _delete(self, account: str) -> None:
        deleted = _event("accountDeleted", account, {"account": account})
        there = await self._shared.accounts.delete(account, [deleted])
        if account in self._actors:
            await self._part_with(account)
        elif not there:
            raise _unknown()
        self._shared.said(account)

    async def _part_with(self, account: str) -> None:
        """Stop the actor of an account that is no longer stored, and let the others know."""
        actor = self._actors.pop(account)
        await maybeDeferred(actor.disownServiceParent)
        self._shared.became(account, actor.state, "")
        await self._shared.left(account)

    async def _apply(self, account: str) -> None:
        """Go on with what is stored now."""
        record = await self._existing(account)
        actor = self._actors.get(account)
        if actor is not None and record.generation != actor.generation:
            await self._part_with(account)
            actor = None
        if actor is None:
            self._take_up(account, record)
        else:
            actor.change(*self._opened(account, record))

    def _opened(self, account: str, record: AccountRecord) -> tuple[AccountSettings, str]:
        """The settings to work with, and why they cannot be, if so."""
        try:
            return self._shared.accounts.opened(record), ""
        except EmailEngineError as error:
            log.error("the account cannot be used: {reason}", account=account, reason=error.message)
            return record.settings, error.message

    async def describe(self, account: str, *, quota: bool, deadline: Deadline) -> AccountDetail:
        record = await self._existing(account)
        live = self._live(account, record)
        if quota:
            live.quota = await self._quota(account, deadline)
        return shown(record.settings, live)

    async def _quota(self, account: str, deadline: Deadline) -> Quota | bool:
        """The storage as the server tells it now; False where it does not, or cannot be asked."""
        actor = self._actors.get(account)
        if actor is None:
            return False
        try:
            told: Quota | None = await actor.ask(MeasureStorage(), deadline)
        except AccountUnavailable:
            return False
        return told or False

    async def page(self, *, query: str | None, state: State | None, page: int, page_size: int) -> AccountList:
        total, records = await self._shared.accounts.page(query=query, state=state, page=page, page_size=page_size)
        return AccountList(
            total=total,
            page=page,
            pages=page_count(total, page_size),
            query=query or False,
            state=state or "*",
            accounts=[listed(record.settings, self._live(record.settings.account, record)) for record in records],
        )

    async def request_reconnect(self, account: str) -> None:
        self.get(account).prod()

    async def request_sync(self, account: str) -> None:
        actor = self.get(account)
        actor.check_usable()
        actor.look_around()

    async def _existing(self, account: str) -> AccountRecord:
        record = await self._shared.accounts.get(account)
        if record is None:
            raise _unknown()
        return record

    def _live(self, account: str, record: AccountRecord) -> Live:
        actor = self._actors.get(account)
        error = actor.last_error if actor is not None else record.error
        heard = actor.heard_at if actor is not None else None
        return Live(
            state=actor.state if actor is not None else "init",  # type: ignore[arg-type]  # one of STATES
            smtp_status=_read(record.smtp_status, SmtpStatus),
            sync_error=_read(actor.sync_error if actor is not None else record.sync_error, SyncError),
            connections=actor.connections if actor is not None else 0,
            counters=record.counters,
            sync_time=record.sync_time,
            last_error=_read(error, LastError),
            last_heard=None if heard is None else iso(wall() - max(0.0, self._shared.clock.seconds() - heard)),
        )


def _read(value: dict[str, Any] | None, into: Callable[..., Any]) -> Any:
    if value is None:
        return None
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError:
        return None  # of another version


def _unknown() -> AccountNotFound:
    return AccountNotFound("No account has that id")


def _event(event: EventName, account: str, data: dict[str, Any]) -> Say:
    now = wall()
    return Say(event_id=event_id(account, event, now), event=event, date=iso(now), data=data)
