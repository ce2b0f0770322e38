"""One attempt at a message and what is written down of it, with a real Redis and a server that says what the test wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectFailed, SmtpRefused, TimedOut
from emailengine.model.account import AccountSettings
from emailengine.model.event import Say
from emailengine.outbox.mail import AFTER, SUBMIT, Mail, Original, encode, read_after
from emailengine.outbox.pages import entry_of
from emailengine.outbox.sending import Sending, without_bcc
from emailengine.smtp.faults import OutcomeUnknown, Refusal
from emailengine.smtp.session import SmtpResult
from emailengine.store.queue import Job, NewJob, Queue, Wait
from emailengine.store.say import SayStore
from tests.outbox.company import OK, Ann, Roster, Server, Statuses, Values
from tests.redis_server import RedisCase

NOW = 1_700_000_000.0
BODY = b"To: bo@x.example\r\nBcc: hid@x.example\r\n\r\nHello\r\n"


class SendingTests(RedisCase):
    def setUp(self) -> Any:
        ready = super().setUp()
        self.ann = Ann()
        self.roster = Roster(self.ann)
        self.server = Server()
        self.statuses = Statuses()
        self.values = Values()
        self.queue = Queue(redis=self.redis, keys=self.keys, name=SUBMIT, ordered=False)
        self.after = Queue(redis=self.redis, keys=self.keys, name=AFTER, ordered=False)
        self.says = SayStore(redis=self.redis, keys=self.keys)
        self.told: list[str] = []
        self.sending = Sending(
            accounts=self.roster,
            queue=self.queue,
            after=self.after,
            statuses=self.statuses,
            settings=self.values,
            senders=self.server,
            clock=reactor,
            random=lambda: 0.0,
            hostname="host.example",
            said=self.told.append,
            now=lambda: NOW,
        )
        return ready

    async def put(self, **more: Any) -> None:
        fields: dict[str, Any] = {
            "account": "ann",
            "generation": 1,
            "message_id": "<m@corp.example>",
            "sender": "ann@corp.example",
            "recipients": ["bo@x.example", "hid@x.example"],
            "created": NOW,
            "scheduled": NOW,
            "attempts": 3,
        }
        await self.queue.put(
            NewJob(
                queue=SUBMIT,
                lane="ann",
                id="q1",
                group="smtp.x.example",
                at=None,
                data=encode(Mail(**(fields | more))),
                body=BODY,
                body_id="q1",
            )
        )

    async def claimed(self, queue: Queue | None = None) -> Job:
        job = await (queue or self.queue).claim(lease=60, per_group=8)
        assert isinstance(job, Job), job
        return job

    async def attempt(self) -> None:
        await self.sending.work(await self.claimed())

    async def said(self) -> list[Say]:
        return [say for _, say in await self.says.read("ann", 100)]

    @contextmanager
    def warnings(self) -> Iterator[list[dict[str, Any]]]:
        """The warnings that are logged within."""
        found: list[dict[str, Any]] = []

        def observe(event: Any) -> None:
            if event.get("log_level") is LogLevel.warn:
                found.append(event)

        observer = cast(ILogObserver, observe)
        globalLogPublisher.addObserver(observer)
        try:
            yield found
        finally:
            globalLogPublisher.removeObserver(observer)

    async def test_sent(self) -> None:
        """The message goes out without its Bcc to all its recipients; what follows is written with its end."""
        await self.put(original=Original(folder=2, uid=9, flags=["\\Answered"]))
        self.ann.settings = msgspec.structs.replace(self.ann.settings, smtp_ehlo_name="me.example")
        await self.attempt()
        (message,) = self.server.sent
        self.assertEqual(message["data"], b"To: bo@x.example\r\n\r\nHello\r\n")
        self.assertEqual(message["recipients"], ["bo@x.example", "hid@x.example"])
        self.assertEqual((message["envelope_from"], message["ehlo_name"]), ("ann@corp.example", "me.example"))
        self.assertEqual((message["target"].host, message["credentials"]), ("smtp.x.example", None))
        self.assertEqual(await self.queue.page(0, 10), (0, []))
        (say,) = await self.said()
        self.assertEqual(say.event, "messageSent")
        self.assertEqual(
            say.data,
            {
                "messageId": "<m@corp.example>",
                "response": "250 2.0.0 kept",
                "queueId": "q1",
                "envelope": {"from": "ann@corp.example", "to": ["bo@x.example", "hid@x.example"]},
                "networkRouting": None,
            },
        )
        self.assertEqual(self.told, ["ann"])
        self.assertTrue(self.after.woken.raised)
        jobs = {job.id: job for job in [await self.claimed(self.after)]}
        await self.after.done(next(iter(jobs.values())))
        second = await self.claimed(self.after)
        jobs[second.id] = second
        self.assertEqual(sorted(jobs), ["q1-copy", "q1-flags"])
        self.assertEqual(jobs["q1-copy"].body, BODY)
        self.assertEqual(read_after(jobs["q1-copy"].data).path, "\\Sent")
        original = read_after(jobs["q1-flags"].data).original
        assert original is not None
        self.assertEqual((original.folder, original.uid, original.flags), (2, 9, ["\\Answered"]))
        ((account, status),) = self.statuses.noted
        self.assertEqual(
            (account, status),
            (
                "ann",
                {
                    "status": "ok",
                    "created": "2023-11-14T22:13:20.000Z",
                    "response": "250 2.0.0 kept",
                    "responseCode": 250,
                },
            ),
        )

    async def test_nothing_left(self) -> None:
        """Without a copy or a flag to make nothing is left but the event."""
        await self.put(copy=False)
        await self.attempt()
        self.assertEqual(len(await self.all_keys()), 2, await self.all_keys())  # say:ann, saying

    async def test_told_differently(self) -> None:
        """The event tells of another Message-ID and of recipients that the server did not take."""
        await self.put()
        self.server.verdict = SmtpResult(
            reply_code=250,
            response="250 ok",
            accepted=("bo@x.example",),
            rejected=(Refusal("hid@x.example", 550, "550 no"),),
            message_id="<new@server>",
        )
        await self.attempt()
        (say,) = await self.said()
        self.assertEqual((say.data["messageId"], say.data["originalMessageId"]), ("<new@server>", "<m@corp.example>"))
        self.assertEqual(
            say.data["rejected"], [{"recipient": "hid@x.example", "responseCode": 550, "response": "550 no"}]
        )

    async def test_later(self) -> None:
        """A failure that may pass is announced and tried again, until the attempts are used up."""
        await self.put(attempts=2)
        self.server.verdict = SmtpRefused(450, "450 4.7.1 later", command="RCPT TO")
        await self.attempt()
        (say,) = await self.said()
        self.assertEqual(say.event, "messageDeliveryError")
        self.assertEqual(
            say.data,
            {
                "queueId": "q1",
                "envelope": {"from": "ann@corp.example", "to": ["bo@x.example", "hid@x.example"]},
                "messageId": "<m@corp.example>",
                "error": "RCPT TO was refused: 450 4.7.1 later",
                "errorCode": "EENVELOPE",
                "smtpResponse": "450 4.7.1 later",
                "smtpResponseCode": 450,
                "smtpCommand": "RCPT TO",
                "networkRouting": None,
                "job": {"id": "q1", "attemptsMade": 0, "attempts": 2, "nextAttempt": "2023-11-14T22:13:25.000Z"},
            },
        )
        listed = await self.queue.find("q1")
        assert listed is not None
        entry = entry_of(listed)
        self.assertEqual((entry.attempts_made, entry.next_attempt), (1, "2023-11-14T22:13:25.000Z"))
        assert entry.progress.error is not None
        self.assertEqual((entry.progress.status, entry.progress.error.status_code), ("error", 450))
        self.server.verdict = ConnectFailed("no way", code="ECONNREFUSED")
        await self.attempt()
        events = await self.said()
        self.assertEqual(
            [one.event for one in events], ["messageDeliveryError", "messageDeliveryError", "messageFailed"]
        )
        self.assertEqual(events[1].data["job"]["nextAttempt"], False)
        self.assertEqual(events[1].data["errorCode"], "ECONNREFUSED")
        self.assertEqual(
            events[2].data,
            {
                "messageId": "<m@corp.example>",
                "queueId": "q1",
                "error": "Error: RCPT TO was refused: 450 4.7.1 later",
                "networkRouting": None,
            },
        )
        self.assertEqual(len({one.event_id for one in events}), 3)
        (failed,) = (await self.queue.page(0, 10))[1]
        self.assertEqual((entry_of(failed).next_attempt, failed.state), (False, "failed"))
        self.assertEqual([status["status"] for _, status in self.statuses.noted], ["error", "error"])
        self.assertEqual(self.statuses.noted[1][1]["code"], "ECONNREFUSED")

    async def test_cut_short(self) -> None:
        """What a stop, a crash or a lost lease cuts short is no attempt: the attempts are those with an outcome."""
        await self.put(attempts=2)
        for _ in range(5):
            await self.queue.again(await self.claimed(), 0, b"")
        self.server.verdict = SmtpRefused(450, "450 4.7.1 later", command="RCPT TO")
        await self.attempt()
        (say,) = await self.said()
        self.assertEqual((say.data["job"]["attemptsMade"], bool(say.data["job"]["nextAttempt"])), (0, True))
        listed = await self.queue.find("q1")
        assert listed is not None
        self.assertEqual((entry_of(listed).attempts_made, listed.job.attempt), (1, 6))
        job = await self.claimed()
        await self.queue.again(job, 0, job.error or b"")
        await self.attempt()
        events = await self.said()
        self.assertEqual([one.event for one in events[1:]], ["messageDeliveryError", "messageFailed"])
        self.assertEqual(events[1].data["job"]["attemptsMade"], 1)

    async def test_not_cut_off_later(self) -> None:
        """An attempt whose outcome is known leaves no doubt, whatever its claim's number was."""
        await self.put()
        await self.queue.again(await self.claimed(), 0, b"")
        self.server.verdict = SmtpRefused(451, "451 later", command="DATA", code="EMESSAGE")
        self.server.verdict.after_dot = True  # type: ignore[attr-defined]  # read by the server of the tests
        await self.attempt()
        with self.warnings() as warnings:
            await self.attempt()
        self.assertEqual((warnings, self.server.dots), ([], 2))

    async def test_refused(self) -> None:
        """What the server refuses for good is over at once."""
        await self.put()
        self.server.verdict = SmtpRefused(550, "550 no", command="DATA", code="EMESSAGE")
        await self.attempt()
        events = await self.said()
        self.assertEqual([one.event for one in events], ["messageDeliveryError", "messageFailed"])
        self.assertEqual(events[0].data["job"]["nextAttempt"], False)

    async def test_event_ids(self) -> None:
        """The events of one attempt have the same ids whenever they are made."""
        ids = []
        for _ in range(2):
            await self.put(copy=False)
            await self.attempt()
            ids += [say.event_id for say in await self.said()]
        self.assertEqual(len(set(ids)), 1)

    async def test_no_server(self) -> None:
        """An account that lost its server waits for it; no server failed, so nothing is announced before the end."""
        await self.put(attempts=2)
        self.ann.settings = AccountSettings(account="ann")
        await self.attempt()
        self.assertEqual((await self.said(), self.statuses.noted), ([], []))
        await self.attempt()
        self.assertEqual([one.event for one in await self.said()], ["messageFailed"])

    async def test_account_gone(self) -> None:
        """What an account leaves behind is never sent by another of the same name."""
        for ann in (None, Ann(generation=2)):
            await self.put()
            self.roster.ann = ann
            await self.attempt()
            self.assertEqual((self.server.sent, await self.all_keys()), ([], []))

    async def test_marked(self) -> None:
        """The job is marked before the final dot; one that was taken back meanwhile is not sent."""
        await self.put()
        self.server.waiting = Deferred()
        sending = ensureDeferred(self.attempt())
        while not self.server.dots:
            await self.redis.call("PING")
        listed = await self.queue.find("q1")
        assert listed is not None
        self.assertEqual(entry_of(listed).progress.status, "smtp-starting")
        self.assertIsNone(await self.queue.cancel("q1"))
        self.server.waiting.callback(None)
        await sending

    async def test_taken_back(self) -> None:
        """A message that is cancelled before its final dot is not sent, and nothing is said of it."""
        await self.put()
        job = await self.claimed()
        await self.queue.cancel("q1")
        await self.sending.work(job)
        self.assertEqual((self.server.dots, await self.all_keys()), (0, []))

    async def test_cut_off(self) -> None:
        """After a crash behind the final dot the message is sent again, and the log says that it may be there twice."""
        await self.put()
        lost = await self.queue.claim(lease=0.001, per_group=8)
        assert isinstance(lost, Job)
        self.assertTrue(await self.queue.keep(lost, 0.05))
        self.assertTrue(await self.queue.mark(lost, "dot:1"))
        with self.warnings() as warnings:
            while isinstance(job := await self.queue.claim(lease=60, per_group=8), Wait):
                pass
            self.assertEqual(job.mark, "dot:1")
            await self.sending.work(job)
        self.assertEqual([one["attempt"] for one in warnings], [1])
        self.assertEqual(self.server.dots, 1)

    async def test_not_cut_off(self) -> None:
        """An attempt whose outcome is known leaves no doubt, even if it failed behind the final dot."""
        await self.put()
        self.server.verdict = SmtpRefused(451, "451 later", command="DATA", code="EMESSAGE")
        self.server.verdict.after_dot = True  # type: ignore[attr-defined]  # read by the server of the tests
        await self.attempt()
        self.assertEqual(self.server.dots, 1)
        with self.warnings() as warnings:
            await self.attempt()
        self.assertEqual(warnings, [])

    async def test_unknown(self) -> None:
        """Silence behind the final dot is no refusal: the message is sent again, under the same id."""
        await self.put()
        error = OutcomeUnknown("sent, but not confirmed")
        error.__cause__ = TimedOut("silence")
        self.server.verdict = error
        await self.attempt()
        (say,) = await self.said()
        self.assertEqual((say.event, say.data["errorCode"]), ("messageDeliveryError", "ETIMEDOUT"))
        self.server.verdict = OK
        await self.attempt()
        self.assertEqual([one.event for one in await self.said()], ["messageDeliveryError", "messageSent"])
        self.assertEqual(self.server.sent[0]["data"], self.server.sent[1]["data"])

    async def test_cancelled(self) -> None:
        """Cancelling ends the attempt and leaves the job to who claimed it."""
        await self.put()
        self.server.waiting = Deferred()
        sending = ensureDeferred(self.attempt())
        while not self.server.dots:
            await self.redis.call("PING")
        sending.cancel()
        await self.assertFailure(sending, CancelledError)
        self.assertEqual(await self.said(), [])


class BccTests(SynchronousTestCase):
    def test_taken_out(self) -> None:
        """Every Bcc goes, with its further lines, and nothing of the body; a message without one is the same object."""
        self.assertEqual(
            without_bcc(b"Bcc: a@x,\r\n b@x\r\nTo: c@x\r\nresent-bcc: d@x\r\n\r\nBcc: body\r\n\r\nBcc: e\r\n"),
            b"To: c@x\r\n\r\nBcc: body\r\n\r\nBcc: e\r\n",
        )
        self.assertEqual(without_bcc(b"To: c@x\r\nBcc: a@x\r\n"), b"To: c@x\r\n")
        self.assertEqual(without_bcc(b"Bcc: a@x\r\n\r\n"), b"\r\n")
        plain = b"To: c@x\r\n\r\nbody"
        self.assertIs(without_bcc(plain), plain)
