"""Which way of logging in is taken, and when a second one is."""

from __future__ import annotations

import base64
import hashlib
import hmac

import attrs
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import (
    AuthenticationRefused,
    ConnectionLost,
    Meaning,
    NotNow,
    ProtocolFault,
    TlsFailed,
)
from emailengine.imap.login import COMMAND, ways
from emailengine.net.credentials import Credentials
from tests.imap.case import OpeningCase
from tests.imap.peer import ANNA, TARGET, Opening

SECURE = attrs.evolve(TARGET, secure=True, port=993)
PLAIN = base64.b64encode(b"\0anna\0secret").decode()
TOKEN = Credentials(user="anna", access_token="t0ken")
SCRAM = "SCRAM-SHA-256"
_SALT, _ROUNDS = b"saltsalt", 4096


class WaysTests(SynchronousTestCase):
    def test_order(self) -> None:
        """For each offer, with TLS and without, what is tried and in which order."""
        every = "AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=CRAM-MD5"
        exchange = attrs.evolve(ANNA, user="corp\\anna")
        shared = attrs.evolve(ANNA, user="anna@example.com/office")
        for credentials, offered, with_tls, without in (
            (ANNA, every, ("PLAIN", COMMAND, "LOGIN"), (SCRAM,)),
            (ANNA, f"{every} LOGINDISABLED", ("PLAIN", "LOGIN"), (SCRAM,)),
            (ANNA, "AUTH=SCRAM-SHA-256 AUTH=LOGIN", (SCRAM, COMMAND, "LOGIN"), (SCRAM,)),
            (ANNA, "AUTH=PLAIN", ("PLAIN", COMMAND), ("PLAIN", COMMAND)),
            (ANNA, "AUTH=PLAIN AUTH=LOGIN LOGINDISABLED", ("PLAIN", "LOGIN"), ()),
            (ANNA, "", (COMMAND,), (COMMAND,)),
            (ANNA, "LOGINDISABLED AUTH=CRAM-MD5", (), ()),
            (exchange, "AUTH=PLAIN", (COMMAND, "PLAIN"), (COMMAND, "PLAIN")),
            (shared, "AUTH=PLAIN AUTH=LOGIN", (COMMAND, "PLAIN", "LOGIN"), (COMMAND, "PLAIN", "LOGIN")),
            (exchange, "AUTH=PLAIN LOGINDISABLED", ("PLAIN",), ()),
            (TOKEN, every, ("XOAUTH2", "OAUTHBEARER"), ("XOAUTH2", "OAUTHBEARER")),
            (TOKEN, f"{every} LOGINDISABLED", ("XOAUTH2", "OAUTHBEARER"), ()),
            (TOKEN, "AUTH=PLAIN", (), ()),
            (Credentials(user="anna"), every, (), ()),
        ):
            for encrypted, expected in ((True, with_tls), (False, without)):
                self.assertEqual(ways(offered.split(), credentials, encrypted=encrypted), expected, offered)


class Judge:
    """A server's part of SCRAM-SHA-256, as RFC 5802 has it."""

    def __init__(self, password: bytes = b"secret") -> None:
        self.key = hashlib.pbkdf2_hmac("sha256", password, _SALT, _ROUNDS)

    def salted(self, first: bytes, rounds: int = _ROUNDS) -> str:
        self.bare = first.removeprefix(b"n,,")
        nonce = self.bare.partition(b",r=")[2] + b"srv"
        self.told = b"r=" + nonce + b",s=" + base64.b64encode(_SALT) + b",i=%d" % rounds
        return base64.b64encode(self.told).decode()

    def signed(self, proof: bytes) -> str:
        everything = b",".join((self.bare, self.told, proof.partition(b",p=")[0]))
        server = hmac.digest(self.key, b"Server Key", "sha256")
        return base64.b64encode(b"v=" + base64.b64encode(hmac.digest(server, everything, "sha256"))).decode()


