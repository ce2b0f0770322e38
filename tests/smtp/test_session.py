"""Handing over messages: envelope, content, the final dot, and each of their failures."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectionLost, InvalidInput, MissingExtension, ProtocolFault, SmtpRefused, TimedOut
from emailengine.smtp.connection import Connection
from emailengine.smtp.faults import OutcomeUnknown, RecipientsRefused, Refusal
from emailengine.smtp.session import Session, SmtpResult, Submission
from emailengine.smtp.target import Patience
from emailengine.wire.smtp import Dsn
from tests.smtp.peer import Dot, Peer, give_up, quiet

MESSAGE = Submission(envelope_from="a@x.example", recipients=["b@y.example"], data=b"Subject: x\n\n.dot\n")
WIRE = b"Subject: x\r\n\r\n..dot\r\n.\r\n"


class SessionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dot = Dot()
        self.prepare()

    def prepare(self, *extensions: str, greedy: bool = True) -> None:
        connection = Connection(self.clock)
        self.peer = Peer(connection, greedy=greedy)
        self.session = Session(
            connection=connection,
            extensions={name.split(" ")[0]: name.partition(" ")[2] for name in extensions},
            host="mail.example.com",
            clock=self.clock,
            patience=Patience(),
        )

    def deliver(self, submission: Submission = MESSAGE) -> Deferred[SmtpResult]:
        delivering = Deferred.fromCoroutine(self.session.deliver(submission, self.dot))
        self.addCleanup(give_up, delivering)
        return delivering

    def until_data(self, submission: Submission = MESSAGE) -> Deferred[SmtpResult]:
        delivering = self.deliver(submission)
        self.peer.answer(("MAIL FROM:<a@x.example>", "250 ok"), ("RCPT TO:<b@y.example>", "250 ok"))
        self.assertEqual(self.peer.heard(), b"DATA\r\n")
        return delivering

    def fails(self, delivering: Deferred[Any], kind: type[Exception], *, usable: bool) -> Any:
        error = self.failureResultOf(delivering, kind).value
        self.assertEqual(self.session.usable, usable)
        self.assertTrue(quiet(self.clock))
        return error


class DeliveryTests(SessionCase):
    def test_one_message(self) -> None:
        """A message goes over with its dots doubled, and the final reply is the result."""
        delivering = self.until_data()
        self.peer.say("354 go")
        self.assertEqual(self.peer.heard(), WIRE)
        self.assertEqual(self.dot.calls, 1)
        self.assertNoResult(delivering)
        self.peer.say("250 2.0.0 queued as 17")
        result = self.successResultOf(delivering)
        self.assertEqual(
            (result.reply_code, result.response, result.accepted, result.rejected),
            (250, "250 2.0.0 queued as 17", ("b@y.example",), ()),
        )
        self.assertTrue(self.session.usable)
        self.assertTrue(quiet(self.clock))

    def test_again(self) -> None:
        """The same session takes another message after RSET."""
        self.test_one_message()
        resetting = Deferred.fromCoroutine(self.session.reset())
        self.peer.answer(("RSET", "250 ok"))
        self.assertTrue(self.successResultOf(resetting))
        self.dot = Dot()
        self.test_one_message()
        self.assertEqual(self.session.messages, 2)

    def test_final_dot_waits(self) -> None:
        """The final dot is sent only when the caller has noted that it will be."""
        self.dot.waiting = Deferred()
        delivering = self.until_data()
        self.peer.say("354 go")
        self.assertEqual(self.peer.heard(), WIRE.removesuffix(b".\r\n"))
        self.dot.waiting.callback(None)
        self.assertEqual(self.peer.heard(), b".\r\n")
        self.peer.say("250 ok")
        self.successResultOf(delivering)

    def test_extensions(self) -> None:
        """Parameters follow what the server offers and the message needs."""
        self.prepare("SIZE 1000", "8BITMIME", "SMTPUTF8", "DSN")
        self.deliver(
            Submission(envelope_from="a@x.example", recipients=["jö@y.example"], data="ü".encode(), dsn=Dsn(id="1"))
        )
        self.peer.answer(("MAIL FROM:<a@x.example> SIZE=2 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=1", "250 ok"))

    def test_utf8_headers(self) -> None:
        """Headers outside ASCII ask for SMTPUTF8, a body alone does not."""
        for data, expected in (("Subject: ü\n\nx".encode(), " SMTPUTF8"), ("Subject: u\n\nü".encode(), "")):
            self.prepare("SMTPUTF8")
            self.deliver(evolve(MESSAGE, data=data))
            self.assertEqual(self.peer.heard().decode(), f"MAIL FROM:<a@x.example>{expected}\r\n")

    def test_pipelining(self) -> None:
        """Where offered, the envelope goes ahead of its replies, in batches."""
        self.prepare("PIPELINING")
        many = [f"u{n}@y.example" for n in range(70)]
        delivering = self.deliver(evolve(MESSAGE, recipients=[*many, many[0]]))
        self.assertEqual(self.peer.heard().count(b"\r\n"), 50)
        self.peer.say("250 ok", *["250 ok"] * 49)
        self.assertEqual(self.peer.heard().count(b"\r\n"), 21)
        self.peer.say(*["250 ok"] * 20, "550 no")
        self.peer.answer(("DATA", "354 go"))
        self.peer.say("250 ok")
        result = self.successResultOf(delivering)
        self.assertEqual(result.accepted, tuple(many[:-1]))
        self.assertEqual(result.rejected, (Refusal("u69@y.example", 550, "550 no"),))

    def test_large(self) -> None:
        """A large message goes in slices, as fast as the server takes them."""
        self.prepare(greedy=False)
        delivering = self.until_data(evolve(MESSAGE, data=b".\n" * 100_000))
        self.peer.say("354 go")
        found = b""
        while self.peer.producer is not None:
            self.clock.advance(170)
            self.peer.pull()
            piece = self.peer.heard()
            self.assertLess(len(piece), 200_000)
            found += piece
        self.assertEqual(found, b"..\r\n" * 100_000 + b".\r\n")
        self.peer.say("250 ok")
        self.successResultOf(delivering)


class NothingSentTests(SessionCase):
    def test_bad_envelopes(self) -> None:
        """What cannot be sent is refused before a word is said, and the session stays usable."""
        changes: tuple[dict[str, Any], ...] = (
            {"recipients": []},
            {"recipients": [""]},
            {"recipients": ["a@b\r\nDATA"]},
            {"envelope_from": "a b@c"},
        )
        for change in changes:
            error = self.fails(self.deliver(evolve(MESSAGE, **change)), InvalidInput, usable=True)
            self.assertEqual(error.code, "EENVELOPE")
        self.fails(self.deliver(evolve(MESSAGE, recipients=["jö@y.example"])), MissingExtension, usable=True)
        self.assertEqual(self.peer.heard(), b"")

    def test_closed(self) -> None:
        """A connection that ended meanwhile is told as lost."""
        self.peer.lose()
        self.fails(self.deliver(), ConnectionLost, usable=False)


class RefusalTests(SessionCase):
    def test_sender(self) -> None:
        """A refused sender is the server's refusal; the session stays usable."""
        delivering = self.deliver()
        self.peer.answer(("MAIL FROM:<a@x.example>", "550-5.7.1 not\n550 5.7.1 you"))
        error = self.fails(delivering, SmtpRefused, usable=True)
        self.assertEqual(
            (error.reply_code, error.response, error.command, error.transient, error.code),
            (550, "550 5.7.1 not 5.7.1 you", "MAIL FROM", False, "EENVELOPE"),
        )

    def test_sender_ahead(self) -> None:
        """With commands sent ahead, the replies to all of them are read first."""
        self.prepare("PIPELINING")
        delivering = self.deliver()
        self.peer.say("451 later")
        self.assertNoResult(delivering)
        self.peer.say("503 no sender")
        self.assertTrue(self.fails(delivering, SmtpRefused, usable=True).transient)

    def test_some_recipients(self) -> None:
        """Refused recipients are reported, the others get the message."""
        delivering = self.deliver(evolve(MESSAGE, recipients=["b@y.example", "c@y.example", "d@y.example"]))
        self.peer.answer(
            ("MAIL FROM:<a@x.example>", "250 ok"),
            ("RCPT TO:<b@y.example>", "550 5.1.1 unknown"),
            ("RCPT TO:<c@y.example>", "251 will forward"),
            ("RCPT TO:<d@y.example>", "451 greylisted"),
            ("DATA", "354 go"),
        )
        self.peer.say("250 ok")
        result = self.successResultOf(delivering)
        self.assertEqual(result.accepted, ("c@y.example",))
        self.assertEqual([one.reply_code for one in result.rejected], [550, 451])

    def test_all_recipients(self) -> None:
        """With nobody accepted DATA is not said; one who may be accepted later makes the whole transient."""
        for replies, code in ((("550 no", "550 never"), 550), (("550 no", "451 later"), 451)):
            delivering = self.deliver(evolve(MESSAGE, recipients=["b@y.example", "c@y.example"]))
            self.peer.answer(
                ("MAIL FROM:<a@x.example>", "250 ok"),
                ("RCPT TO:<b@y.example>", replies[0]),
                ("RCPT TO:<c@y.example>", replies[1]),
            )
            error = self.fails(delivering, RecipientsRefused, usable=True)
            self.assertEqual((error.reply_code, error.transient, len(error.rejected)), (code, code < 500, 2))
            self.assertEqual(self.peer.heard(), b"")

    def test_data(self) -> None:
        """DATA and the content can be refused; the final dot's refusal leaves the session usable."""
        delivering = self.until_data()
        self.peer.say("554 no valid recipients")
        self.assertEqual(self.fails(delivering, SmtpRefused, usable=True).command, "DATA")
        delivering = self.until_data()
        self.peer.say("354 go")
        self.peer.say("552 5.3.4 too large")
        error = self.fails(delivering, SmtpRefused, usable=True)
        self.assertEqual((error.reply_code, error.code), (552, "EMESSAGE"))

    def test_data_misunderstood(self) -> None:
        """A 250 to DATA is a fault: neither side knows what comes next."""
        delivering = self.until_data()
        self.peer.say("250 ok")
        self.fails(delivering, ProtocolFault, usable=False)
        self.assertEqual(self.dot.calls, 0)

    def test_objection_in_the_middle(self) -> None:
        """A refusal while the content is on its way ends it there, without the final dot."""
        self.prepare(greedy=False)
        delivering = self.until_data(evolve(MESSAGE, data=b"x" * 300_000))
        self.peer.say("354 go")
        self.peer.pull()
        self.peer.say("552 too large")
        self.assertEqual(self.fails(delivering, SmtpRefused, usable=False).reply_code, 552)
        self.assertEqual(self.dot.calls, 0)
        self.assertFalse(self.peer.heard().endswith(b".\r\n"))

    def test_objection_before_the_dot(self) -> None:
        """A refusal while the caller makes its note keeps the dot back."""
        self.dot.waiting = Deferred()
        delivering = self.until_data()
        self.peer.say("354 go")
        self.peer.say("451 changed my mind")
        self.dot.waiting.callback(None)
        self.fails(delivering, SmtpRefused, usable=False)
        self.assertFalse(self.peer.heard().endswith(b"\r\n.\r\n"))

    def test_goodbye(self) -> None:
        """A 421 at any stage is transient and the end of the session."""
        for stage in range(5):
            self.prepare()
            delivering = self.deliver()
            for reply in ["250 ok", "250 ok", "354 go", "250 ok"][:stage]:
                if stage < 4:
                    self.peer.say(reply)
            if stage == 4:
                for reply in ("250 ok", "250 ok", "354 go"):
                    self.peer.say(reply)
            self.peer.say("421 4.3.2 shutting down")
            error = self.failureResultOf(delivering, SmtpRefused).value
            self.assertEqual((error.reply_code, error.transient), (421, True))
            self.assertFalse(self.session.usable)

    def test_goodbye_while_resting(self) -> None:
        """A 421 said while nobody asked makes the session unusable, and answers what is asked next."""
        self.peer.say("421 idle too long")
        self.assertFalse(self.session.usable)
        self.assertEqual(self.fails(self.deliver(), SmtpRefused, usable=False).reply_code, 421)


