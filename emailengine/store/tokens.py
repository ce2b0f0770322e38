"""Access tokens in Redis, by their id. The values themselves are stored nowhere."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from attrs import define
from twisted.logger import Logger

from emailengine.core.clock import wall
from emailengine.model.codec import encode
from emailengine.model.dates import parse_iso
from emailengine.model.token import TokenRecord
from emailengine.store.keys import Keys
from emailengine.store.redis import Redis

log = Logger()

_record_of = msgspec.json.Decoder(TokenRecord).decode


@define(eq=False, kw_only=True)
class TokenStore:
    """The tokens of the installation. Implements `api.seams.Tokens`. `now` is the time of day."""

    _redis: Redis
    _keys: Keys
    _now: Callable[[], float] = wall

    async def find(self, token_id: str) -> TokenRecord | None:
        """The record of a token that exists, can be read and has not expired."""
        packed = await self._redis.call("HGET", self._keys.tokens(), token_id)
        record = None if packed is None else _read(token_id, packed)
        return None if record is None or self._expired(record) else record

    async def any(self) -> bool:
        """Whether there is a token at all. An expired one counts: that it ended must not open the door to all."""
        return bool(await self._redis.call("HLEN", self._keys.tokens()))

    async def add(self, token_id: str, record: TokenRecord) -> None:
        """Store a token, in place of the one of that id."""
        await self._redis.call("HSET", self._keys.tokens(), token_id, encode(record))

    async def remove(self, token_id: str) -> bool:
        """Remove a token; False if there was none."""
        return bool(await self._redis.call("HDEL", self._keys.tokens(), token_id))

    async def list(self) -> list[tuple[str, TokenRecord]]:
        """All tokens that can be read with their ids, the oldest first, expired ones too."""
        found = await self._redis.call("HGETALL", self._keys.tokens())
        tokens = []
        for name, packed in zip(found[::2], found[1::2], strict=True):
            token_id = name.decode("ascii", "replace")
            record = _read(token_id, packed)
            if record is not None:
                tokens.append((token_id, record))
        return sorted(tokens, key=lambda one: (one[1].created, one[0]))

    def _expired(self, record: TokenRecord) -> bool:
        if record.expires is None:
            return False
        try:
            return parse_iso(record.expires) <= self._now()
        except ValueError:
            return True  # a limit that nobody can read is not no limit


def _read(token_id: str, packed: bytes) -> TokenRecord | None:
    try:
        return _record_of(packed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("the stored token {token} is ignored: {reason}", token=token_id[:8], reason=str(error))
        return None
