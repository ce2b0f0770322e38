"""What may be submitted."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import InvalidInput
from emailengine.model.codec import encode, read
from emailengine.model.submission import Envelope, QueuedEnvelope, Recipient, Reference, SubmitRequest


def faults(**body: Any) -> list[str]:
    """The names of what is refused."""
    try:
        read(body, SubmitRequest)
    except InvalidInput as error:
        return sorted(one["message"].split('"')[1] for one in error.extra["fields"])
    return []


class SubmitRequestTests(SynchronousTestCase):
    def test_read(self) -> None:
        """A recipient may stand alone where a list is wanted; texts are trimmed and words taken in any case."""
        request = read(
            {
                "from": {"name": " Me ", "address": " me@example.com "},
                "to": {"address": "a@example.com"},
                "cc": [{"name": "B", "address": "b@example.com"}],
                "subject": " Hi ",
                "reference": {"message": "AAAAAQAAAAE", "action": "Reply-All"},
                "envelope": {"from": "", "to": "a@example.com"},
                "attachments": [{"content": "eA==", "contentType": " Text/PLAIN "}],
                "headers": {"X-A": 1, "X-B": ["b", "c"]},
                "sendAt": "2021-03-22T15:13:31+02:00",
                "deliveryAttempts": "3",
            },
            SubmitRequest,
        )
        self.assertEqual(request.from_, Recipient(name="Me", address="me@example.com"))
        self.assertEqual(request.to, [Recipient(address="a@example.com")])
        self.assertEqual(request.reference, Reference(message="AAAAAQAAAAE", action="reply-all"))
        self.assertEqual(request.envelope, Envelope(from_="", to=["a@example.com"]))
        self.assertEqual(request.attachments and request.attachments[0].content_type, "text/plain")
        self.assertEqual((request.subject, request.delivery_attempts), ("Hi", 3))
        self.assertEqual(request.send_at, "2021-03-22T13:13:31.000Z")

    def test_all_faults(self) -> None:
        """All that is wrong is told at once, down to the list's entry."""
        found = faults(
            to=[{"address": "a@example.com"}, {"address": "no"}, {}],
            attachments=[{"content": "x", "encoding": "hex"}],
            reference={"message": "", "action": "bounce"},
            deliveryAttempts=0,
            template="x",
            invented=1,
        )
        self.assertEqual(
            found,
            [
                "attachments[0].encoding",
                "deliveryAttempts",
                "invented",
                "reference.action",
                "reference.message",
                "template",
                "to[1].address",
                "to[2].address",
            ],
        )

    def test_attachments(self) -> None:
        """An attachment is content or a reference, never both or neither."""
        self.assertEqual(faults(attachments=[{"content": ""}, {"reference": "AAAA"}]), [])
        self.assertEqual(
            faults(attachments=[{}, {"reference": False}, {"content": "", "reference": "AAAA"}]),
            ["attachments[0].content", "attachments[1].content", "attachments[2].reference"],
        )

    def test_raw(self) -> None:
        """A whole message stands beside headers and recipients, not beside a second content."""
        self.assertEqual(faults(raw="eA==", subject="x", to=[{"address": "a@example.com"}]), [])
        self.assertEqual(
            faults(raw="eA==", text="x", html="y", attachments=[{"content": ""}]), ["attachments", "html", "text"]
        )

    def test_headers(self) -> None:
        """No header's name or value can begin another header."""
        self.assertEqual(faults(headers={"X-A": "one line"}), [])
        for name in ("", "X A", "X:", "X\r\nBcc", "Ü"):
            self.assertEqual(faults(headers={name: "x"}), [f"headers.{name}"])
        for value in ("a\r\nBcc: b", "a\nb", "a\0", ["a", "b\r"], {"a": 1}, None, [None]):
            self.assertEqual(faults(headers={"X-A": value}), ["headers.X-A"])

    def test_wire_names(self) -> None:
        """Reserved words of Python are plain names on the wire."""
        self.assertEqual(encode(QueuedEnvelope(from_="a", to=["b"])), b'{"from":"a","to":["b"]}')
