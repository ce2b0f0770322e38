"""What a server told of a message, in the shapes of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.shaping import (
    Texts,
    is_auto_reply,
    message_special_use,
    shape_detail,
    shape_entry,
    sort_leaves,
)
from emailengine.model.codec import encode
from emailengine.model.ids import unpack_attachment, unpack_message, unpack_text
from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap.body import Address, Envelope
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.responses import Fetch, Response, parse
from emailengine.wire.imap.splitter import Splitter
from tests.wire.imap.transcripts import NAMES, read_one, said_by_server

PLAIN = b'("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 12 1 NIL NIL NIL NIL)'
HTML = b'("text" "html" ("charset" "utf-8") NIL NIL "base64" 34 1 NIL NIL NIL NIL)'
IMAGE = b'("image" "png" ("name" "a.png") "<c1>" NIL "base64" 400 NIL ("inline" ("filename" "a.png")) NIL NIL)'
PDF = b'("application" "pdf" NIL NIL NIL "base64" 900 NIL ("attachment" ("filename" "=?utf-8?Q?=C3=BC.pdf?=")) NIL NIL)'
BOB = b'(("=?utf-8?Q?B=C3=B6b?=" NIL "bob" "example.net"))'


def multipart(subtype: bytes, *parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b' "' + subtype + b'" NIL NIL NIL NIL)'


def seen(
    body: bytes = PLAIN, flags: bytes = b"", more: bytes = b"", date: bytes = b'"Mon, 23 Nov 2026 10:00:00 +0100"'
) -> Fetched:
    response = read_one(
        b"* 1 FETCH (UID 7 FLAGS (" + flags + b') INTERNALDATE "23-Nov-2026 12:00:00 +0000" RFC822.SIZE 999 '
        b"ENVELOPE (" + date + b' "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=" ' + BOB + b" " + BOB + b" " + BOB + b" "
        b'((NIL NIL "friends" NIL)(NIL NIL "ann" "example.org")(NIL NIL NIL NIL)) NIL NIL "<old@x>" " <new@x> ")'
        b" BODYSTRUCTURE " + body + more + b")"
    )  # fmt: skip
    assert isinstance(response, Fetch)
    return response


def entry(one: Fetched) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(encode(shape_entry(one, 3)))
    return told


class EntryTests(SynchronousTestCase):
    def test_usual(self) -> None:
        """A list entry: words are decoded, groups are told, what is not there is absent."""
        told = entry(seen())
        text = told.pop("text")
        self.assertEqual(unpack_message(told.pop("id")), (3, 7))
        self.assertEqual(
            told,
            {
                "uid": 7,
                "date": "2026-11-23T09:00:00.000Z",
                "flags": [],
                "unseen": True,
                "size": 999,
                "subject": "Grüße",
                "from": {"name": "Böb", "address": "bob@example.net"},
                "replyTo": [{"name": "Böb", "address": "bob@example.net"}],
                "to": [{"name": "friends"}, {"name": "", "address": "ann@example.org"}],
                "messageId": "<new@x>",
                "inReplyTo": "<old@x>",
            },
        )
        self.assertEqual(text["encodedSize"], {"plain": 12})
        self.assertEqual(unpack_text(text["id"]), (3, 7, ["1"], [], []))

    def test_flags(self) -> None:
        r"""Flags as the server tells them, \Recent aside; four of them as members, only where true."""
        told = entry(seen(flags=rb"\Seen \Recent \Answered \Flagged \Draft $X"))
        self.assertEqual(told["flags"], ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$X"])
        self.assertNotIn("unseen", told)
        self.assertTrue(told["flagged"] and told["answered"] and told["draft"])

    def test_gmail(self) -> None:
        """Labels and Gmail's ids; a label may say that it is a draft."""
        told = entry(seen(more=rb' X-GM-MSGID 12 X-GM-THRID 34 X-GM-LABELS ("\\Draft" "a b")'))
        self.assertEqual((told["emailId"], told["threadId"], told["labels"]), ("12", "34", ["\\Draft", "a b"]))
        self.assertTrue(told["draft"])

    def test_date(self) -> None:
        """Where the header has no date that can be read, the server's is told."""
        for date in (b"NIL", b'"yesterday"', b'""'):
            self.assertEqual(entry(seen(date=date))["date"], "2026-11-23T12:00:00.000Z")

    def test_nothing_told(self) -> None:
        """A server that tells nothing but the UID gives an entry, too."""
        told = entry(Fetched(1, uid=9))
        self.assertEqual(sorted(told), ["flags", "id", "uid", "unseen"])

    def test_eight_bit(self) -> None:
        """Octets that are no UTF-8, wherever a server lets them through, do not break the answer."""
        body = b'("text" "calendar" ("method" "\xe9" "name" "\xe9.ics") "<\xe9>" "\xe9" "7bit" 5 1 NIL ("attachment" NIL) NIL "\xe9")'
        told = entry(seen(body, b"\xe9", b' EMAILID (\xe9) THREADID (\xe9) X-GM-LABELS ("\xe9")'))
        (calendar,) = told["attachments"]
        self.assertEqual((calendar["contentId"], calendar["method"]), ("<\ufffd>", "\ufffd"))
        self.assertEqual(told["emailId"], "\ufffd")

    @given(st.sampled_from(NAMES))
    def test_any_server(self, name: str) -> None:
        """Whatever servers told in the transcripts becomes an entry and a detail."""
        found = [one for one in read_some(said_by_server(name)) if isinstance(one, Fetch)]
        for one in found:
            entry(one)
            encode(shape_detail(one, sort_leaves(one.body), 1, "INBOX", None, b"a: b\r\n\r\n", None))


