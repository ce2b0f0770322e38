"""Accounts in Redis: settings, state, who owns them. Secrets lie apart from the other settings, sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from attrs import define, field
from msgspec.structs import replace
from twisted.logger import Logger

from emailengine.core.secrets import SecretUnreadable, Vault
from emailengine.errors import AccountNotFound, Outdated, StoredUnreadable, StoreRefused
from emailengine.model.account import STATES, AccountSettings
from emailengine.model.event import Say
from emailengine.store.keys import Keys, octets, text_of
from emailengine.store.records import pack, pack_says, unpack_number, unpack_object
from emailengine.store.redis import Redis
from emailengine.store.sealing import put_in, take_out

log = Logger()

_COUNT = b"event:"
_SEARCHED = 1000  # accounts that one script looks through: about a millisecond of Redis
_READ = 200  # accounts that are read in one round trip: a few milliseconds
_REMOVED = 200  # folders of a deleted account that go in one round trip

_settings_of = msgspec.json.Decoder(AccountSettings).decode


@define(kw_only=True)
class AccountRecord:
    """
    What Redis holds of an account.

    The secrets in `settings` are as stored, sealed if there is a secret: good to be shown masked or to be changed by
    `model.account.updated`. `AccountStore.opened` gives those to be used. `connected` counts how often the account
    became "connected", `counters` its events by name. `unreadable` says why `settings` are not what was stored.
    """

    settings: AccountSettings = field(repr=False)
    state: str
    generation: int
    owner: int
    error: dict[str, Any] | None = None
    connected: int = 0
    smtp_status: dict[str, Any] | None = None
    sync_time: str | None = None
    sync_error: dict[str, Any] | None = None
    counters: dict[str, int] = field(factory=dict)
    unreadable: str | None = None


@define(eq=False, kw_only=True)
class AccountStore:
    """
    All accounts. Ids are any text.

    Whoever takes an account up gets a new owner number; what the owner writes is refused as `Outdated`, and changes
    nothing, once there is a newer one or the account is gone. All methods raise what `Redis` raises.
    """

    _redis: Redis
    _keys: Keys
    _vault: Vault

    # settings

    async def create(self, settings: AccountSettings, says: Sequence[Say] = ()) -> int | None:
        """Add an account, in state "init", with events to announce. Its generation; None if the id is taken."""
        account = settings.account
        packed, secrets, searched = self._packed(settings, frozenset())
        made = await self._redis.script(
            "create_account",
            [
                self._keys.account(account),
                self._keys.accounts(),
                self._keys.accounts_by_state("init"),
                self._keys.serials(),
            ],
            [self._keys.prefix, octets(account), packed, secrets, searched, *pack_says(says)],
        )
        return None if made is None else int(made)

    async def change(self, settings: AccountSettings) -> None:
        """
        Store other settings. `AccountNotFound`.

        A secret that is as it was stored, sealed, stays so: settings can be changed whose secrets nobody can open.
        """
        key = self._keys.account(settings.account)
        stored = await self._redis.call("HGET", key, "secrets")
        try:
            sealed = frozenset(_texts(unpack_object(stored, "secrets")).values())
        except StoredUnreadable:
            sealed = frozenset()
        packed, secrets, searched = self._packed(settings, sealed)
        if not await self._redis.script("change_account", [key], [packed, secrets, searched]):
            raise AccountNotFound("No account has that id")

    def opened(self, record: AccountRecord) -> AccountSettings:
        """
        The settings with their secrets in clear text.

        `SecretUnreadable` if one was sealed with another secret; `StoredUnreadable` if the settings are damaged.
        """
        if record.unreadable is not None:
            raise StoredUnreadable(record.unreadable)
        bare, secrets = take_out(record.settings)
        try:
            return put_in(bare, {name: self._vault.open(value) for name, value in secrets.items()})
        except SecretUnreadable as error:
            raise SecretUnreadable(f"A secret of the account cannot be used. {error.message}") from None

    async def delete(self, account: str, says: Sequence[Say] = ()) -> bool:
        """
        Remove an account with its folders, rows, log and tokens; what is still to be announced stays.

        False if there was none.

        Afterwards nobody finds it, and its id is free. Its folders go in slices; `sweep` ends what a crash left.
        """
        keys = self._keys
        leaving: bytes | None = await self._redis.script(
            "delete_account",
            [
                keys.account(account),
                keys.accounts(),
                keys.folders(account),
                keys.leaving(),
                keys.tokens(),
                keys.log(account),
            ],
            [keys.prefix, octets(account), *pack_says(says)],
        )
        if leaving is None:
            return False
        await self._sweep_one(leaving)
        return True

    async def sweep(self) -> None:
        """Remove what is left of deleted accounts. To be called once after the start."""
        for leaving in await self._redis.call("SMEMBERS", self._keys.leaving()):
            await self._sweep_one(leaving)

    async def _sweep_one(self, leaving: bytes) -> None:
        """Remove the folders of a deleted account. Their numbers are given to nobody else, so nothing else is hit."""
        left = self._keys.left(leaving)
        account = text_of(leaving.partition(b":")[2])
        cursor = b"0"
        while True:
            cursor, found = await self._redis.call("HSCAN", left, cursor, "COUNT", _REMOVED)
            numbers = [int(name[2:]) for name in found[::2] if name.startswith(b"n:") and name[2:].isdigit()]
            for start in range(0, len(numbers), _REMOVED):
                slice_ = numbers[start : start + _REMOVED]
                gone = [key(one, account) for one in slice_ for key in (self._keys.folder, self._keys.rows)]
                await self._redis.call("UNLINK", *gone)
            if cursor == b"0":
                break
        await self._redis.many([("UNLINK", left), ("SREM", self._keys.leaving(), leaving)])

    def _packed(self, settings: AccountSettings, sealed: frozenset[str]) -> tuple[bytes, bytes, bytes]:
        bare, secrets = take_out(settings)
        kept = {name: value if value in sealed else self._vault.seal(value) for name, value in secrets.items()}
        searched = "\0".join((settings.account, settings.name, settings.email or "")).casefold()
        return pack(replace(bare, account="")), pack(kept), octets(searched)

    # reading

    async def get(self, account: str) -> AccountRecord | None:
        """One account. `StoredUnreadable` if its settings or state are damaged."""
        record = (await self.some([account]))[0]
        if record is not None and record.unreadable is not None:
            raise StoredUnreadable(record.unreadable)
        return record

    async def some(self, accounts: Sequence[str]) -> list[AccountRecord | None]:
        """
        Several accounts, None for those that are not there.

        A damaged one is a record with `unreadable` and empty settings, so that the others can be worked with.
        """
        records: list[AccountRecord | None] = []
        for start in range(0, len(accounts), _READ):
            part = accounts[start : start + _READ]
            keys = [self._keys.account(one) for one in part]
            try:
                replies = await self._redis.many([("HGETALL", key) for key in keys])
            except StoreRefused:  # one of them is no hash: read the others without it
                replies = [await self._hash(key) for key in keys]
            records += [_record(account, reply) for account, reply in zip(part, replies, strict=True)]
        return records

    async def _hash(self, key: bytes) -> Any:
        try:
            return await self._redis.call("HGETALL", key)
        except StoreRefused:
            return [b"settings", b""]

    async def ids(self, after: str | None, count: int) -> list[str]:
        """The next `count` ids after one, in order of their bytes; none at the end."""
        lowest = b"-" if after is None else b"(" + octets(after)
        return _names(await self._redis.call("ZRANGEBYLEX", self._keys.accounts(), lowest, "+", "LIMIT", 0, count))

    async def page(
        self, *, query: str | None, state: str | None, page: int, page_size: int
    ) -> tuple[int, list[AccountRecord]]:
        """
        How many accounts fit, and a page of them, counted from 0, in order of their ids.

        `query` is a part of the id, the name or the address, in any case.
        """
        index = self._keys.accounts() if state is None else self._keys.accounts_by_state(state)
        first = page * page_size
        found: list[bytes]
        if query:
            total, found = await self._find(index, octets(query.casefold()), first, page_size)
        else:
            total, found = await self._redis.many([("ZCARD", index), ("ZRANGE", index, first, first + page_size - 1)])
        records = await self.some(_names(found))
        return total, [one for one in records if one is not None]

    async def _find(self, index: bytes, query: bytes, first: int, count: int) -> tuple[int, list[bytes]]:
        total = 0
        found: list[bytes] = []
        after: bytes | None = b""
        while after is not None:
            lowest = b"(" + after if after else b"-"
            after, *fitting = await self._redis.script(
                "find_accounts", [index], [self._keys.prefix, lowest, _SEARCHED, query]
            )
            found.extend(fitting[max(0, first - total) : max(0, first + count - total)])
            total += len(fitting)
        return total, found

    async def count_by_state(self) -> dict[str, int]:
        """How many accounts are in each state."""
        counts = await self._redis.many([("ZCARD", self._keys.accounts_by_state(state)) for state in STATES])
        return dict(zip(STATES, counts, strict=True))

    # what the owner writes

    async def take_up(self, account: str) -> int | None:
        """A new owner number for the account, higher than any before; None if it was deleted."""
        owner = await self._redis.script("take_up", [self._keys.account(account), self._keys.serials()])
        return None if owner is None else int(owner)

    async def set_state(
        self, account: str, owner: int, state: str, error: dict[str, Any] | None, says: Sequence[Say] = ()
    ) -> None:
        """Write the state, why the account is not connected, and the events of the change. `Outdated`."""
        done = await self._redis.script(
            "set_state",
            [self._keys.account(account), self._keys.accounts_by_state(state)],
            [
                self._keys.prefix,
                octets(account),
                owner,
                state,
                b"" if error is None else pack(error),
                *pack_says(says),
            ],
        )
        if not done:
            raise Outdated("Somebody else has taken up the account, or it is gone")

    async def set_sync(self, account: str, owner: int, *, time: str, error: dict[str, Any] | None) -> None:
        """Write when the folders were compared, and what went wrong. `Outdated`."""
        done = await self._redis.script(
            "set_sync", [self._keys.account(account)], [owner, time, b"" if error is None else pack(error)]
        )
        if not done:
            raise Outdated("Somebody else has taken up the account, or it is gone")

    async def set_smtp_status(self, account: str, status: Mapping[str, Any]) -> None:
        """Write how the last delivery ended. No effect if the account is gone."""
        await self._redis.script("set_smtp_status", [self._keys.account(account)], [pack(dict(status))])


def _record(account: str, reply: Sequence[bytes]) -> AccountRecord | None:
    """The record out of a HGETALL."""
    if not reply:
        return None
    fields = dict(zip(reply[::2], reply[1::2], strict=True))
    try:
        return _read(account, fields)
    except StoredUnreadable as damage:
        log.error("account {account}: {reason}", account=account, reason=damage.message)
        return AccountRecord(
            settings=AccountSettings(account=account),
            state=fields.get(b"state", b"unset").decode("utf-8", "replace"),
            generation=0,
            owner=0,
            error={"response": damage.message},
            unreadable=damage.message,
        )


def _read(account: str, fields: Mapping[bytes, bytes]) -> AccountRecord:
    try:
        bare = replace(_settings_of(fields.get(b"settings", b"")), account=account)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoredUnreadable(f"The stored settings of the account cannot be read: {error}") from None
    secrets = _texts(unpack_object(fields.get(b"secrets"), "What is stored of the account's secrets"))
    return AccountRecord(
        settings=put_in(bare, secrets),
        state=fields.get(b"state", b"init").decode("utf-8", "replace"),
        generation=unpack_number(fields.get(b"generation"), "The stored generation of the account"),
        owner=unpack_number(fields.get(b"owner"), "The stored owner number of the account"),
        error=unpack_object(fields.get(b"error"), "The stored error of the account"),
        connected=unpack_number(fields.get(b"connected"), "What is stored of the account's connections"),
        smtp_status=unpack_object(fields.get(b"smtp"), "The stored SMTP status of the account"),
        sync_time=fields[b"syncTime"].decode("utf-8", "replace") if b"syncTime" in fields else None,
        sync_error=unpack_object(fields.get(b"syncError"), "The stored sync error of the account"),
        counters={
            name[len(_COUNT) :].decode("utf-8", "replace"): unpack_number(value, "A stored counter of the account")
            for name, value in fields.items()
            if name.startswith(_COUNT)
        },
    )


def _texts(value: dict[str, Any] | None) -> dict[str, str]:
    return {name: one for name, one in (value or {}).items() if isinstance(one, str)}


def _names(found: Sequence[bytes]) -> list[str]:
    return [text_of(one) for one in found]
