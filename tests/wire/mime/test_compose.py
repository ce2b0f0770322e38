"""Composed messages, read by the standard library."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.mime.compose import Attachment, Outgoing, compose, compose_whole, date_text, strip_bcc
from emailengine.wire.mime.words import Mailbox, parse_date


def outgoing(**values: Any) -> Outgoing:
    return Outgoing(**{"message_id": "id@example.com", "date": 1795484092.0, **values})


def read(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.SMTP)


def shape(part: EmailMessage) -> Any:
    if part.get_content_maintype() == "multipart":
        return (part.get_content_subtype(), [shape(cast(EmailMessage, one)) for one in part.iter_parts()])
    return part.get_content_type()


BODIES = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=400) | st.text(
    alphabet="a =.\n\tü", max_size=400
)


class StructureTests(SynchronousTestCase):
    PICTURE = Attachment(content=b"\x89PNG", content_type="image/png", filename="a.png", cid="pic@x")
    FILE = Attachment(content=b"%PDF", content_type="application/pdf", filename="ü.pdf")

    def test_shapes(self) -> None:
        """Each level of the structure is there only when it has more than one member."""
        cases: list[tuple[dict[str, Any], Any]] = [
            ({}, "text/plain"),
            ({"text": "x"}, "text/plain"),
            ({"html": "<p>x"}, ("alternative", ["text/plain", "text/html"])),
            ({"text": "x", "html": "<p>x"}, ("alternative", ["text/plain", "text/html"])),
            (
                {"html": "<p>x", "attachments": [self.PICTURE]},
                ("alternative", ["text/plain", ("related", ["text/html", "image/png"])]),
            ),
            ({"attachments": [self.FILE]}, ("mixed", ["application/pdf"])),
            ({"text": "x", "attachments": [self.PICTURE]}, ("mixed", ["text/plain", "image/png"])),
            (
                {"text": "x", "html": "y", "attachments": [self.FILE, self.PICTURE]},
                (
                    "mixed",
                    [
                        ("alternative", ["text/plain", ("related", ["text/html", "image/png"])]),
                        "application/pdf",
                    ],
                ),
            ),
        ]
        for values, expected in cases:
            self.assertEqual(shape(read(compose_whole(outgoing(**values)))), expected)

    def test_attachments(self) -> None:
        """Attachments keep content, type, parameters, names, disposition and id."""
        message = read(
            compose_whole(
                outgoing(
                    html='<img src="cid:pic@x">',
                    attachments=[
                        self.FILE,
                        self.PICTURE,
                        Attachment(content=b"a;b", content_type='Text/CSV; charset="utf-8"; x=1', filename='q"uo.csv'),
                        Attachment(content=b"", content_type="text/html\r\nX: y", disposition="strange"),
                    ],
                )
            )
        )
        pdf, csv, odd = list(message.iter_attachments())
        self.assertEqual((pdf.get_content(), pdf.get_filename()), (b"%PDF", "ü.pdf"))
        self.assertEqual((csv.get_content_type(), csv.get_filename()), ("text/csv", 'q"uo.csv'))
        self.assertEqual((csv.get_param("charset"), csv.get_content()), ("utf-8", "a;b"))
        self.assertEqual(
            (odd.get_content_type(), odd.get_content_disposition()), ("application/octet-stream", "attachment")
        )
        picture = next(one for one in message.walk() if one.get_content_type() == "image/png")
        self.assertEqual((picture["Content-ID"], picture.get_content_disposition()), ("<pic@x>", "inline"))

    def test_embedded_message(self) -> None:
        """A message/rfc822 attachment is embedded as it is, with CRLF."""
        for content, encoding in ((b"Subject: in\n\nbody\n", "7bit"), ("Subject: ü\r\n\r\nbody\r\n".encode(), "8bit")):
            raw = compose_whole(
                outgoing(
                    text="x", attachments=[Attachment(content=content, content_type="message/rfc822", filename="m.eml")]
                )
            )
            self.assertIn(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), raw)
            part = next(one for one in read(raw).walk() if one.get_content_type() == "message/rfc822")
            self.assertEqual(part["Content-Transfer-Encoding"], encoding)

    @given(st.binary(max_size=500), st.integers(0, 3))
    def test_binary(self, content: bytes, blocks: int) -> None:
        """Attachment content is exact, also over several slices."""
        content = content + b"\xfe\x00x" * (57 * 700 * blocks)
        message = read(compose_whole(outgoing(attachments=[Attachment(content=content)])))
        self.assertEqual(next(message.iter_attachments()).get_content(), content)


class TextTests(SynchronousTestCase):
    @given(BODIES)
    @example("Zeile mit Leerzeichen \n" * 5000)
    @example("ü" * 60_000)
    @example("x" * 150_000)
    @example("a b " * 30_000)
    @example("\r\n" * 30_000 + "x" * 60_000)
    @example(".\nFrom me\n")
    def test_reads_back(self, text: str) -> None:
        """Texts read back, in lines of at most 76 octets."""
        raw = compose_whole(outgoing(text=text))
        self.assertLessEqual(max(len(line) for line in raw.split(b"\r\n")), 76)
        self.assertEqual(raw.count(b"\n"), raw.count(b"\r\n"))
        self.assertTrue(raw.isascii())
        part = read(raw)
        found = cast(bytes, part.get_payload(decode=True)).decode(part.get_content_charset() or "ascii")
        self.assertEqual(found.replace("\r\n", "\n").rstrip("\n"), text.replace("\r\n", "\n").rstrip("\n"))

    @given(BODIES, BODIES)
    def test_both(self, text: str, html: str) -> None:
        """Text and HTML side by side are exact."""
        if not html.strip() or not text:
            return
        message = read(compose_whole(outgoing(text=text, html=html)))
        for part, expected in zip(message.iter_parts(), (text, html), strict=True):
            found = cast(bytes, part.get_payload(decode=True)).decode(part.get_content_charset() or "ascii")
            expected = expected.replace("\r\n", "\n")
            self.assertEqual(found.replace("\r\n", "\n").removesuffix("\n"), expected.removesuffix("\n"))

    def test_encodings(self) -> None:
        """Short ASCII stays as it is; long lines and some 8-bit are quoted-printable; much 8-bit is base64."""
        for text, encoding in [
            ("plain\nlines\n", "7bit"),
            ("x" * 77, "quoted-printable"),
            ("Grüße aus dem hohen Norden", "quoted-printable"),
            ("日本語のテキスト", "base64"),
            ("nul\0", "quoted-printable"),
        ]:
            self.assertEqual(read(compose_whole(outgoing(text=text)))["Content-Transfer-Encoding"], encoding)

    def test_generated_text(self) -> None:
        """HTML alone gets a plain text made from it."""
        message = read(compose_whole(outgoing(html='<p>One</p><p>Two <a href="https://x.y">three</a>')))
        body = message.get_body(("plain",))
        assert body is not None
        self.assertEqual(body.get_content().strip().splitlines(), ["One", "", "Two three [https://x.y]"])


class HeaderTests(SynchronousTestCase):
    def test_fields(self) -> None:
        """All fields are written once and read back."""
        raw = compose_whole(
            outgoing(
                from_=Mailbox("Jörg Müller", "jo@example.com"),
                sender=Mailbox("", "s@example.com"),
                reply_to=[Mailbox("R", "r@example.com")],
                to=[Mailbox("", "a@example.com"), Mailbox("B, b", "b@example.com")],
                cc=[Mailbox("", "c@example.com")],
                bcc=[Mailbox("", "d@example.com")],
                subject="Grüße\r\nX-Evil: 1",
                text="x",
                in_reply_to="p@example.com",
                references=["<o@example.com>", "p@example.com"],
                headers=[
                    ("x-custom", "Ü\r\nX-Evil: 2"),
                    ("X-CUSTOM", "two"),
                    ("subject", "other"),
                    ("Content-Type", "text/evil"),
                    ("list-unsubscribe", "<https://example.com/unsubscribe?data=" + "x" * 200 + ">"),
                ],
            )
        )
        message = read(raw)
        self.assertEqual(message["From"], "Jörg Müller <jo@example.com>")
        self.assertEqual(message["To"], 'a@example.com, "B, b" <b@example.com>')
        self.assertEqual(message["Bcc"], "d@example.com")
        self.assertEqual(message["Subject"], "Grüße X-Evil: 1")
        self.assertEqual(message["References"], "<o@example.com> <p@example.com>")
        self.assertEqual(message["In-Reply-To"], "<p@example.com>")
        self.assertEqual(message["Message-ID"], "<id@example.com>")
        self.assertEqual(message["MIME-Version"], "1.0")
        self.assertEqual(parse_date(str(message["Date"])), 1795484092.0)
        self.assertEqual(message.get_all("X-Custom"), ["Ü X-Evil: 2", "two"])
        self.assertIsNone(message["X-Evil"])
        self.assertEqual(len(message.get_all("Content-Type") or []), 1)
        self.assertEqual(len(message.get_all("Subject") or []), 1)
        self.assertIn(b"x" * 200 + b">", raw)
        self.assertNotIn(b"\r\nBcc", strip_bcc(raw))
        self.assertEqual(strip_bcc(raw), raw.replace(b"Bcc: d@example.com\r\n", b""))

    def test_replaced_threading(self) -> None:
        """Custom threading fields replace those of the message."""
        message = read(
            compose_whole(
                outgoing(
                    references=["<a@x>"],
                    in_reply_to="<a@x>",
                    headers=[("references", "<b@x> c@x"), ("In-Reply-To", "<b@x>")],
                )
            )
        )
        self.assertEqual(message.get_all("References"), ["<b@x> <c@x>"])
        self.assertEqual(message.get_all("In-Reply-To"), ["<b@x>"])

    def test_bad_name(self) -> None:
        """A custom header whose name is none is refused before anything is written."""
        self.assertRaises(WeMisusedProtocol, next, compose(outgoing(headers=[("X: y\r\nZ", "1")])))

    def test_date(self) -> None:
        """Dates are written in UTC."""
        self.assertEqual(date_text(1795484092.9), "Tue, 24 Nov 2026 01:34:52 +0000")


class SliceTests(SynchronousTestCase):
    def test_slices(self) -> None:
        """Large parts come in many slices, none of them large."""
        slices = list(
            compose(
                outgoing(
                    html="<p>x</p>" * 20_000, text="ü" * 300_000, attachments=[Attachment(content=bytes(2_000_000))]
                )
            )
        )
        self.assertGreater(len(slices), 20)
        self.assertLess(max(map(len, slices)), 200_000)
