"""A way to Redis that answers at once, so that a coroutine of the store is a plain call in a property test."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import hiredis

from emailengine.errors import StoreRefused
from emailengine.store.redis import read_script
from tests.redis_server import redis_url

_numbers = itertools.count(1)
T = TypeVar("T")


class Direct:
    """Speaks for `store.redis.Redis`, with a blocking socket and a prefix of its own."""

    def __init__(self) -> None:
        self.prefix = f"d{next(_numbers)}:".encode()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(redis_url().removeprefix("unix://"))
        self._reader = hiredis.Reader(replyError=StoreRefused)
        self._scripts: dict[str, bytes] = {}

    def close(self) -> None:
        self._socket.close()

    def now(self, *arguments: Any) -> Any:
        self._socket.sendall(hiredis.pack_command(arguments))
        while (reply := self._reader.gets()) is False:
            received = self._socket.recv(65536)
            assert received, "Redis is gone"
            self._reader.feed(received)
        if isinstance(reply, StoreRefused):
            raise reply
        return reply

    async def call(self, *arguments: Any) -> Any:
        return self.now(*arguments)

    large = call

    async def script(
        self, name: str, keys: Sequence[bytes], arguments: Sequence[Any] = (), *, big: bool = False
    ) -> Any:
        sha = self._scripts.get(name)
        if sha is None:
            sha = self._scripts[name] = self.now("SCRIPT", "LOAD", read_script(name))
        return self.now("EVALSHA", sha, len(keys), *keys, *arguments)

    def keys(self) -> list[bytes]:
        return sorted(self.now("KEYS", self.prefix + b"*"))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing else."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")
