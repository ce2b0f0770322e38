"""Who gets an account's session next: borrowers wait their turn, first come first served, and a bounded number.

The session is lent, not the work taken: a borrower runs in its own coroutine, so that its deadline and its
cancellation end the command it waits for and nothing else.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType

from twisted.internet.defer import CancelledError, Deferred

from emailengine.core.flag import Flag
from emailengine.errors import Busy
from emailengine.imap.session import Session

WAITING = 64  # borrowers; more would be late before their turn comes


class Loan:
    """A session in somebody's hands: `async with loan as session`."""

    __slots__ = ("returned", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.returned: Deferred[None] = Deferred()

    def give_back(self) -> None:
        if not self.returned.called:
            self.returned.callback(None)

    async def __aenter__(self) -> Session:
        return self.session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()


class Lane:
    """Borrowers in order of arrival. `woken` is raised when one comes."""

    __slots__ = ("_waiting", "woken")

    def __init__(self, woken: Flag) -> None:
        self._waiting: deque[Deferred[Loan]] = deque()
        self.woken = woken

    def __len__(self) -> int:
        return len(self._waiting)

    async def borrow(self) -> Loan:
        """Wait for the session. `Busy` when too many wait; the error of `fail_all` when there will be none."""
        if len(self._waiting) >= WAITING:
            raise Busy("Too many requests are waiting for this account: try again shortly")
        turn: Deferred[Loan] = Deferred(self._leave)
        self._waiting.append(turn)
        self.woken.raise_()
        return await turn

    def lend(self, session: Session) -> Deferred[None] | None:
        """Hand the session to whoever waits longest; the answer fires when it comes back. None if nobody waits."""
        if not self._waiting:
            return None
        loan = Loan(session)
        self._waiting.popleft().callback(loan)
        return loan.returned

    def fail_all(self, error: Exception) -> None:
        """Tell everyone who waits that there will be no session."""
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            turn.errback(error)

    def _leave(self, turn: Deferred[Loan]) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
            turn.errback(CancelledError())