def read_some(data: bytes) -> Iterator[Response]:
    """The responses that can be read."""
    for pieces in Splitter().feed(data):
        try:
            yield parse(pieces)
        except TheyBrokeProtocol:
            pass


class LeavesTests(SynchronousTestCase):
    def attached(self, body: bytes) -> list[tuple[str, str, bool, bool, bool]]:
        return [
            (
                unpack_attachment(one["id"])[2],
                one["contentType"],
                one["embedded"],
                one["inline"],
                one["encodedInMessage"],
            )
            for one in entry(seen(body)).get("attachments", [])
        ]

    def test_mixed(self) -> None:
        """Text apart from attachments; what belongs to the text's page is embedded."""
        body = multipart(b"mixed", multipart(b"alternative", PLAIN, multipart(b"related", HTML, IMAGE)), PDF)
        told = entry(seen(body))
        self.assertEqual(unpack_text(told["text"]["id"]), (3, 7, ["1.1"], ["1.2.1"], []))
        self.assertEqual(told["text"]["encodedSize"], {"plain": 12, "html": 34})
        self.assertEqual(
            self.attached(body),
            [("1.2.2", "image/png", True, True, False), ("2", "application/pdf", False, False, False)],
        )
        self.assertEqual(
            [(one.get("filename"), one.get("contentId"), one["encodedSize"]) for one in told["attachments"]],
            [("a.png", "<c1>", 400), ("ü.pdf", None, 900)],
        )

    def test_enclosed_message(self) -> None:
        """An enclosed message is an attachment, with what is attached to it; its text is not this message's."""
        inner = multipart(b"mixed", PLAIN, PDF)
        nothing = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
        body = multipart(
            b"mixed", PLAIN, b'("message" "rfc822" NIL NIL NIL "7bit" 90 ' + nothing + b" " + inner + b" 5)"
        )
        self.assertEqual(unpack_text(entry(seen(body))["text"]["id"])[2:], (["1"], [], []))
        self.assertEqual(
            self.attached(body),
            [("2", "message/rfc822", False, False, False), ("2.2", "application/pdf", False, False, True)],
        )

    def test_attached_text(self) -> None:
        """Text that is sent as an attachment is one."""
        note = b'("text" "plain" NIL NIL NIL "7bit" 5 1 NIL ("attachment" ("filename" "n.txt")) NIL NIL)'
        self.assertEqual(self.attached(multipart(b"mixed", PLAIN, note)), [("2", "text/plain", False, False, False)])
        self.assertNotIn("text", entry(seen(note)))


