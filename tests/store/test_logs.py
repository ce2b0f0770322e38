"""Protocol logs in a real Redis."""

from __future__ import annotations

from emailengine.core.secrets import Vault
from emailengine.model.account import AccountSettings
from emailengine.store.accounts import AccountStore
from emailengine.store.logs import LogStore
from tests.redis_server import RedisCase


class LogStoreTests(RedisCase):
    async def store(self, *accounts: str) -> LogStore:
        self.accounts = AccountStore(redis=self.redis, keys=self.keys, vault=Vault(None))
        for one in accounts:
            await self.accounts.create(AccountSettings(account=one))
        return LogStore(redis=self.redis, keys=self.keys)

    async def lines(self, store: LogStore, account: str) -> list[bytes]:
        return [line async for lines in store.read(account) for line in lines]

    async def test_capped(self) -> None:
        """The last lines are kept, in order, as many as are wanted at the time."""
        store = await self.store("a", "b")
        self.assertEqual(await self.lines(store, "a"), [])
        wanted = [b"%d" % n for n in range(1203)]
        for start in range(0, 1203, 100):
            self.assertTrue(await store.append("a", wanted[start : start + 100], most=1150))
        self.assertEqual(await self.lines(store, "a"), wanted[-1150:])
        await store.append("a", [b"one \xff more"], most=2)
        self.assertEqual(await self.lines(store, "a"), [b"1202", b"one \xff more"])
        self.assertEqual(await self.lines(store, "b"), [])

    async def test_trimmed_while_read(self) -> None:
        """A log that forgets while it is read tells no line twice."""
        store = await self.store("a")
        await store.append("a", [b"%d" % n for n in range(600)], most=600)
        reading = store.read("a")
        first = list(await anext(reading))
        await store.append("a", [b"%d" % n for n in range(600, 1000)], most=450)
        rest = [line async for lines in reading for line in lines]
        self.assertEqual(first + rest, [b"%d" % n for n in [*range(500), *range(550, 1000)]])

    async def test_gone(self) -> None:
        """A log goes with its account, and is written for nobody who is not there; it can be removed by itself."""
        store = await self.store("a", "b")
        for one in ("a", "b"):
            await store.append(one, [b"x"], most=10)
        await self.accounts.delete("a")
        self.assertFalse(await store.append("a", [b"x"], most=10))
        self.assertEqual((await self.lines(store, "a"), await self.lines(store, "b")), ([], [b"x"]))
        await store.remove("b")
        self.assertEqual(await self.lines(store, "b"), [])
        self.assertNotIn(self.keys.log("b"), await self.all_keys())
