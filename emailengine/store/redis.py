"""Redis: two connections, a deadline on every call, and the scripts that each do one change.

Ordinary commands share one connection and are answered in order; large bodies have another, so that they hold up
nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.logger import Logger

from emailengine.core.deadline import bounded
from emailengine.core.turns import pause
from emailengine.errors import EmailEngineError, StartupFailed, StoreRefused, StoreUnavailable, TimedOut
from emailengine.store.link import CALL, Argument, Link, NotNow, parse_url

__all__ = ["Argument", "Redis", "parse_url", "read_script"]

log = Logger()

LEAST_VERSION = (6, 2)


class Redis(Service):
    """
    The store's way to Redis, a service.

    Every call may raise `StoreUnavailable` (no answer in time, or Redis is not ready for commands; it may or may not
    have run) and `StoreRefused` (an error reply). Writes are made so that repeating them does no harm.
    """

    def __init__(
        self,
        url: str,
        *,
        reactor: Any,
        prefix: str = "ee:",
        tls: Callable[[str], IOpenSSLClientConnectionCreator] | None = None,
    ) -> None:
        self.address = parse_url(url)
        self.prefix = prefix.encode()
        self.version = ""
        self._reactor = reactor
        self._tls = tls
        self._ordinary: Link | None = None
        self._large: Link | None = None
        self._scripts: dict[str, tuple[bytes, str]] = {}

    # the service

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        self._ordinary = Link(self.address, self._endpoint(), self._reactor)
        self._ordinary.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]  # as above
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for link in (self._ordinary, self._large):
            if link is not None:
                await link.stop()

    async def ready(self) -> None:
        """Return once Redis answers and is one we can work with; `StartupFailed` with one line that says why not."""
        try:
            await bounded(self._reactor, CALL, self._wait_for_pong(), "Redis")
        except TimedOut:
            raise StartupFailed(f"Redis does not answer ({self.address}): start it, or correct dbs.redis") from None
        except StoreRefused as error:
            raise StartupFailed(f"Redis refuses us ({self.address}): {error.message}") from None
        except StoreUnavailable as error:
            if self._link().refused is not None:
                raise StartupFailed(f"Redis refuses us ({self.address}): {error.message}") from None
            raise StartupFailed(f"Redis does not answer ({self.address}): start it, or correct dbs.redis") from None
        info = (await self.call("INFO")).decode("utf-8", "replace")
        fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        self.version = fields.get("redis_version", "")
        if tuple(int(part) for part in self.version.split(".")[:2]) < LEAST_VERSION:
            least = ".".join(map(str, LEAST_VERSION))
            raise StartupFailed(f"Redis {self.version} is too old ({self.address}): {least} or newer is needed")
        policy = fields.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            log.warn("Redis may throw data away: its maxmemory-policy is {policy}, set it to noeviction", policy=policy)

    async def _wait_for_pong(self) -> None:
        while True:
            try:
                if await self.call("PING") == b"PONG":
                    return
            except NotNow:
                pass
            await pause(self._reactor, 0.02)

    def _endpoint(self) -> IStreamClientEndpoint:
        address = self.address
        if address.path is not None:
            return UNIXClientEndpoint(self._reactor, address.path, timeout=5)
        assert address.host is not None
        plain = HostnameEndpoint(self._reactor, address.host, address.port, timeout=5)
        if not address.tls:
            return plain
        if self._tls is None:
            raise StartupFailed("rediss:// needs TLS, which is not available here")
        return wrapClientTLS(self._tls(address.host), plain)

    # calls

    async def call(self, *arguments: Argument) -> Any:
        """One command and its reply: bytes, int, list or None."""
        return await self._call(self._link(), arguments)

    async def large(self, *arguments: Argument) -> Any:
        """One command with a large body or reply, on the connection for these."""
        if self._large is None:
            self._large = Link(self.address, self._endpoint(), self._reactor)
            self._large.start()
        return await self._call(self._large, arguments)

    async def many(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Several commands in one round trip. All run; the first error reply is raised afterwards."""
        if not commands:
            return []
        conn = await self._connection(self._link())
        replies: list[Any] = await conn.send_many(commands)
        for reply in replies:
            if isinstance(reply, EmailEngineError):
                raise type(reply)(reply.message)  # as in `_call`
        return replies

    async def script(
        self, name: str, keys: Sequence[bytes], arguments: Sequence[Argument] = (), *, big: bool = False
    ) -> Any:
        """Run `scripts/<name>.lua`. It is sent once and again after Redis lost it (a restart, SCRIPT FLUSH)."""
        sha, text = self._script(name)
        call = self.large if big else self.call
        try:
            return await call(b"EVALSHA", sha, len(keys), *keys, *arguments)
        except StoreRefused as error:
            if not error.message.startswith("NOSCRIPT"):
                raise
        return await call(b"EVAL", text, len(keys), *keys, *arguments)

    def _link(self) -> Link:
        if self._ordinary is None:
            raise StoreUnavailable("The store is not open")
        return self._ordinary

    async def _call(self, link: Link, arguments: Sequence[Argument]) -> Any:
        conn = link.live or await self._connection(link)
        reply = await conn.execute_command(*arguments)
        if isinstance(reply, EmailEngineError):
            # not this one: frames on the way hold it, and it would hold them, and with this one the arguments
            raise type(reply)(reply.message)
        return reply

    async def _connection(self, link: Link) -> Any:
        """The live connection, waited for as long as a call may take."""
        if link.live is not None:
            return link.live
        try:
            return await bounded(self._reactor, CALL, link.connection(), "Redis")
        except TimedOut as late:
            raise StoreUnavailable(f"Redis was not there within {CALL:g} seconds") from late

    def _script(self, name: str) -> tuple[bytes, str]:
        found = self._scripts.get(name)
        if found is None:
            text = read_script(name)
            sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode()
            found = self._scripts[name] = (sha, text)
        return found


def read_script(name: str) -> str:
    """
    The text of a script with the parts it uses in front.

    A line `-- uses other` takes in `_other.lua`, which defines functions and does nothing by itself.
    """
    folder = resources.files("emailengine.store") / "scripts"
    text = (folder / f"{name}.lua").read_text("utf-8")
    parts = [
        (folder / f"_{line.removeprefix('-- uses ').strip()}.lua").read_text("utf-8")
        for line in text.splitlines()
        if line.startswith("-- uses ")
    ]
    return "".join([*parts, text])
