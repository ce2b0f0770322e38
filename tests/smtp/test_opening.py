"""Opening an SMTP session: greeting, EHLO, STARTTLS, login, and each of their failures."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost as TransportLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectFailed, ConnectionLost, ProtocolFault, SmtpRefused, TimedOut, TlsFailed
from emailengine.smtp.faults import LoginRefused
from emailengine.smtp.opening import open_session
from emailengine.smtp.session import Session
from emailengine.smtp.target import Patience, SmtpTarget
from emailengine.wire import sasl
from tests.smtp.peer import TARGET, Contexts, Creator, Dialer, Login, Peer, quiet

PASSWORD = Login("jo", "geheim")
TOKEN = Login("jo", access_token="ya29.token")


class OpeningCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dialer = Dialer()

    def open(self, credentials: Login | None = None, target: SmtpTarget = TARGET) -> Deferred[Session]:
        return Deferred.fromCoroutine(
            open_session(
                clock=self.clock,
                dialer=self.dialer,
                contexts=Contexts(),
                target=target,
                credentials=credentials,
                ehlo_name="client.example.com",
                patience=Patience(),
            )
        )

    @property
    def peer(self) -> Peer:
        return self.dialer.peers[-1]

    def fails(self, opening: Deferred[Session], kind: type[Exception]) -> Any:
        error = self.failureResultOf(opening, kind).value
        self.assertTrue(self.peer.closed)
        self.assertTrue(quiet(self.clock))
        return error


class HelloTests(OpeningCase):
    def test_plain(self) -> None:
        """Without STARTTLS and credentials, greeting and EHLO are all."""
        opening = self.open()
        self.peer.say("220-mail", "220 ESMTP")
        self.peer.answer(("EHLO client.example.com", "250-mail\n250-SIZE 1000\n250 PIPELINING"))
        session = self.successResultOf(opening)
        self.assertEqual(session.extensions, {"SIZE": "1000", "PIPELINING": ""})
        self.assertTrue(session.usable)
        self.assertTrue(quiet(self.clock))
        self.assertIsNone(self.dialer.asked[0]["tls"])

    def test_implicit_tls(self) -> None:
        """Implicit TLS is the dialer's work; STARTTLS is then not used."""
        opening = self.open(target=evolve(TARGET, secure=True, port=465, proxy="socks5://p", local_address="192.0.2.1"))
        self.assertEqual(self.dialer.asked[0]["tls"], "policy")
        self.assertEqual(self.dialer.asked[0]["proxy"], "socks5://p")
        self.assertEqual(self.dialer.asked[0]["local_address"], "192.0.2.1")
        self.peer.say("220 hi")
        self.peer.answer(("EHLO client.example.com", "250-mail\n250 STARTTLS"))
        self.successResultOf(opening)

    def test_helo(self) -> None:
        """A server that knows no EHLO is greeted with HELO."""
        opening = self.open()
        self.peer.say("220 hi")
        self.peer.answer(("EHLO client.example.com", "502 what?"), ("HELO client.example.com", "250 ok"))
        self.assertEqual(self.successResultOf(opening).extensions, {})

    def test_no_helo_with_credentials(self) -> None:
        """With credentials there is no falling back to HELO."""
        opening = self.open(PASSWORD)
        self.peer.say("220 hi")
        self.peer.answer(("EHLO client.example.com", "502 what?"))
        self.assertEqual(self.fails(opening, SmtpRefused).command, "EHLO")

    def test_refused_greeting(self) -> None:
        """A greeting other than 220 is the server's refusal, with its words."""
        for reply, transient in (("421 4.3.2 busy", True), ("554 5.7.1 go away", False)):
            opening = self.open()
            self.peer.say(reply)
            error = self.fails(opening, SmtpRefused)
            self.assertEqual((error.response, error.transient, error.command), (reply, transient, "CONN"))

    def test_refused_hello(self) -> None:
        """A refused HELO, and a transient refusal of EHLO, end the opening."""
        opening = self.open()
        self.peer.say("220 hi")
        self.peer.answer(("EHLO client.example.com", "451 later"))
        self.assertEqual(self.fails(opening, SmtpRefused).reply_code, 451)
        opening = self.open()
        self.peer.say("220 hi")
        self.peer.answer(("EHLO client.example.com", "500 no"), ("HELO client.example.com", "550 no"))
        self.assertEqual(self.fails(opening, SmtpRefused).command, "HELO")

    def test_no_connection(self) -> None:
        """The dialer's error comes through."""
        self.dialer.error = ConnectFailed("refused", code="ECONNREFUSED")
        self.assertEqual(self.failureResultOf(self.open(), ConnectFailed).value.code, "ECONNREFUSED")

    def test_silence(self) -> None:
        """A server that says nothing is left after the budget for opening."""
        opening = self.open()
        self.clock.advance(61)
        self.assertEqual(self.fails(opening, TimedOut).code, "ETIMEDOUT")

    def test_one_budget(self) -> None:
        """Greeting and EHLO share one budget."""
        opening = self.open()
        self.clock.advance(40)
        self.peer.say("220 hi")
        self.clock.advance(21)
        self.fails(opening, TimedOut)

    def test_lost(self) -> None:
        """A connection that ends while we wait is reported as lost."""
        for reason in (None, TransportLost("reset")):
            opening = self.open()
            self.peer.lose(reason)
            self.fails(opening, ConnectionLost)

    def test_not_smtp(self) -> None:
        """A server of another protocol, or one that never ends its line, is a fault."""
        opening = self.open()
        self.peer.say("HTTP/1.1 400 Bad Request")
        self.fails(opening, ProtocolFault)
        opening = self.open()
        self.peer.connection.dataReceived(b"x" * 40_000)
        self.fails(opening, ProtocolFault)

    def test_unasked_replies(self) -> None:
        """A flood of replies nobody asked for is a fault."""
        opening = self.open()
        self.peer.say("220 hi", *["250 what"] * 10)
        self.fails(opening, ProtocolFault)

    def test_cancelled(self) -> None:
        """Cancelling ends the connection and leaves no timer."""
        opening = self.open()
        opening.cancel()
        self.fails(opening, CancelledError)

    def test_line_feeds(self) -> None:
        """Replies may end with LF alone, and come in any pieces."""
        opening = self.open()
        for octet in b"220 hi\n":
            self.peer.connection.dataReceived(bytes((octet,)))
        self.peer.heard()
        self.peer.connection.dataReceived(b"250-mail\n250 SIZE\n")
        self.assertIn("SIZE", self.successResultOf(opening).extensions)


