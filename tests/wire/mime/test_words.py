"""Reading header values: encoded words and their abuses, address lists, dates."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.mime import charsets, words
from emailengine.wire.mime.words import Mailbox


class DecodeHeaderTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Words decode wherever they stand and however they were cut."""
        for raw, text in [
            (None, ""),
            (b"", ""),
            (b" Plain subject ", "Plain subject"),
            (b"Folded\r\n subject\r\n\twith tab", "Folded subject with tab"),
            (b"=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "Grüße aus Köln"),
            (b"=?UTF-8?b?R3LDvMOfZQ==?=", "Grüße"),
            (b"=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
            (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
            (b"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
            (b"=?utf-8?q?a_?= =?iso-8859-1?q?=E9?=", "a é"),
            (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
            (b"x=?utf-8?q?a?=y", "xay"),
            (b'"=?utf-8?q?caf=C3=A9?="', '"café"'),
            # a character cut between two words, and base64 cut between two
            (b"=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "café"),
            (b"=?utf-8?B?w?= =?utf-8?B?6k=?=", "é"),
            (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
            # the wrong charset, no charset, one that nobody knows
            (b"=?us-ascii?q?caf=C3=A9?=", "café"),
            (b"=?iso-8859-1?q?caf=C3=A9?=", "café"),
            (b"=?utf-8?q?caf=E9_au_lait?=", "café au lait"),
            (b"=?x-unknown?q?=E9t=E9?=", "été"),
            (b"=?gb2312?b?1tA=?=", "中"),
            (b"=?utf-8*de?q?=C3=BC?=", "ü"),
            # raw 8-bit
            ("Grüße".encode(), "Grüße"),
            (b"Gr\xfc\xdfe", "Grüße"),
            ("Привет, как дела? Что нового?".encode("cp1251"), "Привет, как дела? Что нового?"),
            # blanks inside a word; broken words
            (b"=?utf-8?q?a b?=", "a b"),
            (b"=?utf-8?q?what?_ever?=", "what? ever"),
            (b"=?utf-8?q?=C3=A9", "=?utf-8?q?=C3=A9"),
            (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
            (b"=?utf-8?q??=", ""),
            (b"=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),
            ("Grüße", "Grüße"),
            ("Gr\udcfc\udcdfe", "Grüße"),
        ]:
            self.assertEqual(words.decode_header(raw), text, repr(raw))

    @given(
        st.binary(max_size=300)
        | st.lists(
            st.sampled_from([b"=?", b"utf-8", b"?", b"q", b"b", b"?=", b" ", b"=", b"\xff", b"A"]), max_size=40
        ).map(b"".join)
    )
    def test_total(self, raw: bytes) -> None:
        """Any bytes give text without line breaks."""
        text = words.decode_header(raw)
        self.assertNotIn("\n", text)
        self.assertNotIn("\r", text)

    def test_hostile_sizes(self) -> None:
        """Long headers made to be slow are read in time that grows with their length only."""
        for raw in (
            b"=?a?q?" * 50_000,
            b" " * 500_000,
            b"<" * 100_000,
            b"(" * 100_000,
            b'"' * 100_000,
            b"a:" * 100_000,
            b"@:" * 50_000,
        ):
            words.decode_header(raw)
            words.parse_address_list(raw)
            words.parse_date(raw)


class AddressListTests(SynchronousTestCase):
    def test_table(self) -> None:
        """The forms that occur, legal and not."""
        for raw, expected in [
            (None, []),
            (b"", []),
            (b"jo@example.com", [("", "jo@example.com")]),
            (b"<jo@example.com>", [("", "jo@example.com")]),
            (b"Jo Doe <jo@example.com>", [("Jo Doe", "jo@example.com")]),
            (b'"Doe, Jo" <jo@example.com>, x@y', [("Doe, Jo", "jo@example.com"), ("", "x@y")]),
            (b'"a \\"b\\" c" <x@y>', [('a "b" c', "x@y")]),
            (b"J. Doe <x@y>", [("J. Doe", "x@y")]),
            (b"undisclosed-recipients:;", []),
            (b"Team: a@b, C <c@d>; e@f", [("", "a@b"), ("C", "c@d"), ("", "e@f")]),
            (b"x@y (Jo (the) Doe)", [("Jo (the) Doe", "x@y")]),
            (b"a@b; c@d", [("", "a@b"), ("", "c@d")]),
            (b"=?utf-8?q?Doe=2C_J=C3=B6?= <x@y>", [("Doe, Jö", "x@y")]),
            (b'"=?utf-8?q?Doe=2C_J=C3=B6?=" <x@y>', [("Doe, Jö", "x@y")]),
            (b'"jo doe"@example.com', [("", '"jo doe"@example.com')]),
            (b'X <"jo > doe"@example.com>', [("X", '"jo > doe"@example.com')]),
            (b"Jo Doe jo@example.com", [("Jo Doe", "jo@example.com")]),
            (b"<@a,@b:c@d>", [("", "c@d")]),
            (b"Jo <jo@example.com", [("Jo", "jo@example.com")]),
            (b"a@b,,c@d,", [("", "a@b"), ("", "c@d")]),
            (b"Name Only", [("Name Only", "")]),
            (b"'jo@example.com' <jo@example.com>", [("'jo@example.com'", "jo@example.com")]),
            ("Jörg <j@x>".encode(), [("Jörg", "j@x")]),
            (b"J\xf6rg <j@x>", [("Jörg", "j@x")]),
            (b"A <a@b> C <c@d>", [("A", "a@b"), ("C", "c@d")]),
            (b"A <a@b> and more", [("A", "a@b")]),
            (b"a@b,\r\n c@d", [("", "a@b"), ("", "c@d")]),
        ]:
            self.assertEqual(words.parse_address_list(raw), [Mailbox(*one) for one in expected], repr(raw))

    @given(st.binary(max_size=200) | st.text(alphabet='a@<>",;:() \\=?', max_size=60).map(str.encode))
    def test_total(self, raw: bytes) -> None:
        """Any bytes give a list without line breaks in it."""
        for mailbox in words.parse_address_list(raw):
            self.assertNotIn("\n", mailbox.name + mailbox.address)


class DateTests(SynchronousTestCase):
    def test_table(self) -> None:
        """The usual form, older forms, and what is no date."""
        for raw, expected in [
            (b"Tue, 24 Nov 2026 02:34:52 +0100", 1795484092.0),
            (b"24 Nov 2026 01:34:52 GMT", 1795484092.0),
            (b"Tue, 24 Nov 2026 02:34:52 +0100 (CET)", 1795484092.0),
            (b"Mon, 23 Nov 2026 20:34:52 EST", 1795484092.0),
            (b"Tue, 24 Nov 26 01:34 +0000", 1795484040.0),
            (b"Tue, 24 Nov 2026 01:34:52", 1795484092.0),
            (b"Tue, 24 Nov 2026 01:34:52 -0000", 1795484092.0),
            (b"Thu, 1 Jan 1970 00:00:00 +0000", 0.0),
            (b"Tue, 31 Feb 2026 01:34:52 +0000", None),
            (b"Tue, 24 Nov 2026 99:34:52 +0000", None),
            (b"yesterday", None),
            (b"", None),
            (None, None),
        ]:
            self.assertEqual(words.parse_date(raw), expected, repr(raw))

    @given(st.datetimes(min_value=datetime(1901, 1, 1), max_value=datetime(2999, 1, 1)), st.integers(-14 * 60, 14 * 60))
    def test_standard_library_agrees(self, moment: datetime, minutes: int) -> None:
        """A date written by the standard library reads back."""
        moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
        text = format_datetime(moment)
        self.assertEqual(words.parse_date(text), parsedate_to_datetime(text).timestamp())

    @given(st.text(max_size=60) | st.text(alphabet="0123456789: +-,JanFeb", max_size=40))
    def test_total(self, text: str) -> None:
        """Any text gives a number or None."""
        words.parse_date(text)


class CharsetTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Names of mail programs lead to codecs; what is no character set leads nowhere."""
        self.assertEqual(charsets.find("GB2312"), "gb18030")
        self.assertEqual(charsets.find("windows-1251"), "cp1251")
        self.assertEqual(charsets.find("ISO-8859-15"), "iso8859-15")
        self.assertEqual(charsets.find("KOI8-R"), "koi8-r")
        for name in ("unicode_escape", "punycode", "idna", "zlib", "hex", "rot13", "x-user-defined", "", "no-such"):
            self.assertIsNone(charsets.find(name), name)

    def test_cut_off(self) -> None:
        """A character cut off at the end is dropped."""
        self.assertEqual(charsets.decode("caf\u00e9".encode()[:-1], "utf-8"), "caf")
        self.assertEqual(charsets.decode("Привет €".encode()[:-1], None), "Привет ")

    @given(
        st.binary(max_size=100),
        st.sampled_from(["utf-8", "utf-16", "utf-7", "hz", "iso-2022-jp", "big5", "gb2312", "us-ascii", "x", "utf-32"]),
    )
    def test_total(self, data: bytes, charset: str) -> None:
        """Any bytes under any name give text."""
        charsets.decode(data, charset)
