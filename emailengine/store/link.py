"""One connection to Redis, dialled again and again, and the calls that wait for it.

`txredisapi` dials and reconnects; the protocol is ours, on hiredis, since its own makes an object and a queue entry for
every step of a reply. Bytes go in and come out: nothing is turned into numbers or text.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis
from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from emailengine.errors import ConfigurationInvalid, StoreRefused, StoreUnavailable

with warnings.catch_warnings():
    warnings.simplefilter("ignore", BytesWarning)  # it keeps texts and the same bytes in one set
    import txredisapi

log = Logger()

CALL = 10.0  # seconds for a call, the wait for a reconnect included
WAITING = 1000  # calls that may wait while Redis is away; beyond that they are refused at once
UNANSWERED = 10_000
"""Calls of one connection that may wait for their reply; beyond that they are refused at once.

An ordinary burst, some calls of each of a thousand accounts, stays below it, and a Redis that is alive answers as many
within a fraction of a second. More than that is memory spent on one that has stopped.
"""
_LARGE = 65536  # bytes of a command that are not copied once more

Argument = bytes | str | int | float


@frozen
class Address:
    """Where Redis is, out of a URL. The password is never shown."""

    host: str | None
    port: int
    path: str | None
    database: int
    user: str | None
    password: str | None
    tls: bool

    def __str__(self) -> str:
        return f"{self.path or f'{self.host}:{self.port}'}, database {self.database}"

    def __repr__(self) -> str:
        return f"<{self}>"


def parse_url(url: str) -> Address:
    """Read `redis://[user:password@]host[:port][/db]`, `rediss://…`, `unix:///path[?db=n]`, or say what is wrong."""
    remedy = "write it as redis://[user:password@]host:port/db, rediss://… or unix:///path?db=0"
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        database = query.get("db", [""])[0]
        if parts.scheme == "unix":
            if not parts.path.startswith("/"):
                raise ValueError("a Unix socket needs an absolute path")
            password = query.get("password", [None])[0] or (unquote(parts.password) if parts.password else None)
            return Address(None, 0, parts.path, _database(database), None, password, False)
        if parts.scheme not in ("redis", "rediss"):
            raise ValueError(f"unknown scheme {parts.scheme!r}")
        if not parts.hostname:
            raise ValueError("the host is missing")
        user = unquote(parts.username) if parts.username else None
        return Address(
            host=parts.hostname,
            port=parts.port or 6379,
            path=None,
            database=_database(database or parts.path.strip("/")),
            user=None if user in (None, "", "default") else user,
            password=unquote(parts.password) if parts.password else None,
            tls=parts.scheme == "rediss",
        )
    except ValueError as error:
        reason = str(error) if "@" not in str(error) else "it cannot be read"
        raise ConfigurationInvalid(f"dbs.redis is not a Redis URL: {reason}; {remedy}") from None


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("the database must be a number, 0 or more")
    return int(text or 0)


class Connection(txredisapi.RedisProtocol):  # type: ignore[misc]  # txredisapi is not typed
    """
    Commands out, replies in, in the same order.

    A reply that does not come within `CALL` seconds is a failure. A connection that owes one and has been silent for
    as long is given up with all that waits for it, and dialled anew: its other end may be gone without a word. One
    that only takes its time is kept. One timer watches the oldest of all replies: a timer for each would cost as much
    as the command.
    """

    clock: IReactorTime  # set by the factory

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._replies: deque[_Reply] = deque()
        self._heard = float("-inf")
        self._watch: IDelayedCall | None = None
        self._parser = hiredis.Reader(protocolError=StoreUnavailable, replyError=_refusal)

    def execute_command(self, *arguments: Argument, **_: Any) -> Deferred[Any]:
        """Send one command. The answer fires with the reply; an error reply is a value, a lost connection a failure."""
        reply = _Reply(_keep_place)
        if not self.connected:
            reply.errback(StoreUnavailable("The connection to Redis is lost"))
            return reply
        if len(self._replies) >= UNANSWERED:
            reply.errback(too_many())
            return reply
        self._expect(reply)
        large = sum([len(one) for one in arguments if isinstance(one, bytes)]) > _LARGE
        self.transport.writeSequence(_pieces(arguments)) if large else self.transport.write(_pack(arguments))
        return reply

    def _expect(self, reply: _Reply) -> None:
        reply.due = self.clock.seconds() + CALL
        if self._watch is None:
            self._watch = self.clock.callLater(CALL, self._look)
        self._replies.append(reply)

    def _look(self) -> None:
        """Fail what is overdue. Its place is kept, so that a late reply is not taken for another's."""
        self._watch = None
        if not self._replies:
            return
        now = self.clock.seconds()
        again = max(self._heard + CALL, self._replies[0].due)  # when it has been silent for too long
        silent = again <= now
        if silent:
            self.connected = 0  # whoever tries again at once waits for the next connection
        for reply in list(self._replies):
            if reply.called:
                continue
            if reply.due > now:
                again = min(again, reply.due)
                break
            if self._ready:  # the login takes any failure for a refusal, and would have nobody dial again
                reply.errback(StoreUnavailable(f"Redis did not answer within {CALL:g} seconds"))
        if silent:
            log.warn("Redis has not answered for {seconds:g} seconds; connecting again", seconds=CALL)
            self.transport.abortConnection()
        elif self._watch is None:  # a call that failed may have been followed by another
            self._watch = self.clock.callLater(again - now, self._look)

    def send_many(self, commands: Sequence[Sequence[Argument]]) -> Deferred[list[Any]]:
        """Send commands in one write; the answer is the list of their replies."""
        whole: Deferred[list[Any]] = Deferred(_keep_place)
        if len(self._replies) >= UNANSWERED:
            whole.errback(too_many())
            return whole
        got: list[Any] = []
        expected = len(commands)

        def one(value: Any) -> None:
            got.append(value)
            if len(got) == expected and not whole.called:
                whole.callback(got)

        def lost(failure: Any) -> None:
            if not whole.called:
                whole.errback(failure)

        for _ in commands:
            reply = _Reply()
            reply.addCallbacks(one, lost)
            self._expect(reply)
        self.transport.write(b"".join([_pack(command) for command in commands]))
        return whole

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        parser = self._parser
        self._heard = self.clock.seconds()
        parser.feed(data)
        replies = self._replies
        try:
            value = parser.gets()
            while value is not False:
                reply = replies.popleft()
                if not self._ready and isinstance(value, StoreRefused | StoreUnavailable):
                    if isinstance(value, NotNow):  # it is to be dialled again, and not taken for a refusal
                        replies.appendleft(reply)
                        self.transport.abortConnection()
                        return
                    value = txredisapi.ResponseError(value.message)  # what the login looks for
                if not reply.called:
                    reply.callback(value)
                value = parser.gets()
        except StoreUnavailable:
            log.error("Redis sent what is not its protocol; connecting again")
            self.transport.abortConnection()

    def connectionLost(self, why: Any) -> None:
        logging_in = not self._ready
        super().connectionLost(why)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        waiting, self._replies = self._replies, deque()
        if logging_in:
            return  # as in _look
        for reply in waiting:
            if not reply.called:
                reply.errback(StoreUnavailable("The connection to Redis was lost; the command may or may not have run"))


