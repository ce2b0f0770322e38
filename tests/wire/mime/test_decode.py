"""Transfer decoding in pieces, texts, header blocks."""

from __future__ import annotations

import base64
import binascii
import quopri

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.mime import decode

CUTS = st.lists(st.integers(0, 400), max_size=12)


def in_pieces(decoder: decode.Decoder, data: bytes, cuts: list[int]) -> bytes:
    found = b""
    start = 0
    for cut in sorted(cuts):
        found += decoder.feed(data[start:cut])
        start = max(start, cut)
    return found + decoder.feed(data[start:]) + decoder.finish()


class StreamTests(SynchronousTestCase):
    @given(st.binary(max_size=300), CUTS)
    def test_base64(self, data: bytes, cuts: list[int]) -> None:
        """Base64 with line breaks decodes whatever the cuts."""
        encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
        self.assertEqual(in_pieces(decode.Base64Stream(), encoded, cuts), data)

    @given(st.binary(max_size=300) | st.text(alphabet="AQ=\r\n!", max_size=80).map(str.encode), CUTS)
    def test_broken_base64(self, data: bytes, cuts: list[int]) -> None:
        """What is no base64 gives the same, whatever the cuts."""
        self.assertEqual(in_pieces(decode.Base64Stream(), data, cuts), in_pieces(decode.Base64Stream(), data, []))

    def test_joined_base64(self) -> None:
        """Padding in the middle ends a piece only, and missing padding is supplied."""
        self.assertEqual(decode.decode_bytes(b"YQ==YmM=\r\nZGVm", "base64"), b"abcdef")
        self.assertEqual(decode.decode_bytes(b"YQ", "BASE64 "), b"a")
        self.assertEqual(decode.decode_bytes(b"YWJjZ", "base64"), b"abc")

    @given(st.binary(max_size=300), CUTS)
    def test_quoted_printable(self, data: bytes, cuts: list[int]) -> None:
        """What the standard library encodes decodes whatever the cuts."""
        encoded = quopri.encodestring(data, quotetabs=True)
        self.assertEqual(in_pieces(decode.QuotedPrintableStream(), encoded, cuts), data)

    @given(
        st.binary(max_size=100) | st.text(alphabet="=A4 \t\r\nx", max_size=100).map(str.encode),
        CUTS,
        st.integers(0, 200),
    )
    def test_any_quoted_printable(self, data: bytes, cuts: list[int], filler: int) -> None:
        """Anything gives the same whatever the cuts, also on lines too long to wait for."""
        data = data[: len(data) // 2] + b"y" * (filler * 100) + data[len(data) // 2 :]
        cuts = [*cuts, *(cut + filler * 100 for cut in cuts)]
        self.assertEqual(
            in_pieces(decode.QuotedPrintableStream(), data, cuts), decode._quoted(data.rstrip(b" \t")), repr(data)
        )

    def test_quoted_printable_blanks(self) -> None:
        """Blanks before a line end go, also behind a soft break."""
        self.assertEqual(decode.decode_bytes(b"a  \r\nb= \t\r\nc=20\r\nd  ", "quoted-printable"), b"a\r\nbc \r\nd")

    @given(st.binary(max_size=300), CUTS)
    def test_uuencode(self, data: bytes, cuts: list[int]) -> None:
        """Uuencoded lines decode whatever the cuts; text around them is skipped."""
        lines = [binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45)]
        encoded = b"Hello\nbegin 644 x\n" + b"".join(lines) + b"`\nend\nbye\n"
        self.assertEqual(in_pieces(decode.UuStream(), encoded, cuts), data)

    def test_identity(self) -> None:
        """7bit, 8bit and unknown encodings leave the octets alone."""
        for name in ("7bit", "8BIT", "binary", "x-strange", None, ""):
            self.assertEqual(decode.decode_bytes(b"a=\xff\r\n", name), b"a=\xff\r\n")


