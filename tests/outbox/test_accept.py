"""Taking mail in, with a real Redis."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred

from emailengine.accounts.verbs.reading import ReadMessage
from emailengine.core.deadline import Deadline
from emailengine.errors import (
    AccountNotFound,
    AccountUnavailable,
    EmailEngineError,
    InvalidInput,
    MessageNotFound,
    NotFound,
    TooLarge,
)
from emailengine.model import codec
from emailengine.model.account import AccountSettings
from emailengine.model.ids import pack_message
from emailengine.model.message import Address, MessageDetail
from emailengine.model.submission import SubmitRequest, SubmitResponse
from emailengine.outbox import accept
from emailengine.outbox.accept import Outbox
from emailengine.outbox.mail import read_mail
from emailengine.store.queue import Job, NewJob, Queue
from tests.outbox.company import Ann, Opened, Roster, Stored, Values
from tests.redis_server import RedisCase

NOW = 1_700_000_000.0
TO: dict[str, Any] = {"to": {"address": "bo@x.example"}, "text": "Hello"}
ORIGINAL = MessageDetail(
    id="x",
    path="INBOX",
    uid=7,
    flags=["\\Seen"],
    subject="Hi",
    message_id="<m1@x.example>",
    from_=Address(name="", address="bo@x.example"),
)


class AcceptTests(RedisCase):
    def setUp(self) -> Any:
        ready = super().setUp()
        self.ann = Ann()
        self.stored = Stored()
        self.values = Values()
        self.queue = Queue(redis=self.redis, keys=self.keys, name="submit", ordered=False)
        self.outbox = Outbox(
            accounts=Roster(self.ann),
            attachments=self.stored,
            queue=self.queue,
            keys=self.keys,
            settings=self.values,
            clock=reactor,
            hostname="host.example",
            now=lambda: NOW,
        )
        return ready

    async def submit(self, key: str | None = None, account: str = "ann", **fields: Any) -> SubmitResponse:
        deadline = Deadline.after(reactor, 10)
        sent = codec.read(fields, SubmitRequest)
        return await self.outbox.accept(account, sent, idempotency_key=key, deadline=deadline)

    async def refused(self, kind: type[EmailEngineError], **fields: Any) -> Any:
        error = await self.assertFailure(ensureDeferred(self.submit(**fields)), kind)
        self.assertEqual((await self.queue.counts())["total"], 0)
        return error

    async def claimed(self) -> Job:
        job = await self.queue.claim(lease=60, per_group=8)
        assert isinstance(job, Job), job
        return job

    async def test_queued(self) -> None:
        """A message is answered with its ids, stored once, and listed."""
        answer = await self.submit(**TO, subject="S", bcc={"address": "hid@x.example"})
        self.assertEqual((answer.response, answer.send_at), ("Queued for delivery", "2023-11-14T22:13:20.000Z"))
        assert answer.queue_id is not None
        entry = await self.outbox.entry(answer.queue_id)
        self.assertEqual((entry.account, entry.source, entry.message_id), ("ann", "api", answer.message_id))
        self.assertEqual(entry.envelope.to, ["bo@x.example", "hid@x.example"])
        self.assertEqual((entry.subject, entry.attempts, entry.attempts_made), ("S", 10, 0))
        self.assertEqual(entry.progress.status, "queued")
        self.assertEqual(entry.next_attempt, entry.scheduled)
        page = await self.outbox.page(0, 20)
        self.assertEqual((page.total, page.pages, [one.queue_id for one in page.messages]), (1, 1, [answer.queue_id]))
        job = await self.claimed()
        assert job.body is not None
        self.assertEqual((job.id, job.lane, job.group), (answer.queue_id, "ann", "smtp.x.example"))
        self.assertIn(b"\r\nBcc: hid@x.example\r\n", job.body)
        self.assertEqual((await self.outbox.entry(answer.queue_id)).progress.status, "processing")

    async def test_later(self) -> None:
        """A message with a date waits for it, and can be taken back."""
        answer = await self.submit(**TO, sendAt="2099-01-01T00:00:00Z", deliveryAttempts=2, localAddress="192.0.2.1")
        assert answer.queue_id is not None
        self.assertEqual(answer.send_at, "2099-01-01T00:00:00.000Z")
        entry = await self.outbox.entry(answer.queue_id)
        self.assertEqual((entry.scheduled, entry.attempts), ("2099-01-01T00:00:00.000Z", 2))
        self.assertEqual(entry.local_address, "192.0.2.1")
        self.assertNotIsInstance(await self.queue.claim(lease=60, per_group=8), Job)
        self.assertTrue(await self.outbox.cancel(answer.queue_id))
        self.assertFalse(await self.outbox.cancel(answer.queue_id))
        await self.assertFailure(ensureDeferred(self.outbox.entry(answer.queue_id)), NotFound)
        self.assertEqual(await self.all_keys(), [])

    async def test_forgotten(self) -> None:
        """Of an account that is deleted nothing waits any more, however much it was; others' mail stays."""
        for number in range(8):
            lane = "ann" if number % 3 else "bo"
            job = NewJob(queue="submit", lane=lane, id=f"q{number}", group="h", at=None, data=b"{}")
            await self.queue.put(job)
        self.assertEqual(await self.outbox.forget("ann", page_size=3), 5)
        left = [one.job.id for one in (await self.queue.page(0, 100))[1]]
        self.assertEqual(sorted(left), ["q0", "q3", "q6"])

    async def test_dry_run(self) -> None:
        """A dry run shows the message and keeps nothing, not even its key."""
        answer = await self.submit(key="k", **TO, dryRun=True)
        self.assertEqual((answer.response, answer.queue_id, answer.send_at), ("Dry run", None, None))
        self.assertIn(answer.message_id.encode(), base64.b64decode(answer.preview or ""))
        self.assertEqual(await self.all_keys(), [])

    async def test_dry_run_of_known_key(self) -> None:
        """A dry run shows its own message, also under a key that has an answer."""
        first = await self.submit(key="k", **TO)
        dry = await self.submit(key="k", **TO, dryRun=True)
        self.assertEqual(dry.response, "Dry run")
        self.assertNotEqual(dry.message_id, first.message_id)

    async def test_idempotency(self) -> None:
        """The same key gives the first answer again, for that account, and queues nothing."""
        first = await self.submit(key="k:1", **TO)
        again = await self.submit(key="k:1", **TO, subject="other")
        other = await self.submit(key="k:2", **TO)
        assert first.idempotency is not None
        assert again.idempotency is not None
        self.assertEqual((first.idempotency.status, again.idempotency.status), ("MISS", "HIT"))
        self.assertEqual((again.queue_id, again.message_id), (first.queue_id, first.message_id))
        self.assertNotEqual(other.queue_id, first.queue_id)
        self.assertEqual((await self.queue.counts())["total"], 2)

    async def test_idempotency_later(self) -> None:
        """The answer to a known key needs nothing of what the first request needed."""
        self.ann.answer = lambda verb: ORIGINAL
        reference = {"message": pack_message(1, 7)}
        first = await self.submit(key="k", text="x", reference=reference)
        self.ann.answer = _gone
        again = await self.submit(key="k", text="x", reference=reference)
        self.assertEqual(again.queue_id, first.queue_id)

    async def test_settings(self) -> None:
        """The number of attempts is the installation's where the message names none."""
        self.values.values["deliveryAttempts"] = 3
        answer = await self.submit(**TO)
        self.assertEqual((await self.outbox.entry(answer.queue_id or "")).attempts, 3)

    async def test_attachments(self) -> None:
        """Attachments come with the request or from a message of the account, pictures out of the HTML."""
        self.stored.known["att"] = Opened("image/png", "stored.png", [b"\x89P", b"NG"])
        pixel = base64.b64encode(b"pixel").decode()
        answer = await self.submit(
            **TO,
            html=f'<img src="data:image/gif;base64,{pixel}">',
            attachments=[
                {"filename": "a.txt", "content": base64.b64encode(b"one").decode()},
                {"reference": "att", "cid": "c1"},
            ],
            dryRun=True,
        )
        preview = base64.b64decode(answer.preview or "")
        for part in (b"a.txt", b"stored.png", b"image-1.gif", b"Content-ID: <c1>", base64.b64encode(b"\x89PNG")):
            self.assertIn(part, preview)

    async def test_attachment_faults(self) -> None:
        """A missing attachment is 404, one that is no base64 400, too much of them 413."""
        error = await self.refused(NotFound, **TO, attachments=[{"reference": "none"}])
        self.assertEqual((error.status, error.code), (404, "ReferenceNotFound"))
        for content in ("%%%", "AAA", "AA=A", "ä"):
            error = await self.refused(InvalidInput, **TO, attachments=[{"content": content}])
            self.assertEqual([one["key"] for one in error.extra["fields"]], ["content"])
        await self.refused(InvalidInput, raw="%%%")
        large = Opened("a/b", None, [b"x" * (accept.LARGEST // 2 + 1)] * 2)
        self.stored.known["large"] = large
        await self.refused(TooLarge, **TO, attachments=[{"reference": "large"}])
        self.assertTrue(large.closed)

    async def test_raw(self) -> None:
        """A raw message is stored as it came, with its own ids."""
        raw = base64.b64encode(b"To: z@x.example\r\nMessage-ID: <r@x>\r\n\r\nbody\r\n").decode()
        answer = await self.submit(raw=raw)
        self.assertEqual(answer.message_id, "<r@x>")
        job = await self.claimed()
        assert job.body is not None
        self.assertTrue(job.body.endswith(b"\r\n\r\nbody\r\n"))
        self.assertEqual(read_mail(job.data).recipients, ["z@x.example"])

    async def test_reply(self) -> None:
        """A reply asks the account for the original, and remembers to flag it."""
        self.ann.answer = lambda verb: ORIGINAL
        answer = await self.submit(text="x", reference={"message": pack_message(1, 7), "messageId": "m1@x.example"})
        assert answer.reference is not None
        self.assertTrue(answer.reference.success)
        self.assertIsInstance(self.ann.asked[0], ReadMessage)
        mail = read_mail((await self.claimed()).data)
        assert mail.original is not None
        self.assertEqual((mail.original.folder, mail.original.uid, mail.original.flags), (1, 7, ["\\Answered"]))
        self.assertEqual((mail.recipients, mail.subject), (["bo@x.example"], "Re: Hi"))

    async def test_flagged_already(self) -> None:
        """A message that is answered already gets no flag."""
        flagged = msgspec.structs.replace(ORIGINAL, flags=["\\Answered"])
        self.ann.answer = lambda verb: flagged
        await self.submit(**TO, reference={"message": pack_message(1, 7), "action": "forward"})
        self.assertIsNone(read_mail((await self.claimed()).data).original)

    async def test_reference_missing(self) -> None:
        """A missing original is 404, or the message goes without it when the request allows that."""
        self.ann.answer = _gone
        message = pack_message(1, 7)
        error = await self.refused(NotFound, **TO, reference={"message": message})
        self.assertEqual(error.code, "ReferenceNotFound")
        await self.refused(NotFound, **TO, reference={"message": "nonsense"})
        answer = await self.submit(**TO, reference={"message": message, "ignoreMissing": True})
        assert answer.reference is not None
        self.assertFalse(answer.reference.success)
        self.assertIn("No message", answer.reference.error or "")

    async def test_reference_other(self) -> None:
        """A message with another Message-ID is refused whatever the request allows."""
        self.ann.answer = lambda verb: ORIGINAL
        reference = {"message": pack_message(1, 7), "messageId": "<other@x>", "ignoreMissing": True}
        error = await self.refused(MessageNotFound, **TO, reference=reference)
        self.assertEqual(error.code, "MessageNotFound")

    async def test_reference_unavailable(self) -> None:
        """An account that is away cannot tell of the original: 503, unless the request can do without."""

        def away(verb: object) -> None:
            raise AccountUnavailable("away", extra={"state": "init"})

        self.ann.answer = away
        await self.refused(AccountUnavailable, **TO, reference={"message": pack_message(1, 7)})
        answer = await self.submit(**TO, reference={"message": pack_message(1, 7), "ignoreMissing": True})
        self.assertFalse(answer.reference is None or answer.reference.success)

    async def test_refused(self) -> None:
        """Nobody to send to is 400, an account that cannot send or is not there 404."""
        error = await self.refused(InvalidInput, text="x")
        self.assertEqual([one["key"] for one in error.extra["fields"]], ["to"])
        await self.refused(AccountNotFound, account="bob", **TO)
        self.ann.settings = AccountSettings(account="ann", email="ann@x.example")
        error = await self.refused(NotFound, **TO)
        self.assertEqual((error.status, error.code), (404, "SMTPUnavailable"))


def _gone(verb: object) -> Any:
    raise MessageNotFound("No message has that id")
