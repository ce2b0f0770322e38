"""The rest between two pieces of work: IDLE, or asking now and then, and a watchdog over both.

A connection can die without a word: the server is gone, or something between us forgot it, and IDLE would wait for
ever. So IDLE is begun anew every few minutes, and each time the server must answer; one that stays silent then is given
up within half a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from emailengine.accounts.folders import Folder, Folders
from emailengine.accounts.oddities import Ask, Watching
from emailengine.core.flag import Flag
from emailengine.errors import ProtocolFault, ServerRefused
from emailengine.imap.session import Session
from emailengine.sync.plan import Look, Seen, plan

T = TypeVar("T")

IDLE_SHORT = 10.0  # seconds; a server that ends IDLE sooner by itself,
IDLE_TIRED = 3  # so many times in a row,
IDLE_PAUSE = 300.0  # is polled for a while,
IDLE_ENDED_POLL = 15.0  # so many seconds apart


class Resting:
    """
    The rest of one session.

    `way` is how this server is watched; `compare` marks a folder as dirty if STATUS tells other numbers than we know.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        session: Session,
        folders: Folders,
        way: Watching,
        compare: Callable[[Folder], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._session = session
        self._folders = folders
        self._way = way
        self._compare = compare
        self._asked = clock.seconds()
        self._polling_until = float("-inf")
        self._short = 0

    async def rest(self, woken: Flag, until: float) -> None:
        """
        Wait in the main folder for news, for work, for the time `until` or that of a folder that was set aside.

        Whichever comes first. Raises ConnectionLost where the server does not answer any more.
        """
        main, now = self._folders.main, self._clock.seconds()
        if main is not None and main.aside_until <= now:
            await self._settle(main)
            if main.dirty:
                return
        wait = max(0.0, min(until, self._folders.next_due(now)) - self._clock.seconds())
        if await self._idle(woken, wait):
            return
        polling = IDLE_ENDED_POLL if self._clock.seconds() < self._polling_until else self._way.poll
        due = self._asked + min(polling, self._way.poll)
        await woken.wait_for(self._clock, max(0.0, min(wait, due - self._clock.seconds())))
        if self._clock.seconds() >= due:
            self._asked = self._clock.seconds()
            await self._ask(main)

    async def _ask(self, main: Folder | None) -> None:
        """Ask for news of the folder that is rested in, in the way in which this server tells them."""
        way, session = self._way.ask, self._session
        ready = main is not None and main.aside_until <= self._clock.seconds()
        if main is not None and ready and way is Ask.STATUS:
            await self._answered(self._compare(main))
            return
        if main is not None and ready and way is Ask.SELECT:
            main.dirty = main.stale = True  # the pass over it selects it
            return
        try:
            await self._answered(session.noop())
        except (ServerRefused, ProtocolFault):
            session.check()
            if main is not None:
                main.dirty = main.stale = True  # a server that knows no NOOP is asked by SELECT

    async def _idle(self, woken: Flag, wait: float) -> bool:
        """Rest in IDLE; False where that is not possible, or the server has just ended it by itself."""
        session, began = self._session, self._clock.seconds()
        offered = self._way.idle and "IDLE" in session.capabilities
        if not offered or session.selected is None or began < self._polling_until:
            return False
        if woken.raised:
            return True  # there is work: what was not begun has not ended either
        try:
            await self._answered(session.idle_start(woken.raise_))
            await woken.wait_for(self._clock, min(wait, self._way.renewal))
        except ServerRefused as refused:
            for_good = not refused.meaning.passes
            self._polling_until = float("inf") if for_good else self._clock.seconds() + IDLE_PAUSE
            return False
        ended = not session.idling
        await self._answered(session.idle_stop())
        self._asked = self._clock.seconds()
        self._short = self._short + 1 if ended and self._clock.seconds() - began < IDLE_SHORT else 0
        if self._short >= IDLE_TIRED:
            self._polling_until = self._clock.seconds() + IDLE_PAUSE
            self._short = 0
        return True

    async def _answered(self, asked: Awaitable[T]) -> T:
        """What the server answers; one that sends nothing at all for too long meanwhile is given up."""
        session, clock, longest = self._session, self._clock, self._way.answer
        began = clock.seconds()
        timer: IDelayedCall | None = None

        def look() -> None:
            nonlocal timer
            left = longest - (clock.seconds() - max(began, session.heard_at))
            if left > 0:
                timer = clock.callLater(left, look)
            else:
                session.abort(f"no answer for {longest:g} seconds")

        timer = clock.callLater(longest, look)
        try:
            return await asked
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    async def _settle(self, main: Folder) -> None:
        """Select the folder to rest in, and see whether it moved while another one was selected."""
        selected = self._session.selected
        if selected is not None and selected is main.judged:
            return
        if selected is None or selected.path != main.path:
            try:
                selected = await self._session.select(main.path)
            except (ServerRefused, ProtocolFault):
                self._session.check()
                main.dirty = main.stale = True  # the pass over it tells what is wrong
                return
        # also when somebody else selected it: what that SELECT told nobody has looked at
        main.judged = selected
        seen = Seen(selected.uidvalidity, selected.exists, selected.uidnext, selected.modseq)
        if plan(main.position, seen, thorough=False).look is not Look.NOTHING:
            main.dirty = main.stale = True
