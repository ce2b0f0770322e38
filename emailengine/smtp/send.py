"""Sending messages, over connections that are kept for a short while in case more follow."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from emailengine.core.tasks import Tasks
from emailengine.errors import Busy
from emailengine.smtp.opening import open_session
from emailengine.smtp.session import OnFinalDot, Session, SmtpResult, Submission
from emailengine.smtp.target import Dialling, Login, Patience, Securing, SmtpTarget
from emailengine.wire.smtp import Dsn

_Key = tuple[SmtpTarget, str, str | None, str | None, str]


@define(eq=False)
class _Resting:
    session: Session
    timer: IDelayedCall


@define(kw_only=True, eq=False)
class Senders:
    """
    Sends messages, each over a session of its own or one that rested.

    Sessions are shared only by messages for the same target under the same TLS policy, with the same credentials and
    the same EHLO name. One that rests is checked with RSET before it is used again; it is closed after `idle` seconds,
    after `most_messages`, or `oldest` seconds after it was opened. Limits on how many are open are the caller's.
    """

    clock: IReactorTime
    dialer: Dialling
    contexts: Securing
    patience: Patience = field(factory=Patience)
    idle: float = 10.0
    oldest: float = 300.0
    most_messages: int = 100
    most_resting: int = 64
    _resting: dict[_Key, list[_Resting]] = field(factory=dict, init=False, repr=False)
    _opened: dict[int, float] = field(factory=dict, init=False, repr=False)
    _busy: list[Session] = field(factory=list, init=False, repr=False)
    _goodbyes: Tasks = field(factory=lambda: Tasks("smtp"), init=False)
    _stopping: bool = field(default=False, init=False)

    async def send_message(
        self,
        *,
        target: SmtpTarget,
        credentials: Login | None,
        envelope_from: str,
        recipients: Sequence[str],
        data: bytes,
        ehlo_name: str,
        on_final_dot: OnFinalDot | None = None,
        dsn: Dsn | None = None,
    ) -> SmtpResult:
        """
        Send one message to all its recipients.

        Raises what `open_session` and `Session.deliver` raise; OutcomeUnknown is the only error after which the
        message may have been accepted, except for a cancellation after `on_final_dot` was awaited.
        """
        key = _key(target, credentials, ehlo_name)
        session = await self._rested(key)
        if session is None:
            session = await self._open(target, credentials, ehlo_name)
            self._busy.append(session)
        try:
            submission = Submission(envelope_from=envelope_from, recipients=recipients, data=data, dsn=dsn)
            return await session.deliver(submission, on_final_dot)
        finally:
            self._busy.remove(session)
            self._put_back(key, session)

    async def check(self, *, target: SmtpTarget, credentials: Login | None, ehlo_name: str) -> tuple[str, ...]:
        """Open a session and close it again; the keywords the server offers. Raises what `open_session` raises."""
        session = await self._open(target, credentials, ehlo_name)
        self._close(session)
        return tuple(session.extensions)

    async def stop(self) -> None:
        """Close everything; return when nothing is left. A message on its way is cut off."""
        self._stopping = True
        for waiting in self._resting.values():
            for one in waiting:
                one.timer.cancel()
                self._close(one.session)
        self._resting.clear()
        for session in list(self._busy):
            session.connection.abort()
        await self._goodbyes.join()

    async def _open(self, target: SmtpTarget, credentials: Login | None, ehlo_name: str) -> Session:
        if self._stopping:
            raise Busy("No further messages are sent: the daemon stops")
        session = await open_session(
            clock=self.clock,
            dialer=self.dialer,
            contexts=self.contexts,
            target=target,
            credentials=credentials,
            ehlo_name=ehlo_name,
            patience=self.patience,
        )
        self._opened[id(session)] = self.clock.seconds()
        return session

    async def _rested(self, key: _Key) -> Session | None:
        """A session that rested and still lives, taken over into `_busy`."""
        while self._resting.get(key):
            waiting = self._resting[key].pop()
            if not self._resting[key]:
                del self._resting[key]
            waiting.timer.cancel()
            session = waiting.session
            self._busy.append(session)
            alive = False
            try:
                alive = session.usable and await session.reset() and session.usable
            finally:
                if not alive:
                    self._busy.remove(session)
                    self._close(session)
            if alive:
                return session
        return None

    def _put_back(self, key: _Key, session: Session) -> None:
        age = self.clock.seconds() - self._opened[id(session)]
        full = sum(map(len, self._resting.values())) >= self.most_resting
        if self._stopping or full or not session.usable or session.messages >= self.most_messages or age > self.oldest:
            self._close(session)
            return
        timer = self.clock.callLater(self.idle, self._expire, key, session)
        self._resting.setdefault(key, []).append(_Resting(session, timer))

    def _expire(self, key: _Key, session: Session) -> None:
        kept = [one for one in self._resting.pop(key, []) if one.session is not session]
        if kept:
            self._resting[key] = kept
        self._close(session)

    def _close(self, session: Session) -> None:
        self._opened.pop(id(session), None)
        self._goodbyes.start("quit", session.leave())


def _key(target: SmtpTarget, credentials: Login | None, ehlo_name: str) -> _Key:
    if credentials is None:
        return target, "", None, None, ehlo_name
    return target, credentials.user, credentials.password, credentials.access_token, ehlo_name