class StartTlsTests(OpeningCase):
    def until_starttls(self, target: SmtpTarget = TARGET) -> Deferred[Session]:
        opening = self.open(target=target)
        self.peer.say("220 hi")
        self.peer.answer(("EHLO client.example.com", "250-mail\n250-AUTH PLAIN\n250 STARTTLS"))
        return opening

    def test_offered(self) -> None:
        """When offered it is used, with the target's policy, and what was said before is forgotten."""
        opening = self.until_starttls()
        self.peer.answer(("STARTTLS", "220 go"))
        (creator,) = self.peer.tls
        assert isinstance(creator, Creator)
        self.assertEqual((creator.policy, creator.host), ("policy", "mail.example.com"))
        self.peer.answer(("EHLO client.example.com", "250-mail\n250 SIZE 5"))
        session = self.successResultOf(opening)
        self.assertEqual(session.extensions, {"SIZE": "5"})
        self.assertTrue(session.connection.secure)

    def test_injected(self) -> None:
        """Octets behind the 220 end the connection: they were sent without TLS."""
        opening = self.until_starttls()
        self.peer.heard()
        self.peer.connection.dataReceived(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n")
        self.fails(opening, TlsFailed)
        self.assertEqual(self.peer.tls, [])
        self.assertEqual(self.peer.heard(), b"")

    def test_injected_part(self) -> None:
        """Even a single octet behind the 220 does."""
        opening = self.until_starttls()
        self.peer.connection.dataReceived(b"220 go\r\n2")
        self.fails(opening, TlsFailed)

    def test_not_granted(self) -> None:
        """A refusal never leads back to clear text."""
        opening = self.until_starttls()
        self.peer.answer(("STARTTLS", "454 not now"))
        error = self.fails(opening, SmtpRefused)
        self.assertEqual((error.command, error.transient), ("STARTTLS", True))

    def test_required(self) -> None:
        """Where it is required and not offered, nothing further is said."""
        opening = self.open(PASSWORD, evolve(TARGET, starttls="required"))
        self.peer.say("220 hi")
        self.peer.answer(("EHLO client.example.com", "250-mail\n250 AUTH PLAIN"))
        self.assertFalse(self.fails(opening, TlsFailed).transient)
        self.assertEqual(self.peer.heard(), b"")

    def test_never(self) -> None:
        """Where it is not wanted, an offer is ignored."""
        self.successResultOf(self.until_starttls(evolve(TARGET, starttls="never")))

    def test_bad_certificate(self) -> None:
        """A failed handshake is told as such."""
        opening = self.until_starttls()
        self.peer.answer(("STARTTLS", "220 go"))
        self.peer.lose(SSL.Error([("SSL routines", "", "certificate verify failed")]))
        self.assertIn("certificate verify failed", str(self.fails(opening, TlsFailed)))

    def test_certificate_judged(self) -> None:
        """Whoever judged the certificate says why it was refused, in the usual word."""
        opening = self.open()
        self.peer.lose(TlsFailed("certificate has expired", code="CERT_HAS_EXPIRED"))
        self.assertEqual(self.fails(opening, TlsFailed).code, "CERT_HAS_EXPIRED")


class LoginTests(OpeningCase):
    def until_login(self, credentials: Login, offer: str) -> Deferred[Session]:
        opening = self.open(credentials)
        self.peer.say("220 hi")
        self.peer.answer(("EHLO client.example.com", f"250-mail\n250 AUTH {offer}"))
        return opening

    def test_plain(self) -> None:
        """PLAIN goes with its initial response, once, without an authorization identity."""
        opening = self.until_login(PASSWORD, "LOGIN PLAIN CRAM-MD5")
        self.peer.answer((f"AUTH PLAIN {sasl.b64(b'%cjo%cgeheim' % (0, 0)).decode()}", "235 welcome"))
        self.successResultOf(opening)

    def test_login(self) -> None:
        """LOGIN answers the prompts."""
        opening = self.until_login(PASSWORD, "LOGIN")
        self.peer.answer(("AUTH LOGIN", "334 VXNlcm5hbWU6"), ("am8=", "334 UGFzc3dvcmQ6"), ("Z2VoZWlt", "235 ok"))
        self.successResultOf(opening)

    def test_plain_not_really(self) -> None:
        """A server that offers PLAIN but does not know it gets LOGIN."""
        opening = self.until_login(PASSWORD, "PLAIN LOGIN")
        self.peer.heard()
        self.peer.say("504 unrecognised")
        self.peer.answer(("AUTH LOGIN", "334 "), ("am8=", "334 "), ("Z2VoZWlt", "235 ok"))
        self.successResultOf(opening)

    def test_token(self) -> None:
        """XOAUTH2 sends the token in one line, however long."""
        long = Login("jo", access_token="t" * 3000)
        opening = self.until_login(long, "PLAIN XOAUTH2")
        line = self.peer.heard()
        self.assertTrue(line.startswith(b"AUTH XOAUTH2 "))
        self.assertEqual(line.count(b"\n"), 1)
        self.peer.say("235 ok")
        self.successResultOf(opening)

    def test_refused_token(self) -> None:
        """The account of a refused token is answered as the mechanism wants, then the refusal is told."""
        for offer, answer in (("XOAUTH2", ""), ("OAUTHBEARER", "AQ==")):
            opening = self.until_login(TOKEN, offer)
            self.peer.heard()
            self.peer.say("334 eyJzdGF0dXMiOiI0MDEifQ==")
            self.peer.answer((answer, "535 5.7.8 no"))
            error = self.fails(opening, LoginRefused)
            self.assertEqual((error.reply_code, error.response, error.command), (535, "535 5.7.8 no", f"AUTH {offer}"))

    def test_unproven(self) -> None:
        """A server that offers SCRAM-SHA-256 alone, and lets us in without its own proof, is not believed."""
        opening = self.until_login(PASSWORD, "SCRAM-SHA-256")
        self.assertTrue(self.peer.heard().startswith(b"AUTH SCRAM-SHA-256 "))
        self.peer.say("235 welcome")
        self.fails(opening, ProtocolFault)

    def test_refused_password(self) -> None:
        """A 5xx refuses the credentials for good; neither error nor repr shows the secret."""
        opening = self.until_login(PASSWORD, "PLAIN")
        self.peer.heard()
        quoted = sasl.b64(b"geheim").decode()
        self.peer.say(f"535 5.7.8 geheim {quoted} is wrong")
        error = self.fails(opening, LoginRefused)
        self.assertEqual(str(error), "Login was refused: 535 5.7.8 *** *** is wrong")
        self.assertFalse(error.transient)
        self.assertNotIn("geheim", repr(vars(error)) + repr(vars(self.peer.connection)["log"].log))

    def test_refused_for_now(self) -> None:
        """A 4xx says nothing about the credentials."""
        opening = self.until_login(PASSWORD, "PLAIN")
        self.peer.heard()
        self.peer.say("454 4.7.0 try later")
        self.assertTrue(self.fails(opening, SmtpRefused).transient)

    def test_nothing_fits(self) -> None:
        """Without a fitting mechanism nothing is said."""
        for login, offer in ((PASSWORD, "XOAUTH2"), (TOKEN, "PLAIN"), (PASSWORD, "")):
            opening = self.until_login(login, offer)
            self.assertEqual(self.peer.heard(), b"")
            self.fails(opening, LoginRefused)

    def test_unsayable(self) -> None:
        """A password that cannot be said is refused without being sent."""
        opening = self.until_login(Login("jo", "a\0b"), "PLAIN")
        self.assertNotIn("a\0b", str(self.fails(opening, LoginRefused)))
        self.assertEqual(self.peer.heard(), b"")

    def test_endless(self) -> None:
        """A dialogue that asks on and on is cancelled or given up."""
        opening = self.until_login(PASSWORD, "PLAIN")
        self.peer.heard()
        self.peer.say("334 more")
        self.peer.answer(("*", "501 cancelled"))
        self.fails(opening, LoginRefused)
        opening = self.until_login(TOKEN, "XOAUTH2")
        for _ in range(7):
            self.peer.say("334 more")
        self.fails(opening, ProtocolFault)