class LossTests(SessionCase):
    STAGES = ("250 ok", "250 ok", "354 go")

    def test_before_the_dot(self) -> None:
        """A connection lost, or a silence, before the final dot leaves no doubt: not sent."""
        for stage in range(3):
            for silent in (False, True):
                self.prepare()
                delivering = self.deliver()
                self.peer.say(*self.STAGES[:stage])
                if silent:
                    self.clock.advance(121)
                else:
                    self.peer.lose()
                self.fails(delivering, TimedOut if silent else ConnectionLost, usable=False)
                self.assertTrue(self.peer.closed)
        self.assertEqual(self.dot.calls, 0)

    def test_in_the_content(self) -> None:
        """So does one lost, or stuck for three minutes, in the middle of the content."""
        for stuck in (False, True):
            self.prepare(greedy=False)
            delivering = self.until_data(evolve(MESSAGE, data=b"x" * 300_000))
            self.peer.say("354 go")
            self.peer.pull()
            if stuck:
                self.clock.advance(181)
            else:
                self.peer.lose()
            self.fails(delivering, TimedOut if stuck else ConnectionLost, usable=False)
        self.assertEqual(self.dot.calls, 0)

    def test_during_the_note(self) -> None:
        """A connection lost while the caller makes its note: not sent."""
        self.dot.waiting = Deferred()
        delivering = self.until_data()
        self.peer.say("354 go")
        self.peer.lose()
        self.dot.waiting.callback(None)
        self.fails(delivering, ConnectionLost, usable=False)

    def test_failed_note(self) -> None:
        """If the note fails, the message is not sent."""
        self.dot.error = RuntimeError("no store")
        delivering = self.until_data()
        self.peer.say("354 go")
        self.fails(delivering, RuntimeError, usable=False)
        self.assertTrue(self.peer.closed)
        self.assertFalse(self.peer.heard().endswith(b"\r\n.\r\n"))

    def test_after_the_dot(self) -> None:
        """A connection lost, garbage or ten minutes of silence after the final dot: nobody knows."""
        for what in ("lost", "silent", "garbage"):
            self.prepare()
            delivering = self.until_data()
            self.peer.say("354 go")
            if what == "lost":
                self.peer.lose()
            elif what == "garbage":
                self.peer.say("what?")
            else:
                self.clock.advance(599)
                self.assertNoResult(delivering)
                self.clock.advance(2)
            error = self.fails(delivering, OutcomeUnknown, usable=False)
            self.assertIsNotNone(error.__cause__)

    def test_cancelled(self) -> None:
        """Cancelling ends the connection at every stage, and nothing is left."""
        for stage in range(4):
            self.prepare()
            delivering = self.deliver()
            for reply in self.STAGES[:stage]:
                self.peer.say(reply)
            delivering.cancel()
            self.fails(delivering, CancelledError, usable=False)
            self.assertTrue(self.peer.closed)


class LeavingTests(SessionCase):
    def test_quit(self) -> None:
        """Leaving says QUIT, and returns when the connection is gone; again it returns at once."""
        self.successResultOf(Deferred.fromCoroutine(self.session.leave()))
        self.assertEqual(self.peer.heard(), b"QUIT\r\n")
        self.successResultOf(Deferred.fromCoroutine(self.session.leave()))
        self.assertTrue(quiet(self.clock))

    def test_dead_at_reset(self) -> None:
        """A session whose server is gone, silent or confused does not survive RSET."""
        for what in ("lost", "silent", "refusing", "garbage"):
            self.prepare()
            resetting = Deferred.fromCoroutine(self.session.reset())
            if what == "lost":
                self.peer.lose()
            elif what == "silent":
                self.clock.advance(11)
            else:
                self.peer.say("500 what" if what == "refusing" else "?")
            self.assertFalse(self.successResultOf(resetting))
