"""Protocol logs: what is said on the connections of an account, for those who want to see why something fails.

A connection hands over its lines and goes on; they are written a moment later, many at a time. When Redis is slow the
oldest are dropped, and the log says how many. Lines come without secrets and without the octets of literals.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from itertools import count
from typing import Any, Final, Protocol

import msgspec
from attrs import define
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from emailengine.core.clock import wall
from emailengine.core.deadline import bounded
from emailengine.core.gates import Gate
from emailengine.core.tasks import Tasks, together
from emailengine.errors import EmailEngineError, TimedOut
from emailengine.model.dates import iso
from emailengine.model.settings import LogSettings
from emailengine.store.logs import LogStore

log = Logger()

WAITING: Final = 10_000
"""Lines of all accounts that wait for Redis, of at most 1 000 characters each; seconds of a busy first sync."""
_AT_ONCE: Final = 500
"""Lines that are written before the reactor runs again: about a millisecond."""
_SOON: Final = 100
"""Lines that are not kept waiting."""
_PAUSE: Final = 1.0
"""Seconds for which fewer wait for company."""
_PARTING: Final = 2.0
"""Seconds for what still waits when the daemon stops."""

_encode = msgspec.json.Encoder().encode


class Settings(Protocol):
    """The settings as they are now, by their names on the wire."""

    def value(self, name: str, default: Any = None) -> Any:
        """The value, or `default` where none is set."""


@define(eq=False)
class ConnectionLog:
    """The lines of one connection. Implements `imap.wirelog.WireLog`."""

    _logs: ProtocolLogs
    account: str
    number: int

    def said(self, line: str) -> None:
        self._logs.note(self, "c", line)

    def heard(self, line: str) -> None:
        self._logs.note(self, "s", line)

    def event(self, text: str) -> None:
        self._logs.note(self, "connection", text)


_Line = tuple[ConnectionLog, float, str, str]
"""A connection, when it was (seconds since 1970), who said it, what."""


class ProtocolLogs(Service):
    """
    The protocol logs of all accounts.

    `of` tells them of each connection that is to be made, and so who wants a log: the account itself (`logs`), or the
    installation for all. Once an account wants none any more, what was written of it is removed.
    """

    def __init__(self, *, clock: IReactorTime, store: LogStore, settings: Settings) -> None:
        self._clock = clock
        self._store = store
        self._settings = settings
        self._numbers = count(1)
        self._wanting: set[str] = set()
        self._clean: set[str] = set()  # of which nothing is stored
        self._lines: deque[_Line] = deque()
        self._dropped: Counter[str] = Counter()
        self._timer: IDelayedCall | None = None
        self._writing = Gate(1)
        self._tasks = Tasks("protocol logs")

    def of(self, account: str, wanted: bool) -> ConnectionLog | None:
        """The log of a new connection; None if nobody wants one. `wanted`: the account does."""
        if wanted:
            self._wanting.add(account)
        else:
            self._wanting.discard(account)
        if self._wants(account):
            self._clean.discard(account)
            return ConnectionLog(self, account, next(self._numbers))
        if account not in self._clean:
            self._tasks.start("remove", self._switch_off(account))
        return None

    def forget(self, account: str) -> None:
        """The account was deleted, and its log with it."""
        self._wanting.discard(account)
        self._clean.discard(account)
        self._drop_lines(account)

    def note(self, connection: ConnectionLog, source: str, text: str) -> None:
        """A line of a connection. Never waits, and costs next to nothing."""
        lines = self._lines
        if len(lines) >= WAITING:
            self._dropped[lines.popleft()[0].account] += 1
        lines.append((connection, wall(), source, text))
        if self._timer is None:
            self._timer = self._clock.callLater(_PAUSE, self._begin)
        elif len(lines) == _SOON:
            self._timer.reset(0)

    async def read(self, account: str) -> AsyncIterator[bytes]:
        """What was said until now, oldest first: lines of JSON, in chunks. Nothing where there is no log."""
        await self._write()
        async for lines in self._store.read(account):
            yield b"\n".join(lines) + b"\n"

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        try:
            await bounded(self._clock, _PARTING, self._write())
        except TimedOut:
            log.warn("{count} lines of protocol logs are lost", count=len(self._lines))
        await self._tasks.stop()
        self._unset()

    def _unset(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _begin(self) -> None:
        self._timer = None
        self._tasks.start("write", self._write())

    async def _write(self) -> None:
        """Write the lines that wait now. Those that Redis does not take wait on."""
        async with self._writing:
            left = len(self._lines)
            while left > 0 and self._lines:
                batch = [self._lines.popleft() for _ in range(min(left, _AT_ONCE, len(self._lines)))]
                left -= len(batch)
                if not await self._write_some(batch):
                    break
        if self._lines and self._timer is None and not self._tasks.stopping:
            self._timer = self._clock.callLater(_PAUSE, self._begin)

    async def _write_some(self, batch: list[_Line]) -> bool:
        """Whether all were written; if not, the others wait again, before those that came since."""
        groups: defaultdict[str, list[_Line]] = defaultdict(list)
        for line in batch:
            groups[line[0].account].append(line)
        refused = [one for one in await together(map(self._write_for, groups, groups.values())) if one]
        for lines in refused:
            room = max(0, WAITING - len(self._lines))
            kept = lines[len(lines) - min(room, len(lines)) :]
            self._dropped[lines[0][0].account] += len(lines) - len(kept)
            self._lines.extendleft(reversed(kept))
        return not refused

    async def _write_for(self, account: str, lines: list[_Line]) -> list[_Line]:
        """The lines that could not be written."""
        most = self._how().max_log_lines
        if not self._wants(account) or not most:
            await self._remove(account)
            return []
        packed = [_packed(*line) for line in lines]
        missing = self._dropped.pop(account, 0)
        if missing:
            connection, at, *_ = lines[0]
            told = f"{missing} lines are missing here: they could not be stored in time"
            packed.insert(0, _packed(connection, at, "connection", told))
        try:
            await self._store.append(account, packed[-most:], most=most)
        except EmailEngineError as error:
            log.warn("a protocol log waits for the store: {reason}", account=account, reason=error.message)
            self._dropped[account] += missing
            return lines
        return []

    async def _switch_off(self, account: str) -> None:
        async with self._writing:
            if not self._wants(account):
                await self._remove(account)

    async def _remove(self, account: str) -> None:
        self._drop_lines(account)
        try:
            await self._store.remove(account)
        except EmailEngineError as error:
            log.warn("a protocol log is not removed yet: {reason}", account=account, reason=error.message)
            return
        if not self._wants(account):
            self._clean.add(account)

    def _drop_lines(self, account: str) -> None:
        self._dropped.pop(account, None)
        self._lines = deque(one for one in self._lines if one[0].account != account)

    def _wants(self, account: str) -> bool:
        return account in self._wanting or self._how().all

    def _how(self) -> LogSettings:
        stored = self._settings.value("logs")
        return LogSettings() if stored is None else msgspec.convert(stored, LogSettings)


def _packed(connection: ConnectionLog, at: float, source: str, text: str) -> bytes:
    shown = text.encode("utf-8", "backslashreplace").decode()
    return _encode({"time": iso(at), "connection": connection.number, "src": source, "msg": shown})