class TextTests(SynchronousTestCase):
    def test_texts(self) -> None:
        """Encoding, charset, line ends and byte order mark go; cut off text stays readable."""
        self.assertEqual(decode.decode_text(b"Gr=C3=BC=C3=9Fe\r\nB", "quoted-printable", "utf-8"), "Grüße\nB")
        self.assertEqual(decode.decode_text(b"77u/YQ1i", "base64", "utf-8"), "a\nb")
        self.assertEqual(decode.decode_text(b"caf\xe9", "8bit", None), "café")
        self.assertEqual(decode.decode_text("日本".encode("shift_jis"), "8bit", "Shift_JIS"), "日本")
        self.assertEqual(decode.decode_text(b"a=C3", "quoted-printable", "utf-8"), "a")

    @given(st.binary(max_size=200), st.sampled_from(["7bit", "base64", "quoted-printable", "x-uuencode"]))
    def test_total(self, data: bytes, encoding: str) -> None:
        """Any octets give text."""
        self.assertNotIn("\r", decode.decode_text(data, encoding, "utf-8"))

    @given(
        st.binary(max_size=60)
        | st.text(alphabet="aé日本Ж\r\n =+~{", max_size=60).flatmap(
            lambda text: st.sampled_from(
                [text.encode(name, "replace") for name in ("utf-8", "gb18030", "iso2022_jp", "hz", "utf-16", "cp932")]
            )
        ),
        st.sampled_from(["7bit", "base64", "quoted-printable", "x-uuencode"]),
        st.sampled_from(
            [None, "utf-8", "gb2312", "iso-2022-jp", "hz", "utf-16", "shift_jis", "euc-kr", "big5", "latin1", "koi8-r"]
        ),
        st.integers(1, 20),
    )
    def test_steps(self, data: bytes, encoding: str, charset: str | None, size: int) -> None:
        """In steps, whatever their size, a text is the same as at once."""
        forms = [data, data[:-1], base64.encodebytes(data), quopri.encodestring(data, quotetabs=True)]
        for octets in forms:
            self.assertEqual(at_end(octets, encoding, charset, size)[0], decode.decode_text(octets, encoding, charset))

    def test_step_count(self) -> None:
        """A long text takes a step for each slice of it, out of its encoding and out of its charset."""
        data = base64.encodebytes("日本語".encode() * 100)
        text, steps = at_end(data, "base64", "utf-8", 100)
        self.assertEqual(text, "日本語" * 100)
        self.assertGreaterEqual(steps, len(data) // 100 + 9)


def at_end(data: bytes, encoding: str | None, charset: str | None, size: int) -> tuple[str, int]:
    """The text, and the number of steps it took."""
    steps = decode.decode_text_steps(data, encoding, charset, size=size)
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
        count += 1


class HeaderBlockTests(SynchronousTestCase):
    MESSAGE = (
        b"From x@y Mon\r\nSubject: =?utf-8?q?=C3=A9?=\r\n two\r\nBcc: a@b,\r\n\tc@d\r\nX-Empty:\r\nbcc : e@f\r\n"
        b"To: g@h\r\n\r\nBcc: in the body\r\n"
    )

    def test_parse(self) -> None:
        """Fields come in order with lower-case names and decoded values, up to the empty line."""
        self.assertEqual(
            decode.parse_headers(self.MESSAGE),
            [("subject", "é two"), ("bcc", "a@b, c@d"), ("x-empty", ""), ("bcc", "e@f"), ("to", "g@h")],
        )
        self.assertEqual(decode.parse_headers(b"A: 1\nB: 2\n\nC: 3\n"), [("a", "1"), ("b", "2")])
        self.assertEqual(decode.parse_headers(b"\r\nA: 1\r\n"), [])
        self.assertEqual(decode.parse_headers(b""), [])

    def test_long_headers(self) -> None:
        """Of a header longer than any that is meant, only the beginning is read."""
        found = decode.parse_headers(b"A: 1\r\nB: " + b"x" * 2**20 + b"\r\nC: 3\r\n")
        self.assertEqual([name for name, _ in found], ["a", "b"])
        self.assertEqual(found[1][1], "x" * (256 * 1024 - 9))
        self.assertEqual(len(decode.parse_headers(b"A: 1\r\n" * 2**17)), 2000)
        self.assertEqual(decode.parse_headers(b"A: 1\r\nB: 23\r\nC: 4", longest=10), [("a", "1"), ("b", "2")])

    def test_strip_bcc(self) -> None:
        """Bcc fields go with their folds; the body and all else stays."""
        self.assertEqual(
            decode.strip_bcc(self.MESSAGE),
            b"From x@y Mon\r\nSubject: =?utf-8?q?=C3=A9?=\r\n two\r\nX-Empty:\r\nTo: g@h\r\n\r\nBcc: in the body\r\n",
        )
        self.assertEqual(decode.strip_bcc(b"A: b\n\nx"), b"A: b\n\nx")
        self.assertEqual(decode.strip_bcc(b"Bcc: x"), b"")

    def test_change(self) -> None:
        """Fields can be read, replaced, added and removed without touching the rest."""
        fields, rest = decode.split_message(self.MESSAGE)
        self.assertEqual(fields.get("subject"), "é two")
        self.assertIsNone(fields.get("date"))
        self.assertEqual(fields.raw_values("bcc"), [b" a@b,\r\n\tc@d\r\n", b" e@f\r\n"])
        fields.replace(b"Bcc: z\r\n")
        fields.replace(b"Date: now\r\n")
        fields.add(b"X-B: 1\r\n")
        fields.remove("subject", "x-empty", "")
        self.assertEqual(fields.raw(), b"Bcc: z\r\nTo: g@h\r\nDate: now\r\nX-B: 1\r\n")
        self.assertEqual(rest, b"\r\nBcc: in the body\r\n")

    @given(st.binary(max_size=300) | st.text(alphabet="aB: \t\r\n", max_size=80).map(str.encode))
    def test_split_is_exact(self, message: bytes) -> None:
        """Fields and rest, joined, are the message; without Bcc, stripping changes nothing."""
        fields, rest = decode.split_message(message)
        self.assertEqual(fields.raw() + rest, message)
        if "bcc" not in [name for name, _ in fields.items]:
            self.assertEqual(decode.strip_bcc(message), message)
        decode.parse_headers(message)
