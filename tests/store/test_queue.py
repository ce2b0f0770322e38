"""The queue through the real connection: what the model of test_queue_properties leaves out."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from emailengine.core.ids import event_id
from emailengine.model.event import Say
from emailengine.store.queue import LARGE, Idempotent, Job, NewJob, Put, Queue, Wait
from emailengine.store.say import SayStore
from tests.redis_server import RedisCase

PAST, FAR = 1_000_000_000.0, 4_000_000_000.0


def new(id: str, lane: str = "lane", *, queue: str = "q", group: str = "g", at: float | None = None) -> NewJob:
    return NewJob(queue, lane, id, group, at, b"data of " + id.encode())


def say(word: str) -> Say:
    return Say(event_id=event_id(word), event="messageSent", date="2026-01-01T00:00:00.000Z", data={"word": word})


class QueueCase(RedisCase):
    def queue(self, name: str = "q", *, ordered: bool = False) -> Queue:
        return Queue(redis=self.redis, keys=self.keys, name=name, ordered=ordered)

    async def take(self, queue: Queue, *, lease: float = 100, per_group: int = 100) -> Job:
        job = await queue.claim(lease=lease, per_group=per_group)
        assert isinstance(job, Job), job
        return job

    async def drain(self, queue: Queue) -> list[str]:
        """Finish all that can be worked on; their ids."""
        ids = []
        while isinstance(job := await queue.claim(lease=100, per_group=100), Job):
            ids.append(job.id)
            await queue.done(job)
        return ids


class TurnTests(QueueCase):
    async def test_quiet_lanes(self) -> None:
        """Fifty quiet lanes behind one with 500 jobs are all served within the first 51 claims."""
        queue = self.queue(ordered=True)
        await gatherResults([Deferred.fromCoroutine(queue.put(new(f"n{one}", "noisy"))) for one in range(500)])
        await gatherResults([Deferred.fromCoroutine(queue.put(new(f"q{one}", f"quiet{one}"))) for one in range(50)])
        lanes = set()
        for _ in range(51):
            job = await self.take(queue)
            lanes.add(job.lane)
            await queue.done(job)
        self.assertEqual(len(lanes), 51)

    async def test_new_jobs_keep_place(self) -> None:
        """A lane that gets new jobs all the time keeps its place, and gets its turn."""
        queue = self.queue()
        await queue.put(new("first", "busy"))
        await queue.put(new("other", "quiet"))
        await queue.put(new("second", "busy"))
        self.assertEqual((await self.take(queue)).id, "first")
        self.assertEqual((await self.take(queue)).id, "other")

    async def test_retry_holds_ordered(self) -> None:
        """In an ordered queue a head that is to be tried again later holds its lane, and spends its attempts alone."""
        queue = self.queue(ordered=True)
        for id in ("1", "2", "3"):
            await queue.put(new(id))
        await queue.again(await self.take(queue), FAR, b"refused")
        found = await queue.claim(lease=1, per_group=1)
        assert isinstance(found, Wait)
        assert found.seconds is not None
        self.assertGreater(found.seconds, 1e9)
        _, listed = await queue.page(0, 9)
        self.assertEqual([(one.job.id, one.state) for one in listed][:2], [("1", "delayed"), ("2", "waiting")])
        second = await queue.find("2")
        assert second is not None
        self.assertEqual((second.state, second.job.attempt), ("waiting", 0))

    async def test_retry_holds_nobody(self) -> None:
        """In a due queue neither a retry nor a later time holds the others back, whenever they were put."""
        queue = self.queue()
        await queue.put(new("late", at=FAR))
        await queue.put(new("1"))
        await queue.again(await self.take(queue), FAR, b"refused")
        await queue.put(new("2"))
        self.assertEqual(await self.drain(queue), ["2"])

    async def test_only_later(self) -> None:
        """A lane whose job is cancelled while it waits for its turn is not due before its next job is."""
        for ordered in (False, True):
            queue = self.queue(str(ordered), ordered=ordered)
            for job in (new("1", queue=queue.name), new("2", queue=queue.name, at=FAR)):
                await queue.put(job)
            await queue.cancel("1")
            self.assertIsInstance(await queue.claim(lease=1, per_group=1), Wait)
            await queue.put(new("3", "other", queue=queue.name))
            self.assertEqual(await self.drain(queue), ["3"])

    async def test_group_moves(self) -> None:
        """A lane whose next job is of another group waits under that one's limit."""
        queue = self.queue(ordered=True)
        await queue.put(new("a", "x", group="one"))
        await queue.put(new("b", "y", group="one"))
        await queue.put(new("c", "y", group="two"))
        first = await self.take(queue, per_group=1)
        self.assertIsInstance(await queue.claim(lease=1, per_group=1), Wait)
        await queue.cancel("b")
        self.assertEqual((await self.take(queue, per_group=1)).id, "c")
        await queue.done(first)

    async def test_group_is_free_again(self) -> None:
        """A lane held up by its group's limit goes on once another lane of the group is done or its lease ends."""
        queue = self.queue()
        for lane in "abc":
            await queue.put(new(lane, lane))
        first = await self.take(queue, per_group=1)
        self.assertIsInstance(await queue.claim(lease=1, per_group=1), Wait)
        await queue.done(first)
        second = await self.take(queue, per_group=1)
        self.assertIsInstance(await queue.claim(lease=1, per_group=1), Wait)
        await queue.keep(second, -1)
        self.assertEqual((await self.take(queue, per_group=1)).id, "c")

    async def test_when_to_come_again(self) -> None:
        """A claim that finds nothing says when there may be something: the next due time or the end of a lease."""
        queue = self.queue()
        self.assertEqual(await queue.claim(lease=1, per_group=1), Wait(None))
        await queue.put(new("1"))
        await self.take(queue, lease=50)
        found = await queue.claim(lease=1, per_group=1)
        assert isinstance(found, Wait)
        assert found.seconds is not None
        self.assertTrue(49 < found.seconds <= 50, found)

    async def test_woken(self) -> None:
        """Whatever may let somebody work raises the flag."""
        queue = self.queue()

        def woken() -> bool:
            raised = queue.woken.raised
            queue.woken.clear()
            return raised

        await queue.put(new("1"))
        self.assertTrue(woken())
        await queue.put(new("1"))
        self.assertFalse(woken())
        await queue.again(await self.take(queue), PAST, b"")
        self.assertTrue(woken())
        job = await self.take(queue)
        self.assertFalse(woken())
        await queue.done(job)
        self.assertTrue(woken())


