"""Events to announce, from the stream into the queue."""

from __future__ import annotations

from emailengine.core.secrets import Vault
from emailengine.model.account import AccountSettings
from emailengine.model.event import Say
from emailengine.store.accounts import AccountStore
from emailengine.store.counters import CounterStore
from emailengine.store.queue import Job, NewJob, Queue
from emailengine.store.say import SayStore
from tests.redis_server import RedisCase

ODD = "a:b/c*%é\ud800"


def say(number: int) -> Say:
    return Say(event_id=f"e{number}", event="messageNew", date="2026-01-01T00:00:00.000Z", path="INBOX", uid=number)


def jobs(number: int, *targets: str) -> list[NewJob]:
    body = b"body %d" % number
    return [
        NewJob("notify", f"{one}:{ODD}", f"e{number}.{one}", "host", None, b"data", body, f"e{number}")
        for one in targets
    ]


class SayCase(RedisCase):
    def open(self) -> tuple[SayStore, Queue]:
        return (
            SayStore(redis=self.redis, keys=self.keys),
            Queue(redis=self.redis, keys=self.keys, name="notify", ordered=True),
        )


class AnnounceTests(SayCase):
    async def test_order(self) -> None:
        """Entries are read in the order they were said, the oldest first or those behind one."""
        store, _ = self.open()
        await store.add(ODD, [say(1), say(2)])
        await store.add("other", [])
        await store.add(ODD, [say(3)])
        self.assertEqual(await store.accounts(), [ODD])
        read = await store.read(ODD, 2)
        self.assertEqual([one for _, one in read], [say(1), say(2)])
        behind = await store.read(ODD, 9, after=read[0][0])
        self.assertEqual([one for _, one in behind], [say(2), say(3)])
        self.assertEqual(await store.read(ODD, 9, after=behind[-1][0]), [])

    async def test_jobs(self) -> None:
        """An entry becomes jobs in one step: the entry goes, the jobs share one body, the event is counted."""
        store, queue = self.open()
        accounts = AccountStore(redis=self.redis, keys=self.keys, vault=Vault(None))
        await accounts.create(AccountSettings(account=ODD))
        await store.add(ODD, [say(1)])
        [(entry, _)] = await store.read(ODD, 9)
        self.assertTrue(await store.announce(ODD, entry, jobs(1, "x", "y"), ["messageNew"]))
        self.assertEqual(await store.accounts(), [])
        self.assertEqual(await self.redis.call("HLEN", self.keys.body("e1")), 2)
        got = [await queue.claim(lease=9, per_group=9) for _ in "xy"]
        for job in got:
            assert isinstance(job, Job)
            self.assertEqual(job.body, b"body 1")
            await queue.done(job)
        self.assertEqual([one.id for one in got if isinstance(one, Job)], ["e1.x", "e1.y"])
        record = await accounts.get(ODD)
        assert record is not None
        self.assertEqual(record.counters, {"messageNew": 1})
        counters = CounterStore(redis=self.redis, keys=self.keys)
        self.assertEqual(await counters.read(120), {"events:messageNew": 1})

    async def test_twice(self) -> None:
        """Announced again, after a lost answer, an entry makes no second job: not even when the first is finished."""
        store, queue = self.open()
        await store.add(ODD, [say(1), say(2)])
        [(entry, _), _] = await store.read(ODD, 9)
        await store.announce(ODD, entry, jobs(1, "x"), ["messageNew"])
        job = await queue.claim(lease=9, per_group=9)
        assert isinstance(job, Job)
        await queue.done(job)
        self.assertFalse(await store.announce(ODD, entry, jobs(1, "x"), ["messageNew"]))
        self.assertEqual((await queue.counts())["total"], 0)
        self.assertEqual([one for _, one in await store.read(ODD, 9)], [say(2)])

    async def test_gone_account(self) -> None:
        """What a deleted account said is announced, and brings no part of it back."""
        store, queue = self.open()
        await store.add(ODD, [say(1)])
        [(entry, _)] = await store.read(ODD, 9)
        await store.announce(ODD, entry, jobs(1, "x"), ["messageNew"])
        self.assertEqual(await self.redis.call("EXISTS", self.keys.account(ODD)), 0)
        job = await queue.claim(lease=9, per_group=9)
        assert isinstance(job, Job)
        await queue.done(job)
        self.assertEqual([key.split(b":")[1] for key in await self.all_keys()], [b"count"])

    async def test_damage(self) -> None:
        """An entry that cannot be read is dropped, and those behind it are read."""
        store, _ = self.open()
        for damaged in (b"{", b"\xff", b'{"event":"unheard of"}'):
            await self.redis.call("XADD", self.keys.say("a"), "*", "say", damaged)
        await store.add("a", [say(1)])
        self.assertEqual([one for _, one in await store.read("a", 2)], [say(1)])
        self.assertEqual(await self.redis.call("XLEN", self.keys.say("a")), 1)


class CounterTests(RedisCase):
    async def test_sum(self) -> None:
        """Counts of the asked minutes are added up; older ones are left out, and each expires."""
        counters = CounterStore(redis=self.redis, keys=self.keys)
        await counters.add({"apiCall:success": 2, "ü": 1})
        await counters.add({"apiCall:success": 3})
        await counters.add({})
        minutes = sorted(int(key.rpartition(b":")[2]) for key in await self.all_keys())
        for key in await self.all_keys():
            self.assertTrue(0 < await self.redis.call("TTL", key) <= 8 * 86400)
        await self.redis.call("HINCRBY", self.keys.count(minutes[0] - 100), "apiCall:success", 10)
        await self.redis.call("HINCRBY", self.keys.count(minutes[0] - 1000), "old", 7)
        self.assertEqual(await counters.read(3600), {"apiCall:success": 5, "ü": 1})
        self.assertEqual(await counters.read(7200), {"apiCall:success": 15, "ü": 1})
        self.assertEqual(await counters.read(8 * 86400), {"apiCall:success": 15, "ü": 1, "old": 7})