class _Reply(Deferred[Any]):
    """A reply that is waited for, until the moment `due`."""

    due = float("inf")


def too_many() -> StoreUnavailable:
    return StoreUnavailable("Too many calls wait for Redis to answer")


class NotNow(StoreUnavailable):
    """Redis answers, but runs no command: it reads its data, or a script takes all its time. Nothing was done."""


def _refusal(text: str) -> StoreRefused | StoreUnavailable:
    """What an error reply means."""
    return NotNow(text) if text.startswith(("LOADING ", "BUSY ")) else StoreRefused(text)


def _pieces(command: Sequence[Argument]) -> list[bytes]:
    """A command as `_pack` writes it, without copying what is large."""
    pieces = [b"*%d\r\n" % len(command)]
    for one in command:
        data = one if isinstance(one, bytes) else str(one).encode()
        pieces += (b"$%d\r\n" % len(data), data, b"\r\n")
    return pieces


def _pack(command: Sequence[Argument]) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]  # its stub is too narrow
    return packed


def _keep_place(reply: Deferred[Any]) -> None:
    # a cancelled call keeps its place in the queue, else the next call would get its reply
    reply.errback(CancelledError())


class _Factory(txredisapi.RedisFactory):  # type: ignore[misc]  # txredisapi is not typed
    """One connection that is always dialled again, soon."""

    protocol = Connection
    initialDelay = 0.05
    maxDelay = 1.0

    def __init__(
        self, address: Address, clock: IReactorTime, up: Callable[[Any], None], failed: Callable[[str], None]
    ) -> None:
        super().__init__(
            str(address),
            address.database or None,
            1,
            isLazy=True,
            charset=None,
            password=address.password,
            convertNumbers=False,
            username=address.user,
        )
        self._clock = clock
        self._up = up
        self._failed = failed

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        protocol.clock = self._clock
        return protocol

    def addConnection(self, conn: Any) -> None:
        super().addConnection(conn)
        if conn.connected:
            self._up(conn)

    def connectionError(self, why: str) -> None:
        super().connectionError(why)
        self._failed(why)


class Link:
    """One connection and the calls that wait for it."""

    def __init__(self, address: Address, endpoint: IStreamClientEndpoint, clock: IReactorTime) -> None:
        self._endpoint = endpoint
        self._conn: Any = None
        self._waiting: set[Deferred[Any]] = set()
        self.refused: str | None = None
        self._factory = _Factory(address, clock, self._came_up, self._was_refused)
        self._factory.deferred.addErrback(lambda _: None)

    def start(self) -> None:
        self._factory.startConnecting(self._endpoint)

    async def stop(self) -> None:
        self._was_refused("The store is closed")
        await self._factory.disconnect()

    @property
    def live(self) -> Any:
        """The connection if it is up, else None."""
        conn = self._conn
        return conn if conn is not None and conn.connected else None

    async def connection(self) -> Any:
        """The live connection, waited for. `StoreUnavailable` when too many wait or Redis refuses the login."""
        while self._conn is None or not self._conn.connected:
            if self.refused is not None:
                raise StoreUnavailable(self.refused)
            if len(self._waiting) >= WAITING:
                raise StoreUnavailable("Redis is away and too many calls wait for it")
            waiter: Deferred[Any] = Deferred(lambda one: self._waiting.discard(one))
            self._waiting.add(waiter)
            await waiter
        return self._conn

    def _came_up(self, conn: Any) -> None:
        transport = conn.transport
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
        self._conn = conn
        self.refused = None
        self._wake()

    def _was_refused(self, why: str) -> None:
        self.refused = why
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            if not one.called:
                one.callback(None)
