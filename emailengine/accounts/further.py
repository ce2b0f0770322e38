"""Further sessions of an account: opened when the first one is busy, kept for a minute, few.

They serve reads beside a sync and keep the first session in IDLE. A server that says "too many connections" is
believed: for a while no further one is opened, and everybody waits for those that there are. Each time it says so again
the while is longer, and it is no error of the account.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from emailengine.accounts.lane import Loan
from emailengine.core.gates import Gate
from emailengine.core.tasks import Tasks
from emailengine.errors import Busy, EmailEngineError, MailServerError, Meaning
from emailengine.imap.session import Session

KEPT = 60.0  # seconds that a session rests before it is closed
LIMIT = 2  # sessions beside the first
SHY = 600.0  # seconds without a new one after the server refused one,
SHY_LONGEST = 6 * 3600.0  # doubled to this where it says each time that there are too many
WAITING = 64  # borrowers


class Further:
    """The further sessions of one account."""

    def __init__(self, *, clock: IReactorTime, open_: Callable[[], Awaitable[Session]], tasks: Tasks) -> None:
        self._clock = clock
        self._open = open_
        self._tasks = tasks
        self._gate = Gate(LIMIT)
        self._resting: list[tuple[Session, IDelayedCall]] = []
        self._lent: set[Session] = set()
        self._refused_until = float("-inf")
        self._too_many = 0  # times in a row
        self._era = 0  # raised when all are to go: a session of an earlier one is not used again

    @property
    def resting(self) -> bool:
        """Whether a session is open and waits for work."""
        return bool(self._resting)

    @property
    def possible(self) -> bool:
        """Whether borrowing may succeed: one rests, or the server has not refused one lately."""
        return bool(self._resting) or self._clock.seconds() >= self._refused_until

    @property
    def count(self) -> int:
        return len(self._resting) + len(self._lent)

    async def borrow(self) -> Loan | None:
        """A session of its own for the borrower; None when the server grants no further one."""
        if self._gate.waiting >= WAITING:
            raise Busy("Too many requests are waiting for this account: try again shortly")
        await self._gate.acquire()
        era = self._era
        try:
            session = self._rested()
            if session is None:
                session = await self._open()
                self._too_many = 0
        except EmailEngineError as error:
            self._gate.release()
            self._believe(error)
            return None
        except BaseException:
            self._gate.release()
            raise
        self._lent.add(session)
        loan = Loan(session)
        loan.returned.addCallback(lambda _: self._back(session, era))
        if era != self._era:
            session.abort("it was opened under other settings")
        return loan

    def mind(self, error: EmailEngineError) -> None:
        """The first session ended so, or did not come about: where it is one too many, so are those beside it."""
        if isinstance(error, MailServerError) and error.meaning is Meaning.LIMIT:
            self._believe(error)

    def _believe(self, error: EmailEngineError) -> None:
        """Open no session for a while."""
        wait = SHY
        if isinstance(error, MailServerError):
            if error.meaning is Meaning.LIMIT:
                wait = min(SHY_LONGEST, SHY * 2.0 ** min(self._too_many, 16))
                self._too_many += 1
            wait = max(wait, error.retry_after or 0.0)
        self._refused_until = max(self._refused_until, self._clock.seconds() + wait)

    def _rested(self) -> Session | None:
        while self._resting:
            session, timer = self._resting.pop()
            timer.cancel()
            if session.alive:
                return session
        return None

    def _back(self, session: Session, era: int) -> None:
        self._lent.discard(session)
        if era != self._era or self._tasks.stopping:
            session.abort("closed")
        elif session.alive:
            timer = self._clock.callLater(KEPT, self._expire, session)
            self._resting.append((session, timer))
        self._gate.release()

    def _expire(self, session: Session) -> None:
        self._resting = [(one, timer) for one, timer in self._resting if one is not session]
        self._tasks.start("logout", session.logout())

    def close(self) -> None:
        """End them all: their settings changed, or the account goes."""
        self._era += 1
        resting, self._resting = self._resting, []
        for session, timer in resting:
            timer.cancel()
            session.abort("closed")
        for session in list(self._lent):
            session.abort("closed")