class StepTests(QueueCase):
    async def test_any_text(self) -> None:
        """Ids, lanes, groups and marks are any text, half characters and zero bytes included."""
        queue = self.queue(ordered=True)
        odd = "a:b/c*%é\0\ud800\r\n{} "
        await queue.put(NewJob("q", odd, odd, odd, None, b"\0", b"\0\r\n", odd))
        job = await self.take(queue)
        self.assertEqual((job.id, job.lane, job.group, job.data, job.body), (odd, odd, odd, b"\0", b"\0\r\n"))
        self.assertTrue(await queue.mark(job, odd, b"\0"))
        found = await queue.find(odd)
        assert found is not None
        self.assertEqual((found.state, found.job.mark, found.job.progress), ("active", odd, b"\0"))
        await queue.done(job)
        self.assertEqual(await self.all_keys(), [])

    async def test_follow_up(self) -> None:
        """A job finishes in one step with what follows from it, which may take over its body unsent."""
        queue, after = self.queue(), self.queue("after")
        body = b"x" * (LARGE + 1)
        await queue.put(NewJob("q", "lane", "1", "g", None, b"", body, "shared"))
        job = await self.take(queue)
        self.assertEqual(job.body, body)
        puts = [
            NewJob("after", "lane", "1-copy", "g", None, b"", b"not looked at", "shared"),
            new("1-flags", queue="after"),
        ]
        said = SayStore(redis=self.redis, keys=self.keys)
        self.assertTrue(await queue.done(job, puts=puts, says=[("acc", say("a")), ("acc", say("b"))]))
        self.assertFalse(await queue.done(job, puts=puts, says=[("acc", say("c"))]))
        self.assertEqual([one.data["word"] for _, one in await said.read("acc", 9)], ["a", "b"])
        copy = await self.take(after)
        self.assertEqual((copy.id, copy.body), ("1-copy", body))
        await after.done(copy)
        self.assertEqual(await self.drain(after), ["1-flags"])
        self.assertEqual(await self.all_keys(), [self.keys.say("acc"), self.keys.saying()])

    async def test_again_says(self) -> None:
        """Trying again and giving up replace what is kept, and say so in the same step."""
        queue = self.queue()
        await queue.put(new("1"))
        await queue.again(await self.take(queue), PAST, b"e1", data=b"other", says=[("acc", say("a"))])
        job = await self.take(queue)
        self.assertEqual((job.data, job.error, job.attempt, job.due), (b"other", b"e1", 2, PAST))
        await queue.fail(job, b"e2", says=[("acc", say("b"))], keep=1)
        found = await queue.find("1")
        assert found is not None
        self.assertEqual((found.state, found.job.error, found.job.attempt), ("failed", b"e2", 2))
        said = SayStore(redis=self.redis, keys=self.keys)
        self.assertEqual([one.data["word"] for _, one in await said.read("acc", 9)], ["a", "b"])

    async def test_past(self) -> None:
        """Of what is finished and given up so many are kept, and not for ever."""
        queue = self.queue()
        for one in range(6):
            await queue.put(NewJob("q", "lane", str(one), "g", None, b"", b"body"))
            job = await self.take(queue)
            if one % 2:
                await queue.fail(job, b"", keep=2)
            else:
                await queue.done(job, keep=2, record=job.id.encode())
        self.assertEqual(await queue.finished(9), [b"4", b"2"])
        self.assertEqual([one.job.id for one in (await queue.page(0, 9))[1]], ["3", "5"])
        self.assertEqual(await queue.counts(), {"active": 0, "delayed": 0, "waiting": 0, "total": 0})
        for key in await self.all_keys():
            self.assertGreater(await self.redis.call("PTTL", key), 0, key)
        await queue.put(new("6"))
        await queue.done(await self.take(queue))
        self.assertEqual(await queue.finished(9), [])
        await self.redis.call("ZADD", self.keys.queue("past", "q"), PAST, "3")
        total, listed = await queue.page(0, 9)
        self.assertEqual((total, [one.job.id for one in listed]), (1, ["5"]))

    async def test_active_order(self) -> None:
        """Those at work are listed in the order of their claims, however long their leases are."""
        queue = self.queue()
        for id in ("1", "2", "3"):
            await queue.put(NewJob("q", id, id, "g", None, b"", b"body"))
        for lease in (900, 300, 600):
            await self.take(queue, lease=lease)
        self.assertEqual([one.job.id for one in (await queue.page(0, 9))[1]], ["1", "2", "3"])

    async def test_removed_by_others(self) -> None:
        """A job whose record was removed from outside stops nobody, at work or waiting."""
        for ordered in (False, True):
            queue = self.queue(str(ordered), ordered=ordered)
            for id in ("1", "2", "3", "4"):
                await queue.put(new(id, "first" if id < "4" else "other", queue=queue.name))
            for job in (new("5", "third", queue=queue.name), new("6", "third", queue=queue.name, at=FAR)):
                await queue.put(job)
            held = await self.take(queue)
            for id in ("1", "2", "5"):
                await self.redis.call("DEL", self.keys.queue("job", queue.name, id.encode()))
            self.assertFalse(await queue.done(held))
            await self.redis.call("ZADD", self.keys.queue("busy", queue.name), 1, "1")
            self.assertEqual(sorted(await self.drain(queue)), ["3", "4"])
            await queue.cancel("6")
            self.assertEqual((await queue.page(0, 9))[0], 0)
        self.assertEqual(await self.all_keys(), [])

    async def test_removed_at_limit(self) -> None:
        """A group at its limit is free again when its job at work was removed from outside."""
        queue = self.queue()
        for id in ("1", "2"):
            await queue.put(new(id, id))
        await self.take(queue, per_group=1)
        self.assertIsInstance(await queue.claim(lease=1, per_group=1), Wait)
        await self.redis.call("DEL", self.keys.queue("job", "q", b"1"))
        await self.redis.call("ZADD", self.keys.queue("busy", "q"), 1, "1")
        self.assertEqual((await self.take(queue, per_group=1)).id, "2")

    async def test_known_queues(self) -> None:
        """A queue of a name that is known to be ordered cannot be opened as another."""
        self.assertRaises(ValueError, lambda: self.queue("notify"))


