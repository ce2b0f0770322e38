"""Settings that change while the daemon runs, in Redis and in memory. Secrets in them are sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from attrs import define, field
from twisted.logger import Logger

from emailengine.core.secrets import SecretUnreadable, Vault
from emailengine.errors import StoredUnreadable, StoreUnavailable
from emailengine.model.codec import fault
from emailengine.model.settings import KEYS, SECRET, URLS, Settings
from emailengine.store.keys import Keys
from emailengine.store.records import pack, unpack
from emailengine.store.redis import Redis
from emailengine.store.sealing import with_login, without_login

log = Logger()

Change = Callable[[str], str]


@define(eq=False, kw_only=True)
class SettingsStore:
    """
    The settings by their names on the wire, as plain values. Implements `api.seams.SettingsStore`.

    `ready` loads them; from then on `value` answers from memory. One daemon writes them at a time.
    """

    _redis: Redis
    _keys: Keys
    _vault: Vault
    _stored: dict[str, Any] = field(factory=dict, init=False)  # secrets in it are as stored
    _values: dict[str, Any] = field(factory=dict, init=False)
    _unreadable: dict[str, SecretUnreadable] = field(factory=dict, init=False)
    _doubtful: bool = field(default=False, init=False)

    async def ready(self) -> None:
        """Load all settings. Names that nobody knows and values that are damaged are left out."""
        found = await self._redis.call("HGETALL", self._keys.settings())
        self._stored, self._values, self._unreadable = {}, {}, {}
        for raw, packed in zip(found[::2], found[1::2], strict=True):
            name = raw.decode("utf-8", "replace")
            if name in KEYS:
                try:
                    value = unpack(packed, "It")
                    msgspec.convert({name: value}, Settings)
                except (StoredUnreadable, msgspec.ValidationError) as error:
                    log.error("the stored setting {name} is ignored: {reason}", name=name, reason=str(error))
                else:
                    self._take(name, value)
        self._doubtful = False

    def value(self, name: str, default: Any = None) -> Any:
        """
        The value in clear text, `default` for one that is not set or null.

        `SecretUnreadable` if it was sealed with another secret.
        """
        unreadable = self._unreadable.get(name)
        if unreadable is not None:
            raise SecretUnreadable(f"The setting {name} cannot be used. {unreadable.message}")
        value = self._values.get(name)
        return default if value is None else value

    async def read(self, keys: Sequence[str]) -> Mapping[str, Any]:
        """
        Those of these that are set.

        A secret that cannot be opened is given as it is stored: good to be masked, and to be sent back unchanged.
        """
        if self._doubtful:
            await self.ready()
        return {
            name: self._stored[name] if name in self._unreadable else self._values[name]
            for name in keys
            if name in self._values
        }

    async def write(self, changes: Mapping[str, Any]) -> None:
        """Store these, all of them or none. `InvalidInput` for a name that is no setting."""
        unknown = [name for name in changes if name not in KEYS]
        if unknown:
            raise fault(unknown[0], "is no setting")
        if not changes:
            return
        if self._doubtful:
            await self.ready()
        sealed = {name: self._sealed(name, value) for name, value in changes.items()}
        fields = [part for name, value in sealed.items() for part in (name, pack(value))]
        try:
            await self._redis.call("HSET", self._keys.settings(), *fields)
        except StoreUnavailable:
            self._doubtful = True  # it may have been written
            raise
        for name, value in sealed.items():
            self._take(name, value)

    def _take(self, name: str, stored: Any) -> None:
        self._stored[name] = stored
        self._unreadable.pop(name, None)
        try:
            self._values[name] = _with_secrets(name, stored, self._vault.open)
        except SecretUnreadable as error:
            self._values[name] = None
            self._unreadable[name] = error
            log.error("the setting {name} cannot be used: {reason}", name=name, reason=error.message)

    def _sealed(self, name: str, value: Any) -> Any:
        known: set[str] = set()

        def note(text: str) -> str:
            known.add(text)
            return text

        _with_secrets(name, self._stored.get(name), note)
        # what could not be opened was read sealed, and is not sealed once more
        return _with_secrets(name, value, lambda text: text if text in known else self._vault.seal(text))


def _with_secrets(name: str, value: Any, change: Change) -> Any:
    """The value with its secret parts changed: a secret as a whole, the login of a URL, the values of headers."""
    if not value:
        return value
    if name in SECRET:
        return change(value)
    if name in URLS:
        url, login = without_login(value)
        return with_login(url, change(login)) if login else value
    if name == "webhooksCustomHeaders":
        return [{**one, "value": change(one["value"])} if one.get("value") else one for one in value]
    return value
