"""SASL responses, byte for byte."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire import sasl, scram
from emailengine.wire.errors import WeMisusedProtocol


class SaslTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """PLAIN leaves the authorization identity empty and says user and password once."""
        talk = sasl.begin("PLAIN", user="jö", password="gehe\u00efm")
        self.assertEqual(talk.initial, b"\0j\xc3\xb6\0gehe\xc3\xafm")
        self.assertRaises(WeMisusedProtocol, talk.respond, b"")

    def test_login(self) -> None:
        """LOGIN waits for the server and answers two prompts, whatever they say."""
        talk = sasl.begin("LOGIN", user="jo", password="pw")
        self.assertIsNone(talk.initial)
        self.assertEqual([talk.respond(b"Username:"), talk.respond(b"")], [b"jo", b"pw"])
        self.assertRaises(WeMisusedProtocol, talk.respond, b"more?")

    def test_xoauth2(self) -> None:
        """XOAUTH2 has the published form, and answers an account of the refusal with an empty line."""
        talk = sasl.begin("XOAUTH2", user="jo@example.com", access_token="ya29.abc")
        self.assertEqual(talk.initial, b"user=jo@example.com\x01auth=Bearer ya29.abc\x01\x01")
        self.assertEqual(talk.respond(b'{"status":"401"}'), b"")
        self.assertEqual(talk.refusal, '{"status":"401"}')

    def test_oauthbearer(self) -> None:
        """OAUTHBEARER escapes the name, names host and port, and answers a refusal with one 0x01."""
        talk = sasl.begin("OAUTHBEARER", user="j,o=x", access_token="t", host="imap.example.com", port=993)
        self.assertEqual(talk.initial, b"n,a=j=2Co=3Dx,\x01host=imap.example.com\x01port=993\x01auth=Bearer t\x01\x01")
        self.assertEqual(talk.respond(b"{}"), b"\x01")

    def test_separators_in_values(self) -> None:
        """A value that would end its field early is refused, and the refusal does not show it."""
        for mechanism, secrets in [
            ("PLAIN", {"password": "a\0b"}),
            ("LOGIN", {"password": "a\0b"}),
            ("PLAIN", {"password": "\udcff"}),
            ("XOAUTH2", {"access_token": "a\x01b"}),
            ("OAUTHBEARER", {"access_token": "a\r\nb"}),
            ("PLAIN", {}),
            ("XOAUTH2", {}),
            ("CRAM-MD5", {}),
        ]:
            error = self.assertRaises(WeMisusedProtocol, sasl.begin, mechanism, user="jo", **secrets)
            for secret in secrets.values():
                self.assertNotIn(secret, str(error))
            self.assertIsNone(error.__cause__)

    def test_repr_without_secrets(self) -> None:
        """The repr of an attempt shows neither password nor token."""
        for mechanism in ("PLAIN", "LOGIN"):
            self.assertNotIn("geheim", repr(sasl.begin(mechanism, user="jo", password="geheim")))
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            self.assertNotIn("geheim", repr(sasl.begin(mechanism, user="jo", access_token="geheim")))

    def test_choice(self) -> None:
        """A token rules passwords out; PLAIN goes before LOGIN, XOAUTH2 before OAUTHBEARER."""
        every = {"LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER", "CRAM-MD5"}
        self.assertEqual(sasl.choose(every, password=True, token=False), "PLAIN")
        self.assertEqual(sasl.choose(every, password=True, token=True), "XOAUTH2")
        self.assertEqual(sasl.choose({"OAUTHBEARER"}, password=False, token=True), "OAUTHBEARER")
        self.assertEqual(sasl.choose({"LOGIN"}, password=True, token=False), "LOGIN")
        self.assertIsNone(sasl.choose({"PLAIN"}, password=True, token=True))
        self.assertIsNone(sasl.choose(every, password=False, token=False))

    @given(st.binary(max_size=200))
    def test_base64(self, raw: bytes) -> None:
        """Base64 has no line breaks and reads back; an empty initial response is an equals sign."""
        line = sasl.b64(raw)
        self.assertEqual(line, base64.b64encode(raw))
        self.assertNotIn(b"\n", line)
        self.assertEqual(sasl.unb64(line), raw)

    def test_base64_edges(self) -> None:
        """What is not base64 comes back as it is."""
        self.assertEqual(sasl.b64(b"", initial=True), b"=")
        self.assertEqual(sasl.b64(b""), b"")
        self.assertEqual(sasl.unb64(b"User name:"), b"User name:")

    def test_status_of_a_refused_token(self) -> None:
        """One word of the server's JSON is told, and nothing that could be more than a word."""
        for said, word in (
            (b'{"status":"401","schemes":"Bearer"}', "401"),
            (b'{"status":"invalid_token","scope":"x"}', "invalid_token"),
            (b'{"status":400}', "400"),
            (b'{"status":"the token ya29.abc is bad"}', None),
            (b'{"status":{"a":1}}', None),
            (b"[1]", None),
            (b"[" * 500, None),
            (b"\xff no JSON", None),
        ):
            talk = sasl.begin("XOAUTH2", user="jo", access_token="ya29.abc")
            talk.respond(said)
            self.assertEqual(talk.why, word)


