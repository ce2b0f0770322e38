"""From a request to a real SMTP server: what arrives, what is announced, what is left."""

from __future__ import annotations

import base64
import email
import email.policy
import shutil
import tempfile
from pathlib import Path
from typing import Any

from attrs import define
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred

from emailengine.accounts.verbs.changing import Append
from emailengine.core.deadline import Deadline
from emailengine.core.flag import Flag
from emailengine.model import codec
from emailengine.model.account import AccountSettings, Auth, SmtpSettings, Tls
from emailengine.model.event import Say
from emailengine.model.submission import SubmitRequest
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts
from emailengine.outbox.accept import Outbox
from emailengine.outbox.afterwards import Afterwards
from emailengine.outbox.mail import AFTER, SUBMIT
from emailengine.outbox.sending import Sending
from emailengine.outbox.workers import Workers
from emailengine.smtp.send import Senders
from emailengine.store.queue import Job, Queue
from emailengine.store.say import SayStore
from tests.integration.postoffice import PostOffice
from tests.integration.smtp.wires import certificate
from tests.outbox.company import Ann, Roster, Statuses, Stored, Values, settings
from tests.redis_server import RedisCase


@define(kw_only=True, eq=False)
class Dying(Queue):
    """A queue whose worker dies between the server's last word and ours."""

    died: Flag

    async def done(self, *_: Any, **__: Any) -> bool:
        self.died.raise_()
        await Deferred()
        return False


