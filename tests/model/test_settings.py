"""Settings: masks, what is written, what is shown."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import InvalidInput
from emailengine.model.codec import encode, read, read_pairs
from emailengine.model.settings import (
    KEYS,
    LATER,
    SECRET,
    Settings,
    SettingsAnswer,
    SettingsQuery,
    asked,
    changes,
    shown,
)

STORED = {
    "webhooks": "https://me:hook-login@example.com/h",
    "webhooksCustomHeaders": [{"key": "X-A", "value": "header-value"}],
    "proxyUrl": "socks5://me:proxy-login@example.com:1080",
}
SHOWN = "https://******:******@example.com/h"


def changed(body: dict[str, Any], stored: dict[str, Any] | None = None) -> dict[str, Any]:
    return changes(read(body, Settings), STORED if stored is None else stored)


class ChangeTests(SynchronousTestCase):
    def test_sent(self) -> None:
        """Only what was sent changes, as plain values by their names on the wire."""
        self.assertEqual(changed({}), {})
        body = {"notifyText": "on", "webhookEvents": ["*"], "queueKeep": "7", "smtpEhloName": None, "serviceUrl": ""}
        wanted = {"notifyText": True, "webhookEvents": ["*"], "queueKeep": 7, "smtpEhloName": None, "serviceUrl": ""}
        self.assertEqual(changed(body), wanted)

    def test_masks(self) -> None:
        """A value sent back as it was shown stays; a mask for anything else is refused."""
        self.assertEqual(changed({"webhooks": SHOWN, "proxyUrl": "socks5://******:******@example.com:1080"}), {})
        headers = [{"key": "X-A", "value": "******"}, {"key": "X-B", "value": "new"}]
        self.assertEqual(
            changed({"webhooksCustomHeaders": headers}),
            {"webhooksCustomHeaders": [{"key": "X-A", "value": "header-value"}, {"key": "X-B", "value": "new"}]},
        )
        for body in (
            {"webhooks": "https://******:******@evil.example/"},
            {"proxyUrl": "socks5://******:******@evil.example"},
            {"webhooksCustomHeaders": [{"key": "X-C", "value": "******"}]},
        ):
            self.assertRaises(InvalidInput, changed, body)
            self.assertRaises(InvalidInput, changed, body, {})

    def test_logs(self) -> None:
        """How logs are kept is one value, with its bounds."""
        self.assertEqual(changed({"logs": {"all": True}}), {"logs": {"all": True, "maxLogLines": 10_000}})
        wrong: Any
        for wrong in ({"maxLogLines": -1}, {"maxLogLines": 1_000_001}, {"accounts": []}, True):
            self.assertRaises(InvalidInput, changed, {"logs": wrong})

    def test_addresses(self) -> None:
        """Addresses to connect from are addresses, and one need not be a list."""
        self.assertEqual(changed({"localAddresses": "192.0.2.1"}), {"localAddresses": ["192.0.2.1"]})
        wrong: dict[str, Any]
        for wrong in ({"localAddresses": ["192.0.2.0/24"]}, {"imapStrategy": "any"}, {"smtpStrategy": True}):
            self.assertRaises(InvalidInput, changed, wrong)

    def test_service(self) -> None:
        """The service URL is cut to its origin without a login; a blank secret changes nothing."""
        self.assertEqual(
            changed({"serviceUrl": "HTTPS://u:p@Example.com:8443/a?b"}), {"serviceUrl": "https://example.com:8443"}
        )
        self.assertEqual(changed({"serviceSecret": ""}), {})
        self.assertEqual(changed({"serviceSecret": "x"}), {"serviceSecret": "x"})

    def test_refused(self) -> None:
        """Unknown keys, keys of later features and wrong values are refused together."""
        with self.assertRaises(InvalidInput) as caught:
            changed({"invented": 1, "trackOpens": True, "queueKeep": -1, "webhooks": "ftp://x", "webhooksCustomHeaders": [{"key": "a b", "value": "x\r\ny"}]})  # fmt: skip
        keys = [one["key"] for one in caught.exception.extra["fields"]]
        self.assertEqual(sorted(keys), ["invented", "key", "queueKeep", "trackOpens", "value", "webhooks"])
        self.assertEqual(changed({"trackOpens": False}), {})


class ShownTests(SynchronousTestCase):
    def test_shown(self) -> None:
        """No secret, login or header value is shown."""
        values = {**STORED, "serviceSecret": "very secret", "notifyText": True, "queueKeep": None}
        told = {name: shown(name, value) for name, value in values.items()}
        self.assertEqual(told["webhooks"], SHOWN)
        self.assertEqual((told["serviceSecret"], told["notifyText"], told["queueKeep"]), (True, True, None))
        for secret in (b"hook-login", b"header-value", b"very secret", b"proxy-login"):
            self.assertNotIn(secret, encode(told))
        self.assertEqual((shown("serviceSecret", ""), shown("serviceSecret", None)), (False, False))

    def test_query(self) -> None:
        """Keys are asked for with true; those of later features too, unknown ones not."""
        query = read_pairs([("webhooks", "true"), ("notifyText", "false"), ("trackOpens", "true"), ("eventTypes", "true")], SettingsQuery)  # fmt: skip
        self.assertEqual((asked(query), query.event_types), (["webhooks", "trackOpens"], True))
        self.assertRaises(InvalidInput, read_pairs, [("invented", "true")], SettingsQuery)

    def test_tables(self) -> None:
        """A key exists or belongs to a later feature, and each one can be answered."""
        self.assertEqual(set(KEYS) & set(LATER), set())
        self.assertLessEqual(SECRET, set(KEYS))
        answer = encode(SettingsAnswer(webhooks_enabled=True, service_secret=False))
        self.assertEqual(answer, b'{"webhooksEnabled":true,"serviceSecret":false}')
