"""The daemon's figures and its health, as the store tells them. Implements `api.seams.Figures`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define
from twisted.internet.interfaces import IReactorTime

from emailengine.errors import EmailEngineError
from emailengine.model.stats import Connections, QueueCounts, RedisWarning, Stats
from emailengine.store.counters import CounterStore
from emailengine.store.queue import Queue
from emailengine.store.redis import Redis

_SLOW = 5_000_000  # nanoseconds for a PING; more is worth a warning


@define(kw_only=True, eq=False)
class StoreFigures:
    """`states` gives how many accounts are in each state now."""

    clock: IReactorTime
    redis: Redis
    counters: CounterStore
    queues: Mapping[str, Queue]
    states: Callable[[], Mapping[str, int]]
    version: str

    async def stats(self, seconds: int) -> Stats:
        """The figures; counters of the last `seconds`. Raises `StoreUnavailable`."""
        asked = self.clock.seconds()
        await self.redis.call("PING")
        ping = int((self.clock.seconds() - asked) * 1e9)
        info = _fields(await self.redis.call("INFO"))
        states = dict(self.states())
        return Stats(
            version=self.version,
            accounts=sum(states.values()),
            redis=info.get("redis_version", self.redis.version),
            redis_software="valkey" if "valkey_version" in info else "redis",
            redis_cluster=info.get("redis_mode") == "cluster",
            redis_warnings=_warnings(info, ping),
            redis_ping=float(ping),
            queues={name: await _counts(queue) for name, queue in self.queues.items()},
            connections=Connections(
                init=states.get("init", 0),
                connected=states.get("connected", 0),
                connecting=states.get("connecting", 0),
                syncing=states.get("syncing", 0),
                authentication_error=states.get("authenticationError", 0),
                connect_error=states.get("connectError", 0),
                unset=states.get("unset", 0),
                disconnected=states.get("disconnected", 0),
                paused=states.get("paused", 0),
            ),
            counters=await self.counters.read(seconds),
        )

    async def healthy(self) -> bool:
        """Whether the store answers."""
        try:
            return bool(await self.redis.call("PING") == b"PONG")
        except EmailEngineError:
            return False


async def _counts(queue: Queue) -> QueueCounts:
    counts = await queue.counts()
    return QueueCounts(
        active=counts.get("active", 0),
        delayed=counts.get("delayed", 0),
        waiting=counts.get("waiting", 0),
        paused=0,
        total=counts.get("total", 0),
        is_paused=False,
    )


def _fields(info: bytes) -> dict[str, str]:
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _warnings(info: Mapping[str, str], ping: int) -> list[RedisWarning]:
    found = []
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        found.append(
            RedisWarning(
                key="eviction",
                title="Redis may throw data away",
                color="danger",
                details=[f"maxmemory-policy is {policy}: set it to noeviction"],
            )
        )
    if info.get("aof_enabled") == "0":
        found.append(
            RedisWarning(
                key="persistence",
                title="Redis keeps no append-only file",
                color="warning",
                details=["What was written last is lost when Redis ends: set appendonly to yes"],
            )
        )
    if ping > _SLOW:
        found.append(
            RedisWarning(
                key="latency",
                title="Redis answers slowly",
                color="warning",
                details=[f"A PING took {ping / 1e6:.1f} ms: run Redis on the same machine or network"],
            )
        )
    return found
