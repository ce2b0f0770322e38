"""Who is told of an event, as a table of the gates."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from emailengine.model.account import AccountSettings, HeaderField
from emailengine.model.event import Say
from emailengine.webhooks.targets import NOTHING_OWN, Own, Place, own_of, place_in, place_of, policy_of, targets

ON: dict[str, Any] = {"webhooksEnabled": True, "webhooks": "http://a.example/", "webhookEvents": ["*"]}


def urls(
    settings: dict[str, Any], event: str = "messageNew", own: Own = NOTHING_OWN, place: Place = "elsewhere"
) -> list[str]:
    policy = policy_of(lambda name, default=None: settings.get(name, default))
    return [one.url for one in targets(policy, own, event, place)]


def said(path: str | None, special_use: str | None = None) -> Say:
    return Say(event_id="1", event="messageNew", date="", path=path, special_use=special_use)


class TargetTests(SynchronousTestCase):
    def test_gates(self) -> None:
        """Webhooks must be on, the event subscribed to, and a URL set; nothing of that is so by itself."""
        own = Own("http://own.example/")
        for settings, event, mine, expected in (
            (ON, "messageNew", NOTHING_OWN, ["http://a.example/"]),
            ({}, "messageNew", NOTHING_OWN, []),
            (ON | {"webhooksEnabled": False}, "messageNew", own, []),
            (ON | {"webhooksEnabled": None}, "messageNew", own, []),
            (ON | {"webhookEvents": []}, "messageNew", own, []),
            (ON | {"webhookEvents": None}, "messageNew", own, []),
            (ON | {"webhookEvents": ["messageNew"]}, "messageNew", NOTHING_OWN, ["http://a.example/"]),
            (ON | {"webhookEvents": ["messageNew"]}, "messageUpdated", own, []),
            (ON | {"webhooks": ""}, "messageNew", NOTHING_OWN, []),
            (ON | {"webhooks": None}, "messageNew", own, ["http://own.example/"]),
            (ON, "accountDeleted", own, ["http://own.example/"]),
        ):
            with self.subTest(settings=settings, event=event):
                self.assertEqual(urls(settings, event, mine), expected)

    def test_inbox_only(self) -> None:
        """New messages elsewhere are left out if so wished; other events and unknown places are not."""
        settings = ON | {"inboxNewOnly": True}
        self.assertEqual(urls(settings, place="elsewhere"), [])
        self.assertEqual(len(urls(settings, place="inbox")), 1)
        self.assertEqual(len(urls(settings, place="unknown")), 1)
        self.assertEqual(len(urls(settings, "messageDeleted", place="elsewhere")), 1)
        self.assertEqual(len(urls(ON, place="elsewhere")), 1)

    def test_place(self) -> None:
        """The folder decides, at Gmail the label."""
        self.assertEqual(place_of(said("INBOX")), "inbox")
        self.assertEqual(place_of(said("Posteingang", "\\Inbox")), "inbox")
        self.assertEqual(place_of(said("[Gmail]/All Mail", "\\All")), "unknown")
        self.assertEqual(place_of(said("Sent", "\\Sent")), "elsewhere")
        everything = said("[Gmail]/All Mail", "\\All")
        self.assertEqual(place_in(everything, None, ["\\Inbox", "x"]), "inbox")
        self.assertEqual(place_in(everything, "\\Inbox", None), "inbox")
        self.assertEqual(place_in(everything, "\\Sent", ["\\Sent"]), "elsewhere")

    def test_headers(self) -> None:
        """The account's headers come after those of the settings."""
        settings = ON | {"webhooksCustomHeaders": [{"key": "A", "value": "1"}]}
        account = AccountSettings(account="x", webhooks_custom_headers=[HeaderField(key="B", value="2")])
        policy = policy_of(lambda name, default=None: settings.get(name, default))
        found = targets(policy, own_of(account), "messageNew", "inbox")
        self.assertEqual([(one.key, one.value) for one in found[0].headers], [("A", "1"), ("B", "2")])
