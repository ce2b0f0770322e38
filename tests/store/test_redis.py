"""The way to Redis: deadlines, lost connections, scripts that Redis forgot, and what start-up says."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Coroutine
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from emailengine.core.turns import pause
from emailengine.errors import ConfigurationInvalid, StartupFailed, StoreRefused, StoreUnavailable
from emailengine.store.link import CALL, UNANSWERED, Connection, _pack, _pieces, parse_url
from emailengine.store.redis import Redis
from tests.redis_server import RedisCase, redis_url


class AddressTests(SynchronousTestCase):
    def test_urls(self) -> None:
        """Every documented form of the URL is read."""
        for url, wanted in (
            ("redis://127.0.0.1", ("127.0.0.1", 6379, None, 0, None, None, False)),
            ("redis://me:pa%40ss@redis.example:6380/3", ("redis.example", 6380, None, 3, "me", "pa@ss", False)),
            ("rediss://default:x@redis.example/?db=2", ("redis.example", 6379, None, 2, None, "x", True)),
            ("unix:///run/redis.sock?db=4", (None, 0, "/run/redis.sock", 4, None, None, False)),
        ):
            told = parse_url(url)
            self.assertEqual(
                (told.host, told.port, told.path, told.database, told.user, told.password, told.tls), wanted
            )

    def test_what_is_none(self) -> None:
        """Anything else is refused with the remedy, and without the password."""
        for url in ("http://x", "redis://", "unix:relative", "redis://u:hidden@h:port", "", "redis://h/nine"):
            error = self.assertRaises(ConfigurationInvalid, parse_url, url)
            self.assertIn("redis://[user:password@]host:port/db", error.message)
            self.assertNotIn("hidden", error.message)
        for url in ("redis://h/nine", "redis://h/-1", "redis://h/²", "unix:///s?db=nine", "redis://h?db=0x1"):
            error = self.assertRaises(ConfigurationInvalid, parse_url, url)
            self.assertIn("the database must be a number, 0 or more;", error.message)


class CommandTests(SynchronousTestCase):
    def test_pieces(self) -> None:
        """A large command is written as any other, only without being copied."""
        command: list[bytes | str | int] = [b"SET", "key ü", 5, b"x" * 100]
        self.assertEqual(b"".join(_pieces(command)), _pack(command))


class _Wire:
    """A transport that keeps what is written."""

    def __init__(self, protocol: Any) -> None:
        self.written = b""
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self.written += data

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.written += b"".join(pieces)

    def abortConnection(self) -> None:
        self._protocol.connectionLost(Failure(ConnectionAborted()))


class DeadlineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1e6)
        self.protocol: Any = Connection(None)
        self.protocol.clock = self.clock
        self.protocol.makeConnection(_Wire(self.protocol))

    def test_silence(self) -> None:
        """A connection that says nothing for as long as a call may take is given up, with all calls."""
        first = self.protocol.execute_command("GET", "a")
        self.clock.advance(CALL / 2)
        second, many = self.protocol.execute_command("GET", "b"), self.protocol.send_many([("PING",), ("PING",)])
        self.clock.advance(CALL / 2)
        for call in (first, second, many, self.protocol.execute_command("GET", "c")):
            self.failureResultOf(call, StoreUnavailable)
        self.assertEqual((self.protocol.connected, self.clock.getDelayedCalls()), (0, []))

    def test_silence_after_cancelling(self) -> None:
        """It is given up also when nobody waits any more for what it owes."""
        call = self.protocol.execute_command("GET", "a")
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.clock.advance(CALL)
        self.assertEqual(self.protocol.connected, 0)

    def test_slow(self) -> None:
        """One that answers, late, is kept: a call fails when its time is over; a late reply is nobody else's."""
        earlier, first = (self.protocol.execute_command("GET", name) for name in "xa")
        self.clock.advance(CALL / 2)
        second = self.protocol.execute_command("GET", "b")
        self.protocol.dataReceived(b"$1\r\nX\r\n")
        self.assertEqual(self.successResultOf(earlier), b"X")
        self.clock.advance(CALL / 2)
        self.failureResultOf(first, StoreUnavailable)
        self.assertNoResult(second)
        self.protocol.dataReceived(b"$1\r\nA\r\n$1\r\nB\r\n")
        self.assertEqual(self.successResultOf(second), b"B")
        third = self.protocol.execute_command("GET", "c")
        self.clock.pump([CALL / 2, CALL / 2])
        self.failureResultOf(third, StoreUnavailable)
        self.assertEqual((self.protocol.connected, self.clock.getDelayedCalls()), (0, []))

    def test_silence_behind_a_late_reply(self) -> None:
        """Silence counts from the last word on, although the call that it owes failed before."""
        calls = [self.protocol.execute_command("GET", name) for name in "xa"]
        self.clock.advance(CALL - 1)
        self.protocol.dataReceived(b"$1\r\nX\r\n")
        self.clock.advance(1)
        self.failureResultOf(calls[1], StoreUnavailable)
        self.assertEqual(self.protocol.connected, 1)
        self.clock.advance(CALL - 1)
        self.assertEqual(self.protocol.connected, 0)

    def test_too_many(self) -> None:
        """A call behind too many that are not answered is refused at once; with the first reply there is room again."""
        for _ in range(UNANSWERED):
            self.protocol.execute_command("PING")
        written = self.protocol.transport.written
        for refused in (self.protocol.execute_command("PING"), self.protocol.send_many([("PING",)])):
            self.failureResultOf(refused, StoreUnavailable)
        self.assertEqual(self.protocol.transport.written, written)
        self.protocol.dataReceived(b"+PONG\r\n")
        last = self.protocol.execute_command("PING")
        self.protocol.dataReceived(b"+PONG\r\n" * UNANSWERED)
        self.assertEqual(self.successResultOf(last), b"PONG")

    def test_one_timer(self) -> None:
        """However many calls wait, one timer watches them; none is left when all is answered."""
        calls = [self.protocol.execute_command("PING") for _ in range(50)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.protocol.dataReceived(b"+PONG\r\n" * 50)
        self.assertEqual([self.successResultOf(one) for one in calls], [b"PONG"] * 50)
        self.clock.advance(CALL)
        self.assertEqual((self.clock.getDelayedCalls(), self.protocol.connected), ([], 1))

    def test_cancelled(self) -> None:
        """A cancelled call keeps its place, so that the next one gets its own reply."""
        first, second = self.protocol.execute_command("GET", "a"), self.protocol.execute_command("GET", "b")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.protocol.dataReceived(b"$1\r\nA\r\n$1\r\nB\r\n")
        self.assertEqual(self.successResultOf(second), b"B")


class CallTests(RedisCase):
    async def test_errors_are_values_of_their_call(self) -> None:
        """An error reply fails its own call and no other."""
        await self.redis.call("SET", self.keys.version(), "x")
        calls = [
            Deferred.fromCoroutine(self.redis.call("INCR", self.keys.version())),
            Deferred.fromCoroutine(self.redis.call("GET", self.keys.version())),
        ]
        await self.assertFailure(calls[0], StoreRefused)
        self.assertEqual(await calls[1], b"x")

    async def test_errors_are_freed(self) -> None:
        """An error reply is gone, with what was sent, as soon as its caller has dealt with it: without the collector."""
        await self.redis.call("SET", self.keys.version(), "x")

        async def refused(work: Coroutine[Any, Any, Any]) -> weakref.ref[StoreRefused]:
            try:
                await work
            except StoreRefused as error:
                return weakref.ref(error)
            raise AssertionError("it worked")

        gc.disable()
        self.addCleanup(gc.enable)
        command = ("INCR", self.keys.version())
        self.assertIsNone((await refused(self.redis.call(*command)))())
        self.assertIsNone((await refused(self.redis.many([("PING",), command])))())

    async def test_many(self) -> None:
        """Several commands run in one go, also those behind one that fails; the error comes afterwards."""
        key = self.keys.version()
        self.assertEqual(await self.redis.many([("SET", key, 1), ("INCR", key)]), [b"OK", 2])
        try:
            await self.redis.many([("LPUSH", key, "x"), ("INCR", key)])
            self.fail("the first command cannot work")
        except StoreRefused:
            self.assertEqual(await self.redis.call("GET", key), b"3")

    async def test_forgotten_scripts(self) -> None:
        """A script that Redis lost is sent again."""
        for _ in range(2):
            self.assertEqual(await self.redis.script("take_up", [self.keys.account("x"), self.keys.serials()]), None)
            await self.redis.call("SCRIPT", "FLUSH")

    async def test_lost_connection(self) -> None:
        """What was under way when the connection went fails; the next call waits for the new one."""
        await self.redis.call("CLIENT", "SETNAME", "ours")
        waiting = Deferred.fromCoroutine(self.redis.call("BLPOP", self.keys.queue("nothing", "x"), 30))
        other = Redis(f"unix://{self.redis.address.path}", reactor=reactor, prefix="other:")
        other.startService()
        self.addCleanup(other.stopService)
        await other.ready()
        ours = [one for one in (await other.call("CLIENT", "LIST")).splitlines() if b"name=ours" in one]
        await other.call("CLIENT", "KILL", "ID", ours[0].split()[0].removeprefix(b"id="))
        await self.assertFailure(waiting, StoreUnavailable)
        self.assertEqual(await self.redis.call("PING"), b"PONG")

    async def test_pipelined(self) -> None:
        """A burst of a thousand calls at once is nothing special."""
        key = self.keys.version()
        calls = [Deferred.fromCoroutine(self.redis.call("INCR", key)) for _ in range(1000)]
        self.assertEqual([await one for one in calls], list(range(1, 1001)))

    async def test_large(self) -> None:
        """A large body goes out and comes back whole."""
        body = bytes(range(256)) * 40_000
        await self.redis.large("SET", self.keys.version(), body)
        self.assertEqual(await self.redis.large("GET", self.keys.version()), body)


class SilentServer(Protocol):
    """Answers what its factory says to each command, and nothing when that is spent."""

    factory: Any

    def connectionMade(self) -> None:
        self.factory.seen.append(self)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if self.factory.answers:
            self.transport.write(self.factory.answers.pop(0))


class _Sped:
    """The reactor, with a clock of its own for deadlines."""

    def __init__(self) -> None:
        self.clock = Clock()

    def seconds(self) -> float:
        return self.clock.seconds()

    def callLater(self, delay: float, *call: Any, **named: Any) -> Any:
        return self.clock.callLater(delay, *call, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class SilentTests(TestCase):
    def setUp(self) -> None:
        self.server = cast(Any, Factory.forProtocol(SilentServer))
        self.server.seen, self.server.answers, self.server.noisy = [], [], False
        port: Any = reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        self.sped = _Sped()

    def open(self, login: str = "") -> Redis:
        redis = Redis(f"redis://{login}127.0.0.1:{self.port}", reactor=self.sped)
        redis.startService()
        self.addCleanup(redis.stopService)
        return redis

    async def seen(self, count: int) -> None:
        while len(self.server.seen) < count:
            self.sped.clock.advance(0.001)
            await pause(reactor, 0.001)

    async def test_dialled_anew(self) -> None:
        """When a connection went silent its calls fail, and the next call runs on a new one."""
        redis = self.open()
        await self.seen(1)
        waiting = Deferred.fromCoroutine(redis.call("PING"))
        while not self.sped.clock.getDelayedCalls():
            await pause(reactor, 0.001)
        await pause(reactor, 0.01)
        self.sped.clock.advance(CALL)
        await self.assertFailure(waiting, StoreUnavailable)
        self.server.answers.append(b"+PONG\r\n")
        self.assertEqual(await redis.call("PING"), b"PONG")
        self.assertEqual(len(self.server.seen), 2)

    async def test_during_the_login(self) -> None:
        """A server that is silent, or goes away, during the login is dialled again: nobody was refused."""
        redis = self.open(":secret@")
        await self.seen(1)
        await pause(reactor, 0.01)
        self.sped.clock.advance(CALL)
        await self.seen(2)
        self.server.answers += [b"+OK\r\n", b"+PONG\r\n"]
        self.server.seen[1].transport.abortConnection()
        await self.seen(3)
        self.assertEqual(await redis.call("PING"), b"PONG")


class ReadyTests(TestCase):
    async def _refusal(self, url: str) -> str:
        redis = Redis(url, reactor=reactor)
        redis.startService()
        self.addCleanup(redis.stopService)
        try:
            await redis.ready()
        except StartupFailed as error:
            return error.message
        raise AssertionError("it started")

    async def test_refused_database(self) -> None:
        """A database that Redis does not have ends the start, and is not quietly another one."""
        told = await self._refusal(redis_url() + "?db=9999")
        self.assertIn("Redis refuses us", told)

    async def test_refused_login(self) -> None:
        """A password that Redis does not want ends the start with Redis' own words."""

        class Refusing(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(b"-WRONGPASS invalid username-password pair\r\n")

        port: Any = reactor.listenTCP(0, cast(Any, Factory.forProtocol(Refusing)), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        told = await self._refusal(f"redis://:wrong@127.0.0.1:{port.getHost().port}")
        self.assertIn("Redis refuses us", told)
        self.assertNotIn("wrong@", told)
        await pause(reactor, 0)
