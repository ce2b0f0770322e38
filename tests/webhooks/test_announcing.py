"""From the streams of what accounts have said to jobs, with both in a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher

from emailengine.accounts.fresh import FreshMessage
from emailengine.accounts.shaping import sort_leaves
from emailengine.accounts.verbs.reading import ReadMessage
from emailengine.core.clock import wall
from emailengine.errors import AccountUnavailable, ConnectionLost, MessageNotFound
from emailengine.model.account import HeaderField
from emailengine.model.dates import iso
from emailengine.model.event import Say
from emailengine.model.message import MessageDetail
from emailengine.webhooks.announcing import Announcer
from emailengine.webhooks.circuit import Backlog
from emailengine.webhooks.content import TRIES
from emailengine.webhooks.delivery import decode
from emailengine.wire.imap.body import Envelope, Part
from emailengine.wire.imap.fetch import Fetched
from tests.webhooks.stage import CLOCK, StoreCase, event, found, message, turn, until


class AnnouncerTests(StoreCase):
    def announcer(self, backlog: Backlog | None = None, clock: Any = CLOCK) -> Announcer:
        announcer = Announcer(
            accounts=self.everybody,
            say=self.say,
            queue=self.queue,
            settings=self.settings,
            clock=clock,
            random=lambda: 0.0,
            backlog=backlog,
        )
        announcer.startService()
        self.addCleanup(announcer.stopService)
        return announcer

    async def said(self, announcer: Announcer, account: str, *says: Say) -> None:
        await self.say.add(account, says)
        announcer.said(account)

    async def silent(self, account: str = "a") -> None:
        """Return once the account has nothing more to announce."""
        while await self.say.read(account, 1):
            await turn()

    @contextmanager
    def logged(self, level: Any) -> Iterator[list[dict[str, Any]]]:
        """What is logged within, at that level."""
        seen: list[dict[str, Any]] = []

        def observe(entry: Any) -> None:
            if entry.get("log_level") is level:
                seen.append(entry)

        observer = cast(ILogObserver, observe)
        globalLogPublisher.addObserver(observer)
        try:
            yield seen
        finally:
            globalLogPublisher.removeObserver(observer)

    async def told(self, account: str = "a") -> list[tuple[str, int]]:
        await self.silent(account)
        return [(name, body["data"].get("uid", 0)) for name, body in await self.jobs()]

    async def test_order(self) -> None:
        """Events become jobs in the order in which they were said, with what they hold or what is read."""
        says = [message("messageNew", 1), message("messageUpdated", 1, data={"uid": 1}), message("messageNew", 2)]
        await self.said(self.announcer(), "a", *says)
        await self.silent()
        jobs = await self.jobs()
        self.assertEqual(
            [(name, body["data"].get("subject")) for name, body in jobs],
            [("messageNew", "Number 1"), ("messageUpdated", None), ("messageNew", "Number 2")],
        )
        self.assertEqual(jobs[0][1]["account"], "a")
        self.assertEqual(jobs[0][1]["data"]["text"]["plain"], "hello")

    async def test_what_was_left(self) -> None:
        """What was said before the start is announced, for any account id."""
        names = ["a:b", "c/d %", "é*", "007"]
        for number, name in enumerate(names):
            await self.say.add(name, [event("accountAdded", number, account=name)])
        self.announcer()
        for name in names:
            await self.silent(name)
        self.assertEqual(sorted(body["account"] for _, body in await self.jobs()), sorted(names))

    async def test_job(self) -> None:
        """A job has the event's id, its host as group, and what the account itself says for when it is gone."""
        actor = self.everybody.get("a")
        actor.settings.webhooks = "http://user:pw@own.example:8080/x"
        actor.settings.webhooks_custom_headers = [HeaderField(key="X", value="1")]
        await self.said(self.announcer(), "a", message("messageDeleted", 9, data={"id": "x", "uid": 9}))
        await self.silent()
        job: Any = await self.queue.claim(lease=5, per_group=1)
        self.assertEqual((job.id, job.group, job.lane), ("messageDeleted-9", "own.example", "default:a"))
        what = decode(job.data)
        self.assertEqual(
            (what.url, what.headers, what.attempts), (actor.settings.webhooks, [HeaderField(key="X", value="1")], 0)
        )

    async def test_nobody_wants_it(self) -> None:
        """An event without a target goes, is counted, and its content is neither read nor kept."""
        self.settings.chosen["webhookEvents"] = ["accountAdded"]
        actor = self.everybody.get("a")
        actor.fresh.keep(3, fresh(1, b"x"))
        await self.said(self.announcer(), "a", message("messageNew", 1), message("messageNew", 2))
        self.assertEqual(await self.told(), [])
        self.assertEqual((actor.asked, len(actor.fresh)), ([], 0))
        minute = [key for key in await self.all_keys() if b"count:" in key]
        self.assertEqual(await self.redis.call("HGET", minute[0], "events:messageNew"), b"2")
        self.assertEqual([key for key in await self.all_keys() if b"count:" not in key], [])

    async def test_fresh(self) -> None:
        """A message that was fetched with the news of it is not read again."""
        actor = self.everybody.get("a")
        actor.fresh.keep(3, fresh(5, b"caf\xc3\xa9"))
        self.settings.chosen["notifyHeaders"] = ["X-One"]
        await self.said(self.announcer(), "a", message("messageNew", 5))
        await self.silent()
        [(_, body)] = await self.jobs()
        self.assertEqual(actor.asked, [])
        self.assertEqual(body["data"]["text"]["plain"], "café")
        self.assertEqual(body["data"]["headers"], {"x-one": ["1"]})

    async def test_fresh_without_text(self) -> None:
        """One that was fetched without its text is read, unless no text is wanted."""
        actor = self.everybody.get("a")
        announcer = self.announcer()
        actor.fresh.keep(3, fresh(5, None))
        await self.said(announcer, "a", message("messageNew", 5))
        self.assertEqual((await self.told(), actor.asked), ([("messageNew", 5)], [5]))
        self.settings.chosen["notifyText"] = False
        actor.fresh.keep(3, fresh(6, None))
        await self.said(announcer, "a", message("messageNew", 6))
        self.assertEqual((await self.told(), actor.asked), ([("messageNew", 6)], [5]))

    async def test_waits_for_the_account(self) -> None:
        """Mailbox events wait in order until the account can be asked; what concerns the account itself does not."""
        actor = self.everybody.get("a")
        actor.state = "connectError"
        announcer = self.announcer()
        await self.said(announcer, "a", message("messageNew", 1), message("messageDeleted", 1, data={"uid": 1}))
        await self.said(announcer, "a", event("authenticationError"), message("messageNew", 2), event("messageSent"))
        while len(await self.say.read("a", 9)) > 3:
            await turn()
        await self.said(announcer, "a", event("connectError"))
        while len(await self.say.read("a", 9)) > 3:
            await turn()
        self.assertEqual(
            [name for name, _ in await self.jobs()], ["authenticationError", "messageSent", "connectError"]
        )
        self.assertEqual(actor.asked, [])
        actor.state = "connected"
        announcer.usable("a")
        self.assertEqual(await self.told(), [("messageNew", 1), ("messageDeleted", 1), ("messageNew", 2)])

    async def test_look_ahead_is_far(self) -> None:
        """An account event is found behind any number of messages that wait."""
        self.everybody.get("a").state = "connecting"
        many = [message("messageNew", uid) for uid in range(1, 500)]
        await self.said(self.announcer(), "a", *many, event("connectError"))
        while len(await self.say.read("a", 999)) > len(many):
            await turn()
        self.assertEqual([name for name, _ in await self.jobs()], ["connectError"])

    async def test_slow_account(self) -> None:
        """An account whose mail server hangs holds up no other account."""
        hanging: Deferred[MessageDetail] = Deferred()
        self.everybody.get("slow").read = lambda verb: hanging
        announcer = self.announcer()
        await self.said(announcer, "slow", message("messageNew", 1))
        await self.said(announcer, "quick", message("messageNew", 2))
        self.assertEqual(await self.told("quick"), [("messageNew", 2)])

    async def test_gone_meanwhile(self) -> None:
        """A message that is gone is told as missing, at once where it was said long ago; and its deletion afterwards."""
        actor = self.everybody.get("a")

        def read(verb: Any) -> MessageDetail:
            if verb.uid == 1:
                raise MessageNotFound("gone")
            return found(verb)

        actor.read = read
        says = [message("messageNew", 1), message("messageNew", 2), message("messageDeleted", 1, data={"uid": 1})]
        await self.said(self.announcer(), "a", *says)
        self.assertEqual(await self.told(), [("messageMissing", 1), ("messageNew", 2), ("messageDeleted", 1)])

    async def test_missing_for_now(self) -> None:
        """A message that is not found is looked for three times more, and what follows it waits so long."""
        clock = Clock()
        actor = self.everybody.get("a")

        def read(verb: Any) -> MessageDetail:
            if verb.uid == 1 or len(actor.asked) == 5:
                raise MessageNotFound("gone")
            return found(verb)

        actor.read = read
        says = [message("messageNew", uid) for uid in (1, 2)]
        for say in says:
            say.date = iso(wall() + 60)  # said just now, however long the test takes
        await self.said(self.announcer(clock=clock), "a", *says)
        for tries, delay in ((1, 1.0), (2, 1.7), (3, 2.89), (5, 1.0)):
            while len(actor.asked) < tries:
                await turn()
            clock.advance(delay - 0.01)
            await turn()
            self.assertEqual(len(actor.asked), tries)
            clock.advance(0.02)
        await self.silent()
        (_, missing), (_, late) = await self.jobs()
        self.assertEqual(missing["event"], "messageMissing")
        self.assertEqual((missing["data"]["missingRetries"], missing["data"]["missingDelay"]), (3, 5590))
        self.assertEqual((late["event"], late["data"]["missingRetries"]), ("messageNew", 1))
        self.assertEqual((late["data"]["missingDelay"], late["data"]["subject"]), (1000, "Number 2"))
        self.assertEqual(actor.asked, [1, 1, 1, 1, 2, 2])

    async def test_unreadable(self) -> None:
        """A message that cannot be read again and again is told without its content, and the next ones follow."""
        clock = Clock()
        clock.advance(1000)
        actor = self.everybody.get("a")

        def read(verb: Any) -> MessageDetail:
            if verb.uid == 1:
                raise ConnectionLost("bad luck") if len(actor.asked) % 2 else ValueError("a bug")
            return found(verb)

        actor.read = read
        await self.said(self.announcer(clock=clock), "a", message("messageNew", 1), message("messageNew", 2))
        for tries in range(1, TRIES):
            while len(actor.asked) < tries:
                await turn()
            clock.advance(30)
        await self.silent()
        jobs = await self.jobs()
        self.assertEqual([body["data"].get("subject") for _, body in jobs], [None, "Number 2"])
        self.assertEqual(jobs[0][1]["data"]["uid"], 1)
        self.assertEqual(actor.asked, [1] * TRIES + [2])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), TRIES // 2)

    async def test_deleted_account(self) -> None:
        """What a deleted account said before is told as far as it needs no content."""
        self.everybody.gone.add("a")
        says = [message("messageNew", 1), message("messageDeleted", 2, data={"uid": 2}), event("accountDeleted")]
        await self.said(self.announcer(), "a", *says)
        self.assertEqual(await self.told(), [("messageDeleted", 2), ("accountDeleted", 0)])

    async def test_deleted_while_it_waits(self) -> None:
        """An account that is deleted while its messages wait does not wait for ever."""
        self.everybody.get("a").state = "connecting"
        announcer = self.announcer()
        await self.said(announcer, "a", message("messageNew", 1))
        await turn()
        self.everybody.gone.add("a")
        await self.said(announcer, "a", event("accountDeleted"))
        self.assertEqual(await self.told(), [("accountDeleted", 0)])

    async def test_earlier_generation(self) -> None:
        """What an account of the same id said before it was deleted is told as far as it needs no content."""
        actor = self.everybody.get("a")
        actor.generation = 2
        actor.fresh.keep(3, fresh(1, b"another's"))
        old = [message("messageNew", 1), message("messageDeleted", 1, data={"uid": 1}), event("accountDeleted")]
        new = [event("accountAdded"), message("messageNew", 2)]
        for says, generation in ((old, 1), (new, 2)):
            for say in says:
                say.generation = generation
        await self.said(self.announcer(), "a", *old, *new)
        self.assertEqual(
            await self.told(), [("messageDeleted", 1), ("accountDeleted", 0), ("accountAdded", 0), ("messageNew", 2)]
        )
        self.assertEqual(actor.asked, [2])

    async def test_stopped_while_it_reads(self) -> None:
        """A message that is read when its account is stopped, and another comes in its place, is let go."""
        clock = Clock()
        actor = self.everybody.get("a")

        def read(verb: Any) -> MessageDetail:
            actor.state, actor.generation = "init", 2
            raise AccountUnavailable("The account was stopped", code="Stopped")

        actor.read = read
        said = message("messageNew", 1)
        said.generation = 1
        await self.said(self.announcer(clock=clock), "a", said, event("accountDeleted"))
        await until(lambda: actor.asked, "asked")
        clock.advance(1)
        self.assertEqual((await self.told(), actor.asked), ([("accountDeleted", 0)], [1]))

    async def test_sealed_settings(self) -> None:
        """Events wait for a setting that cannot be read, in order, and the log says so once a minute."""
        clock = Clock()
        self.settings.sealed.add("webhooks")
        says = [message("messageUpdated", uid, data={"uid": uid}) for uid in (1, 2)]
        with self.logged(LogLevel.error) as errors:
            await self.said(self.announcer(clock=clock), "a", *says)
            for _ in range(14):
                await until(clock.getDelayedCalls, "it waits")
                clock.advance(5)
            await until(clock.getDelayedCalls, "it waits")
        self.assertEqual(len(errors), 2)
        self.assertEqual(len(await self.say.read("a", 9)), 2)
        self.settings.sealed.clear()
        clock.advance(5)
        self.assertEqual(await self.told(), [("messageUpdated", 1), ("messageUpdated", 2)])

    async def test_sealed_meanwhile(self) -> None:
        """A setting that becomes unreadable while a message is read costs nothing but time."""
        clock = Clock()
        hanging: Deferred[MessageDetail] = Deferred()
        actor = self.everybody.get("a")
        actor.read = lambda verb: hanging
        await self.said(self.announcer(clock=clock), "a", message("messageNew", 1))
        await until(lambda: actor.asked, "asked")
        self.settings.sealed.add("webhooksCustomHeaders")
        hanging.callback(found(ReadMessage(3, 1, None, clock)))
        await until(lambda: [one for one in clock.getDelayedCalls() if one.getTime() <= 5], "it waits")
        self.settings.sealed.clear()
        clock.advance(5)
        self.assertEqual((await self.told(), actor.asked), ([("messageNew", 1)], [1]))

    async def test_sealed_but_unwanted(self) -> None:
        """What nobody wants does not wait for a setting that cannot be read."""
        self.settings.sealed.add("webhooks")
        self.settings.chosen["webhooksEnabled"] = False
        await self.said(self.announcer(), "a", message("messageUpdated", 1, data={"uid": 1}))
        self.assertEqual(await self.told(), [])

    async def test_inbox_only(self) -> None:
        """At Gmail the labels decide, once they are known; elsewhere the folder, without reading anything."""
        self.settings.chosen["inboxNewOnly"] = True
        actor = self.everybody.get("a")

        def read(verb: Any) -> MessageDetail:
            detail = found(verb)
            detail.special_use, detail.message_special_use = "\\All", None
            detail.labels = ["\\Inbox"] if verb.uid == 2 else ["x"]
            return detail

        actor.read = read
        says = [message("messageNew", uid) for uid in (1, 2, 3)]
        for one, (path, use) in zip(says, [("All", "\\All"), ("All", "\\All"), ("Sent", "\\Sent")], strict=True):
            one.path, one.special_use = path, use
        await self.said(self.announcer(), "a", *says)
        self.assertEqual((await self.told(), actor.asked), ([("messageNew", 2)], [1, 2]))

    async def test_backlog(self) -> None:
        """While too many jobs wait for a place, events wait in the stream; when they are gone it goes on."""
        backlog = Backlog(limit=4)
        says = [message("messageDeleted", uid, data={"uid": uid}) for uid in range(1, 8)]
        await self.said(self.announcer(backlog), "a", *says)
        await until(lambda: backlog.full("127.0.0.1"), "the backlog is full")
        for _ in range(5):
            await turn()
        self.assertEqual((await self.queue.counts())["total"], 4)
        for _ in range(3):
            backlog.taken("127.0.0.1")
        await self.silent()
        self.assertEqual((await self.queue.counts())["total"], 7)

    async def test_stop(self) -> None:
        """Stopping leaves nothing that runs, and what is not announced is told after the next start."""
        hanging: Deferred[MessageDetail] = Deferred()
        actor = self.everybody.get("a")
        actor.read = lambda verb: hanging
        announcer = self.announcer()
        await self.said(announcer, "a", message("messageNew", 1))
        await until(lambda: actor.asked, "asked")
        await announcer.stopService()
        announcer.said("a")
        actor.read = found
        self.assertEqual(await self.jobs(), [])
        announcer.startService()
        self.assertEqual(await self.told(), [("messageNew", 1)])


def fresh(uid: int, text: bytes | None) -> FreshMessage:
    """A message in one part, with its text or without."""
    part = Part(type="text", subtype="plain", params={"charset": "utf-8"}, encoding="8bit", size=9, number="1")
    seen = Fetched(seq=1, uid=uid, flags=(), internal_date=0.0, size=99, envelope=Envelope(), body=part)
    sections: dict[str, bytes | None] = {"BODY[HEADER]": b"X-One: 1\r\n\r\n"}
    if text is not None:
        sections["BODY[1]"] = text
    return FreshMessage(seen, sort_leaves(part), sections)
