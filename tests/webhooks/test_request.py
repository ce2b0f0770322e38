"""URL, headers and signature of a delivery."""

from __future__ import annotations

import base64
import hashlib
import hmac

from twisted.trial.unittest import SynchronousTestCase

from emailengine.model.account import HeaderField
from emailengine.webhooks.request import Facts, compose, place_of, signature, without_login

FACTS = Facts("job-1", "8c6b", 2, 12.9)


def composed(
    url: str = "https://hook.example/x", *custom: tuple[str, str], secret: str | None = "s"
) -> list[tuple[str, str]]:
    headers = [HeaderField(key=key, value=value) for key, value in custom]
    return compose(url, headers, FACTS, b"{}", secret=secret, user_agent="app/1")[1]


class RequestTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Our headers, custom ones among them, and those last that nobody may replace."""
        self.assertEqual(
            composed("https://hook.example/x", ("X-Mine", "1")),
            [
                ("Content-Type", "application/json"),
                ("User-Agent", "app/1"),
                ("X-EE-Wh-Id", "job-1"),
                ("X-EE-Wh-Attempts-Made", "2"),
                ("X-EE-Wh-Queued-Time", "12s"),
                ("X-Mine", "1"),
                ("X-EE-Wh-Event-Id", "8c6b"),
                ("X-EE-Wh-Signature", signature(b"{}", "s")),
            ],
        )

    def test_custom_headers(self) -> None:
        """A custom header replaces ours in any case, a later one an earlier one, and never the last three."""
        found = dict(
            composed(
                "https://u:p@hook.example/",
                ("user-agent", "mine"),
                ("AUTHORIZATION", "Bearer 1"),
                ("authorization", "Bearer 2"),
                ("X-ee-wh-signature", "forged"),
                ("x-ee-wh-event-id", "forged"),
                ("content-length", "7"),
            )
        )
        self.assertEqual(found["user-agent"], "mine")
        self.assertEqual(found["authorization"], "Bearer 2")
        self.assertNotIn("forged", found.values())
        self.assertFalse({"User-Agent", "Authorization", "AUTHORIZATION", "content-length"} & set(found))

    def test_login(self) -> None:
        """A login in the URL becomes a header, unquoted, and leaves the URL."""
        url, authorization = without_login("https://us%40er:p%3Aw@hook.example:8443/a?b=c@d")
        self.assertEqual(url, "https://hook.example:8443/a?b=c@d")
        assert authorization is not None
        self.assertEqual(base64.b64decode(authorization.removeprefix("Basic ")), b"us@er:p:w")
        self.assertEqual(without_login("http://hook.example/@x"), ("http://hook.example/@x", None))

    def test_signature(self) -> None:
        """HMAC-SHA256 of the octets in base64url without padding."""
        body = '{"a":"ü"}'.encode()
        made = signature(body, "sécret")
        digest = hmac.new("sécret".encode(), body, hashlib.sha256).digest()
        self.assertEqual(base64.urlsafe_b64decode(made + "="), digest)
        self.assertNotIn("=", made)
        # RFC 4231 4.3
        self.assertEqual(
            signature(b"what do ya want for nothing?", "Jefe"), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM"
        )

    def test_place(self) -> None:
        """What shares a limit is the host alone."""
        self.assertEqual(place_of("https://u:p@Hook.Example:8443/a"), "hook.example")
        self.assertEqual(place_of("http://[::1"), "")
