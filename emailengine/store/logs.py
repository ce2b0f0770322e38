"""Protocol logs of accounts in Redis: for each a stream of lines that forgets its oldest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from attrs import define

from emailengine.store.keys import Keys
from emailengine.store.redis import Redis

_AT_ONCE = 500  # lines that are read in one round trip: a few hundred kilobytes at most


@define(eq=False, kw_only=True)
class LogStore:
    """The lines are octets and nobody's affair here. All methods raise what `Redis` raises."""

    _redis: Redis
    _keys: Keys

    async def append(self, account: str, lines: Sequence[bytes], *, most: int) -> bool:
        """Append lines, of which the last `most` are kept. False, and no effect, if there is no such account."""
        keys = [self._keys.account(account), self._keys.log(account)]
        return bool(await self._redis.script("append_log", keys, [most, *lines]))

    async def read(self, account: str) -> AsyncIterator[Sequence[bytes]]:
        """The lines, oldest first, in slices. Those that are forgotten meanwhile are left out."""
        first = b"-"
        while True:
            found = await self._redis.call("XRANGE", self._keys.log(account), first, "+", "COUNT", _AT_ONCE)
            if not found:
                return
            yield [fields[1] for _, fields in found]
            first = b"(" + found[-1][0]

    async def remove(self, account: str) -> None:
        """Remove the whole log."""
        await self._redis.call("UNLINK", self._keys.log(account))
