"""The folders of accounts in Redis: what LIST told, how far each is indexed, and the numbers that message ids hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.logger import Logger

from emailengine.errors import AccountNotFound, Outdated, StoredUnreadable
from emailengine.model.event import Say
from emailengine.store.keys import Keys, octets, text_of
from emailengine.store.records import pack_says
from emailengine.store.redis import Redis
from emailengine.sync.plan import Position

log = Logger()

_FIELDS = 1000  # of the folder list that are read in one round trip: a few milliseconds
_READ = 500  # folders whose positions are read in one round trip

# the fields of a folder's hash, in the order in which the script `commit` takes them
POSITION = ("uidvalidity", "uidnext", "count", "modseq", "silent", "todo", "quiet", "commit")


@define(kw_only=True)
class StoredFolder:
    """
    A folder of an account.

    `number` and `position` are those of its index, None before the first commit; `Index.commit` writes them. `since`:
    from which moment on mail in it is new, though the folder was found later (epoch seconds).
    """

    path: str
    delimiter: str | None = None
    flags: list[str] = field(factory=list)
    subscribed: bool = False
    special_use: str | None = None
    special_use_source: str | None = None
    number: int | None = None
    position: Position | None = None
    since: float | None = None


@define(eq=False, kw_only=True)
class FolderStore:
    """
    The folder lists of all accounts.

    One hash an account: `p:<path>` the record, `c:<path>` the number of the folder's index, `u:<uidvalidity>:<path>`
    the number given to that pair, `n:<number>` the pair again.
    """

    _redis: Redis
    _keys: Keys

    async def load(self, account: str) -> list[StoredFolder]:
        """
        The folders of an account with their positions, in no order.

        What is damaged counts as not known: the record of a folder is filled by the next LIST, and a folder whose
        position nobody can read loses its index and is indexed anew.
        """
        folders: dict[bytes, StoredFolder] = {}
        numbers: dict[bytes, int] = {}
        cursor = b""
        while cursor != b"0":  # in parts, so that thousands of folders do not hold the reactor
            cursor, found = await self._redis.call("HSCAN", self._keys.folders(account), cursor or 0, "COUNT", _FIELDS)
            for name, value in zip(found[::2], found[1::2], strict=True):
                kind, path = name[:2], name[2:]
                if kind == b"p:":
                    folders[path] = _folder(account, path, value)
                elif kind == b"c:" and value.isdigit():
                    numbers[path] = int(value)
        indexed = [(folders[path], number) for path, number in numbers.items() if path in folders]
        for start in range(0, len(indexed), _READ):
            part = indexed[start : start + _READ]
            replies = await self._redis.many(
                [("HMGET", self._keys.folder(number, account), *POSITION) for _, number in part]
            )
            for (folder, number), reply in zip(part, replies, strict=True):
                await self._place(account, folder, number, reply)
        return list(folders.values())

    async def _place(self, account: str, folder: StoredFolder, number: int, reply: Sequence[bytes | None]) -> None:
        folder.number = number
        if all(value is None for value in reply):
            return
        try:
            folder.position = position_of(reply)
        except StoredUnreadable as damage:
            log.error(
                "folder {folder} is indexed anew: {reason}",
                account=account,
                folder=folder.path,
                reason=damage.message,
            )
            await self._redis.call("UNLINK", self._keys.folder(number, account), self._keys.rows(number, account))

    async def save(
        self,
        account: str,
        owner: int,
        changed: Sequence[StoredFolder],
        gone: Sequence[str],
        says: Sequence[Say] = (),
    ) -> None:
        """
        Write folders, and remove those that are gone with their indexes, together with events to announce.

        Numbers and positions are left as they are. `Outdated`, and nothing is written, if the owner is another.
        """
        records = [part for one in changed for part in (octets(one.path), _record(one))]
        done = await self._redis.script(
            "save_folders",
            [self._keys.account(account), self._keys.folders(account)],
            [
                self._keys.prefix,
                octets(account),
                owner,
                len(records),
                len(gone),
                *records,
                *(octets(path) for path in gone),
                *pack_says(says),
            ],
        )
        if not done:
            raise Outdated("Somebody else has taken up the account, or it is gone")

    async def number(self, account: str, path: str, uidvalidity: int) -> int:
        """
        The number of a folder under a UIDVALIDITY: always the same, and no other folder's of any account.

        `AccountNotFound` if the account is gone.
        """
        number = await self._redis.script(
            "number_folder",
            [self._keys.account(account), self._keys.folders(account), self._keys.serials()],
            [b"%d:%b" % (uidvalidity, octets(path))],
        )
        if number is None:
            raise AccountNotFound("No account has that id")
        return int(number)

    async def resolve(self, account: str, number: int) -> tuple[str, int] | None:
        """The path and UIDVALIDITY of a number; None if the account's folders were never given it."""
        pair = await self._redis.call("HGET", self._keys.folders(account), b"n:%d" % number)
        if pair is None:
            return None
        uidvalidity, _, path = pair.partition(b":")
        try:
            return text_of(path), int(uidvalidity)
        except ValueError:
            raise StoredUnreadable("What is stored of a folder's number cannot be read") from None


def position_of(values: Sequence[bytes | None]) -> Position:
    """A position out of the fields `POSITION`. `StoredUnreadable`."""
    try:
        uidvalidity, uidnext, count, modseq, silent, todo, quiet, commit = (value or b"" for value in values)
        return Position(
            uidvalidity=int(uidvalidity),
            uidnext=int(uidnext),
            count=int(count),
            modseq=int(modseq) if modseq else None,
            silent_until=int(silent),
            todo=int(todo),
            commit=int(commit),
            quiet=bool(int(quiet)),
        )
    except ValueError:
        raise StoredUnreadable("The stored position of the folder cannot be read") from None


def position_fields(position: Position) -> list[int | bytes]:
    """A position as the fields `POSITION`."""
    return [
        position.uidvalidity,
        position.uidnext,
        position.count,
        b"" if position.modseq is None else position.modseq,
        position.silent_until,
        position.todo,
        int(position.quiet),
        position.commit,
    ]


# names of flags may hold half characters, which only escapes can say: hence Python's own JSON here


def _record(folder: StoredFolder) -> bytes:
    record: dict[str, Any] = {}
    if folder.delimiter is not None:
        record["delimiter"] = folder.delimiter
    if folder.flags:
        record["flags"] = folder.flags
    if folder.subscribed:
        record["subscribed"] = True
    if folder.special_use is not None:
        record["specialUse"] = folder.special_use
    if folder.special_use_source is not None:
        record["specialUseSource"] = folder.special_use_source
    if folder.since is not None:
        record["since"] = folder.since
    return json.dumps(record, separators=(",", ":")).encode()


def _folder(account: str, path: bytes, value: bytes) -> StoredFolder:
    try:
        record: Mapping[str, Any] = json.loads(value)
        flags = record.get("flags", [])
        return StoredFolder(
            path=text_of(path),
            delimiter=_text(record, "delimiter"),
            flags=[flag for flag in flags if isinstance(flag, str)],
            subscribed=record.get("subscribed") is True,
            special_use=_text(record, "specialUse"),
            special_use_source=_text(record, "specialUseSource"),
            since=float(record["since"]) if isinstance(record.get("since"), int | float) else None,
        )
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        name = path.decode("utf-8", "replace")
        log.error("folder {folder} is listed anew: {reason}", account=account, folder=name, reason=str(error))
        return StoredFolder(path=name)


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) else None
