"""One account: the actor that owns its connection, and the only one that touches it.

The runner is a plain loop: dial, log in, see which folders there are, then again and again the next piece of work:
somebody's request, a folder that moved, the rest of a first sync, else IDLE. When the connection is lost it asks the
reconnect policy how long to wait and dials again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from emailengine.accounts.folders import Folder, Folders, StoredNumbers
from emailengine.accounts.fresh import FreshMessages
from emailengine.accounts.further import Further
from emailengine.accounts.lane import Lane, Loan
from emailengine.accounts.ledger import Ledger
from emailengine.accounts.login import connects_otherwise, watches_mail
from emailengine.accounts.patience import patiently
from emailengine.accounts.reconnect import STAYED, Outcome, Reconnect
from emailengine.accounts.shared import Shared
from emailengine.accounts.states import USABLE, unavailable
from emailengine.accounts.syncing import Syncing
from emailengine.accounts.verbs.entering import Verb, with_news
from emailengine.accounts.voice import Voice
from emailengine.accounts.watch import Watch, held
from emailengine.core import metrics
from emailengine.core.clock import wall
from emailengine.core.deadline import Deadline
from emailengine.core.delays import Delays
from emailengine.core.flag import Flag
from emailengine.core.secrets import SecretUnreadable
from emailengine.core.tasks import Tasks
from emailengine.core.turns import pause
from emailengine.errors import (
    AccountUnavailable,
    AuthenticationRefused,
    ConnectionLost,
    EmailEngineError,
    Outdated,
    StoredUnreadable,
    StoreRefused,
    StoreUnavailable,
)
from emailengine.imap.session import Session
from emailengine.model.account import RESYNC_DELAY, AccountSettings
from emailengine.model.dates import iso, parse_iso
from emailengine.model.event import EventName, Say
from emailengine.store.accounts import AccountRecord
from emailengine.wire.imap.responses import Response

log = Logger()

_SERIAL = "serial"  # of the stored error: which event told of it
_MAIN_UNSEEN = 5.0  # seconds for which a long pass over another folder may keep us from the main one
_BUSY_CLIENT = 5.0  # seconds between two requests of a client that is better served by a session of its own
_STORE_AWAY = Delays(first=0.5, factor=2.0, cap=60.0)  # seconds before the next try when Redis does not answer


class Account(Service):
    """
    The actor of one account.

    Starting it takes the account up: from then on the scripts refuse whoever held it before. `ask` runs a verb on one
    of its sessions; everything else happens by itself. `settings` have their secrets in clear text; `broken` says why
    they cannot be used, and nothing is dialled then.
    """

    def __init__(
        self, account_id: str, record: AccountRecord, settings: AccountSettings, shared: Shared, *, broken: str = ""
    ) -> None:
        self.id = account_id
        self.settings = settings
        self.broken = broken
        self.voice = Voice(account_id, record.generation)
        self.state = "init"
        self.last_error: dict[str, Any] | None = record.error
        self.sync_error: dict[str, Any] | None = record.sync_error
        self.ever_connected = record.connected > 0
        self.looked_at = None if record.sync_time is None else parse_iso(record.sync_time)
        self.folders = Folders(numbering=StoredNumbers(shared.folders, account_id))
        self.fresh = FreshMessages()
        self._shared = shared
        self._woken = Flag()
        self._prodded = Flag()
        self._listed = Flag()
        self._lane = Lane(self._woken)
        self._tasks = Tasks("account")
        self._further = Further(clock=shared.clock, open_=self._open_further, tasks=self._tasks)
        self._reconnect = Reconnect()
        self._owner = 0
        self._session: Session | None = None
        self._heard_at: float | None = None
        self._resting = False
        self._asked_at = float("-inf")
        self._again = False
        self._look_around_at = 0.0
        self._looked: float | None = None
        self._look_again = False
        self._main_seen = float("-inf")
        self._stopped = False

    # what others may ask

    @property
    def owner(self) -> int:
        """The number under which this actor writes."""
        return self._owner

    @property
    def generation(self) -> int:
        """Tells this account from an earlier one of the same id."""
        return self.voice.generation

    @property
    def connections(self) -> int:
        return (self._session is not None) + self._further.count

    @property
    def heard_at(self) -> float | None:
        """When, by the clock, the mail server was last heard of; None if it never was."""
        return self._heard_at if self._session is None else self._session.heard_at

    async def ask(self, verb: Verb, deadline: Deadline, *, long: bool = False) -> Any:
        """
        Run a verb and answer its result.

        `long` work never takes the first session. Raises what the verb raises, `AccountUnavailable` when the account
        has no mailbox to ask, `Busy` when too many wait, `TimedOut` at the deadline.
        """
        work = partial(self._ask, verb, long)
        return await deadline.bound(patiently(self._shared.clock, work, deadline.left) if verb.repeatable else work())

    async def borrow(self, *, long: bool = True) -> Loan:
        """A session for a longer piece of work, to be given back. Raises as `ask`."""
        self.check_usable()
        if self._may_use_first(long):
            return await self._lane.borrow()
        loan = await self._further.borrow()
        return loan if loan is not None else await self._lane.borrow()

    def check_usable(self) -> None:
        """`AccountUnavailable` unless the account is connected or about to be."""
        if self._stopped:
            raise AccountUnavailable("The account was stopped", code="Stopped", extra={"state": self.state})
        if self.state not in USABLE:
            raise unavailable(self.state)

    async def folders_known(self, deadline: Deadline) -> None:
        """Return once it is known which folders there are; `AccountUnavailable` where that will not be."""
        if not self.folders.by_path:
            self.check_usable()
            await deadline.bound(self._listed.wait())
            if not self.folders.by_path:
                raise unavailable(self.state)

    def prod(self) -> None:
        """Connect anew, now, and try again whatever was refused."""
        self._reconnect.reset()
        self._try_all()
        self._again = True
        self._prodded.raise_()
        self._woken.raise_()

    def look_around(self) -> None:
        """Compare all folders with the server now."""
        self._look_around_at = 0.0
        self._look_again = True
        self._try_all()
        self._woken.raise_()

    def _try_all(self) -> None:
        for folder in self.folders.by_path.values():
            folder.aside_until = 0.0

    def change(self, settings: AccountSettings, broken: str = "") -> None:
        """Go on with other settings: connect anew under them, if they are about the connection or the folders."""
        before, self.settings = self.settings, settings
        if self.broken or broken:
            self.broken = broken
            self.prod()
            return
        if connects_otherwise(before, settings):
            self.prod()

    # the service

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._tasks.start("run", self._run())

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._stopped = True
        await self._tasks.stop()
        self._further.close()
        stopped = AccountUnavailable("The account was stopped", code="Stopped", extra={"state": self.state})
        self._lane.fail_all(stopped)
        self._listed.raise_()

    # the runner

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self._shared.clock.seconds()
            try:
                if not await self._take_up():
                    return  # deleted meanwhile
                await self._connect_again_and_again()
            except (StoreUnavailable, StoreRefused, StoredUnreadable, SecretUnreadable) as error:
                log.warn("the store does not answer: {reason}", account=self.id, reason=error.message)
            except Outdated:
                log.warn("somebody else took the account up, taking it back", account=self.id)
            # a store that fails again and again must not make us log in at the mail server again and again
            failures = 0 if self._shared.clock.seconds() - began > STAYED else failures + 1
            await pause(self._shared.clock, _STORE_AWAY.delay(failures, self._shared.random))

    async def _take_up(self) -> bool:
        """Become the owner, and know what the store knows: an answer that was lost may have changed it."""
        taken = await self._shared.accounts.take_up(self.id)
        record = await self._shared.accounts.get(self.id)
        if taken is None or record is None:
            return False
        self._owner = taken
        self.voice = Voice(self.id, record.generation, taken)
        self.last_error = record.error
        self.ever_connected = record.connected > 0
        await self._load_folders()
        return True

    async def _load_folders(self) -> None:
        """What the store knows of the folders; what is in memory may be ahead of it or behind."""
        known = self.folders.by_path
        self.folders.by_path = {}
        for one in await self._shared.folders.load(self.id):
            folder = self.folders.by_path[one.path] = held(one)
            if one.number is not None and one.position is not None:
                self.folders.remember(one.number, one.path, one.position.uidvalidity)
            if one.path in known:
                folder.compared = known[one.path].compared
                folder.failures, folder.aside_until = known[one.path].failures, known[one.path].aside_until
                folder.told = known[one.path].told

    async def _connect_again_and_again(self) -> None:
        while True:
            self._prodded.clear()
            self._again = False
            if self.broken or not watches_mail(self.settings):
                await self._become("unset", {"response": self.broken} if self.broken else None)
                self._lane.fail_all(unavailable(self.state))
                self._listed.raise_()
                await self._prodded.wait()
                continue
            delay = await self._one_life()
            if not self._again:
                await self._prodded.wait_for(self._shared.clock, delay)

    async def _one_life(self) -> float:
        """Connect, work until the connection ends, and say how long to wait before the next."""
        clock = self._shared.clock
        ready: float | None = None
        outcome = Outcome.FAILED
        why: EmailEngineError | None = None
        self._listed.clear()
        try:
            await self._become("connecting")
            async with self._shared.connecting.of(self._host()):
                session = await self._shared.open_session(self.settings, self._news, compress=False)
            self._session = session
            session.on_lost(self._woken.raise_)
            await self._become("syncing")
            watch = Watch(self, session, self._shared)
            syncing = Syncing(self, session, self._shared)
            await self._look(watch)
            await self._logged_in()
            ready = clock.seconds()
            outcome = Outcome.LOST
            self._listed.raise_()
            self._shared.usable(self.id)
            await self._work(session, watch, syncing)
        except CancelledError:
            raise
        except AuthenticationRefused as error:
            outcome, why = Outcome.REFUSED, error
            await self._report("authenticationError", error)
        except (StoreUnavailable, StoreRefused, Outdated):
            raise
        except EmailEngineError as error:
            why = error
            self._further.mind(error)
            if ready is None:
                await self._report("connectError", error)
            else:
                log.info("connection lost: {reason}", account=self.id, reason=error.message)
                await self._become("disconnected")
        except Exception as error:  # noqa: BLE001 - one account's bug stops only itself, and not for ever
            metrics.tasks_failed.labels("account").inc()
            log.failure("the account's runner failed", account=self.id)
            await self._report("connectError", EmailEngineError(f"Internal error: {type(error).__name__}"))
        finally:
            self._resting = False
            if self._session is not None:
                self._session.abort("done")
                self._heard_at, self._session = self._session.heard_at, None
            self._further.close()
        if self.state not in USABLE:
            self._lane.fail_all(unavailable(self.state))
            self._listed.raise_()
        lived = 0.0 if ready is None else clock.seconds() - ready
        return self._reconnect.next_delay(outcome, lived, self._shared.random, why)

    async def _work(self, session: Session, watch: Watch, syncing: Syncing) -> None:
        """The next piece of work, again and again, until the connection ends or is to be made anew."""
        clock = self._shared.clock
        while not self._again:
            self._woken.clear()
            session.check()
            returned = self._lane.lend(session)
            if returned is not None:
                await returned
                continue
            folder = self.folders.next_dirty(clock.seconds())
            if folder is not None:
                await self._sync(syncing, folder)
                continue
            if self.state != "connected":
                await self._become("connected")
                continue
            if self._looked is not None:
                await self._note_look()
                continue
            if clock.seconds() >= self._look_around_at:
                await self._look(watch)
                continue
            self._resting = True
            try:
                await watch.rest(self._woken, self._look_around_at)
            finally:
                self._resting = False

    async def _sync(self, syncing: Syncing, folder: Folder) -> None:
        """One slice of a pass. Catching up takes its turn among all accounts; news of the main folder do not wait."""
        main, now = self.folders.main, self._shared.clock.seconds()
        if folder is main:
            self._main_seen = now
        elif main is not None and now - self._main_seen >= _MAIN_UNSEEN:
            # nobody tells what happens in it while another folder is selected
            self._main_seen = now
            main.dirty = main.stale = True
        if folder is main and folder.position is not None and not folder.position.todo:
            await syncing.slice(folder)
            return
        async with self._shared.slices.of(self._host()):
            await syncing.slice(folder)

    async def _look(self, watch: Watch) -> None:
        now = wall()
        self.sync_error = None
        self._look_again = False
        await watch.look_around()
        self._looked = now
        imap = self.settings.imap
        wait = imap.resync_delay if imap is not None else RESYNC_DELAY
        # somebody may have asked for it once more meanwhile
        self._look_around_at = 0.0 if self._look_again else self._shared.clock.seconds() + wait

    async def _note_look(self) -> None:
        """All that the last look around found has been dealt with."""
        assert self._looked is not None
        looked, self._looked = self._looked, None
        await self._shared.accounts.set_sync(self.id, self._owner, time=iso(looked), error=self.sync_error)
        self.looked_at = looked

    async def _logged_in(self) -> None:
        """Tell that the credentials are good, where nobody knows that yet."""
        if self.ever_connected and self.last_error is None:
            return
        imap = self.settings.imap
        user = imap.auth.user if imap is not None and imap.auth is not None else ""
        # the same after the same error: it is told once, though the answer to the first telling was lost
        after = (self.last_error or {}).get(_SERIAL, "first")
        await self._become("syncing", says=[self.voice.once("authenticationSuccess", {"user": user}, after)])

    # requests

    async def _ask(self, verb: Verb, long: bool) -> Any:
        tries = 2 if verb.repeatable else 1
        while True:
            tries -= 1
            loan = await self.borrow(long=long)
            session = loan.session
            try:
                if verb.repeatable:
                    return await with_news(session, partial(verb.run, session, self.folders))
                return await verb.run(session, self.folders)
            except ConnectionLost:
                if not tries:
                    raise
            finally:
                loan.give_back()
                if self.folders.next_dirty(self._shared.clock.seconds()) is not None:
                    self._woken.raise_()  # it changed something that the first session is not told of

    def _may_use_first(self, long: bool) -> bool:
        """
        Whether a request goes through the first session: if it rests, or will be there first.

        A second request within a few seconds gets a session of its own, so that a busy client does not end IDLE again
        and again.
        """
        if self._session is None or not self._listed.raised or not self._further.possible:
            return True
        if long or not self._resting or len(self._lane) or self._further.resting:
            return False
        now = self._shared.clock.seconds()
        lately, self._asked_at = now - self._asked_at < _BUSY_CLIENT, now
        return not lately

    async def _open_further(self) -> Session:
        return await self._shared.open_session(self.settings, _ignore, compress=True)

    # states and events

    async def _become(self, state: str, error: dict[str, Any] | None = None, *, says: Sequence[Say] = ()) -> None:
        """Change the state, and write it together with the events that it brings."""
        told = list(says)
        if state == "connected":
            error = None
            if not self.ever_connected:
                told.append(self.voice.once("accountInitialized", {"initialized": True}, "once"))
        elif error is None and state != "unset":
            error = self.last_error  # kept until the account is connected
        if state == self.state and error == self.last_error and not told:
            return
        before = self.state
        await self._shared.accounts.set_state(self.id, self._owner, state, error, told)
        self.state, self.last_error = state, error
        self.ever_connected = self.ever_connected or state == "connected"
        self._shared.became(self.id, before, state)
        if told:
            self._shared.said(self.id)

    async def _report(self, state: EventName, error: EmailEngineError) -> None:
        """Enter an error state; the webhook goes out unless this very error is known already."""
        told: dict[str, Any] = {"response": error.message}
        if error.code:
            told["serverResponseCode"] = error.code
        before = {name: value for name, value in (self.last_error or {}).items() if name != _SERIAL}
        known = bool(before) and (before.get("serverResponseCode") == error.code if error.code else before == told)
        log.info("{state}: {reason}", account=self.id, state=state, reason=error.message)
        said = () if known else (self.voice.event(state, dict(told)),)
        serial = said[0].event_id if said else (self.last_error or {}).get(_SERIAL)
        await self._become(state, told | {_SERIAL: serial}, says=said)

    async def ledger(self, folder: Folder, uidvalidity: int) -> Ledger:
        """What the index knows of a folder under a UIDVALIDITY."""
        number = await self.folders.number(folder.path, uidvalidity)
        return Ledger(
            self.id,
            self.generation,
            self._owner,
            self.voice.origin(),
            folder,
            number,
            uidvalidity,
            self._shared.index,
            self._shared.clock,
        )

    def folder_failed(self, path: str, reason: str) -> None:
        """A folder could not be synchronised: shown with the account until the next look around."""
        self.sync_error = {"path": path, "time": iso(wall()), "error": reason}
        self._looked = self._looked or wall()

    # news

    def _news(self, response: Response) -> None:
        """What the server tells unasked: a hint that the selected folder moved."""
        selected = self._session.selected if self._session is not None else None
        if selected is not None and self.folders.hear(selected.path, response):
            self._woken.raise_()

    def _host(self) -> str:
        return (self.settings.imap.host if self.settings.imap is not None else None) or ""


def _ignore(response: Response) -> None:
    """News on a further session: the first one hears of the same."""
