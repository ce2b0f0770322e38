"""Messages to a real SMTP server, in clear text, over STARTTLS and over implicit TLS."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from emailengine.errors import TlsFailed
from emailengine.smtp.faults import LoginRefused, RecipientsRefused
from emailengine.smtp.send import Senders
from emailengine.smtp.session import SmtpResult
from emailengine.smtp.target import SmtpTarget
from emailengine.wire.mime.compose import Attachment, Outgoing, compose_whole, strip_bcc
from emailengine.wire.mime.words import Mailbox
from tests.integration.postoffice import PostOffice
from tests.integration.smtp.wires import Contexts, Dialer, certificate
from tests.smtp.peer import Login

LOGIN = Login("jo", "geheim")


class Offices(TestCase):
    """The servers, one of each kind for all tests."""

    directory: Path
    plain: PostOffice
    starttls: PostOffice
    implicit: PostOffice
    trust: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp())
        pem, key = certificate(cls.directory)
        cls.trust = Path(pem).read_text()

        def office(name: str, **options: Any) -> PostOffice:
            (cls.directory / name).mkdir()
            return PostOffice(cls.directory / name, **options)

        cls.plain = office("plain")
        cls.starttls = office("starttls", password="geheim", certificate=pem, key=key)
        cls.implicit = office("implicit", certificate=pem, key=key, implicit=True)

    @classmethod
    def tearDownClass(cls) -> None:
        for office in (cls.plain, cls.starttls, cls.implicit):
            office.stop()
        shutil.rmtree(cls.directory)

    def setUp(self) -> None:
        self.dialer = Dialer(reactor)
        self.senders = Senders(clock=reactor, dialer=self.dialer, contexts=Contexts())
        self.addCleanup(lambda: Deferred.fromCoroutine(self.senders.stop()))

    def target(self, office: PostOffice, **change: Any) -> SmtpTarget:
        secure = office is self.implicit
        return evolve(SmtpTarget(host="localhost", port=office.port, secure=secure, tls=self.trust), **change)

    async def post(self, target: SmtpTarget, data: bytes = b"Subject: x\r\n\r\nx\r\n", **change: Any) -> SmtpResult:
        values: dict[str, Any] = {
            "credentials": LOGIN,
            "envelope_from": "a@x.example",
            "recipients": ["b@y.example"],
            "ehlo_name": "client.example.com",
        }
        return await self.senders.send_message(target=target, data=data, **(values | change))


def run(work: Coroutine[Any, Any, None]) -> Deferred[None]:
    return Deferred.fromCoroutine(work)


class PostTests(Offices):
    def test_three_ways(self) -> Deferred[None]:
        """A message arrives exactly, in clear text, over STARTTLS and over implicit TLS, each with its login."""

        async def work() -> None:
            message = compose_whole(
                Outgoing(
                    from_=Mailbox("Jörg", "a@x.example"),
                    to=[Mailbox("", "b@y.example")],
                    bcc=[Mailbox("", "c@y.example")],
                    subject="Grüße",
                    html="<p>.\n.</p>",
                    attachments=[Attachment(content=bytes(range(256)) * 5000, filename="ü.bin")],
                    message_id="m@x.example",
                    date=0.0,
                )
            )
            for office, login in ((self.plain, None), (self.starttls, LOGIN), (self.implicit, None)):
                noted: list[bool] = []

                async def note(noted: list[bool] = noted) -> None:
                    noted.append(True)

                result = await self.post(
                    self.target(office),
                    strip_bcc(message),
                    credentials=login,
                    recipients=["b@y.example", "c@y.example", "refused@y.example"],
                    on_final_dot=note,
                )
                self.assertEqual(result.accepted, ("b@y.example", "c@y.example"))
                self.assertEqual([one.reply_code for one in result.rejected], [550])
                record, kept = office.kept()[-1]
                self.assertEqual(kept, strip_bcc(message))
                self.assertEqual(record["to"], ["b@y.example", "c@y.example"])
                self.assertEqual(record["tls"], office is self.starttls)  # the server does not see implicit TLS
                self.assertEqual(noted, [True])

        return run(work())

    def test_dots(self) -> Deferred[None]:
        """Lines of dots at every place arrive as they were written, over one connection."""

        async def work() -> None:
            target = self.target(self.starttls)
            around = [b"x" * cut + b"\n" + (b"y" * 63 + b"\n") * 1024 + b".\nQUIT\n" for cut in range(60, 66)]
            for data in (b".", b"..\n.\n", b"\r.\r\r", b"a\n.b\n" * 200_000, *around):
                await self.post(target, data)
                expected = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                expected += b"" if expected.endswith(b"\n") else b"\n"
                self.assertEqual(self.starttls.kept()[-1][1], expected.replace(b"\n", b"\r\n"))
            self.assertEqual(self.dialer.dialled, 1)

        return run(work())

    def test_refused_recipients(self) -> Deferred[None]:
        """When nobody is accepted the server's reasons come back, and the session can be used again."""

        async def work() -> None:
            target = self.target(self.implicit)
            try:
                await self.post(target, credentials=None, recipients=["refused@y.example", "later@y.example"])
            except RecipientsRefused as error:
                self.assertEqual((error.reply_code, error.transient, len(error.rejected)), (451, True, 2))
            else:
                self.fail("accepted")
            await self.post(target, credentials=None)
            self.assertEqual(self.dialer.dialled, 1)

        return run(work())

    def test_wrong_password(self) -> Deferred[None]:
        """A wrong password is the server's refusal, without the password in it."""

        async def work() -> None:
            try:
                await self.post(self.target(self.starttls), credentials=Login("jo", "falsch"))
            except LoginRefused as error:
                self.assertEqual(error.reply_code, 535)
                self.assertNotIn("falsch", repr(vars(error)))
            else:
                self.fail("accepted")

        return run(work())

    def test_untrusted(self) -> Deferred[None]:
        """A certificate that nobody vouches for ends it before the password is said."""

        async def work() -> None:
            for office in (self.starttls, self.implicit):
                for change in ({"tls": "platform"}, {"host": "other.example"}):
                    await self.assertFailure(run(self._post(self.target(office, **change))), TlsFailed)

        return run(work())

    async def _post(self, target: SmtpTarget) -> None:
        await self.post(target)

    def test_check(self) -> Deferred[None]:
        """A check tells what the server offers after TLS."""

        async def work() -> None:
            offered = await self.senders.check(
                target=self.target(self.starttls, starttls="required"), credentials=LOGIN, ehlo_name="x.example"
            )
            self.assertIn("AUTH", offered)
            self.assertIn("SMTPUTF8", offered)

        return run(work())

    def test_addresses_outside_ascii(self) -> Deferred[None]:
        """With SMTPUTF8 an address outside ASCII arrives."""

        async def work() -> None:
            await self.post(self.target(self.starttls), "Subject: ü\r\n\r\nü\r\n".encode(), recipients=["jö@y.example"])
            record, kept = self.starttls.kept()[-1]
            self.assertEqual(record["to"], ["jö@y.example"])
            self.assertEqual(kept, "Subject: ü\r\n\r\nü\r\n".encode())

        return run(work())