class DetailTests(SynchronousTestCase):
    def detail(
        self, one: Fetched, header: bytes | None = None, texts: Texts | None = None, use: str | None = None
    ) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(
            encode(shape_detail(one, sort_leaves(one.body), 3, "INBOX", use, header, texts))
        )
        return told

    def test_headers_and_text(self) -> None:
        """Header fields by lower-case name, each with all its values, and the text with whether there is more."""
        told = self.detail(
            seen(),
            b"Received: one\r\nReceived: two\r\nSubject: =?utf-8?Q?=C3=BC?=\r\n\r\n",
            Texts("hello", None, True),
            "\\Inbox",
        )
        self.assertEqual(told["headers"], {"received": ["one", "two"], "subject": ["ü"]})
        self.assertEqual((told["text"]["plain"], told["text"]["hasMore"]), ("hello", True))
        self.assertNotIn("html", told["text"])
        self.assertEqual((told["path"], told["specialUse"], told["messageSpecialUse"]), ("INBOX", "\\Inbox", "\\Inbox"))
        self.assertEqual(told["sender"], {"name": "Böb", "address": "bob@example.net"})

    def test_without(self) -> None:
        """Nothing is told of headers or text that were not read."""
        told = self.detail(seen())
        self.assertNotIn("headers", told)
        self.assertNotIn("plain", told["text"])
        self.assertNotIn("isAutoReply", told)

    def test_bare_envelope(self) -> None:
        """Where the envelope has no address at all, the header's are told; else the envelope's alone."""
        header = (
            b"FROM: =?utf-8?Q?B=C3=B6b=2C_or_so?= <bob@example.net>\r\nTo: Anna\r\n <anna@example.org>,\r\n"
            b"\t(x) carl@example.org\r\nX-Other: y\r\nCc: undisclosed-recipients:;\r\n\r\n"
        )
        bare = Fetched(1, uid=9, envelope=Envelope(subject=b"Hi"), sections={"HEADER.FIELDS": header})
        told = json.loads(encode(shape_entry(bare, 3)))
        self.assertEqual(told["from"], {"name": "B\u00f6b, or so", "address": "bob@example.net"})
        self.assertEqual([one["address"] for one in told["to"]], ["anna@example.org", "carl@example.org"])
        self.assertNotIn("cc", told)
        detail = json.loads(encode(self.detail_of(Fetched(1, uid=9, flags=(), envelope=Envelope()), header)))
        self.assertEqual(detail["from"]["address"], "bob@example.net")
        full = Envelope(to=(Address(None, b"eve", b"example.com"),))
        told = json.loads(encode(shape_entry(attrs.evolve(bare, envelope=full), 3)))
        self.assertNotIn("from", told)

    @staticmethod
    def detail_of(one: Fetched, header: bytes) -> Any:
        return shape_detail(one, sort_leaves(one.body), 3, "INBOX", None, header, None)

    def test_auto_reply(self) -> None:
        """Answers that nobody wrote, by subject and by header; nothing else."""
        for subject, headers, reply in [
            ("Automatic reply: Angebot", {}, False),
            ("OOO: away", {}, False),
            ("  Out of Office", {}, False),
            ("Auto: yes", {}, True),
            ("x", {"precedence": ["AUTO_REPLY"]}, False),
            ("x", {"auto-submitted": ["auto-replied (vacation)"]}, False),
            ("x", {"x-autoreply": ["yes"]}, False),
        ]:
            self.assertTrue(is_auto_reply(subject, headers, reply), subject)
        for subject, headers, reply in [
            ("Auto: for sale", {}, False),
            ("Re: Out of Office", {}, True),
            ("x", {"auto-submitted": ["no"], "precedence": ["bulk"]}, False),
            ("x", {"auto-submitted": ["auto-generated"]}, False),
            ("x", {"x-autoreply": [""]}, False),
        ]:
            self.assertFalse(is_auto_reply(subject, headers, reply), subject)

    def test_role(self) -> None:
        """A message's role is that of its folder or of a label, the more telling one first."""
        self.assertEqual(message_special_use("\\All", ["\\Inbox", "\\Sent"]), "\\Sent")
        self.assertEqual(message_special_use("\\Junk", ["\\Inbox"]), "\\Junk")
        self.assertIsNone(message_special_use("\\Archive", ["x"]))
        self.assertIsNone(message_special_use(None, []))
