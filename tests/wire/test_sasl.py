"""SASL responses, byte for byte."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire import sasl
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
