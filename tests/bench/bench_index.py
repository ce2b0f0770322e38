"""What the message index takes in Redis and how fast it is filled, beside one hash field a message. No test: run by hand.

python tests/bench/bench_index.py [number of messages]

All keys of the index are measured with MEMORY USAGE ... SAMPLES 0. The aim is 4 bytes a message for a mailbox of 10 000.
The baseline is the same mailbox as one hash, UID -> flags, which is the least that a plain layout takes.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from emailengine.core.secrets import Vault
from emailengine.model.account import AccountSettings
from emailengine.store.accounts import AccountStore
from emailengine.store.folders import FolderStore, StoredFolder
from emailengine.store.index import Index
from emailengine.store.keys import Keys
from emailengine.store.redis import Redis
from emailengine.sync.plan import Position
from emailengine.sync.rows import Flags, FlagTable, block_of, encode_block
from tests.redis_server import redis_url

AIM = 4.0  # bytes a message
SLICE = 512  # UIDs to a commit
SEEN: Flags = ("\\Seen",)
Mailbox = Mapping[int, Flags]


def read(count: int, _: random.Random) -> Mailbox:
    return dict.fromkeys(range(1, count + 1), SEEN)


def usual(count: int, dice: random.Random) -> Mailbox:
    """A third of the mail was deleted in runs, most of the rest is read, some answered, some marked."""
    mailbox: dict[int, Flags] = {}
    uid = 0
    while len(mailbox) < count:
        uid += 1 if dice.random() < 0.9 else dice.randrange(1, 10)
        chance = dice.random()
        if uid > count * 1.4:
            mailbox[uid] = SEEN if chance < 0.5 else ()
        else:
            mailbox[uid] = (
                SEEN if chance < 0.8 else ("\\Answered", "\\Seen") if chance < 0.93 else ("\\Flagged",) if chance < 0.95 else ()
            )  # fmt: skip
    return mailbox


def worst(count: int, dice: random.Random) -> Mailbox:
    """Every other UID is gone, and neighbours never have the same flags."""
    sets: list[Flags] = [
        tuple(sorted(dice.sample(("\\Answered", "\\Flagged", "\\Seen", "$Junk"), n % 4))) for n in range(7)
    ]
    return {2 * n + 1: sets[n % 7] for n in range(count)}


async def measure(redis: Redis, keys: Keys, mailbox: Mailbox) -> tuple[float, float, float]:
    """Bytes a message, bytes a message of the baseline, seconds to write the whole."""
    accounts = AccountStore(redis=redis, keys=keys, vault=Vault(None))
    folders, index = FolderStore(redis=redis, keys=keys), Index(redis=redis, keys=keys)
    await accounts.create(AccountSettings(account="someone"))
    owner = await accounts.take_up("someone")
    assert owner is not None
    await folders.save("someone", owner, [StoredFolder(path="INBOX", delimiter="/", special_use="\\Inbox")], [])
    number = await folders.number("someone", "INBOX", 1700000000)
    blocks: dict[int, dict[int, Flags]] = {}
    for uid, flags in mailbox.items():
        blocks.setdefault(block_of(uid), {})[uid] = flags
    top = max(mailbox) + 1
    table, started = FlagTable(), time.perf_counter()
    numbers = sorted(blocks)
    for commit, start in enumerate(range(0, len(numbers), SLICE // 256), 1):
        known = len(table.sets)
        packed = {one: encode_block(one, blocks[one], table) for one in numbers[start : start + SLICE // 256]}
        await index.commit(
            "someone",
            owner,
            path="INBOX",
            number=number,
            position=Position(1700000000, top, len(mailbox), 7_345_123, top, commit=commit),
            blocks=packed,
            flag_sets=table.sets[known:],
            says=[],
        )
    seconds = time.perf_counter() - started
    plain = keys.queue("plain", "baseline")
    for uid, flags in mailbox.items():
        await redis.call("HSET", plain, uid, " ".join(flags))
    used = [keys.rows(number, "someone"), keys.folder(number, "someone"), keys.folders("someone")]
    sizes = await redis.many([("MEMORY", "USAGE", key, "SAMPLES", 0) for key in (*used, plain)])
    return sum(sizes[:-1]) / len(mailbox), sizes[-1] / len(mailbox), seconds


async def run(count: int) -> None:
    kinds: list[Callable[[int, random.Random], Mailbox]] = [read, usual, worst]
    for place, kind in enumerate(kinds):
        redis = Redis(redis_url(), reactor=reactor, prefix=f"b{place}:")
        redis.startService()
        await redis.ready()
        ours, plain, seconds = await measure(redis, Keys(f"b{place}:"), kind(count, random.Random(1)))
        print(
            f"{kind.__name__:6} {count} messages: {ours:6.2f} bytes each (aim {AIM:g}), baseline {plain:6.1f}: "
            f"ratio {ours / plain:.3f}; written in {seconds * 1000:.0f} ms"
        )
        await redis.stopService()


def main(_: Any, count: str = "10000") -> Deferred[None]:
    return Deferred.fromCoroutine(run(int(count)))


if __name__ == "__main__":
    react(main, sys.argv[1:])
