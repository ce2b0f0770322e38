"""Whose data this is: the version of the stored format, and the salt of what is encrypted in it."""

from __future__ import annotations

import os

from emailengine.errors import StartupFailed
from emailengine.store.keys import Keys
from emailengine.store.redis import Redis

FORMAT = 1
_SALT = 16  # bytes, what scrypt is given


async def check(redis: Redis, keys: Keys) -> None:
    """Note that the data is of our format. `StartupFailed` if it is of a newer one, or not ours."""
    await redis.call("SET", keys.version(), FORMAT, "NX")
    stored = await redis.call("GET", keys.version())
    if not stored.isdigit() or int(stored) < 1:
        raise StartupFailed(
            f"The data in Redis ({redis.address}) is not ours: under the prefix {keys.prefix!r} it names its version "
            f"{stored[:20]!r}; use another database or prefix"
        )
    if int(stored) > FORMAT:
        raise StartupFailed(
            f"The data in Redis ({redis.address}) was written by a newer version: its format is {int(stored)}, "
            f"this program knows {FORMAT}"
        )


async def salt(redis: Redis, keys: Keys) -> bytes:
    """The installation's salt, made at the first call. With it, all that was ever sealed needs one key derivation."""
    await redis.call("SET", keys.salt(), os.urandom(_SALT), "NX")
    stored: bytes = await redis.call("GET", keys.salt())
    return stored
