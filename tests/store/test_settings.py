"""Settings in a real Redis and in memory."""

from __future__ import annotations

from emailengine.core.secrets import SecretUnreadable, Vault
from emailengine.errors import InvalidInput, StoreUnavailable
from emailengine.store.settings import SettingsStore
from tests.redis_server import RedisCase

SECRETS = {
    "serviceSecret": "very secret",
    "webhooks": "https://me:hook-login@example.com/",
    "proxyUrl": "socks5://me:proxy-login@example.com:1080",
    "webhooksCustomHeaders": [{"key": "X-A", "value": "header-value"}, {"key": "X-B"}],
}


class SettingsStoreTests(RedisCase):
    async def store(self, secret: str | None = None) -> SettingsStore:
        store = SettingsStore(redis=self.redis, keys=self.keys, vault=Vault(secret))
        await store.ready()
        return store

    async def test_kept(self) -> None:
        """What is written is answered from memory at once, and after the next start; null is the default again."""
        store = await self.store()
        self.assertEqual((store.value("notifyText"), store.value("notifyText", 7)), (None, 7))
        await store.write(
            {"notifyText": False, "webhookEvents": ["*"], "queueKeep": 5, "smtpEhloName": "host", "logs": {"all": True}}
        )
        await store.write({"smtpEhloName": None})
        await store.write({})
        for one in (store, await self.store()):
            self.assertEqual(
                (one.value("notifyText", True), one.value("queueKeep"), one.value("smtpEhloName", "d")), (False, 5, "d")
            )
            self.assertEqual(one.value("logs"), {"all": True})
            self.assertEqual(await one.read(["webhookEvents", "serviceUrl"]), {"webhookEvents": ["*"]})

    async def test_unknown(self) -> None:
        """Names that are no settings are refused, with all that was sent beside them."""
        store = await self.store()
        with self.assertRaises(InvalidInput):
            await store.write({"notifyText": True, "invented": 1})
        self.assertEqual((await self.all_keys(), store.value("notifyText")), ([], None))

    async def test_damaged(self) -> None:
        """Unknown names, damaged values and those of a wrong type are ignored; the others are there."""
        await self.redis.call("HSET", self.keys.settings(), "invented", "1", "notifyText", "{", "queueKeep", '"x"', b"\xff", "1", "webhookEvents", "[1]", "inboxNewOnly", "true")  # fmt: skip
        store = await self.store()
        self.assertEqual(
            await store.read(["invented", "notifyText", "queueKeep", "webhookEvents", "inboxNewOnly"]),
            {"inboxNewOnly": True},
        )

    async def test_sealed(self) -> None:
        """With a secret, no secret, login or header value lies in Redis; the daemon has them in clear text."""
        store = await self.store("one")
        await store.write(SECRETS)
        raw = b"".join(await self.redis.call("HGETALL", self.keys.settings()))
        for secret in (b"very secret", b"hook-login", b"header-value", b"proxy-login"):
            self.assertNotIn(secret, raw)
        for one in (store, await self.store("one")):
            self.assertEqual({name: one.value(name) for name in SECRETS}, SECRETS)
            self.assertEqual(await one.read(list(SECRETS)), SECRETS)

    async def test_unreadable(self) -> None:
        """Sealed with another secret, a value cannot be used, but be listed, sent back, and be set anew."""
        await (await self.store("one")).write(SECRETS | {"notifyText": True})
        store = await self.store("two")
        for name in SECRETS:
            self.assertRaises(SecretUnreadable, store.value, name)
        self.assertTrue(store.value("notifyText"))
        await store.write(await store.read(["webhooksCustomHeaders"]))
        await store.write({"serviceSecret": "another"})
        self.assertEqual(store.value("serviceSecret"), "another")
        first = await self.store("one")
        self.assertEqual(first.value("webhooksCustomHeaders"), SECRETS["webhooksCustomHeaders"])
        self.assertRaises(SecretUnreadable, first.value, "serviceSecret")

    async def test_in_doubt(self) -> None:
        """When nobody knows whether a write arrived, the next read asks Redis."""
        store = await self.store()
        await store.write({"queueKeep": 1})
        sent = self.redis.call

        async def lost(*arguments: object) -> object:
            await sent(*arguments)  # type: ignore[arg-type]
            raise StoreUnavailable("lost")

        self.redis.call = lost  # type: ignore[method-assign]
        with self.assertRaises(StoreUnavailable):
            await store.write({"queueKeep": 2})
        self.redis.call = sent  # type: ignore[method-assign]
        self.assertEqual(await store.read(["queueKeep"]), {"queueKeep": 2})
        self.assertEqual(store.value("queueKeep"), 2)
