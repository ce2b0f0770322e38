"""Names of mailboxes."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.imap import mutf7

SNIPPETS = (
    b"& - &- &AOk- &AOk &APw-&AOk- a/ \xc3\xa9 \xe9 &2D3cqQ- &IGA- &IGEAIA- \xe2\x81\xa0 &AGE- &//8- &,,8- &2D0- \0"
)
RAW = st.binary(max_size=40) | st.lists(st.sampled_from([*SNIPPETS.split(), b"\r\n"]), max_size=8).map(b"".join)


class NameTests(SynchronousTestCase):
    @given(RAW)
    @example(b"R&D")
    @example(b"Entw\xc3\xbcrfe")
    @example(b"\xff\xfe")
    @example(b"&AOk-&APw-")
    def test_any_octets(self, raw: bytes) -> None:
        """Whatever a server calls a mailbox, the text for it is the text for nothing else, and fits into JSON."""
        name = mutf7.decode(raw)
        self.assertEqual(mutf7.encode(name), raw)
        json.dumps(name, ensure_ascii=False).encode("utf-8")

    @given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\u2060\u2061"), max_size=40))
    @example("~peter/mail/台北/日本語")
    @example("&-&")
    def test_any_text(self, name: str) -> None:
        """Every text is a name, and its octets are printable ASCII."""
        raw = mutf7.encode(name)
        self.assertEqual(mutf7.decode(raw), name)
        self.assertTrue(all(0x20 <= one <= 0x7E for one in raw))

    @given(st.text(max_size=40))
    def test_total(self, name: str) -> None:
        """Encoding never fails, whatever marks or halves of characters are in the text."""
        mutf7.encode(name)

    @given(RAW, RAW)
    def test_parents(self, parent: bytes, child: bytes) -> None:
        """A parent's name is a prefix of its children's."""
        self.assertTrue(mutf7.decode(parent + b"/" + child).startswith(mutf7.decode(parent) + "/"))

    def test_examples(self) -> None:
        """RFC 3501 5.1.3, and names that break its rules."""
        for raw, name in [
            (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            (b"Entw&APw-rfe", "Entwürfe"),
            (b"&2D3cqQ-", "💩"),
            (b"Q&-A", "Q&A"),
            (b"R&D", "R&\u2060D"),
            (b"Entw\xc3\xbcrfe", "Entwü\u2060rfe"),
            (b"\xe9", "é\u2061"),
            (b"&AGE-", "&\u2060AGE-"),  # an a that need not be encoded
        ]:
            self.assertEqual(mutf7.decode(raw), name)
            self.assertEqual(mutf7.encode(name), raw)
