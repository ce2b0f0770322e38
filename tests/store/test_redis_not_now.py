"""A Redis that answers and runs no command for the moment."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import StoreRefused, StoreUnavailable
from emailengine.store.link import Connection
from tests.redis_server import RedisCase


class ReplyTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Reading its data and being held up by a script pass; every other error reply is a refusal."""
        protocol: Any = Connection(None)
        protocol.clock = Clock()
        protocol.connected = 1
        protocol._ready = True
        protocol.transport = StringTransport()
        for reply, kind in (
            (b"LOADING Redis is loading the dataset in memory", StoreUnavailable),
            (b"BUSY Redis is busy running a script.", StoreUnavailable),
            (b"BUSYGROUP Consumer Group name already exists", StoreRefused),
            (b"OOM command not allowed", StoreRefused),
        ):
            answer = protocol.execute_command("GET", "a")
            protocol.dataReceived(b"-%s\r\n" % reply)
            self.assertIsInstance(self.successResultOf(answer), kind)


class BusyTests(RedisCase):
    async def test_busy(self) -> None:
        """While a script takes all its time, calls end as with a Redis that is away; afterwards they work again."""
        (_, threshold) = await self.redis.call("CONFIG", "GET", "lua-time-limit")
        await self.redis.call("CONFIG", "SET", "lua-time-limit", 1)
        endless = Deferred.fromCoroutine(self.redis.large("EVAL", "while true do end", 0))
        failed: StoreUnavailable | None = None
        while failed is None:
            try:
                await self.redis.call("GET", self.keys.version())
            except StoreUnavailable as error:
                failed = error
        self.assertEqual((failed.status, failed.message[:5]), (503, "BUSY "))
        await self.assertFailure(Deferred.fromCoroutine(self.redis.many([("GET", "a"), ("PING",)])), StoreUnavailable)
        self.assertEqual(await self.redis.call("SCRIPT", "KILL"), b"OK")
        await self.assertFailure(endless, StoreRefused)
        await self.redis.call("CONFIG", "SET", "lua-time-limit", threshold)
        await self.redis.ready()