class LoginTests(OpeningCase):
    def salted(self, opening: Opening, judge: Judge, **options: int) -> bytes:
        """Let it begin SCRAM-SHA-256 and give it the salt; what it answers."""
        line = opening.peer.heard()
        self.assertIn(f"AUTHENTICATE {SCRAM} ", line)
        opening.peer.say("+ " + judge.salted(base64.b64decode(line.split()[-1]), **options))
        said = opening.peer.heard()
        return base64.b64decode(said) if said != "*\r\n" else b"*"

    def test_scram(self) -> None:
        """Without TLS the password is proven and not told; both sides prove it."""
        opening, judge = Opening(self.clock), Judge()
        opening.peer.say(f"* OK [CAPABILITY IMAP4 SASL-IR AUTH=PLAIN AUTH={SCRAM}]")
        opening.peer.say("+ " + judge.signed(self.salted(opening, judge)))
        self.assertEqual(opening.peer.heard(), "\r\n")
        opening.peer.say("1 OK [CAPABILITY IMAP4] in")
        self.assertTrue(self.successResultOf(opening.session).alive)

    def test_impostor(self) -> None:
        """A server that does not know the password gets no other way, with TLS or without, and is not believed."""
        for target in (TARGET, SECURE):
            for ending in ("forged", "unproven"):
                opening, judge = Opening(self.clock, target), Judge(b"guessed")
                opening.peer.say(f"* OK [CAPABILITY IMAP4 SASL-IR AUTH={SCRAM}]")
                proof = self.salted(opening, judge)
                if ending == "forged":
                    opening.peer.say("+ " + judge.signed(proof))
                    self.assertEqual(opening.peer.heard(), "*\r\n")
                    opening.peer.say("1 BAD cancelled")
                else:
                    opening.peer.say("1 OK [CAPABILITY IMAP4] in")
                self.failed(opening, ProtocolFault)
                self.assertEqual(opening.peer.heard(), "")

    def test_judged_once(self) -> None:
        """A password that was judged is not tried in another way; one that was not is, under TLS, once."""
        opening, judge = Opening(self.clock, SECURE), Judge()
        opening.peer.say(f"* OK [CAPABILITY IMAP4 SASL-IR AUTH={SCRAM}]")
        self.salted(opening, judge)
        opening.peer.say("1 NO [AUTHENTICATIONFAILED] no")
        self.failed(opening, AuthenticationRefused)
        self.assertEqual(opening.peer.heard(), "")
        for refusal in ("1 NO [AUTHENTICATIONFAILED] no", "1 BAD what"):
            opening = Opening(self.clock, SECURE)
            opening.peer.say(f"* OK [CAPABILITY IMAP4 SASL-IR AUTH={SCRAM}]")
            opening.peer.heard()
            opening.peer.say(refusal)
            opening.peer.answer(('LOGIN "anna" "secret"', ". NO really not"))
            self.assertEqual(self.failed(opening, AuthenticationRefused).message, "really not")
        opening = Opening(self.clock)
        opening.peer.say(f"* OK [CAPABILITY IMAP4 SASL-IR AUTH=PLAIN AUTH={SCRAM}]")
        opening.peer.heard()
        opening.peer.say("1 NO [AUTHENTICATIONFAILED] no")
        self.failed(opening, AuthenticationRefused)
        self.assertEqual(opening.peer.heard(), "")

    def test_too_many_rounds(self) -> None:
        """A server that wants to keep us busy gets no proof, and we tell why."""
        opening, judge = Opening(self.clock), Judge()
        opening.peer.say(f"* OK [CAPABILITY IMAP4 SASL-IR AUTH={SCRAM}]")
        self.assertEqual(self.salted(opening, judge, rounds=999_999_999), b"*")
        opening.peer.say("1 BAD cancelled")
        self.assertIn("999999999 rounds", self.failed(opening, ProtocolFault).message)

    def test_bearer(self) -> None:
        """OAUTHBEARER: the refusal's JSON is answered with 0x01, and its status stands in the error."""
        opening = Opening(self.clock, SECURE, TOKEN)
        opening.peer.say("* OK [CAPABILITY IMAP4 SASL-IR AUTH=OAUTHBEARER]")
        said = base64.b64decode(opening.peer.heard().split()[-1])
        self.assertEqual(said, b"n,a=anna,\x01host=mail.example.com\x01port=993\x01auth=Bearer t0ken\x01\x01")
        opening.peer.say("+ " + base64.b64encode(b'{"status":"invalid_token","x":"t0ken"}').decode())
        self.assertEqual(opening.peer.heard(), "AQ==\r\n")
        opening.peer.say("1 NO t0ken SASL")
        self.assertEqual(self.failed(opening, AuthenticationRefused).message, "*** SASL (invalid_token)")

    def test_backslash(self) -> None:
        """A user of a Windows domain goes by LOGIN, with the backslash escaped."""
        opening = Opening(self.clock, SECURE, attrs.evolve(ANNA, user="corp\\anna"))
        opening.peer.say("* OK [CAPABILITY IMAP4 SASL-IR AUTH=PLAIN]")
        opening.peer.answer(('LOGIN "corp\\\\anna" "secret"', ". OK [CAPABILITY IMAP4] in"))
        self.successResultOf(opening.session)

    def test_no_secret_in_clear(self) -> None:
        """LOGINDISABLED before TLS is obeyed for every secret, whatever mechanisms stand beside it."""
        for credentials in (ANNA, TOKEN):
            opening = Opening(self.clock, credentials=credentials)
            opening.peer.say("* OK [CAPABILITY IMAP4 LOGINDISABLED SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2]")
            self.failed(opening, TlsFailed)
            self.assertEqual(opening.peer.heard(), "")

    def test_stripped(self) -> None:
        """A required STARTTLS that somebody took out of the list, before or after it was asked for, sends no secret."""
        required = attrs.evolve(TARGET, starttls="required")
        opening = Opening(self.clock, required)
        opening.peer.say("* OK hello")
        opening.peer.answer(("CAPABILITY", "* CAPABILITY IMAP4 AUTH=PLAIN\n. OK"))
        self.failed(opening, TlsFailed)
        self.assertEqual(opening.peer.heard(), "")
        for answer in ("NO gone", "BAD gone", "OK begin\r\n* PREAUTH hello"):
            opening = Opening(self.clock, required)
            opening.peer.say("* OK [CAPABILITY IMAP4 STARTTLS AUTH=PLAIN]")
            opening.peer.answer(("STARTTLS", f". {answer}"))
            self.failed(opening, TlsFailed)
            self.assertEqual((opening.peer.tls, opening.peer.heard()), ([], ""))

    def test_refused_with_a_farewell(self) -> None:
        """A server that hangs up instead of saying NO is understood by its words."""
        for words, kind in (
            ("Login failed", AuthenticationRefused),
            ("[AUTHENTICATIONFAILED] no", AuthenticationRefused),
            ("Too many connections", ConnectionLost),
            ("secret? bye", ConnectionLost),
            ("[ALERT] secret? bye", ConnectionLost),
        ):
            opening = Opening(self.clock, SECURE)
            opening.peer.say("* OK [CAPABILITY IMAP4]", f"* BYE {words}")
            opening.peer.lose()
            error = self.failed(opening, kind)
            assert isinstance(error, kind)
            self.assertEqual(error.alert, "***? bye" if "ALERT" in words else None)

    def test_secret_in_other_forms(self) -> None:
        """A server that repeats what we said, as it was written or in base64, puts no secret into an error."""
        odd = Credentials(user="anna", password='se"cr\\et')
        for said, told in (
            ('NO in LOGIN "anna" "se\\"cr\\\\et"', 'in LOGIN "anna" "***"'),
            (f"NO in {base64.b64encode(f'anna:{odd.password}'.encode()).decode()}, anna", "in ***, anna"),
        ):
            opening = Opening(self.clock, SECURE, odd)
            opening.peer.say("* OK [CAPABILITY IMAP4]")
            opening.peer.heard()
            opening.peer.say(f"1 {said}")
            self.assertEqual(self.failed(opening, AuthenticationRefused).message, told)

    def test_not_now(self) -> None:
        """Too many connections or too fast is no refusal of the credentials, and says how long to stay away."""
        for answer, meaning, wait in (
            ("NO [ALERT] Too many simultaneous connections. (Failure)", Meaning.LIMIT, None),
            ("BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", Meaning.THROTTLED, 92.415),
            ("NO [UNAVAILABLE] Down", Meaning.UNAVAILABLE, None),
            ("NO [OVERQUOTA] Full", Meaning.QUOTA, None),
        ):
            opening = Opening(self.clock, SECURE)
            opening.peer.say("* OK [CAPABILITY IMAP4 SASL-IR AUTH=PLAIN]")
            opening.peer.answer((f"AUTHENTICATE PLAIN {PLAIN}", f". {answer}"))
            error = self.failed(opening, NotNow)
            assert isinstance(error, NotNow)
            self.assertEqual((error.meaning, error.retry_after, error.transient), (meaning, wait, True))
            self.assertEqual(error.alert, "Too many simultaneous connections. (Failure)" if "ALERT" in answer else None)
