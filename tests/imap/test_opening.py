"""From a greeting to a session: what is said, in which order, and what goes wrong on the way."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost as TwistedLost
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import (
    AuthenticationRefused,
    ConnectFailed,
    ConnectionLost,
    Meaning,
    ProtocolFault,
    TimedOut,
    TlsFailed,
)
from emailengine.net.credentials import Credentials
from tests.imap.case import OpeningCase
from tests.imap.peer import TARGET, Opening

SECURE = attrs.evolve(TARGET, secure=True, port=993)
PLAIN = base64.b64encode(b"\0anna\0secret").decode()
TOKEN = Credentials(user="anna", access_token="t0ken")


class OpeningTests(OpeningCase):
    def test_few_round_trips(self) -> None:
        """Where the server tells its capabilities by itself they are not asked for; ID and ENABLE go together."""
        opening = Opening(self.clock, SECURE)
        self.assertEqual(opening.dialer.asked[0]["tls"], SECURE.tls)
        opening.peer.say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] hello")
        opening.peer.answer(
            (f"AUTHENTICATE PLAIN {PLAIN}", ". OK [CAPABILITY IMAP4rev1 ID ENABLE QRESYNC CONDSTORE] in")
        )
        self.assertEqual(opening.peer.heard(), '2 ID ("name" "emailengine")\r\n3 ENABLE CONDSTORE QRESYNC\r\n')
        opening.peer.say('* ID ("name" "Server" "version" NIL)', "2 OK", "* ENABLED QRESYNC", "3 OK")
        session = self.successResultOf(opening.session)
        self.assertEqual(session.capabilities, {"IMAP4REV1", "ID", "ENABLE", "QRESYNC", "CONDSTORE"})
        self.assertEqual(session.server, {"name": "Server", "version": None})
        self.assertTrue(session.alive)
        self.assertEqual(opening.news, [])

    def test_taciturn_server(self) -> None:
        """Capabilities are asked for before and after login; without SASL the password goes by LOGIN."""
        opening = Opening(self.clock)
        opening.peer.say("* OK hello")
        opening.peer.answer(
            ("CAPABILITY", "* CAPABILITY IMAP4\n. OK"),
            ('LOGIN "anna" "secret"', ". OK"),
            ("CAPABILITY", "* CAPABILITY IMAP4 IDLE\n. OK done"),
        )
        self.assertEqual(self.successResultOf(opening.session).capabilities, {"IMAP4", "IDLE"})

    def test_wide_password(self) -> None:
        """A password that no quoted string holds is a literal, each part sent when the server asks for it."""
        opening = Opening(self.clock, credentials=Credentials(user="anna", password='pä"ss'))
        opening.peer.say("* OK [CAPABILITY IMAP4]")
        self.assertEqual(opening.peer.heard(), '1 LOGIN "anna" {6}\r\n')
        opening.peer.say("+ go")
        self.assertEqual(opening.peer.heard(), 'pä"ss\r\n')
        opening.peer.say("1 OK [CAPABILITY IMAP4] in")
        self.successResultOf(opening.session)

    def test_challenges(self) -> None:
        """Without SASL-IR the response follows the server's `+`; AUTH=LOGIN is a dialogue."""
        opening = Opening(self.clock)
        opening.peer.say("* OK [CAPABILITY IMAP4 AUTH=PLAIN]")
        self.assertEqual(opening.peer.heard(), "1 AUTHENTICATE PLAIN\r\n")
        opening.peer.say("+")
        self.assertEqual(opening.peer.heard(), PLAIN + "\r\n")
        opening.peer.say("1 OK [CAPABILITY IMAP4] in")
        self.successResultOf(opening.session)
        opening = Opening(self.clock, SECURE)
        opening.peer.say("* OK [CAPABILITY IMAP4 AUTH=LOGIN LOGINDISABLED]")
        opening.peer.heard()
        for asked, said in (("VXNlcg==", b"anna"), ("UGFzcw==", b"secret")):
            opening.peer.say(f"+ {asked}")
            self.assertEqual(opening.peer.heard(), base64.b64encode(said).decode() + "\r\n")
        opening.peer.say("1 OK [CAPABILITY IMAP4] in")
        self.successResultOf(opening.session)

    def test_token(self) -> None:
        """A token goes by XOAUTH2 in one line; the server's account of a refusal is answered, and the error is its NO."""
        long = Credentials(user="anna", access_token="t" * 3000)
        opening = Opening(self.clock, SECURE, long)
        opening.peer.say("* OK [CAPABILITY IMAP4 SASL-IR AUTH=PLAIN AUTH=XOAUTH2]")
        said = opening.peer.heard()
        self.assertEqual(said.count("\n"), 1)
        self.assertIn(b"auth=Bearer ttt", base64.b64decode(said.split()[-1]))
        opening.peer.say("+ " + base64.b64encode(json.dumps({"status": "400"}).encode()).decode())
        self.assertEqual(opening.peer.heard(), "\r\n")
        opening.peer.say("1 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)")
        error = self.failed(opening, AuthenticationRefused)
        self.assertEqual((error.code, error.message), ("AUTHENTICATIONFAILED", "Invalid credentials (Failure) (400)"))

    def test_refused(self) -> None:
        """Refused credentials keep the server's code and words, without the secret if it quotes it."""
        for answer, code, text in (
            ("NO [AUTHENTICATIONFAILED] Sorry.", "AUTHENTICATIONFAILED", "Sorry."),
            ("NO [ALERT] Application-specific password required", "ALERT", "Application-specific password required"),
            ("no bad password secret", "AUTHENTICATIONFAILED", "bad password ***"),
            ("NO", "AUTHENTICATIONFAILED", "The mail server refused the credentials"),
        ):
            opening = Opening(self.clock)
            opening.peer.say("* OK [CAPABILITY IMAP4]")
            opening.peer.answer(('LOGIN "anna" "secret"', f". {answer}"))
            error = self.failed(opening, AuthenticationRefused)
            self.assertEqual((error.code, error.message), (code, text))

    def test_not_now(self) -> None:
        """A server that lets nobody in has not refused the credentials."""
        for answer in (
            "NO [UNAVAILABLE] Backend down",
            "NO [INUSE] Locked",
            "NO [ALERT] Too many simultaneous connections. (Failure)",
            "NO Temporary authentication failure.",
        ):
            opening = Opening(self.clock)
            opening.peer.say("* OK [CAPABILITY IMAP4]")
            opening.peer.answer(('LOGIN "anna" "secret"', f". {answer}"))
            self.assertTrue(self.failed(opening, ConnectFailed).transient)

    def test_plain_not_understood(self) -> None:
        """BAD to AUTHENTICATE is no refusal: LOGIN is tried."""
        opening = Opening(self.clock)
        opening.peer.say("* OK [CAPABILITY IMAP4 SASL-IR AUTH=PLAIN]")
        opening.peer.answer(
            (f"AUTHENTICATE PLAIN {PLAIN}", ". BAD what"), ('LOGIN "anna" "secret"', ". OK [CAPABILITY IMAP4] in")
        )
        self.successResultOf(opening.session)

    def test_no_fitting_login(self) -> None:
        """A token without a mechanism for it, or a server that allows no login in the clear, sends no secret."""
        opening = Opening(self.clock, SECURE, TOKEN)
        opening.peer.say("* OK [CAPABILITY IMAP4 AUTH=PLAIN]")
        self.assertEqual(self.failed(opening, AuthenticationRefused).code, "ENOAUTH")
        opening = Opening(self.clock)
        opening.peer.say("* OK [CAPABILITY IMAP4 LOGINDISABLED]")
        self.failed(opening, TlsFailed)
        self.assertEqual(opening.peer.heard(), "")

    def test_starttls(self) -> None:
        """STARTTLS is used when offered; what was said before it counts for nothing afterwards."""
        opening = Opening(self.clock)
        opening.peer.say("* OK [CAPABILITY IMAP4 STARTTLS AUTH=XOAUTH2]")
        opening.peer.answer(("STARTTLS", ". OK begin"))
        self.assertEqual(opening.peer.tls, [(TARGET.tls, "mail.example.com")])
        opening.peer.answer(
            ("CAPABILITY", "* CAPABILITY IMAP4\n. OK"), ('LOGIN "anna" "secret"', ". OK [CAPABILITY IMAP4] in")
        )
        self.successResultOf(opening.session)

    def test_injected(self) -> None:
        """Anything in the segment of the OK to STARTTLS, be it half a line, ends the connection before TLS."""
        for more in ("* CAPABILITY IMAP4 AUTH=PLAIN\r\n", "* OK half a li", "2 OK\r\n", "* LIST {3}\r\n"):
            opening = Opening(self.clock)
            opening.peer.say("* OK [CAPABILITY IMAP4 STARTTLS]")
            opening.peer.heard()
            opening.peer.connection.dataReceived(b"1 OK begin\r\n" + more.encode())
            self.failed(opening, TlsFailed)
            self.assertEqual((opening.peer.tls, opening.peer.heard()), ([], ""))

    def test_starttls_refused_or_missing(self) -> None:
        """An offered STARTTLS that is refused, or a required one that is not offered, never leads to clear text."""
        opening = Opening(self.clock)
        opening.peer.say("* OK [CAPABILITY IMAP4 STARTTLS]")
        opening.peer.answer(("STARTTLS", ". NO not today"))
        self.failed(opening, TlsFailed)
        required = attrs.evolve(TARGET, starttls="required")
        for greeting in ("* OK [CAPABILITY IMAP4]", "* PREAUTH [CAPABILITY IMAP4 STARTTLS]"):
            opening = Opening(self.clock, required)
            opening.peer.say(greeting)
            self.failed(opening, TlsFailed)
            self.assertEqual(opening.peer.heard(), "")

    def test_starttls_never(self) -> None:
        """It is not used where that was asked for."""
        opening = Opening(self.clock, attrs.evolve(TARGET, starttls="never"))
        opening.peer.say("* OK [CAPABILITY IMAP4 STARTTLS]")
        self.assertEqual(opening.peer.heard(), '1 LOGIN "anna" "secret"\r\n')
        opening.peer.say("1 OK [CAPABILITY IMAP4] in")
        self.successResultOf(opening.session)

    def test_extras_refused(self) -> None:
        """A server that refuses ID, ENABLE or NAMESPACE is as good as before."""
        opening = Opening(self.clock)
        opening.peer.say("* PREAUTH [CAPABILITY IMAP4 ID ENABLE CONDSTORE NAMESPACE]")
        opening.peer.say("1 BAD what", "2 NO no", "3 BAD what")
        session = self.successResultOf(opening.session)
        self.assertTrue(session.alive)
        self.assertEqual((session.enabled, session.namespaces, session.encrypted), (frozenset(), None, False))

    def test_bad_greetings(self) -> None:
        """BYE, another protocol, or garbage as a greeting."""
        for line, kind in (
            ("* BYE [UNAVAILABLE] Too many connections", ConnectionLost),
            ("* BYE", ConnectionLost),
            ("* NO what", ProtocolFault),
            ("220 smtp.example.com ESMTP", ProtocolFault),
            ("HTTP/1.1 400 Bad Request", ProtocolFault),
        ):
            opening = Opening(self.clock)
            opening.peer.say(line)
            self.failed(opening, kind)

    def test_silence(self) -> None:
        """A server that does not greet is given up after 20 seconds, one that stops on the way at the end of the time."""
        opening = Opening(self.clock)
        self.clock.advance(20)
        self.assertEqual(self.failed(opening, TimedOut).code, "ETIMEDOUT")
        opening = Opening(self.clock, timeout=45)
        opening.peer.say("* OK [CAPABILITY IMAP4]")
        self.clock.advance(44)
        self.assertNoResult(opening.session)
        self.clock.advance(1)
        self.assertIn("45 seconds", self.failed(opening, TimedOut).message)

    def test_lost(self) -> None:
        """A connection that ends on the way says why, with the server's farewell or the certificate's fault."""
        opening = Opening(self.clock)
        opening.peer.say("* OK [CAPABILITY IMAP4]", "* BYE shutting down")
        opening.peer.lose()
        lost = self.failed(opening, ConnectionLost)
        assert isinstance(lost, ConnectionLost)
        self.assertIn("shutting down", lost.message)
        self.assertIs(lost.meaning, Meaning.UNAVAILABLE)
        opening = Opening(self.clock, SECURE)
        opening.peer.lose(TlsFailed("expired", code="CERT_HAS_EXPIRED"))
        self.assertEqual(self.failed(opening, TlsFailed).code, "CERT_HAS_EXPIRED")
        opening = Opening(self.clock)
        opening.peer.lose(TwistedLost())
        self.failed(opening, ConnectionLost)

    def test_cancelled(self) -> None:
        """Who does not want the session any more leaves no connection behind."""
        opening = Opening(self.clock)
        opening.peer.say("* OK [CAPABILITY IMAP4]")
        opening.session.addErrback(lambda _: None)
        opening.session.cancel()
        self.assertTrue(opening.peer.closed)

    def test_sent_away(self) -> None:
        """A farewell for a greeting says what it means, and how long to stay away."""
        for words, meaning, wait in (
            ("[UNAVAILABLE] Too many connections", Meaning.LIMIT, None),
            ("Server Unavailable. 15", Meaning.UNAVAILABLE, None),
            ("Request is throttled. Suggested Backoff Time: 2500 milliseconds", Meaning.THROTTLED, 2.5),
        ):
            opening = Opening(self.clock)
            opening.peer.say(f"* BYE {words}")
            error = self.failureResultOf(opening.session, ConnectionLost).value
            self.assertEqual((error.meaning, error.retry_after), (meaning, wait))


