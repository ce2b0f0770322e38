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

from emailengine.core import metrics
from emailengine.core.delays import Delays
from emailengine.core.flag import Flag
from emailengine.core.gates import Gate, KeyedGate
from emailengine.core.tasks import Tasks
from emailengine.core.turns import pause
from emailengine.errors import (
    AccountNotFound,
    AccountUnavailable,
    Busy,
    EmailEngineError,
    NotFound,
    StoreRefused,
    StoreUnavailable,
)
from emailengine.model.event import EventName, Say
from emailengine.store.queue import NewJob
from emailengine.webhooks import delivery, payload
from emailengine.webhooks.circuit import Backlog
from emailengine.webhooks.content import Account, Accounts, fresh_detail, read_detail
from emailengine.webhooks.delivery import QUEUE, Delivery
from emailengine.webhooks.request import place_of as host_of
from emailengine.webhooks.targets import (
    NOTHING_OWN,
    Own,
    Place,
    Settings,
    Target,
    own_of,
    place_in,
    place_of,
    policy_of,
    targets,
)

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
_READS = 64  # messages that are read from mail servers at a time, so many of one server:
_READS_A_HOST = 16
_TRIES = 4  # to read a message; then it is told without its content
_AWAY = Delays(first=1.0, factor=2.0, cap=30.0)
_UNUSABLE = 300.0  # seconds before an account that should have told that it is usable is asked again
_STORE_AWAY = 1.0


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
class _Told:
    """What to announce of an event."""

    event: EventName
    data: Any
    place: Place


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
        self._reads = KeyedGate(_READS, _READS_A_HOST)

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
                after = voice.seen
                page = await self._insist(lambda: self._say.read(voice.account, _BATCH, after=after))
                for entry, said in page:
                    if said.event not in _MAILBOX:
                        await self._tell(voice, entry, said)
                    voice.seen = entry
                voice.unseen = voice.unseen or bool(page)

    async def _tell(self, voice: _Voice, entry: bytes, said: Say) -> None:
        """Announce one entry, whatever it takes: afterwards it is gone."""
        jobs: list[NewJob] = []
        try:
            jobs = await self._jobs(voice, said)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 - one event that cannot be told must not silence the account for ever
            metrics.announcements_failed.inc()
            log.failure("an event cannot be announced", account=voice.account, event=said.event, event_id=said.event_id)
        if not await self._insist(lambda: self._say.announce(voice.account, entry, jobs, [said.event])):
            return
        metrics.events.labels(said.event).inc()
        if jobs:
            for job in jobs:
                self._backlog.put(job.group)
            self._queue.woken.raise_()

    async def _jobs(self, voice: _Voice, said: Say) -> list[NewJob]:
        """The jobs of an event: none where nobody wants it, or where its account is gone and cannot tell it."""
        account = self._find(voice.account)
        if not self._wanted(said.event, account, place_of(said)):
            if account is not None and said.event == "messageNew":
                account.fresh.take(said.folder or 0, said.uid or 0)
            return []
        for target in self._wanted(said.event, account, place_of(said)):
            await self._backlog.room(host_of(target.url))
        if said.event == "messageNew":
            told = await self._message(voice, said)
            if told is None:
                return []
        else:
            told = _Told(said.event, said.data, place_of(said))
        async with self._steps:
            account = self._find(voice.account)
            wanted = self._wanted(told.event, account, told.place)
            return self._make(voice.account, said, told, wanted, _own(account)) if wanted else []

    def _find(self, account: str) -> Account | None:
        try:
            return self._accounts.get(account)
        except AccountNotFound:
            return None

    def _wanted(self, event: str, account: Account | None, place: Place) -> list[Target]:
        return targets(policy_of(self._settings.value), _own(account), event, place)

    def _make(
        self, account: str, said: Say, told: _Told, wanted: Sequence[Target], own: Own
    ) -> list[NewJob]:
        body = payload.body(account, said, told.event, told.data, self._settings.value("serviceUrl", None))
        return [
            NewJob(
                queue=QUEUE,
                lane=delivery.lane(target.name, account),
                id=said.event_id if len(wanted) == 1 else f"{said.event_id}.{target.name}",
                group=host_of(target.url),
                at=None,
                data=delivery.encode(
                    Delivery(
                        account=account,
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

    # the content of a message

    async def _message(self, voice: _Voice, said: Say) -> _Told | None:
        """A new message with its content; None when its account is deleted before that could be read."""
        policy = payload.content_policy(self._settings.value)
        account = self._find(voice.account)
        if account is None:
            return None
        detail = None
        fresh = account.fresh.take(said.folder or 0, said.uid or 0)
        if fresh is not None:
            try:
                detail = await fresh_detail(fresh, said, policy.wish, self._clock)
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001 - the server may be asked again, and that has its own limits
                log.failure("a message cannot be shaped", account=voice.account, path=said.path, uid=said.uid)
        if detail is None:
            return await self._read(voice, said)
        return _new(said, detail, policy)

    async def _read(self, voice: _Voice, said: Say) -> _Told | None:
        """Read a message from the mail server, and wait until that is possible."""
        voice.waits = True
        if voice.unseen:
            voice.ahead.raise_()
        if voice.looking is None:
            voice.looking = self._tasks.start("look ahead", self._look_ahead(voice))
        try:
            failures = 0
            while failures < _TRIES:
                voice.woken.clear()
                account = self._find(voice.account)
                if account is None:
                    return None
                # read anew, since the wait may have been long
                policy = payload.content_policy(self._settings.value)
                try:
                    async with self._reads.of(_server(account)):
                        detail = await read_detail(account, said, policy.wish, self._clock)
                    return _new(said, detail, policy)
                except CancelledError:
                    raise
                except NotFound:
                    return _Told("messageMissing", payload.missing_message(said), place_of(said))
                except AccountUnavailable:
                    wait = _UNUSABLE
                except (Busy, StoreUnavailable, StoreRefused):
                    wait = _STORE_AWAY
                except EmailEngineError as error:
                    wait = _AWAY.delay(failures, self._random)
                    failures += 1
                    log.info(
                        "a message cannot be read: {reason}",
                        reason=error.message,
                        account=voice.account,
                        path=said.path,
                        uid=said.uid,
                    )
                except Exception:  # noqa: BLE001 - as above: told without its content in the end
                    wait = _AWAY.delay(failures, self._random)
                    failures += 1
                    log.failure("a message cannot be read", account=voice.account, path=said.path, uid=said.uid)
                if failures < _TRIES:
                    await self._wait(voice, wait)
            metrics.announcements_failed.inc()
            return _Told("messageNew", payload.bare_message(said), place_of(said))
        finally:
            voice.waits = False

    async def _wait(self, voice: _Voice, seconds: float) -> None:
        """Wait until the account is heard of again, or so long."""
        timer = self._clock.callLater(seconds, voice.woken.raise_)
        try:
            await voice.woken.wait()
        finally:
            if timer.active():
                timer.cancel()

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


def _server(account: Account) -> str:
    imap = account.settings.imap
    return (imap.host if imap is not None else None) or ""


def _new(said: Say, detail: Any, policy: payload.ContentPolicy) -> _Told:
    seems_new = said.data.get("seemsLikeNew")
    data = payload.new_message(detail, policy, seems_new)
    return _Told("messageNew", data, place_in(said, detail.message_special_use, detail.labels))
