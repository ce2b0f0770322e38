"""Protocol logs: buffered, bounded, switched on and off. The store is in memory here, and may be slow or away."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.wirelog import WAITING, ConnectionLog, ProtocolLogs
from emailengine.errors import StoreUnavailable
from emailengine.store.logs import LogStore


class _Store:
    def __init__(self) -> None:
        self.kept: defaultdict[str, list[bytes]] = defaultdict(list)
        self.calls: list[str] = []
        self.slow: Deferred[None] | None = None
        self.away = False

    async def _wait(self, what: str) -> None:
        self.calls.append(what)
        if self.slow is not None:
            await self.slow
        if self.away:
            raise StoreUnavailable("it is away")

    async def append(self, account: str, lines: Sequence[bytes], *, most: int) -> bool:
        await self._wait(f"append {account} {len(lines)}")
        self.kept[account] = (self.kept[account] + list(lines))[-most:]
        return True

    async def remove(self, account: str) -> None:
        await self._wait(f"remove {account}")
        self.kept.pop(account, None)

    async def read(self, account: str) -> AsyncIterator[Sequence[bytes]]:
        await succeed(None)
        if self.kept[account]:
            yield self.kept[account]


class _Settings:
    def __init__(self) -> None:
        self.logs: dict[str, Any] | None = None

    def value(self, name: str, default: Any = None) -> Any:
        return self.logs if name == "logs" else default


class ProtocolLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.store, self.settings = Clock(), _Store(), _Settings()
        self.logs = ProtocolLogs(clock=self.clock, store=cast(LogStore, self.store), settings=self.settings)

    def tearDown(self) -> None:
        self.successResultOf(self.logs.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def open(self, account: str = "a") -> ConnectionLog:
        log = self.logs.of(account, True)
        assert log is not None
        return log

    def told(self, account: str = "a") -> list[str]:
        return [json.loads(line)["msg"] for line in self.store.kept[account]]

    def test_lines(self) -> None:
        """A line says when, on which connection, who, and what; whatever text it is."""
        first, second = self.open(), self.open()
        first.event("connected")
        first.heard('* OK "hi" \udcff')
        second.said("1 LOGIN ******")
        self.assertEqual(self.store.calls, [])
        self.clock.advance(1)
        lines = [json.loads(one) for one in self.store.kept["a"]]
        self.assertEqual(
            [(one["connection"], one["src"], one["msg"]) for one in lines],
            [(1, "connection", "connected"), (1, "s", '* OK "hi" \\udcff'), (2, "c", "1 LOGIN ******")],
        )
        self.assertRegex(lines[0]["time"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

    def test_many(self) -> None:
        """A hundred lines do not wait for the second to end, and none is written inside of a connection's turn."""
        log = self.open()
        for n in range(100):
            log.said(str(n))
        self.assertEqual(self.store.calls, [])
        self.clock.advance(0)
        self.assertEqual(self.told(), [str(n) for n in range(100)])

    def test_slow(self) -> None:
        """While Redis is slow what waits is bounded; what did not fit is counted where it is missing."""
        self.settings.logs = {"maxLogLines": 2 * WAITING}
        log, other = self.open(), self.open("b")
        self.store.slow = slow = Deferred[None]()
        log.said("first")
        self.clock.advance(1)
        for n in range(WAITING + 50):
            log.said(str(n))
        other.said("alone")
        self.clock.advance(2)
        self.assertEqual(len(self.store.calls), 1)
        self.store.slow = None
        slow.callback(None)
        self.clock.pump([1] * 3)
        told = self.told()
        self.assertEqual(told[0], "first")
        self.assertEqual(told[1], "51 lines are missing here: they could not be stored in time")
        self.assertEqual(told[2:], [str(n) for n in range(51, WAITING + 50)])
        self.assertEqual(self.told("b"), ["alone"])

    def test_away(self) -> None:
        """What Redis does not take waits, in order."""
        log = self.open()
        self.store.away = True
        for n in range(700):
            log.said(str(n))
        self.clock.pump([1] * 3)
        log.said("last")
        self.assertEqual(self.told(), [])
        self.store.away = False
        self.clock.pump([1, 1])
        self.assertEqual(self.told(), [*map(str, range(700)), "last"])

    def test_cap(self) -> None:
        """As many lines are kept as the installation says; with none there is no log."""
        log = self.open()
        self.settings.logs = {"maxLogLines": 2}
        for n in range(5):
            log.said(str(n))
        self.clock.advance(1)
        self.assertEqual(self.told(), ["3", "4"])
        self.settings.logs = {"maxLogLines": 0}
        log.said("x")
        self.clock.advance(1)
        self.assertEqual((self.told(), self.store.calls[-1]), ([], "remove a"))

    def test_switched_off(self) -> None:
        """Without a log a connection has none, and what was written goes, also what was on its way; that is done once."""
        log = self.open()
        log.said("x")
        self.clock.advance(1)
        log.said("y")
        self.assertIsNone(self.logs.of("a", False))
        log.said("z")  # of a connection that is about to end
        self.clock.pump([1, 1])
        self.assertEqual(self.told(), [])
        before = list(self.store.calls)
        self.assertIsNone(self.logs.of("a", False))
        self.clock.advance(1)
        self.assertEqual(self.store.calls, before)
        self.open().said("again")
        self.clock.advance(1)
        self.assertEqual(self.told(), ["again"])

    def test_all(self) -> None:
        """The installation may want the logs of all; when it does not any more, they end at once."""
        self.settings.logs = {"all": True}
        log = self.logs.of("a", False)
        assert log is not None
        log.said("x")
        self.clock.advance(1)
        self.assertEqual(self.told(), ["x"])
        self.settings.logs = {"all": False}
        log.said("y")
        self.clock.advance(1)
        self.assertEqual(self.told(), [])

    def test_not_removed(self) -> None:
        """What Redis would not remove is removed with the next connection."""
        self.store.kept["a"] = [b"{}"]
        self.store.away = True
        self.logs.of("a", False)
        self.store.away = False
        self.assertEqual(self.store.kept["a"], [b"{}"])
        self.logs.of("a", False)
        self.assertEqual(self.store.kept["a"], [])

    def test_forgotten(self) -> None:
        """Lines of a deleted account that still wait are not written."""
        self.open().said("x")
        self.logs.forget("a")
        self.clock.advance(1)
        self.assertEqual(self.store.calls, [])

    def test_read(self) -> None:
        """Who reads a log gets what was said until now."""

        async def read() -> list[bytes]:
            return [chunk async for chunk in self.logs.read("a")]

        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(read())), [])
        self.open().said("x")
        (chunk,) = self.successResultOf(Deferred.fromCoroutine(read()))
        self.assertEqual(json.loads(chunk)["msg"], "x")
        self.assertTrue(chunk.endswith(b"}\n"))

    def test_stopped(self) -> None:
        """When the daemon stops what waits is written, but nobody is kept waiting for long."""
        log = self.open()
        log.said("x")
        self.successResultOf(self.logs.stopService())
        self.assertEqual(self.told(), ["x"])
        self.store.slow = Deferred()
        log.said("y")
        stopping = self.logs.stopService()
        self.assertNoResult(stopping)
        self.clock.advance(2)
        self.successResultOf(stopping)
        self.store.slow = None