class EquippingTests(SynchronousTestCase):
    """What is switched on and asked once the login is through."""

    def setUp(self) -> None:
        self.clock = Clock()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def preauth(self, capabilities: str, **options: Any) -> Opening:
        opening = Opening(self.clock, client_id=options.pop("client_id", None), **options)
        opening.peer.say(f"* PREAUTH [CAPABILITY {capabilities}]")
        return opening

    def test_names_in_utf8(self) -> None:
        """What comes in the same segment behind the answer to ENABLE is read as UTF-8; what was not asked counts not."""
        opening = self.preauth("IMAP4rev1 ENABLE CONDSTORE UTF8=ACCEPT NAMESPACE")
        self.assertEqual(opening.peer.heard(), "1 ENABLE CONDSTORE UTF8=ACCEPT\r\n2 NAMESPACE\r\n")
        opening.peer.say(
            "* ENABLED CONDSTORE utf8=accept X-MORE", "1 OK", '* NAMESPACE (("Bücher&-" "/")) NIL NIL', "2 OK"
        )
        session = self.successResultOf(opening.session)
        self.assertEqual(session.enabled, {"CONDSTORE", "UTF8=ACCEPT"})
        assert session.namespaces is not None
        self.assertEqual([one.prefix for one in session.namespaces.personal], ["Bücher&-"])
        self.assertTrue(opening.peer.connection.utf8)

    def test_names_in_ascii(self) -> None:
        """Where the server did not agree to UTF-8, names stay modified UTF-7, whatever it says it has enabled."""
        for asked, answer in (
            ("UTF8=ACCEPT CONDSTORE", ("* ENABLED CONDSTORE", "1 OK")),
            ("CONDSTORE", ("* ENABLED UTF8=ACCEPT CONDSTORE", "1 OK")),
        ):
            opening = self.preauth(f"IMAP4rev1 ENABLE {asked}")
            opening.peer.say(*answer)
            self.assertEqual(self.successResultOf(opening.session).enabled, {"CONDSTORE"})
            self.assertFalse(opening.peer.connection.utf8)

    def test_fewer(self) -> None:
        """A server that refuses the whole ENABLE for one new word gets one with the old ones only."""
        opening = self.preauth("IMAP4rev1 IMAP4rev2 ENABLE QRESYNC CONDSTORE UTF8=ONLY")
        self.assertEqual(opening.peer.heard(), "1 ENABLE CONDSTORE QRESYNC UTF8=ACCEPT IMAP4REV2\r\n")
        opening.peer.say("1 BAD what")
        self.assertEqual(opening.peer.heard(), "2 ENABLE CONDSTORE QRESYNC\r\n")
        opening.peer.say("* ENABLED QRESYNC CONDSTORE", "2 OK")
        self.assertEqual(self.successResultOf(opening.session).enabled, {"QRESYNC", "CONDSTORE"})
        opening = self.preauth("IMAP4rev1 ENABLE QRESYNC CONDSTORE")
        opening.peer.say("1 BAD what")
        self.assertEqual(self.successResultOf(opening.session).enabled, frozenset())

    def test_rev2(self) -> None:
        """IMAP4rev2 is switched on where both are offered, is on where nothing else is, and is left alone on request."""
        opening = self.preauth("IMAP4rev1 IMAP4rev2")
        opening.peer.answer(("ENABLE IMAP4REV2", "* ENABLED IMAP4rev2\n. OK"))
        session = self.successResultOf(opening.session)
        self.assertEqual(session.enabled, {"IMAP4REV2"})
        self.assertTrue(opening.peer.connection.utf8)
        opening = self.preauth("IMAP4rev2")
        opening.peer.answer(("NAMESPACE", ". OK"))
        self.assertEqual(self.successResultOf(opening.session).enabled, {"IMAP4REV2"})
        self.assertTrue(opening.peer.connection.utf8)
        opening = self.preauth("IMAP4rev1 IMAP4rev2", target=attrs.evolve(TARGET, rev2=False))
        session = self.successResultOf(opening.session)
        self.assertEqual(
            (opening.peer.heard(), session.enabled, session.capabilities), ("", frozenset(), {"IMAP4REV1"})
        )
        self.assertFalse(opening.peer.connection.utf8)

    def test_compressed(self) -> None:
        """DEFLATE is asked for last and alone; what follows its OK is compressed, a refusal is borne, and none is asked."""
        opening = self.preauth("IMAP4rev1 ENABLE CONDSTORE COMPRESS=DEFLATE")
        opening.peer.answer(("ENABLE CONDSTORE", ". OK"), ("COMPRESS DEFLATE", ". OK now"))
        session = self.successResultOf(opening.session)
        asked = Deferred.fromCoroutine(session.noop())
        self.assertEqual(zlib.decompressobj(-15).decompress(opening.peer.value()), b"3 NOOP\r\n")
        squeezed = zlib.compressobj(wbits=-15)
        opening.peer.connection.dataReceived(squeezed.compress(b"3 OK\r\n") + squeezed.flush(zlib.Z_SYNC_FLUSH))
        self.successResultOf(asked)
        opening = self.preauth("IMAP4rev1 COMPRESS=DEFLATE")
        opening.peer.answer(("COMPRESS DEFLATE", ". NO [COMPRESSIONACTIVE] TLS does it"))
        asked = Deferred.fromCoroutine(self.successResultOf(opening.session).noop())
        opening.peer.answer(("NOOP", ". OK"))
        self.successResultOf(asked)
        opening = self.preauth("IMAP4rev1 COMPRESS=DEFLATE", target=attrs.evolve(TARGET, compress=False))
        self.assertTrue(self.successResultOf(opening.session).alive)
        self.assertEqual(opening.peer.heard(), "")

    def test_introduced_before(self) -> None:
        """Where ID is offered before login it goes first, its refusal is borne, and it is asked again if little came."""
        for before, after, known in (
            ('* ID ("name" "Coremail" "vendor" "x")', None, {"name": "Coremail", "vendor": "x"}),
            ('* ID ("name" "Dovecot")', "* OK", {"name": "Dovecot"}),
            ('* ID ("name" "Dovecot")', '* ID ("name" "D" "os" "Linux")', {"name": "D", "os": "Linux"}),
            ("1 BAD not now", "* ID NIL", {}),
        ):
            opening = Opening(self.clock, SECURE)
            opening.peer.say("* OK [CAPABILITY IMAP4rev1 ID]")
            self.assertEqual(opening.peer.heard(), '1 ID ("name" "emailengine")\r\n')
            opening.peer.say(before, "1 OK")
            opening.peer.answer(('LOGIN "anna" "secret"', ". OK [CAPABILITY IMAP4rev1 ID] in"))
            if after is not None:
                opening.peer.answer(('ID ("name" "emailengine")', f"{after}\n. OK"))
            self.assertEqual(opening.peer.heard(), "")
            self.assertEqual(self.successResultOf(opening.session).server, known)

    def test_no_mailbox(self) -> None:
        """Exchange lets a user in whose mailbox is not to be had, and says so at NAMESPACE: the credentials are at fault."""
        opening = self.preauth("IMAP4 NAMESPACE")
        opening.peer.answer(("NAMESPACE", ". BAD User is authenticated but not connected."))
        error = self.failureResultOf(opening.session, AuthenticationRefused).value
        self.assertIs(error.meaning, Meaning.CREDENTIALS)
        self.assertTrue(opening.peer.closed)

    def test_alert(self) -> None:
        """What the server wants a person to read is logged, once."""
        opening = self.preauth("IMAP4")
        told: list[str] = []
        with capturedLogs() as captured:
            opening.peer.say(
                "* OK [ALERT] Move your mail", "* OK [ALERT] Move your mail", "* NO [ALERT] Now, secret!", "* OK hi"
            )
        told = [one["alert"] for one in captured]
        self.assertEqual(told, ["Move your mail", "Now, ***!"])
        self.assertEqual(len(opening.news), 4)
