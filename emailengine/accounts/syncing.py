"""Brings the index of an account's folders up to what the server holds, one slice at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from emailengine.accounts.arriving import Arriving
from emailengine.accounts.folders import Folder
from emailengine.accounts.ledger import Ledger
from emailengine.accounts.passes import Pass, Replaced
from emailengine.accounts.patience import stay_away
from emailengine.errors import Meaning, ProtocolFault, ServerRefused
from emailengine.imap.session import Selected, Session
from emailengine.sync.plan import FlagLook, Look, Plan, Seen, plan

if TYPE_CHECKING:
    from emailengine.accounts.account import Account
from emailengine.accounts.shared import Shared

log = Logger()

ASIDE = 300.0  # seconds before a folder that would not open is tried again, doubled each time,
PHANTOM = 3  # until it has been refused so many times in a row:
PHANTOM_ASIDE = 6 * 3600.0  # then it is listed and not there, and tried after so long or when its numbers change,
KNOWN_ASIDE = 1800.0  # but one that did open is no phantom
VAIN = 5  # passes in a row for news that are none; then the next one waits a second, and twice as long each time,
VAIN_LONGEST = 60.0  # to this: some servers tell with each answer how many messages there are
THOROUGH = 1800.0  # seconds between two readings of all flags where the server cannot tell which changed


class Syncing:
    """The passes over the folders of one account, on one session."""

    def __init__(self, account: Account, session: Session, shared: Shared) -> None:
        self._account = account
        self._session = session
        self._shared = shared
        self._passes: dict[str, Pass] = {}
        for folder in account.folders.by_path.values():
            if folder.busy:  # on a session that is gone
                folder.busy = False
                folder.dirty = folder.stale = True

    async def slice(self, folder: Folder) -> None:
        """
        One step of the pass over `folder`; begins it where none is going on.

        A folder that the server does not open is set aside for a while. Raises what ends the session, and what the
        store raises.
        """
        try:
            await self._slice(folder)
        except ServerRefused as refused:
            self._set_aside(folder, refused)
        except ProtocolFault as fault:
            self._session.check()
            # what cannot be read must not hide the other folders, nor make us log in again and again
            self._set_aside(folder, fault)
        except Replaced:
            self._forget(folder)

    async def _slice(self, folder: Folder) -> None:
        going_on = self._passes.get(folder.path)
        if going_on is not None and going_on.folder is not folder:  # it was gone meanwhile, and is another one
            self._forget(folder)
            going_on = None
        selected = self._session.selected
        fresh = selected is None or selected.path != folder.path or (folder.stale and going_on is None)
        if fresh or selected is None:
            folder.stale = False
            selected = await self._session.select(folder.path)
        if going_on is not None and going_on.ledger.uidvalidity != selected.uidvalidity:
            self._forget(folder)
            going_on = None
            fresh = True
        if going_on is None:
            going_on = await self._begin(folder, selected, fresh)
            if going_on is None:
                self._over(folder)
                return
        elif folder.dirty and going_on.first:
            folder.dirty = False
            going_on.look_for_new()
        if not await going_on.slice():
            del self._passes[folder.path]
            self._over(folder)
            self._note_vain(folder, going_on)

    async def _begin(self, folder: Folder, selected: Selected, fresh: bool) -> Pass | None:
        folder.dirty = False
        if fresh:
            folder.judged = selected
        hints = folder.take_hints()
        account, shared = self._account, self._shared
        ledger = await account.ledger(folder, selected.uidvalidity)
        seen, wanted = self._decide(folder, selected, ledger, fresh=fresh, flags_moved=hints.moved)
        if wanted.look is Look.NOTHING:
            return None
        begun = Pass(
            self._session,
            folder,
            ledger,
            account.settings.announced_from,
            folder.since,
            Arriving(account, self._session, shared),
            lambda: shared.said(account.id),
        )
        folder.busy = True
        self._passes[folder.path] = begun
        # a fresh SELECT may have numbered the messages anew
        await begun.begin(wanted, seen, None if fresh and hints.numbers else hints.numbers, hints.uids)
        return begun

    def _decide(
        self, folder: Folder, selected: Selected, ledger: Ledger, *, fresh: bool, flags_moved: bool
    ) -> tuple[Seen, Plan]:
        position = ledger.position
        if fresh or position is None:
            thorough = self._shared.clock.seconds() - folder.compared >= THOROUGH
            seen = Seen(selected.uidvalidity, selected.exists, selected.uidnext, selected.modseq)
            wanted = plan(position, seen, thorough=thorough)
        else:
            # what was told while it was selected: how many messages there are, and that flags changed
            seen = Seen(selected.uidvalidity, selected.exists, None, None)
            wanted = plan(position, seen, thorough=False)
        if flags_moved and wanted.look in (Look.CHANGES, Look.NOTHING) and wanted.flags is FlagLook.NONE:
            tells = position is not None and position.modseq is not None and selected.modseq is not None
            wanted = Plan(Look.CHANGES, wanted.new, FlagLook.CHANGED if tells else FlagLook.ALL)
        return seen, wanted

    def _over(self, folder: Folder) -> None:
        folder.busy = False
        folder.failures = folder.delays = 0
        if folder.flags_moved:
            folder.dirty = True

    def _note_vain(self, folder: Folder, done: Pass) -> None:
        if done.commits or not folder.dirty:
            folder.vain = 0
            return
        folder.vain += 1
        if folder.vain >= VAIN:
            wait = min(VAIN_LONGEST, 2.0 ** min(folder.vain - VAIN, 10))
            folder.aside_until = max(folder.aside_until, self._shared.clock.seconds() + wait)

    def _forget(self, folder: Folder) -> None:
        self._passes.pop(folder.path, None)
        folder.busy = False
        folder.dirty = folder.stale = True

    def _set_aside(self, folder: Folder, refused: ServerRefused | ProtocolFault) -> None:
        self._forget(folder)
        reason = refused.message
        meaning = refused.meaning if isinstance(refused, ServerRefused) else Meaning.UNAVAILABLE
        if meaning.passes:
            wait = stay_away(refused, folder.delays)
            folder.delays += 1
        else:
            folder.failures += 1
            wait = ASIDE * 2 ** (folder.failures - 1) if folder.failures < PHANTOM else PHANTOM_ASIDE
            if folder.position is not None:
                wait = min(wait, KNOWN_ASIDE)
        folder.aside_until = until = self._shared.clock.seconds() + wait
        if meaning is Meaning.THROTTLED:  # whatever else is asked for meets the same
            for one in self._account.folders.by_path.values():
                one.aside_until = max(one.aside_until, until)
        log.warn(
            "{folder} cannot be synchronised, again in {wait} s: {reason}",
            account=self._account.id,
            folder=folder.path,
            wait=wait,
            reason=reason,
        )
        self._account.folder_failed(folder.path, reason)
