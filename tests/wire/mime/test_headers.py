"""What we write in headers, read back by ourselves and by the standard library."""

from __future__ import annotations

import email
import email.policy
import email.utils
from email.header import decode_header, make_header
from email.utils import getaddresses

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.mime import headers, words
from emailengine.wire.mime.words import Mailbox

ANY_TEXT = st.text(max_size=300) | st.text(alphabet=" \t\r\naäö?=_日", max_size=200)
NAMES = st.sampled_from(["Subject", "X-Quite-A-Long-Field-Name-For-Some-Reason", "A"])


def value_of(line: bytes) -> bytes:
    return line.partition(b":")[2]


def message_with(*fields: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(b"".join(fields) + b"\r\nbody\r\n", policy=email.policy.default)


class TextFieldTests(SynchronousTestCase):
    @given(NAMES, ANY_TEXT)
    @example("Subject", "a =?utf-8?q?b?= c")
    @example("Subject", "x" * 2000)
    @example("Subject", "x" * 990)
    @example("Subject", "a  b   " * 40)
    def test_reads_back(self, name: str, text: str) -> None:
        """Whatever the text, it reads back; lines are short, and there is exactly one field."""
        line = headers.text_field(name, text)
        self.assertTrue(line.startswith(name.encode() + b":"))
        self.assertEqual(words.decode_header(value_of(line)), headers.clean(text))
        self.assertTrue(line.endswith(b"\r\n"))
        rows = line[:-2].split(b"\r\n")
        for row in rows:
            self.assertLessEqual(len(row), 998)
            self.assertNotIn(b"\n", row)
            self.assertNotIn(b"\r", row)
            self.assertTrue(row.isascii())
        for row in rows[1:]:
            self.assertEqual(row[:1], b" ")
            self.assertTrue(row.strip())

    @given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs")), max_size=200))
    def test_standard_library_agrees(self, text: str) -> None:
        """The standard library's header decoder reads the same text."""
        text = headers.clean(text)
        line = headers.text_field("Subject", text)
        if b"=?" in line:
            raw = value_of(line).decode("ascii").replace("\r\n", "").strip()
            self.assertEqual(str(make_header(decode_header(raw))), text)
        else:
            self.assertEqual(message_with(line)["Subject"], text)

    def test_injection(self) -> None:
        """Line breaks in a value become blanks."""
        self.assertEqual(
            headers.text_field("Subject", "Hi\r\nBcc: all@example.com\n\nBody"),
            b"Subject: Hi Bcc: all@example.com  Body\r\n",
        )

    def test_names(self) -> None:
        """Field names get capitals; what is no field name is refused."""
        self.assertEqual(
            [headers.field_name(name) for name in ("x-my-header", "MESSAGE-ID", "mime-version", "list-unsubscribe")],
            ["X-My-Header", "Message-ID", "MIME-Version", "List-Unsubscribe"],
        )
        for name in ("", "a b", "a:b", "a\r\nb", "é", "a\n"):
            self.assertRaises(WeMisusedProtocol, headers.field_name, name)


class AddressFieldTests(SynchronousTestCase):
    @given(
        st.lists(
            st.tuples(
                st.text(max_size=80) | st.text(alphabet='a"\\(), <>@é', max_size=30),
                st.from_regex(r"[a-z][a-z0-9.+_-]{0,20}[a-z]@[a-z]{1,20}\.[a-z]{2,5}", fullmatch=True).filter(
                    lambda address: ".." not in address and not address.startswith(".") and ".@" not in address
                ),
            ),
            max_size=8,
        )
    )
    def test_reads_back(self, pairs: list[tuple[str, str]]) -> None:
        """Names and addresses read back, with ours and with the standard library's parser."""
        mailboxes = [Mailbox(name, address) for name, address in pairs]
        line = headers.address_field("To", mailboxes)
        expected = [(headers.clean(name), address) for name, address in pairs]
        found = words.parse_address_list(value_of(line))
        self.assertEqual([(one.name, one.address) for one in found], expected)
        for row in line[:-2].split(b"\r\n"):
            self.assertLessEqual(len(row), 998)
        theirs = [address for _, address in getaddresses([value_of(line).decode("utf-8")])]
        self.assertEqual(theirs, [address for _, address in pairs] or [""] * len(theirs))

    @given(st.text(max_size=40), st.text(max_size=40))
    def test_total(self, name: str, address: str) -> None:
        """Any text as an address makes one field of one mailbox at most, and never a second field."""
        line = headers.address_field("To", [Mailbox(name, address)])
        for row in line[:-2].split(b"\r\n")[1:]:
            self.assertEqual(row[:1], b" ")
        self.assertEqual(line.count(b"\n"), line.count(b"\r\n"))
        self.assertLessEqual(len(words.parse_address_list(value_of(line))), 1)

    def test_forms(self) -> None:
        """Atoms stand bare, other names quoted; domains outside ASCII become IDNA labels."""
        line = headers.address_field(
            "From",
            [
                Mailbox("Jo Doe", "jo@example.com"),
                Mailbox("Doe, Jo", "jo@bücher.example"),
                Mailbox("", "two words@x.y"),
                Mailbox("", "jö@example.com"),
            ],
        )
        self.assertEqual(
            line.decode(),
            'From: Jo Doe <jo@example.com>, "Doe, Jo" <jo@xn--bcher-kva.example>,\r\n'
            ' "two words"@x.y, jö@example.com\r\n',
        )

    def test_escape_from_brackets(self) -> None:
        """An address cannot close its brackets, add a recipient or start a line."""
        line = headers.address_field("To", [Mailbox("x", "a@b>, <evil@c>\r\nBcc: d@e")])
        self.assertEqual([one.name for one in words.parse_address_list(value_of(line))], ["x"])
        self.assertEqual(line.count(b"\r\n"), 1)


class IdTests(SynchronousTestCase):
    def test_ids(self) -> None:
        """Ids get brackets where they lack them, lose blanks, and fold one to a line where many."""
        self.assertEqual(headers.ids_field("In-Reply-To", ["a@b"]), b"In-Reply-To: <a@b>\r\n")
        self.assertEqual(headers.bracketed(" <a b@\r\nc> "), "<ab@c>")
        self.assertEqual(headers.bracketed(""), "")
        line = headers.ids_field("References", [f"{n:040}@example.com" for n in range(5)])
        self.assertEqual(line.count(b"\r\n "), 4)

    def test_long_id(self) -> None:
        """An id of the greatest allowed length stands on its own line within the limit."""
        line = headers.ids_field("Message-ID", ["x" * 994 + "@"])
        self.assertTrue(all(len(row) <= 998 for row in line.split(b"\r\n")))


class ParameterTests(SynchronousTestCase):
    @given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=256))
    @example('quote" back\\slash; semi')
    @example("日本語のファイル名" * 20 + ".pdf")
    @example("a" * 256)
    @example('""')
    def test_file_names(self, name: str) -> None:
        """The standard library reads the file name back from a disposition."""
        name = headers.clean(name)
        line = headers.parameter_field("Content-Disposition", "attachment", [("filename", name)])
        for row in line[:-2].split(b"\r\n"):
            self.assertLessEqual(len(row), 100)
        found = email.message_from_bytes(line + b"\r\n").get_filename()
        # it takes off quotes and angle brackets once more, though these belong to the name
        self.assertIn((found or "").strip(), {name.strip(), email.utils.unquote(name).strip()})

    @given(st.text(max_size=256))
    def test_encoded_form(self, name: str) -> None:
        """The old form is one field, of short lines, and reads back after unquoting."""
        name = headers.clean(name)
        line = headers.parameter_field("Content-Type", "text/plain", [("name", name)], encoded=True)
        for row in line[:-2].split(b"\r\n"):
            self.assertLessEqual(len(row), 998)
        if not name.isascii():
            raw = value_of(line).partition(b'name="')[2].strip().removesuffix(b'"')
            self.assertEqual(words.decode_header(raw), name)

    def test_value(self) -> None:
        """A value cannot bring parameters or lines of its own."""
        line = headers.parameter_field("Content-Type", "text/plain;\r\nX: y", [("charset", "utf-8")])
        self.assertEqual(line, b"Content-Type: text/plainXy; charset=utf-8\r\n")
