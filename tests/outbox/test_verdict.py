"""What a failed delivery means."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import (
    ConnectFailed,
    ConnectionLost,
    InvalidInput,
    MissingExtension,
    NotFound,
    ProtocolFault,
    SmtpRefused,
    TimedOut,
    TlsFailed,
)
from emailengine.outbox.verdict import Again, Fault, GiveUp, describe, judge
from emailengine.smtp.faults import LoginRefused, OutcomeUnknown, RecipientsRefused, Refusal

NOW = 1_000_000.0


def refused(code: int) -> SmtpRefused:
    return SmtpRefused(code, f"{code} no", command="RCPT TO")


def unknown(cause: Exception) -> OutcomeUnknown:
    error = OutcomeUnknown("The message was sent, but not confirmed")
    error.__cause__ = cause
    return error


FINAL = [
    refused(550),
    refused(500),
    refused(554),
    RecipientsRefused([Refusal("a@x", 550, "550 no"), Refusal("b@x", 551, "551 no")]),
    LoginRefused("no", reply_code=535, response="535 no", command="AUTH PLAIN"),
    LoginRefused("The server offers no login that fits"),
    InvalidInput("The message has no recipients", code="EENVELOPE"),
    MissingExtension("no SMTPUTF8"),
]
LATER = [
    refused(450),
    refused(421),
    refused(503),
    RecipientsRefused([Refusal("a@x", 550, "550 no"), Refusal("b@x", 450, "450 later")]),
    LoginRefused("not now", reply_code=454, response="454 not now"),
    ConnectFailed("no", code="ECONNREFUSED"),
    ConnectFailed("no", code="ENOTFOUND"),
    ConnectFailed("no", code="550"),
    TlsFailed("expired", code="CERT_HAS_EXPIRED"),
    TlsFailed("no STARTTLS", transient=False),
    ConnectionLost("gone", code="ECONNECTION"),
    ProtocolFault("nonsense", code="EPROTOCOL"),
    TimedOut("silence"),
    unknown(TimedOut("silence")),
    NotFound("no SMTP", code="SMTPUnavailable"),
    ValueError("550"),
]


class JudgeTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """What the server itself refuses for good, and what no attempt could hand over, ends at once."""
        for error in FINAL:
            self.assertEqual(judge(error, 1, 10, NOW, lambda: 0.0), GiveUp(refused=True), repr(error))

    def test_later(self) -> None:
        """Everything else is tried again, however it looks: our own conclusions are not the server's word."""
        for error in LATER:
            self.assertEqual(judge(error, 1, 10, NOW, lambda: 0.0), Again(NOW + 5.0), repr(error))

    def test_enough(self) -> None:
        """The last attempt is the one with the number of attempts."""
        self.assertEqual(judge(refused(450), 9, 10, NOW, lambda: 0.0), Again(NOW + 1280.0))
        self.assertEqual(judge(refused(450), 10, 10, NOW, lambda: 0.0), GiveUp(refused=False))
        self.assertEqual(judge(refused(450), 1, 1, NOW, lambda: 0.0), GiveUp(refused=False))

    def test_delays(self) -> None:
        """Delays double from 5 seconds up to an hour, and chance takes off a fifth at most."""
        waits = [judge(refused(450), n, 1000, 0.0, lambda: 0.0) for n in (1, 2, 3, 4, 10, 11, 900)]
        self.assertEqual([one.at for one in waits if isinstance(one, Again)], [5, 10, 20, 40, 2560, 3600, 3600])
        self.assertEqual(judge(refused(450), 1, 10, 0.0, lambda: 1.0), Again(4.0))


class DescribeTests(SynchronousTestCase):
    def test_replies(self) -> None:
        """A server's reply is told with its code, its text and the command it answered."""
        fault = describe(refused(550))
        self.assertEqual(
            fault,
            Fault(
                message="RCPT TO was refused: 550 no",
                code="EENVELOPE",
                response="550 no",
                reply_code=550,
                command="RCPT TO",
            ),
        )
        login = describe(LoginRefused("no", reply_code=535, response="535 no", command="AUTH PLAIN"))
        self.assertEqual(
            (login.code, login.response, login.reply_code, login.command), ("EAUTH", "535 no", 535, "AUTH PLAIN")
        )

    def test_codes(self) -> None:
        """What no server said has a word of the network for it, and never a reply."""
        table = [
            (TimedOut("x"), "ETIMEDOUT"),
            (ConnectFailed("x", code="ECONNREFUSED"), "ECONNREFUSED"),
            (ConnectionLost("x"), "ECONNECTION"),
            (unknown(TimedOut("x")), "ETIMEDOUT"),
            (unknown(ConnectionLost("x", code="ECONNECTION")), "ECONNECTION"),
            (LoginRefused("x"), "EAUTH"),
            (ValueError("secret"), None),
        ]
        for error, code in table:
            fault = describe(error)
            self.assertEqual((fault.code, fault.response, fault.reply_code), (code, None, None), repr(error))
        self.assertNotIn("secret", describe(ValueError("secret")).message)
