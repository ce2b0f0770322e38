"""Access tokens in a real Redis."""

from __future__ import annotations

from emailengine.model.dates import iso
from emailengine.model.token import TokenPermissions, TokenRecord
from emailengine.store.tokens import TokenStore
from tests.redis_server import RedisCase

FULL = TokenRecord(
    created=iso(1000),
    description="ü",
    scopes=["api"],
    account="a/b",
    permissions=TokenPermissions(actions=["read"]),
    restrictions={"addresses": ["127.0.0.0/8"]},
)


class TokenStoreTests(RedisCase):
    async def test_kept(self) -> None:
        """A token is found as it was stored until it is removed; the oldest is listed first."""
        store = TokenStore(redis=self.redis, keys=self.keys)
        self.assertFalse(await store.any())
        young = TokenRecord(created=iso(2000))
        await store.add("1", young)
        await store.add("2", FULL)
        self.assertEqual(await store.find("2"), FULL)
        self.assertIsNone(await store.find("3"))
        self.assertEqual(await store.list(), [("2", FULL), ("1", young)])
        self.assertEqual((await store.remove("2"), await store.remove("2")), (True, False))
        self.assertIsNone(await store.find("2"))
        self.assertTrue(await store.any())

    async def test_expired(self) -> None:
        """A token ends at its time. It still counts as one: that the last one ended opens no door."""
        now = 1000.0
        store = TokenStore(redis=self.redis, keys=self.keys, now=lambda: now)
        record = TokenRecord(created=iso(0), expires=iso(1001))
        await store.add("1", record)
        await store.add("2", TokenRecord(created=iso(0), expires="whenever"))
        self.assertEqual((await store.find("1"), await store.find("2")), (record, None))
        now = 1001.0
        self.assertIsNone(await store.find("1"))
        self.assertTrue(await store.any())

    async def test_damaged(self) -> None:
        """A damaged record lets nobody in, and does not keep the others from being listed."""
        store = TokenStore(redis=self.redis, keys=self.keys)
        await self.redis.call("HSET", self.keys.tokens(), "1", "{", "2", '{"created":7}', "3", b"\xff")
        await store.add("4", FULL)
        for token in "123":
            self.assertIsNone(await store.find(token))
        self.assertEqual(await store.list(), [("4", FULL)])