class DeliveryTests(RedisCase):
    directory: Path
    plain: PostOffice
    guarded: PostOffice

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp())
        pem, key = certificate(cls.directory)
        for name in ("plain", "guarded"):
            (cls.directory / name).mkdir()
        cls.plain = PostOffice(cls.directory / "plain")
        cls.guarded = PostOffice(cls.directory / "guarded", password="geheim", certificate=pem, key=key)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.plain.stop()
        cls.guarded.stop()
        shutil.rmtree(cls.directory)

    def setUp(self) -> Any:
        ready = super().setUp()
        for office in (self.plain, self.guarded):
            for kept in office.store.iterdir():
                kept.unlink()
        self.ann = Ann(settings("127.0.0.1", self.plain.port))
        self.roster = Roster(self.ann)
        self.changed = Flag()
        self.submit = Queue(redis=self.redis, keys=self.keys, name=SUBMIT, ordered=False)
        self.after = Queue(redis=self.redis, keys=self.keys, name=AFTER, ordered=False)
        self.says = SayStore(redis=self.redis, keys=self.keys)
        self.outbox = Outbox(
            accounts=self.roster,
            attachments=Stored(),
            queue=self.submit,
            keys=self.keys,
            settings=Values(),
            clock=reactor,
            hostname="host.example",
        )
        contexts = Contexts()
        self.senders = Senders(clock=reactor, dialer=Dialer(reactor=reactor, contexts=contexts), contexts=contexts)
        self.addCleanup(lambda: ensureDeferred(self.senders.stop()))
        afterwards = Afterwards(accounts=self.roster, queue=self.after, clock=reactor, random=lambda: 0.0)
        self.started = [
            Workers(name=SUBMIT, queue=self.submit, work=self.sending(self.submit).work, clock=reactor),
            Workers(name=AFTER, queue=self.after, work=afterwards.work, clock=reactor),
        ]
        return ready

    def sending(self, queue: Queue) -> Sending:
        return Sending(
            accounts=self.roster,
            queue=queue,
            after=self.after,
            statuses=Statuses(),
            settings=Values(),
            senders=self.senders,
            clock=reactor,
            random=lambda: 0.0,
            hostname="host.example",
            said=lambda _: self.changed.raise_(),
        )

    def start(self) -> None:
        for one in self.started:
            one.startService()
            self.addCleanup(one.stopService)

    async def send(self, **fields: Any) -> str:
        deadline = Deadline.after(reactor, 10)
        answer = await self.outbox.accept(
            "ann", codec.read(fields, SubmitRequest), idempotency_key=None, deadline=deadline
        )
        assert answer.queue_id is not None
        return answer.queue_id

    async def said(self, count: int) -> list[Say]:
        while True:
            self.changed.clear()
            found = [say for _, say in await self.says.read("ann", 1000)]
            if len(found) >= count:
                return found
            await self.changed.wait()

    async def test_arrives(self) -> None:
        """All recipients get the message as it was composed, but without its Bcc, which the Sent copy keeps."""
        self.start()
        copied: Deferred[Append] = Deferred()

        def answer(verb: Any) -> None:
            copied.callback(verb)

        self.ann.answer = answer
        text = ".\n..dots\nfrom Ann\n" + "x" * 2000 + "\nÄ"
        queue_id = await self.send(
            to={"name": "Bö", "address": "bo@x.example"},
            bcc={"address": "hid@x.example"},
            subject="Grüße",
            text=text,
            html="<p>Grüße</p>",
            attachments=[{"filename": "b.bin", "content": base64.b64encode(bytes(range(256)) * 500).decode()}],
        )
        (say,) = await self.said(1)
        self.assertEqual((say.event, say.data["queueId"]), ("messageSent", queue_id))
        ((record, octets),) = self.plain.kept()
        self.assertEqual(record["from"], "ann@corp.example")
        self.assertEqual(record["to"], ["bo@x.example", "hid@x.example"])
        message = email.message_from_bytes(octets, policy=email.policy.default)
        self.assertIsNone(message["Bcc"])
        self.assertEqual((message["To"], message["Subject"]), ("Bö <bo@x.example>", "Grüße"))
        self.assertEqual(message["Message-ID"], say.data["messageId"])
        parts = {part.get_content_type(): part for part in message.walk()}
        self.assertEqual(parts["text/plain"].get_content().replace("\r\n", "\n"), text)
        self.assertEqual(parts["application/octet-stream"].get_payload(decode=True), bytes(range(256)) * 500)
        copy = await copied
        self.assertEqual(copy.data.replace(b"Bcc: hid@x.example\r\n", b""), octets)

    async def test_refused(self) -> None:
        """A recipient that the server refuses for good ends the message, one that it may take later does not."""
        self.start()
        await self.send(to={"address": "refused@x.example"}, text="x")
        events = await self.said(2)
        self.assertEqual([one.event for one in events], ["messageDeliveryError", "messageFailed"])
        self.assertEqual(events[0].data["smtpResponse"], "550 5.1.1 No such user")
        queue_id = await self.send(to={"address": "later@x.example"}, text="x")
        events = await self.said(3)
        self.assertEqual(events[2].data["smtpResponseCode"], 451)
        entry = await self.outbox.entry(queue_id)
        self.assertEqual((entry.attempts_made, entry.progress.status), (1, "error"))
        self.assertEqual(entry.next_attempt, events[2].data["job"]["nextAttempt"])
        self.assertTrue(await self.outbox.cancel(queue_id))

    async def test_no_server(self) -> None:
        """A server that is not there is tried again later."""
        self.start()
        self.ann.settings = settings("127.0.0.1", 1)
        await self.send(to={"address": "bo@x.example"}, text="x")
        (say,) = await self.said(1)
        self.assertEqual((say.event, say.data["errorCode"]), ("messageDeliveryError", "ECONNREFUSED"))
        self.assertNotIn("smtpResponseCode", say.data)

    def guarded_settings(self, password: str = "geheim", *, verify: bool) -> AccountSettings:
        return AccountSettings(
            account="ann",
            email="ann@corp.example",
            smtp=SmtpSettings(
                host="127.0.0.1",
                port=self.guarded.port,
                auth=Auth(user="ann", pass_=password),
                tls=None if verify else Tls(reject_unauthorized=False),
            ),
        )

    async def test_tls(self) -> None:
        """A certificate that nobody vouches for stops the message before the login, unless the account allows it."""
        self.start()
        self.ann.settings = self.guarded_settings(verify=True)
        await self.send(to={"address": "bo@x.example"}, text="x")
        (say,) = await self.said(1)
        self.assertEqual((say.event, say.data["errorCode"]), ("messageDeliveryError", "DEPTH_ZERO_SELF_SIGNED_CERT"))
        self.assertIsNot(say.data["job"]["nextAttempt"], False)
        self.ann.settings = self.guarded_settings(verify=False)
        await self.send(to={"address": "bo@x.example"}, text="x")
        self.assertEqual([one.event for one in await self.said(2)], ["messageDeliveryError", "messageSent"])
        ((record, _),) = self.guarded.kept()
        self.assertTrue(record["tls"])

    async def test_login(self) -> None:
        """A login that the server itself refuses is final, and the password is told nobody."""
        self.start()
        self.ann.settings = self.guarded_settings("wrong-secret", verify=False)
        await self.send(to={"address": "bo@x.example"}, text="x")
        events = await self.said(2)
        self.assertEqual([one.event for one in events], ["messageDeliveryError", "messageFailed"])
        self.assertEqual((events[0].data["errorCode"], events[0].data["smtpResponseCode"]), ("EAUTH", 535))
        self.assertNotIn("secret", codec.encode(events).decode())

    async def test_crash(self) -> None:
        """A daemon that dies after the server's last word costs a second message with the same id, never none."""
        await self.send(to={"address": "bo@x.example"}, text="x")
        died = Flag()
        dying = Dying(redis=self.redis, keys=self.keys, name=SUBMIT, ordered=False, died=died)
        job = await dying.claim(lease=0.5, per_group=8)
        assert isinstance(job, Job)
        attempt = ensureDeferred(self.sending(dying).work(job))
        attempt.addErrback(lambda _: None)
        await died.wait()
        attempt.cancel()
        self.assertEqual(len(self.plain.kept()), 1)
        self.start()
        (say,) = await self.said(1)
        self.assertEqual(say.event, "messageSent")
        ids = [email.message_from_bytes(octets)["Message-ID"] for _, octets in self.plain.kept()]
        self.assertEqual(ids, [say.data["messageId"]] * 2)

    async def test_many(self) -> None:
        """Every message of many arrives once, over few connections, and nothing is left in the queues."""
        self.start()
        count = 60
        for number in range(count):
            await self.send(to={"address": f"n{number}@x.example"}, text="x", copy=False)
        await self.said(count)
        arrived = [record["to"][0] for record, _ in self.plain.kept()]
        self.assertEqual(sorted(arrived), sorted(f"n{number}@x.example" for number in range(count)))
        left = [key for key in await self.all_keys() if b"say" not in key]
        self.assertEqual(left, [])
