"""From what an account has said to jobs in the queue of webhooks.

Each account with something to say has one coroutine, which takes the entries of its stream in order. An event without
a target is removed and counted; for one with a target the payload is built, and one script removes the entry and puts
the jobs. A new message whose content is not at hand is read from the mail server, and until that is possible the
account's later mailbox events wait behind it. What concerns the account itself, or mail it sends, does not: a second
coroutine looks for such events while the first one waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emailengine.accounts.fresh import FreshMessage
from emailengine.core import metrics
from emailengine.core.flag import Flag
from emailengine.core.gates import Gate
from emailengine.core.secrets import SecretUnreadable
from emailengine.core.tasks import Tasks
from emailengine.core.turns import pause
from emailengine.errors import StoreRefused, StoreUnavailable
from emailengine.model.event import EventName, Say
from emailengine.store.queue import NewJob
from emailengine.webhooks import delivery, payload
from emailengine.webhooks.circuit import Backlog
from emailengine.webhooks.content import (
    Account,
    Accounts,
    Reading,
    Told,
    account_of,
    is_whole,
    shape_fresh,
    told_bare,
    told_of,
)
from emailengine.webhooks.delivery import QUEUE, Delivery
from emailengine.webhooks.payload import ContentPolicy, content_policy
from emailengine.webhooks.request import place_of as host_of
from emailengine.webhooks.targets import (
    DEFAULT,
    NOTHING_OWN,
    Own,
    Place,
    Settings,
    Target,
    own_of,
    place_of,
    policy_of,
    subscribes,
)
from emailengine.webhooks.targets import targets as targets_of

log = Logger()

_MAILBOX = frozenset(
    (
        "messageNew",
        "messageDeleted",
        "messageUpdated",
        "messageMissing",
        "messageBounce",
        "messageComplaint",
        "mailboxNew",
        "mailboxReset",
        "mailboxDeleted",
    )
)
"""Events that keep the order of the mailbox; all others may overtake them."""

_BATCH = 64  # entries that are read at a time
_STEPS = 32  # payloads that are built at a time
_STORE_AWAY = 1.0
_SEALED = 5.0  # seconds before a setting that cannot be read is looked at again,
_SEALED_TOLD = 60.0  # and before the log says once more that it is waited for


class Says(Protocol):
    """The streams of what accounts have said."""

    async def accounts(self) -> list[str]: ...

    async def read(self, account: str, count: int, *, after: bytes | None = None) -> list[tuple[bytes, Say]]: ...

    async def announce(
        self, account: str, entry: bytes, jobs: Sequence[NewJob], events: Sequence[str] = ()
    ) -> bool: ...


class Woken(Protocol):
    """The queue that the jobs go to."""

    @property
    def woken(self) -> Flag: ...


@define(eq=False)
class _Voice:
    """One account with something to say."""

    account: str
    woken: Flag = field(factory=Flag)
    waits: bool = False  # for the content of a message
    unseen: bool = True  # there may be entries that the look ahead has not seen
    ahead: Flag = field(factory=Flag)
    seen: bytes | None = None
    looking: Deferred[None] | None = None


@frozen
class _Fresh:
    """A new message that is at hand, still to be shaped."""

    message: FreshMessage
    policy: ContentPolicy


class Announcer(Service):
    """
    Turns what accounts have said into jobs, as soon as they have said it.

    Tell it by `said` that an account said something and by `usable` that one is connected again. At the start it
    looks for itself what is left from before; all accounts must be in `accounts` by then, since what was said by an
    account that is not there is taken for a deleted one's: its new messages are dropped, the rest is announced.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        say: Says,
        queue: Woken,
        settings: Settings,
        clock: IReactorTime,
        random: Callable[[], float],
        backlog: Backlog | None = None,
    ) -> None:
        self._accounts = accounts
        self._say = say
        self._queue = queue
        self._settings = settings
        self._clock = clock
        self._random = random
        self._backlog = backlog if backlog is not None else Backlog()
        self._tasks = Tasks("announcer")
        self._voices: dict[str, _Voice] = {}
        self._steps = Gate(_STEPS)
        self._sealed_told: float | None = None
        self._reading = Reading(accounts, settings, clock, random)

    # the service

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._tasks = Tasks("announcer")
        self._tasks.start("announce", self._take_up())

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._tasks.stop())

    async def _take_up(self) -> None:
        for account in await self._insist(self._say.accounts):
            self.said(account)

    # what others tell

    def said(self, account: str) -> None:
        """An account said something."""
        if not self.running:
            return
        voice = self._voices.get(account)
        if voice is None:
            voice = self._voices[account] = _Voice(account)
            self._tasks.start("announce", self._speak(voice))
            return
        voice.unseen = True
        voice.woken.raise_()
        if voice.waits:
            voice.ahead.raise_()

    def usable(self, account: str) -> None:
        """An account has a session again."""
        voice = self._voices.get(account)
        if voice is not None:
            voice.woken.raise_()

    # one account

    async def _speak(self, voice: _Voice) -> None:
        """Announce what the account has said until nothing is left."""
        try:
            while True:
                voice.woken.clear()
                batch = await self._insist(lambda: self._say.read(voice.account, _BATCH))
                if not batch and not voice.woken.raised:
                    return
                for entry, said in batch:
                    await self._tell(voice, entry, said)
        finally:
            del self._voices[voice.account]
            if voice.looking is not None:
                voice.looking.cancel()

    async def _look_ahead(self, voice: _Voice) -> None:
        """Announce what need not wait behind a message, whenever the account waits for one."""
        while True:
            await voice.ahead.wait()
            voice.ahead.clear()
            while voice.waits and voice.unseen:
                voice.unseen = False
                page = await self._insist(lambda: self._say.read(voice.account, _BATCH, after=voice.seen))
                for entry, said in page:
                    if said.event not in _MAILBOX:
                        await self._tell(voice, entry, said)
                    voice.seen = entry
                voice.unseen = voice.unseen or bool(page)

    async def _tell(self, voice: _Voice, entry: bytes, said: Say) -> None:
        """Announce one entry, whatever it takes: afterwards it is gone."""
        told: Told | _Fresh | None = None
        try:
            told = await self._opened(lambda: self._prepare(voice, said))
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - one event that cannot be told must not silence the account for ever
            self._note_failure(voice, said)
        await self._opened(lambda: self._announce(voice, entry, said, told))

    async def _announce(self, voice: _Voice, entry: bytes, said: Say, told: Told | _Fresh | None) -> None:
        async with self._steps:
            event, jobs = await self._make(voice, said, told)
            gone = not await self._insist(lambda: self._say.announce(voice.account, entry, jobs, [event]))
        if not gone:
            metrics.events.labels(event).inc()
        for job in jobs:
            if not gone:
                self._backlog.put(job.group)
            # also when it was gone already: it may have been us, and the answer was lost
            if job.lane not in self._backlog.at_work:
                self._queue.woken.raise_()

    def _note_failure(self, voice: _Voice, said: Say) -> None:
        metrics.announcements_failed.inc()
        log.failure("an event cannot be announced", account=voice.account, event=said.event, event_id=said.event_id)

    async def _prepare(self, voice: _Voice, said: Say) -> Told | _Fresh | None:
        """Get what an event's payload is made of; None where nobody wants it, or its account is gone."""
        account = account_of(self._accounts, voice.account, said)
        place = place_of(said)
        wanted = self._wanted(said.event, account, place)
        if said.event != "messageNew":
            fresh = None
        else:
            fresh = account.fresh.take(said.folder or 0, said.uid or 0) if account is not None else None
        if not wanted:
            return None
        for target in wanted:
            await self._backlog.room(host_of(target.url))
        if said.event != "messageNew":
            return Told(said.event, place, said.data)
        policy = content_policy(self._settings.value)
        if fresh is not None and is_whole(fresh, policy.wish):
            return _Fresh(fresh, policy)
        return None if account is None else await self._read(voice, said)

    def _wanted(self, event: str, account: Account | None, place: Place) -> list[Target]:
        value = self._settings.value
        # what nobody wants need not wait for a target that is sealed
        return targets_of(policy_of(value), _own(account), event, place) if subscribes(value, event) else []

    async def _make(self, voice: _Voice, said: Say, told: Told | _Fresh | None) -> tuple[EventName, list[NewJob]]:
        """What is announced in the end, with its jobs; none where it cannot be told."""
        try:
            if isinstance(told, _Fresh):
                try:
                    detail = await shape_fresh(told.message, said, told.policy.wish, self._clock)
                    told = told_of(said, detail, told.policy)
                except CancelledError:
                    raise
                except Exception:  # noqa: BLE001 - as in _tell
                    self._note_failure(voice, said)
                    told = told_bare(said)
            if told is not None:
                return told.event, self._jobs(voice, said, told)
        except (CancelledError, SecretUnreadable):
            raise
        except Exception:  # noqa: BLE001 - as in _tell
            self._note_failure(voice, said)
        return said.event, []

    def _jobs(self, voice: _Voice, said: Say, told: Told) -> list[NewJob]:
        """One job for each target that wants the event, now that its content is known."""
        account = account_of(self._accounts, voice.account, said)
        own = _own(account)
        wanted = self._wanted(told.event, account, told.place)
        if not wanted:
            return []
        body = payload.body(voice.account, said, told.event, told.data, self._settings.value("serviceUrl", None))
        return [
            NewJob(
                queue=QUEUE,
                lane=delivery.lane(target.name, voice.account),
                id=said.event_id if target.name == DEFAULT else f"{said.event_id}.{target.name}",
                group=host_of(target.url),
                at=None,
                data=delivery.encode(
                    Delivery(
                        account=voice.account,
                        event=told.event,
                        event_id=said.event_id,
                        target=target.name,
                        place=told.place,
                        url=own.url,
                        headers=list(own.headers),
                    )
                ),
                body=body,
                body_id=said.event_id,
            )
            for target in wanted
        ]

    async def _read(self, voice: _Voice, said: Say) -> Told | None:
        """Read a message from the mail server, and look ahead as long as that takes."""
        voice.waits = True
        if voice.unseen:
            voice.ahead.raise_()
        if voice.looking is None:
            voice.looking = self._tasks.start("look ahead", self._look_ahead(voice))
        try:
            return await self._reading.read(voice.account, said, voice.woken)
        finally:
            voice.waits = False

    async def _opened(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do something with the settings, again until none of those that it needs is sealed with another secret."""
        while True:
            try:
                return await work()
            except SecretUnreadable as error:
                now = self._clock.seconds()
                if self._sealed_told is None or now - self._sealed_told >= _SEALED_TOLD:
                    self._sealed_told = now
                    log.error("events wait until they can be announced: {reason}", reason=error.message)
                await pause(self._clock, _SEALED)

    async def _insist(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do something in the store, again until it answers."""
        while True:
            try:
                return await work()
            except (StoreUnavailable, StoreRefused) as error:
                log.warn("the store does not answer: {reason}", reason=error.message)
                await pause(self._clock, _STORE_AWAY)


def _own(account: Account | None) -> Own:
    return NOTHING_OWN if account is None else own_of(account.settings)
