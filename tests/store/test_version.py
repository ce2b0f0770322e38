"""The format of the stored data."""

from __future__ import annotations

from emailengine.errors import StartupFailed
from emailengine.store import version
from tests.redis_server import RedisCase


class VersionTests(RedisCase):
    async def test_ours(self) -> None:
        """An empty database becomes ours, and stays it."""
        await version.check(self.redis, self.keys)
        await version.check(self.redis, self.keys)
        self.assertEqual(await self.redis.call("GET", self.keys.version()), b"%d" % version.FORMAT)

    async def test_not_ours(self) -> None:
        """Data of a newer version, or of somebody else, is refused with a line that says so, and left alone."""
        for stored in (b"%d" % (version.FORMAT + 1), b"", b"x", b"0", b"-1"):
            await self.redis.call("SET", self.keys.version(), stored)
            with self.assertRaises(StartupFailed) as caught:
                await version.check(self.redis, self.keys)
            self.assertIn("Redis", str(caught.exception))
            self.assertEqual(await self.redis.call("GET", self.keys.version()), stored)

    async def test_salt(self) -> None:
        """The salt is made once."""
        first = await version.salt(self.redis, self.keys)
        self.assertEqual((len(first), await version.salt(self.redis, self.keys)), (16, first))