class OnceTests(QueueCase):
    async def test_same_key(self) -> None:
        """Requests with the same key, also at the same time, make one job and get the answer of the first."""
        queue = self.queue()
        key = self.keys.idempotency("digest", "acc")
        puts: list[Put] = await gatherResults(
            [
                Deferred.fromCoroutine(queue.put(new(id), once=Idempotent(key, id.encode(), 60)))
                for id in ("1", "2", "3")
            ]
        )
        self.assertEqual(puts, [Put(True, None), Put(False, b"1"), Put(False, b"1")])
        self.assertEqual(await self.drain(queue), ["1"])
        self.assertEqual(await queue.put(new("4"), once=Idempotent(key, b"4", 60)), Put(False, b"1"))
        self.assertEqual(await self.drain(queue), [])
        self.assertTrue(0 < await self.redis.call("PTTL", key) <= 60_000)

    async def test_known_id(self) -> None:
        """A job that is known is not put again, under no key; the body it shares is not counted twice."""
        queue = self.queue()
        job = NewJob("q", "lane", "1", "g", None, b"", b"body", "b")
        await queue.put(job)
        put = await queue.put(job, once=Idempotent(self.keys.idempotency("d", "a"), b"x", 60))
        self.assertEqual(put, Put(False, None))
        await queue.done(await self.take(queue))
        self.assertEqual(await self.all_keys(), [])
