"""The JSON of webhooks: order of keys, what the settings let through."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from emailengine.model.event import Say
from emailengine.model.message import Address, MessageDetail, TextInfo
from emailengine.webhooks.payload import bare_message, body, content_policy, missing_message, new_message

INBOX = Say(
    event_id="e", event="messageNew", date="2026-03-04T09:15:02.114Z", path="INBOX", special_use="\\Inbox",
    folder=3, uid_validity=1, uid=82,
)  # fmt: skip


def detail(**more: Any) -> MessageDetail:
    fields: dict[str, Any] = {
        "id": "AAAAAwAAAFI",
        "uid": 82,
        "path": "INBOX",
        "date": "2026-03-04T09:14:58.000Z",
        "flags": [],
        "unseen": True,
        "size": 4120,
        "subject": "Offer 12",
        "from_": Address(name="Ana", address="ana@shop.example"),
        "to": [Address(name="", address="me@corp.example")],
        "message_id": "<o12@shop.example>",
        "headers": {"subject": ["Offer 12"], "list-id": ["<a>"], "received": ["1", "2"]},
        "text": TextInfo(id="AAAAAwAAAFKTkaExkJA", encoded_size={"plain": 61}, plain="See offer 12.\n", has_more=False),
        "special_use": "\\Inbox",
        "message_special_use": "\\Inbox",
    }
    return MessageDetail(**(fields | more))


def told(settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    policy = content_policy(lambda name, default=None: settings.get(name, default))
    return new_message(detail(**more), policy, None)


class PayloadTests(SynchronousTestCase):
    def test_new_message(self) -> None:
        """The documented example, octet by octet."""
        made = body("acc-7", INBOX, "messageNew", told({}), "https://mail.example.org")
        self.assertEqual(
            made.decode(),
            '{"serviceUrl":"https://mail.example.org","account":"acc-7","date":"2026-03-04T09:15:02.114Z","path":"INBOX",'
            '"specialUse":"\\\\Inbox","event":"messageNew","data":{"id":"AAAAAwAAAFI","uid":82,"path":"INBOX",'
            '"date":"2026-03-04T09:14:58.000Z","flags":[],"unseen":true,"size":4120,"subject":"Offer 12",'
            '"from":{"name":"Ana","address":"ana@shop.example"},"to":[{"name":"","address":"me@corp.example"}],'
            '"messageId":"<o12@shop.example>","text":{"id":"AAAAAwAAAFKTkaExkJA","encodedSize":{"plain":61},'
            '"plain":"See offer 12.\\n","hasMore":false},"specialUse":"\\\\Inbox","messageSpecialUse":"\\\\Inbox",'
            '"seemsLikeNew":true}}',
        )

    def test_envelope(self) -> None:
        """`serviceUrl` is always there, folder and role only with a folder; what is known is told as it is."""
        say = Say(event_id="e", event="accountAdded", date="d", special_use="\\Inbox", data={"account": "é/1"})
        for url in (None, ""):
            self.assertEqual(
                body("é/1", say, say.event, say.data, url).decode(),
                '{"serviceUrl":null,"account":"é/1","date":"d","event":"accountAdded","data":{"account":"é/1"}}',
            )

    def test_text(self) -> None:
        """Without notifyText the text's id and size stay; its size has a default, and 0 is no limit."""
        self.assertEqual(
            told({"notifyText": False})["text"], {"id": "AAAAAwAAAFKTkaExkJA", "encodedSize": {"plain": 61}}
        )
        for settings, limit in (({}, 2097152), ({"notifyTextSize": 10}, 10), ({"notifyTextSize": 0}, None)):
            wish = content_policy(lambda name, default=None, s=settings: s.get(name, default)).wish
            assert wish is not None
            self.assertEqual(wish.limit, limit)
        self.assertIsNone(content_policy(lambda name, default=None: False if name == "notifyText" else default).wish)
        self.assertNotIn("text", told({}, text=None))

    def test_headers(self) -> None:
        """None unless wished for; by name in any case, or all; before the text."""
        for wished, expected in (
            (None, None),
            ([], None),
            (["List-ID", "x-none"], {"list-id": ["<a>"]}),
            (["*"], {"subject": ["Offer 12"], "list-id": ["<a>"], "received": ["1", "2"]}),
            (["x-none"], {}),
        ):
            made = told({"notifyHeaders": wished})
            self.assertEqual(made.get("headers"), expected)
        names = list(told({"notifyHeaders": ["*"]}))
        self.assertLess(names.index("headers"), names.index("text"))

    def test_seems_like_new(self) -> None:
        """Sent mail does not seem new; what somebody has found out counts."""
        policy = content_policy(lambda name, default=None: default)
        self.assertTrue(new_message(detail(), policy, None)["seemsLikeNew"])
        self.assertFalse(new_message(detail(special_use="\\Sent"), policy, None)["seemsLikeNew"])
        self.assertFalse(new_message(detail(labels=["\\Sent"]), policy, None)["seemsLikeNew"])
        self.assertFalse(new_message(detail(), policy, False)["seemsLikeNew"])

    def test_auto_reply(self) -> None:
        """The mark of an automatic answer is there when true, after `seemsLikeNew`."""
        self.assertEqual(list(told({}, is_auto_reply=True))[-2:], ["seemsLikeNew", "isAutoReply"])
        self.assertNotIn("isAutoReply", told({}))

    def test_without_content(self) -> None:
        """A message that is gone, or that nobody can read, has its id at least."""
        self.assertEqual(
            missing_message(INBOX, (1.0, 1.7, 2.89)),
            {"id": "AAAAAwAAAFI", "uid": 82, "missingRetries": 3, "missingDelay": 5590},
        )
        self.assertEqual(
            bare_message(INBOX),
            {
                "id": "AAAAAwAAAFI",
                "uid": 82,
                "path": "INBOX",
                "flags": [],
                "specialUse": "\\Inbox",
                "seemsLikeNew": True,
            },
        )

    def test_half_a_pair(self) -> None:
        """Text that has no form in UTF-8 is mended instead of failing."""
        made = json.loads(body("a", INBOX, "messageNew", {"x\ud800": ["\udfff", "😀"]}, None))
        self.assertEqual(made["data"], {"x\ufffd": ["\ufffd", "😀"]})
