"""From the queue in a real Redis to web servers on the loopback address."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Mapping
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred

from emailengine.core.clock import wall
from emailengine.model.account import HeaderField
from emailengine.model.event import EventName
from emailengine.net.egress import Egress
from emailengine.net.tls import Contexts
from emailengine.outward.http import HttpClient
from emailengine.store.queue import Job, NewJob, Queue, Wait
from emailengine.webhooks import delivery
from emailengine.webhooks.announcing import Announcer
from emailengine.webhooks.circuit import LANES, Backlog
from emailengine.webhooks.delivering import Deliverer
from emailengine.webhooks.delivery import QUEUE, Delivery, lane
from emailengine.webhooks.request import place_of, signature
from tests.outward.servers import NamingReactor, WebCase
from tests.webhooks.stage import CLOCK, StoreCase, event, message, turn, until


class Counts:
    def __init__(self) -> None:
        self.counted: dict[str, int] = {}

    async def add(self, names: Mapping[str, int]) -> None:
        for name, count in names.items():
            self.counted[name] = self.counted.get(name, 0) + count


class DelivererTests(StoreCase, WebCase):
    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        self.counts = Counts()
        self.backlog = Backlog()
        return super().setUp()

    def deliverer(self, *, start: bool = True, **more: Any) -> Deliverer:
        names = {"metadata.example": "169.254.169.254", "quick.example": "127.0.0.1"}
        http = HttpClient(reactor=NamingReactor(names), contexts=Contexts(), egress=Egress())
        http.startService()
        self.addCleanup(http.stopService)
        deliverer = Deliverer(
            accounts=self.everybody,
            queue=self.queue,
            settings=self.settings,
            http=http,
            clock=CLOCK,
            random=lambda: 0.0,
            user_agent="app/1 (+https://home.example)",
            backlog=self.backlog,
            counters=self.counts,
            **more,
        )
        if start:
            deliverer.startService()
            self.addCleanup(deliverer.stopService)
        return deliverer

    def target(self, port: int, path: str = "") -> str:
        url = f"http://127.0.0.1:{port}/{path}"
        self.settings.chosen["webhooks"] = url
        return url

    async def put(self, account: str, number: int, name: EventName = "accountAdded", **more: Any) -> str:
        """A job as the announcer puts it."""
        what = Delivery(account=account, event=name, event_id=f"{account}-{number}", **more)
        await self.queue.put(
            NewJob(
                queue=QUEUE,
                lane=lane("default", account),
                id=what.event_id,
                group=place_of(self.settings.chosen["webhooks"]),
                at=None,
                data=delivery.encode(what),
                body=b'{"account":"%s","number":%d}' % (account.encode(), number),
                body_id=what.event_id,
            )
        )
        return what.event_id

    async def empty(self) -> None:
        while (await self.queue.counts())["total"]:
            await turn()

    async def settled(self, job: str, attempts: int) -> Any:
        """The job once it has been tried so many times."""
        while True:
            listed = await self.queue.find(job)
            assert listed is not None
            if listed.state == "failed" or (
                listed.state != "active" and delivery.decode(listed.job.data).attempts >= attempts
            ):
                return listed
            await turn()

    async def test_freed(self) -> None:
        """A job that was delivered, with its body, is gone without the collector."""
        jobs: list[weakref.ref[Job]] = []

        @define(kw_only=True, eq=False)
        class Watched(Queue):
            async def claim(self, *, lease: float, per_group: int) -> Job | Wait:
                claimed = await super(Watched, self).claim(lease=lease, per_group=per_group)
                if isinstance(claimed, Job):
                    jobs.append(weakref.ref(claimed))
                return claimed

        self.queue = Watched(redis=self.redis, keys=self.keys, name=QUEUE, ordered=True)
        hook, port = self.hook()
        self.target(port)
        gc.disable()
        self.addCleanup(gc.enable)
        deliverer = self.deliverer()
        for number in (1, 2):
            await self.put("a", number)
        await hook.count(2)
        await self.empty()
        await deliverer.stopService()
        self.assertEqual([job() for job in jobs], [None, None])

    async def test_delivery(self) -> None:
        """A job is posted with its headers and signature, and nothing of it stays."""
        hook, port = self.hook()
        self.target(port)
        self.settings.chosen["webhooksCustomHeaders"] = [{"key": "X-Global", "value": "1"}]
        self.everybody.get("a").settings.webhooks_custom_headers = [HeaderField(key="X-Own", value="2")]
        deliverer = self.deliverer()
        await self.put("a", 1)
        await hook.count(1)
        headers, body = hook.got[0]
        self.assertEqual(body, b'{"account":"a","number":1}')
        expected = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "user-agent": "app/1 (+https://home.example)",
            "x-ee-wh-id": "a-1",
            "x-ee-wh-attempts-made": "0",
            "x-ee-wh-queued-time": "0s",
            "x-ee-wh-event-id": "a-1",
            "x-ee-wh-signature": signature(body, "secret"),
            "x-global": "1",
            "x-own": "2",
            "host": f"127.0.0.1:{port}",
        }
        self.assertEqual(headers, expected)
        await self.empty()
        await deliverer.stopService()
        self.assertEqual(await self.all_keys(), [])
        self.assertEqual(self.counts.counted, {"webhooks:success": 1})

    async def test_order_and_retry(self) -> None:
        """A failed job is put off by five seconds, is counted as tried, and holds its lane but no other."""
        hook, port = self.hook()
        self.target(port)
        hook.answer = lambda headers, body: 500 if b'"bad"' in body else 200
        self.deliverer()
        for number in range(2):
            await self.put("bad", number)
            await self.put("good", number)
        first = (await self.settled("bad-0", 1)).job
        self.assertTrue(4.5 < first.due - wall() <= 5.0, first.due - wall())
        self.assertEqual(json.loads(first.error), {"message": "The target answered with status 500", "statusCode": 500})
        while (await self.queue.counts())["total"] > 2:
            await turn()
        self.assertEqual(
            sorted(body for _, body in hook.got if b"good" in body),
            [
                b'{"account":"good","number":0}',
                b'{"account":"good","number":1}',
            ],
        )
        self.assertEqual(len(hook.got), 3)

    async def test_later_attempts(self) -> None:
        """Later attempts say how many there were, keep id and body, and the tenth is the last."""
        hook, port = self.hook()
        self.target(port)
        hook.answer = lambda headers, body: 503
        self.deliverer()
        job = await self.put("a", 1, attempts=8)
        due = (await self.settled(job, 9)).job
        self.assertTrue(1279 < due.due - wall() <= 1280)
        claimed = await self.put("b", 1, attempts=9)
        self.assertEqual((await self.settled(claimed, 10)).state, "failed")
        self.assertEqual([one["x-ee-wh-attempts-made"] for one, _ in hook.got], ["8", "9"])

    async def test_final(self) -> None:
        """A redirect and a forbidden address are given up at once."""
        hook, port = self.hook()
        self.target(port)
        hook.answer = lambda headers, body: 302
        hook.answer_headers = {"Location": f"http://127.0.0.1:{port}/"}
        self.deliverer()
        failed = await self.settled(await self.put("a", 1), 1)
        self.assertEqual(json.loads(failed.job.error)["code"], "EREDIRECTNOTFOLLOWED")
        self.settings.chosen["webhooks"] = f"http://metadata.example:{port}/"
        failed = await self.settled(await self.put("b", 1), 1)
        self.assertEqual((failed.state, json.loads(failed.job.error)["code"]), ("failed", "EEGRESSBLOCKED"))
        self.assertEqual(len(hook.got), 1)

    async def test_damaged(self) -> None:
        """A job that cannot be read is given up, and the next of its lane follows."""
        hook, port = self.hook()
        self.target(port)
        for id_, data, body in (("x", b"{}", b"{}"), ("y", b"\xff", b"{}"), ("z", b'{"account":"a"', None)):
            await self.queue.put(NewJob(QUEUE, lane("default", "a"), id_, "127.0.0.1", None, data, body))
        await self.put("a", 1)
        self.deliverer()
        await hook.count(1)
        for id_ in ("x", "y", "z"):
            listed = await self.queue.find(id_)
            assert listed is not None
            self.assertEqual(listed.state, "failed")
        await self.empty()

    async def test_large(self) -> None:
        """A body of megabytes arrives whole."""
        hook, port = self.hook()
        self.target(port)
        self.deliverer()
        what = Delivery(account="a", event="messageNew", event_id="1", place="inbox")
        data = delivery.encode(what)
        body = b"x" * 3_000_000
        await self.queue.put(NewJob(QUEUE, lane("default", "a"), "1", "127.0.0.1", None, data, body))
        await hook.count(1)
        self.assertEqual(hook.got[0][1], body)
        await self.empty()

    async def test_timeout(self) -> None:
        """A target that does not answer in time is tried again later; its answer is not waited for."""
        hook, port = self.hook()
        self.target(port)
        never: Deferred[int] = Deferred()
        hook.answer = lambda headers, body: never
        self.deliverer(timeout=0.1)
        job = (await self.settled(await self.put("a", 1), 1)).job
        self.assertEqual(json.loads(job.error)["code"], "ETIMEDOUT")

    async def test_settings_of_now(self) -> None:
        """What is switched off, or goes elsewhere, while a job waits counts when it is delivered."""
        hook, port = self.hook()
        self.target(port, "old")
        deliverer = self.deliverer(start=False)
        await self.put("a", 1, "messageNew", place="elsewhere")
        await self.put("b", 1)
        await self.put("c", 1)
        self.settings.chosen.update(inboxNewOnly=True, webhooks="")
        self.everybody.get("c").settings.webhooks = f"http://127.0.0.1:{port}/own"
        deliverer.startService()
        self.addCleanup(deliverer.stopService)
        await self.empty()
        self.assertEqual([body for _, body in hook.got], [b'{"account":"c","number":1}'])

    async def test_deleted_account(self) -> None:
        """A deleted account's jobs still go where it wanted them."""
        hook, port = self.hook()
        self.settings.chosen["webhooks"] = "http://127.0.0.1:1/"
        self.everybody.gone.add("a")
        self.deliverer()
        url = f"http://u:p@127.0.0.1:{port}/own"
        await self.put("a", 1, url=url, headers=[HeaderField(key="X-Own", value="2")])
        await hook.count(1)
        self.assertEqual((hook.got[0][0]["x-own"], hook.got[0][0]["authorization"]), ("2", "Basic dTpw"))
        await self.empty()

    async def test_side_by_side(self) -> None:
        """A slow target gets sixteen at a time, one per account, and holds up no other."""
        slow, slow_port = self.hook()
        quick, quick_port = self.hook()
        waiting: list[Deferred[int]] = []

        def later(headers: object, body: object) -> Deferred[int]:
            waiting.append(Deferred())
            return waiting[-1]

        slow.answer = later
        self.settings.chosen["webhooks"] = f"http://127.0.0.1:{slow_port}/"
        deliverer = self.deliverer(start=False)
        for number in range(30):
            for _ in range(2):
                await self.put(f"slow{number}", _)
        self.everybody.get("quick").settings.webhooks = f"http://quick.example:{quick_port}/"
        self.settings.chosen["webhooks"] = f"http://quick.example:{quick_port}/"
        await self.put("quick", 1)
        self.settings.chosen["webhooks"] = f"http://127.0.0.1:{slow_port}/"
        deliverer.startService()
        self.addCleanup(deliverer.stopService)
        await quick.count(1)
        await slow.count(16)
        for _ in range(10):
            await turn()
        self.assertEqual(slow.most, 16)
        while len(slow.got) < 60 or waiting:
            for one in [waiting.pop() for _ in range(len(waiting))]:
                one.callback(200)
            await turn()
        await self.empty()
        self.assertEqual(slow.most, 16)
        order: dict[str, list[int]] = {}
        for _headers, body in slow.got:
            told = json.loads(body)
            order.setdefault(told["account"], []).append(told["number"])
        self.assertEqual(set(map(tuple, order.values())), {(0, 1)})

    async def test_circuit(self) -> None:
        """After several accounts in a row have failed, the others are put off without an attempt."""
        hook, port = self.hook()
        self.target(port)
        hook.answer = lambda headers, body: 500
        self.deliverer()
        for number in range(LANES):
            await self.settled(await self.put(f"a{number}", 1), 1)
        job = await self.put("b", 1)
        while (found := await self.queue.find(job)) is None or found.state != "delayed":
            await turn()
        self.assertEqual(delivery.decode(found.job.data).attempts, 0)
        self.assertTrue(4 < found.job.due - wall() < 6)
        self.assertEqual(len(hook.got), LANES)

    async def test_lost_lease(self) -> None:
        """A request whose job has become somebody else's is ended, and says nothing about it."""
        hook, port = self.hook()
        self.target(port)
        never: Deferred[int] = Deferred()
        hook.answer = lambda headers, body: never
        deliverer = self.deliverer(lease=0.09)
        await self.put("a", 1)
        await hook.count(1)
        await self.redis.call("HINCRBY", self.keys.queue("job", "notify", b"a-1"), "attempt", 1)
        await until(lambda: len(deliverer._tasks) == 1, "the request was ended")
        self.assertEqual((await self.queue.counts())["total"], 1)

    async def test_keeps_lease(self) -> None:
        """The lease is kept up as long as a target takes."""
        hook, port = self.hook()
        self.target(port)
        answer: Deferred[int] = Deferred()
        hook.answer = lambda headers, body: answer
        self.deliverer(lease=0.2)
        await self.put("a", 1)
        await hook.count(1)
        later: Deferred[None] = Deferred()
        CLOCK.callLater(0.7, later.callback, None)
        await later
        answer.callback(200)
        await self.empty()
        self.assertEqual(len(hook.got), 1)

    async def test_stop(self) -> None:
        """Stopping lets a request finish that is nearly done, and hands back one that is not, as never tried."""
        hook, port = self.hook()
        self.target(port)
        answers: dict[bytes, Deferred[int]] = {}

        def later(headers: object, body: bytes) -> Deferred[int]:
            return answers.setdefault(body, Deferred())

        hook.answer = later
        deliverer = self.deliverer(grace=0.1)
        await self.put("a", 1)
        await self.put("b", 1)
        await hook.count(2)
        stopping = deliverer.stopService()
        answers[b'{"account":"a","number":1}'].callback(200)
        await stopping
        self.assertEqual(len(deliverer._tasks), 0)
        self.assertIsNone(await self.queue.find("a-1"))
        left = await self.queue.find("b-1")
        assert left is not None
        self.assertEqual((left.state, delivery.decode(left.job.data).attempts), ("waiting", 0))
        hook.answer = lambda headers, body: 200
        deliverer.startService()
        await self.empty()
        self.assertEqual([one["x-ee-wh-attempts-made"] for one, _ in hook.got], ["0"] * 3)

    async def test_from_the_word_to_the_web(self) -> None:
        """What an account says is at its target a few milliseconds later, in order and once."""
        hook, port = self.hook()
        self.target(port)
        announcer = Announcer(
            accounts=self.everybody,
            say=self.say,
            queue=self.queue,
            settings=self.settings,
            clock=CLOCK,
            random=lambda: 0.0,
            backlog=self.backlog,
        )
        announcer.startService()
        self.addCleanup(announcer.stopService)
        self.deliverer()
        took = []
        for uid in range(1, 51):
            began = CLOCK.seconds()
            await self.say.add("a", [message("messageNew", uid)])
            announcer.said("a")
            await hook.count(uid)
            took.append(CLOCK.seconds() - began)
            await self.empty()
        took.sort()
        self.assertLess(took[25], 0.05)
        self.assertEqual([json.loads(body)["data"]["uid"] for _, body in hook.got], list(range(1, 51)))
        await self.say.add("a", [event("accountInitialized", initialized=True)])
        announcer.said("a")
        await hook.count(51)
        await self.empty()
