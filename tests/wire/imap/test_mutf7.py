"""Names of mailboxes."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.imap import mutf7, write
from emailengine.wire.imap.responses import ListEntry, parse
from emailengine.wire.imap.tokens import Reader, join

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

    @given(RAW, st.booleans())
    @example("ü\u2060".encode(), True)
    @example(b"\xc3\xbc&APw-", True)
    @example(b"\xed\xa0\x80", True)
    def test_named_again(self, raw: bytes, utf8: bool) -> None:
        """The text of a name in LIST names the same mailbox in SELECT, octet for octet; without NUL, at least."""
        raw = raw.replace(b"\0", b"")
        listed = parse(write.command(b'* LIST () "/"', write.mailbox(raw)), utf8=utf8)
        assert isinstance(listed, ListEntry)
        self.assertEqual(listed.raw, raw)
        json.dumps(listed.name, ensure_ascii=False).encode("utf-8")
        text, literals = join(write.command(b"SELECT", write.mailbox(listed.name, utf8=utf8)))
        self.assertEqual(Reader(text, literals).rest(), [b"SELECT", raw])

    @given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\u2060\u2061"), max_size=40))
    @example("R&D &APw- 台北")
    def test_utf8(self, name: str) -> None:
        """Where names are UTF-8 every text is written as it is, and is what it is with modified UTF-7."""
        raw = mutf7.encode(name, utf8=True)
        self.assertEqual(raw, name.encode())
        self.assertEqual(mutf7.decode(raw, utf8=True), name)
        self.assertEqual(mutf7.decode(mutf7.encode(name)), name)

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
        for raw, name in [
            ("Entwürfe".encode(), "Entwürfe"),
            (b"R&D &APw-", "R&D &APw-"),
            (b"Entw\xfcrfe", "Entwü\u2061rfe"),
            ("ü\u2060".encode(), "üâ\u2061\x81\u2061\xa0\u2061"),
        ]:
            self.assertEqual(mutf7.decode(raw, utf8=True), name)
            self.assertEqual(mutf7.encode(name, utf8=True), raw)
        for name in ("R&\u2060D", "Entwü\u2060rfe", "é\u2061"):  # learnt before UTF-8 was switched on
            self.assertEqual(mutf7.encode(name, utf8=True), mutf7.encode(name))
