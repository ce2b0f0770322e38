"""The message index in Redis: packed rows of 256 UIDs to a field, and a table of flag sets for each folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from attrs import define
from twisted.logger import Logger

from emailengine.errors import Outdated, StoredUnreadable
from emailengine.model.event import Say
from emailengine.store.folders import position_fields
from emailengine.store.keys import Keys, octets
from emailengine.store.records import pack_says
from emailengine.store.redis import Redis
from emailengine.sync.plan import Position
from emailengine.sync.rows import Flags

log = Logger()


@define(eq=False, kw_only=True)
class Index:
    """
    The rows of all folders.

    The flag sets lie beside the position as fields `f0`, `f1`, ...: small values keep Redis' compact form of a hash.
    """

    _redis: Redis
    _keys: Keys

    async def table(self, account: str, number: int) -> list[Flags]:
        """
        The flag sets of a folder by id; none for a folder that is not indexed.

        `StoredUnreadable` if they are damaged. The folder then loses its index, so that it is indexed anew.
        """
        found = await self._redis.call("HGETALL", self._keys.folder(number, account))
        fields = dict(zip(found[::2], found[1::2], strict=True))
        sets: list[Flags] = []
        try:
            for place in range(int(fields.get(b"sets", 0))):
                flags = json.loads(fields[b"f%d" % place])
                if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
                    raise ValueError(flags)
                sets.append(tuple(flags))
        except (KeyError, ValueError, RecursionError):
            await self._redis.call("UNLINK", self._keys.folder(number, account), self._keys.rows(number, account))
            raise StoredUnreadable("The stored flags of the folder cannot be read; it is indexed anew") from None
        return sets

    async def blocks(self, account: str, number: int, blocks: Sequence[int] | None = None) -> dict[int, bytes]:
        """The packed rows of these blocks, None for all; blocks without rows are left out."""
        key = self._keys.rows(number, account)
        if blocks is None:
            found = await self._redis.large("HGETALL", key)
            return {int(name): rows for name, rows in zip(found[::2], found[1::2], strict=True) if name.isdigit()}
        if not blocks:
            return {}
        replies = await self._redis.call("HMGET", key, *blocks)
        return {block: rows for block, rows in zip(blocks, replies, strict=True) if rows is not None}

    async def block_numbers(self, account: str, number: int) -> set[int]:
        """The blocks that hold rows."""
        names = await self._redis.large("HKEYS", self._keys.rows(number, account))
        return {int(name) for name in names if name.isdigit()}

    async def commit(
        self,
        account: str,
        owner: int,
        *,
        path: str,
        number: int,
        position: Position,
        blocks: Mapping[int, bytes],
        flag_sets: Sequence[Flags],
        says: Sequence[Say],
    ) -> None:
        """
        Write blocks (empty ones are removed), append flag sets to the table, write the position and the events.

        The folder at `path` has the index `number` from now on; that of another number it had before goes. All of it
        is done or nothing: `Outdated` if the owner is another, or if the stored commit is not the one before
        `position.commit` (none is stored before 1).
        """
        rows = [part for block, packed in blocks.items() for part in (block, packed)]
        done = await self._redis.script(
            "commit",
            [
                self._keys.account(account),
                self._keys.folders(account),
                self._keys.folder(number, account),
                self._keys.rows(number, account),
            ],
            [
                self._keys.prefix,
                octets(account),
                owner,
                octets(path),
                number,
                len(rows),
                len(flag_sets),
                *position_fields(position),
                *rows,
                *(json.dumps(flags, separators=(",", ":")) for flags in flag_sets),
                *pack_says(says),
            ],
        )
        if not done:
            raise Outdated("Somebody else has written to the folder or taken up the account")