class ScramTests(SynchronousTestCase):
    """The example of RFC 7677, section 3, and what an honest server would not say."""

    salted = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    signed = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

    def begin(self) -> sasl.Dialogue:
        return sasl.begin("SCRAM-SHA-256", user="user", password="pencil", nonce="rOprNGfwEbeRWgbNEkqO")

    def test_example(self) -> None:
        """The published exchange, step by step; the server is believed once it has proved itself."""
        talk = self.begin()
        self.assertEqual(talk.initial, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        self.assertEqual((talk.judged, talk.proven), (False, False))
        self.assertEqual(
            talk.respond(self.salted),
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        self.assertEqual((talk.judged, talk.proven), (True, False))
        self.assertEqual(talk.respond(self.signed), b"")
        self.assertTrue(talk.proven)
        self.assertRaises(WeMisusedProtocol, talk.respond, b"")
        self.assertNotIn("pencil", repr(talk))

    def test_forged_salt(self) -> None:
        """Another's nonce, ours alone, too few or too many rounds, an extension that must be known: no proof is given."""
        for forged in (
            self.salted.replace(b"r=rOpr", b"r=sOpr"),
            b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            self.salted.replace(b"4096", b"4095"),
            self.salted.replace(b"4096", b"20001"),
            self.salted.replace(b"4096", b"99999999999999999999"),
            self.salted.replace(b"i=4096", b"i=-1"),
            self.salted.replace(b"W22Z", b"W2=Z"),
            b"m=x," + self.salted,
            b"e=unknown-user",
            b"",
            b"\xff\0",
        ):
            talk = self.begin()
            self.assertRaises(WeMisusedProtocol, talk.respond, forged)
            self.assertFalse(talk.judged)

    def test_forged_end(self) -> None:
        """A server that does not know the password proves nothing; one that refuses is heard to the end."""
        for forged in (self.signed.replace(b"6rri", b"7rri"), b"v=", b"v=====", b"", self.salted):
            talk = self.begin()
            talk.respond(self.salted)
            self.assertRaises(WeMisusedProtocol, talk.respond, forged)
            self.assertFalse(talk.proven)
        talk = self.begin()
        talk.respond(self.salted)
        self.assertEqual(talk.respond(b"e=invalid-proof"), b"")
        self.assertEqual((talk.proven, talk.why), (False, "invalid-proof"))

    def test_prepared(self) -> None:
        """Names and passwords are brought into one form (the examples of RFC 4013), and the name's separators hidden."""
        for text, prepared in (
            ("I\u00adX", "IX"),
            ("user", "user"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
            ("a\u00a0b", "a b"),
            ("\U0001f600", "\U0001f600"),
        ):
            self.assertEqual(scram.saslprep(text), prepared)
        for text in ("\x07", "\u0627\u0031", "a\u0627", "\ud800"):
            self.assertRaises(WeMisusedProtocol, scram.saslprep, text)
        talk = sasl.begin("SCRAM-SHA-256", user="a=b,c", password="x", nonce="n")
        self.assertEqual(talk.initial, b"n,,n=a=3Db=2Cc,r=n")
        self.assertNotEqual(*(sasl.begin("SCRAM-SHA-256", user="a", password="x").initial for _ in range(2)))

    @given(st.binary(max_size=200), st.binary(max_size=200))
    def test_anything(self, first: bytes, second: bytes) -> None:
        """Whatever the server says, at most the dialogue is given up."""
        talk = self.begin()
        for said in (first, second):
            try:
                talk.respond(said)
            except WeMisusedProtocol:
                self.assertFalse(talk.proven)
                return
        self.assertFalse(talk.proven)
