"""What accounts have said and is still to be announced: a stream for each, in order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from attrs import define
from twisted.logger import Logger

from emailengine.model.event import Say
from emailengine.store.keys import Keys, octets, text_of
from emailengine.store.queue import LARGE, NewJob, pack_puts
from emailengine.store.records import pack_says
from emailengine.store.redis import Redis

log = Logger()

_decode = msgspec.json.Decoder(Say).decode


@define(kw_only=True, eq=False)
class SayStore:
    """All methods raise what `Redis` raises."""

    _redis: Redis
    _keys: Keys

    async def accounts(self) -> list[str]:
        """Those with something to announce, in no order."""
        return [text_of(one) for one in await self._redis.call("SMEMBERS", self._keys.saying())]

    async def read(self, account: str, count: int, *, after: bytes | None = None) -> list[tuple[bytes, Say]]:
        """The oldest entries, or those that follow one; each with its name. One that cannot be read is removed."""
        first = b"-" if after is None else b"(" + after
        says: list[tuple[bytes, Say]] = []
        while not says:
            found = await self._redis.call("XRANGE", self._keys.say(account), first, "+", "COUNT", count)
            if not found:
                break
            for entry, fields in found:
                try:
                    says.append((entry, _decode(fields[1])))
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    log.error("an event is damaged and dropped: {reason}", reason=str(error), account=account)
                    await self.announce(account, entry, [])
        return says

    async def announce(self, account: str, entry: bytes, jobs: Sequence[NewJob], events: Sequence[str] = ()) -> bool:
        """
        Remove an entry, put the jobs that came of it and count the events, in one step.

        False, and no effect, if the entry is gone: so whoever announces it again, after a crash or a lost answer,
        makes no second job, even when the first one is finished by then.
        """
        packed = pack_puts(jobs)
        return bool(
            await self._redis.script(
                "announce",
                [self._keys.say(account), self._keys.saying(), self._keys.account(account)],
                [self._keys.prefix, octets(account), entry, len(events), *events, *packed],
                big=sum(len(job.body or b"") for job in jobs) > LARGE,
            )
        )

    async def add(self, account: str, says: Sequence[Say]) -> None:
        """Append events that go with no other change."""
        await self._redis.script("add_says", [], [self._keys.prefix, octets(account), *pack_says(says)])
