"""What happened in each minute, for the figures of the last hours and days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attrs import define

from emailengine.store.keys import Keys
from emailengine.store.redis import Redis

_MOST = 8 * 24 * 60  # minutes that are kept
_SLICE = 120  # minutes that one script adds up: a millisecond or two of Redis


@define(kw_only=True, eq=False)
class CounterStore:
    """Counters by name, by the clock of Redis. All methods raise what `Redis` raises."""

    _redis: Redis
    _keys: Keys

    async def add(self, names: Mapping[str, int]) -> None:
        """Count so many of each now."""
        if names:
            pairs = [part for pair in names.items() for part in pair]
            await self._redis.script("add_counts", [], [self._keys.prefix, *pairs])

    async def read(self, seconds: int) -> dict[str, int]:
        """What was counted in the last `seconds`, rounded up to whole minutes, 8 days at most."""
        minutes = max(1, min(_MOST, -(-seconds // 60)))
        found: Counter[str] = Counter()
        for back in range(0, minutes, _SLICE):
            counts = await self._redis.script("read_counts", [], [self._keys.prefix, back, min(_SLICE, minutes - back)])
            for name, number in zip(counts[::2], counts[1::2], strict=True):
                found[name.decode()] += int(number)
        return dict(found)
