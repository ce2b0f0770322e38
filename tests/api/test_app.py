"""Requests through the whole site: what reaches the parts, what comes back, what is refused."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel

from emailengine.api.cors import Cors
from emailengine.core import metrics
from emailengine.errors import AccountNotFound, AccountUnavailable, Busy, ConnectFailed, ServerRefused
from tests.api.client import TOKEN, ApiCase, head, watch

ACCOUNT = {"account": "a", "name": "A", "imap": {"host": "h.example", "port": 993, "auth": {"user": "u", "pass": "p"}}}
MESSAGE = "AAAAAQAAAAE"

BY_ACCOUNT: list[tuple[str, str, Any, str]] = [
    ("GET", "", None, "describe"),
    ("PUT", "", {"name": "B"}, "update"),
    ("DELETE", "", None, "delete"),
    ("PUT", "/reconnect", {"reconnect": True}, "request_reconnect"),
    ("PUT", "/sync", {"sync": True}, "request_sync"),
    ("GET", "/mailboxes", None, "list_mailboxes"),
    ("GET", "/messages?path=INBOX", None, "list_messages"),
    ("GET", f"/message/{MESSAGE}", None, "read_message"),
    ("PUT", f"/message/{MESSAGE}", {"flags": {"add": ["\\Seen"]}}, "update_message"),
    ("GET", f"/message/{MESSAGE}/source", None, "open_source"),
    ("GET", f"/text/{MESSAGE}", None, "read_text"),
    ("GET", f"/attachment/{MESSAGE}", None, "open_attachment"),
    ("POST", "/submit", {"to": {"address": "b@c.example"}, "text": "x"}, "accept"),
]


class RouteTests(ApiCase):
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        return [*self.accounts.calls, *self.mailing.calls, *self.outbox.calls]

    def test_odd_account_ids(self) -> None:
        """An account id with any sign in it reaches its part unharmed through every route that names one."""
        for account, escaped in (
            ("a/b", "a%2Fb"),
            ("a:b@c.example", "a:b@c.example"),
            ("100%", "100%25"),
            ("a b+c", "a%20b+c"),
            ("ü/ñ", "%C3%BC%2f%C3%B1"),
            ("..", ".."),
            ("x?y#z", "x%3Fy%23z"),
        ):
            for method, rest, body, call in BY_ACCOUNT:
                self.setUp()
                answer = self.ask(method, f"/v1/account/{escaped}{rest}", body)
                self.assertEqual(answer.status, 200, (account, method, rest, answer.body))
                ((name, values),) = self.calls()
                self.assertEqual((name, values["account"]), (call, account))

    def test_raw_letters(self) -> None:
        """Letters that a client did not escape are refused in JSON, whatever they are."""
        for letters in (b"\xc3\xb6", b"\x80", b"\xa0\x90"):
            connection = self.connect()
            request = head("GET", "/v1/account/ACCOUNT", [("authorization", f"Bearer {TOKEN}")])
            connection.send(request.replace(b"ACCOUNT", letters))
            self.refused(connection.answer(), 400)

    def test_unknown_account(self) -> None:
        """An account that is not there is a 404 with its code, on every route."""
        for method, rest, body, call in BY_ACCOUNT:
            self.setUp()
            for part in (self.accounts, self.mailing, self.outbox):
                part.say[call] = AccountNotFound("No account has that id")
            told = self.refused(self.ask(method, f"/v1/account/nobody{rest}", body), 404)
            self.assertEqual((told["error"], told["code"]), ("Not Found", "AccountNotFound"))

    def test_broken_ids_in_paths(self) -> None:
        """A broken escape, or one that is not UTF-8, is a 400 that names the parameter."""
        for bad in ("%zz", "%", "a%2", "%ff"):
            for method, rest, body, _ in BY_ACCOUNT:
                told = self.refused(self.ask(method, f"/v1/account/{bad}{rest}", body), 400)
                self.assertEqual([one["key"] for one in told["fields"]], ["account"])
        self.assertEqual(self.calls(), [])

    def test_bad_message_ids(self) -> None:
        """An id that cannot be one is a 400 where something is read, and is looked up where something is changed."""
        base = "/v1/account/a"
        for rest in ("/message/not.base64", "/message/a%20b/source", "/text/a=b", "/attachment/" + "x" * 2049):
            told = self.refused(self.ask("GET", base + rest), 400)
            self.assertIn(told["fields"][0]["key"], ("message", "text", "attachment"))
        self.refused(self.ask("PUT", base + "/message/" + "x" * 257, {}), 400)
        self.assertEqual(self.ask("PUT", base + "/message/not.base64", {"flags": {}}).status, 200)
        self.assertEqual(self.mailing.calls[0][1]["message"], "not.base64")

    def test_account_list(self) -> None:
        """The list takes a page, a state and a text to look for, and answers with them."""
        answer = self.ask("GET", "/v1/accounts?page=2&pageSize=7&state=connected&query=%20ann%20")
        self.assertEqual(
            answer.json, {"total": 0, "page": 2, "pages": 0, "query": "ann", "state": "connected", "accounts": []}
        )
        self.assertEqual(self.accounts.calls[0][1], {"query": "ann", "state": "connected", "page": 2, "page_size": 7})

    def test_registration(self) -> None:
        """A registration reaches its part as a value."""
        answer = self.ask("POST", "/v1/account", ACCOUNT)
        self.assertEqual(answer.json, {"account": "a", "state": "new"})
        sent = self.accounts.calls[0][1]["sent"]
        self.assertEqual((sent.account, sent.imap.auth.user, sent.imap.auth.pass_), ("a", "u", "p"))

    def test_not_asked(self) -> None:
        """Reconnect and sync do nothing unless they are asked for by name, and say so."""
        self.assertEqual(self.ask("PUT", "/v1/account/a/reconnect", {}).json, {"reconnect": False})
        self.assertEqual(self.ask("PUT", "/v1/account/a/sync", {"sync": "false"}).json, {"sync": False})
        self.assertEqual(self.accounts.calls, [])

    def test_reading(self) -> None:
        """What a reader wishes reaches the part; a cursor wins over a page."""
        self.ask("GET", "/v1/account/a/messages?path=%5CSent&page=9&cursor=imap_eyJwYWdlIjozfQ")
        self.ask("GET", f"/v1/account/a/message/{MESSAGE}?textType=*&maxBytes=10&markAsSeen=Y")
        self.ask("GET", f"/v1/account/a/text/{MESSAGE}?textType=html")
        self.ask("GET", "/v1/account/a?quota=1")
        listed, read, text = (values for _, values in self.mailing.calls)
        self.assertEqual((listed["path"], listed["page"], listed["page_size"]), ("\\Sent", 3, 20))
        self.assertEqual((read["text_type"], read["max_bytes"], read["mark_as_seen"]), ("*", 10, True))
        self.assertEqual((text["text_type"], text["max_bytes"]), ("html", None))
        self.assertTrue(self.accounts.calls[0][1]["quota"])
        told = self.refused(self.ask("GET", "/v1/account/a/messages?path=x&cursor=imap_zz"), 400)
        self.assertEqual(told["code"], "InvalidCursorValue")

    def test_submit(self) -> None:
        """A submission takes an idempotency key, with or without quotes."""
        for key, meant in (("k1", "k1"), ('"k2"', "k2"), ("", None)):
            self.ask("POST", "/v1/account/a/submit", {"to": [], "text": "x"}, headers={"Idempotency-Key": key})
            self.assertEqual(self.outbox.calls[-1][1]["key"], meant)
        told = self.refused(self.ask("POST", "/v1/account/a/submit", {}, headers={"Idempotency-Key": "x" * 1025}), 400)
        self.assertEqual(told["fields"][0]["key"], "idempotency-key")

    def test_outbox(self) -> None:
        """The queue is listed, shown and cancelled by id."""
        self.assertEqual(self.ask("GET", "/v1/outbox?page=1").json["page"], 1)
        self.assertEqual(self.ask("GET", "/v1/outbox/q%2F1").json["queueId"], "q/1")
        self.assertEqual(self.ask("DELETE", "/v1/outbox/q1").json, {"deleted": True})
        self.outbox.say["cancel"] = False
        self.assertEqual(self.ask("DELETE", "/v1/outbox/q1").json, {"deleted": False})

    def test_settings(self) -> None:
        """Settings are read by name and written together; secrets are told as true or false, masks are kept."""
        sent = {"webhooks": "https://u:p@x.example/hook", "webhooksEnabled": True, "serviceSecret": "s"}
        self.assertEqual(
            self.ask("POST", "/v1/settings", sent).json, {"updated": ["webhooksEnabled", "webhooks", "serviceSecret"]}
        )
        asked = "/v1/settings?webhooks=true&serviceSecret=true&notifyText=true&eventTypes=true&proxyUrl=true"
        told = self.ask("GET", asked).json
        self.assertIn("messageNew", told.pop("eventTypes"))
        masked = "https://******:******@x.example/hook"
        self.assertEqual(told, {"webhooks": masked, "serviceSecret": True, "notifyText": None, "proxyUrl": None})
        self.assertEqual(self.ask("POST", "/v1/settings", {"webhooks": masked}).json, {"updated": []})
        self.assertEqual(self.settings.stored["webhooks"], sent["webhooks"])
        told = self.refused(self.ask("POST", "/v1/settings", {"trackOpens": True, "nonsense": 1}), 400)
        self.assertEqual([one["key"] for one in told["fields"]], ["trackOpens", "nonsense"])

    def test_operations(self) -> None:
        """Health and the pages are open to everybody, and do not mind a query; statistics and metrics are not."""
        self.assertEqual(self.ask("GET", "/health?x=1", token=None).json, {"success": True})
        self.assertEqual(self.ask("GET", "/v1/stats?seconds=60").json["version"], "1")
        self.assertEqual(self.figures.calls[-1], ("stats", {"seconds": 60}))
        self.refused(self.ask("GET", "/v1/stats", token=None), 401)
        self.refused(self.ask("GET", "/metrics", token=None), 401)
        shown = self.ask("GET", "/metrics")
        self.assertTrue((shown.header("content-type") or "").startswith("text/plain"))
        self.assertIn(b'api_call_total{method="GET",route="/health",statusCode="200"}', shown.body)
        home = self.ask("GET", "/", token=None)
        self.assertEqual(home.header("content-type"), "text/html; charset=utf-8")
        self.assertIn(b"/swagger.json", home.body)

    def test_ill(self) -> None:
        """Health is a 500 when the store does not answer, also when asking fails or takes too long."""
        for said in (False, ConnectFailed("gone")):
            self.figures.say["healthy"] = said
            answer = self.ask("GET", "/health", token=None)
            self.assertEqual((answer.status, answer.json), (500, {"success": False}))
        self.figures.say["healthy"] = Deferred()
        connection = self.connect()
        connection.send(head("GET", "/health"))
        self.clock.advance(2.9)
        self.assertEqual(connection.sent, b"")
        self.clock.advance(0.2)
        answer = connection.answer()
        self.assertEqual((answer.status, answer.json), (500, {"success": False}))
        self.assertEqual(self.figures.cancelled, ["healthy"])


class InputTests(ApiCase):
    def test_bad_json(self) -> None:
        """A body that is not JSON is a 400 with the three fixed members only."""
        for body in (b"{", b"\xff", b'{"a":1} x', b"nul", b"[" * 100_000):
            told = self.refused(self.ask("POST", "/v1/account", body), 400)
            self.assertEqual(set(told), {"statusCode", "error", "message"})

    def test_all_faults_at_once(self) -> None:
        """Faults of path, query, headers and body are told together."""
        told = self.refused(
            self.ask(
                "PUT",
                "/v1/account/%zz/message/abc?no=1",
                {"flags": {"add": [1]}, "more": 1},
                headers={"x-ee-timeout": "7200001"},
            ),
            400,
        )
        self.assertEqual({one["key"] for one in told["fields"]}, {"account", "no", "0", "more", "x-ee-timeout"})
        self.assertNotIn("code", told)

    def test_flags(self) -> None:
        """A flag that no server could be told is a 400 that names it, before anybody is asked."""
        told = self.refused(self.ask("PUT", f"/v1/account/a/message/{MESSAGE}", {"flags": {"add": ["x", "a b"]}}), 400)
        self.assertEqual([one["key"] for one in told["fields"]], ["1"])
        self.assertEqual(self.mailing.calls, [])

    def test_wrong_types(self) -> None:
        """Members of a wrong type, unknown ones and missing ones are each told."""
        told = self.refused(
            self.ask("POST", "/v1/account", {"name": 1, "imap": {"port": "x", "auth": {}}, "nope": 0}), 400
        )
        keys = [one["key"] for one in told["fields"]]
        for key in ("account", "name", "port", "user", "nope"):
            self.assertIn(key, keys)
        told = self.refused(self.ask("POST", "/v1/account", b"[1]"), 400)
        self.assertEqual(told["statusCode"], 400)

    def test_queries(self) -> None:
        """A query that is unknown, out of range or no UTF-8 is a 400."""
        for query in ("page=-1", "pageSize=1001", "page=x", "state=nope", "foo=1", "page=1&page=2", "access_token=x"):
            told = self.refused(self.ask("GET", f"/v1/accounts?{query}"), 400)
            self.assertEqual(told["fields"][0]["key"], query.partition("=")[0])
        self.refused(self.ask("GET", "/v1/accounts?query=%ff"), 400)
        self.refused(self.ask("GET", "/v1/accounts?" + "a&" * 1001), 400)
        self.refused(self.ask("GET", "/v1/account/a/mailboxes?counters=0"), 400)

    def test_media(self) -> None:
        """JSON and flat forms are read, whatever else a body claims to be is a 415."""
        for kind in ("text/xml", "multipart/form-data; boundary=x", "text/plain"):
            told = self.refused(self.ask("POST", "/v1/account", {}, headers={"content-type": kind}), 415)
            self.assertEqual(set(told), {"statusCode", "error", "message"})
        self.refused(self.ask("POST", "/v1/account", {}, headers={"content-encoding": "gzip"}), 415)
        for kind in ("", "application/json; charset=utf-8", "application/merge-patch+json"):
            self.assertEqual(self.ask("POST", "/v1/account", ACCOUNT, headers={"content-type": kind}).status, 200)
        form = "application/x-www-form-urlencoded"
        answer = self.ask("POST", "/v1/account", b"account=a&name=A%20B&logs=true", headers={"content-type": form})
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.accounts.calls[-1][1]["sent"].name, "A B")
        self.refused(self.ask("POST", "/v1/account", ACCOUNT, headers={"content-type": form}), 415)

    def test_large_body(self) -> None:
        """A message of many megabytes is accepted; large ones are read one at a time."""
        text = "x" * (5 * 1024 * 1024)
        body = json.dumps({"to": [], "text": text}).encode()
        connections = [self.connect() for _ in range(2)]
        for one in connections:
            one.send(
                head(
                    "POST",
                    "/v1/account/a/submit",
                    [("authorization", f"Bearer {TOKEN}"), ("content-length", str(len(body)))],
                )
            )
            one.send(body)
        self.assertEqual(len(self.outbox.calls), 0)
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()].count(0), 1)
        self.clock.advance(0)
        self.assertEqual([len(values["sent"].text) for _, values in self.outbox.calls], [len(text)] * 2)


class AnswerTests(ApiCase):
    def test_errors(self) -> None:
        """Errors of the parts become their documented status and body, with what they tell beside it."""
        for error, status, more in (
            (
                AccountUnavailable("not yet", code="NotYetConnected", extra={"state": "init"}),
                503,
                {"code": "NotYetConnected", "state": "init"},
            ),
            (ServerRefused("NO", "OVERQUOTA", "no room"), 502, {"code": "OVERQUOTA"}),
            (Busy("too much", retry_after=7), 503, {"code": "Busy"}),
        ):
            self.mailing.say["list_mailboxes"] = error
            answer = self.ask("GET", "/v1/account/a/mailboxes")
            told = self.refused(answer, status)
            self.assertEqual(told, {"statusCode": status, "error": told["error"], "message": str(error), **more})
        self.assertEqual(answer.header("retry-after"), "7")

    def test_unexpected(self) -> None:
        """An error that nobody expected tells nothing to the client, and everything to the log."""
        self.mailing.say["list_mailboxes"] = ValueError("secret inside")
        told = self.refused(self.ask("GET", "/v1/account/a/mailboxes"), 500)
        self.assertNotIn("secret", json.dumps(told))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_no_such_route(self) -> None:
        """What is not there is a JSON 404, a method that is not is a 405 that tells which are."""
        for path in (
            "/v1/nothing",
            "/v1/account//messages",
            "/v2/accounts",
            "/v1/account/a%2Fmessages/x",
        ):
            self.refused(self.ask("GET", path), 404)
        answer = self.ask("DELETE", "/v1/accounts", token=None)
        self.refused(answer, 405)
        self.assertEqual(answer.header("allow"), "GET, HEAD, OPTIONS")
        self.refused(self.ask("PATCH", "/v1/account/a", {}, token=None), 405)
        self.refused(self.ask("BREW", "/v1/accounts"), 405)

    def test_trailing_slash(self) -> None:
        """One slash at the end does not matter."""
        self.assertEqual(self.ask("GET", "/v1/accounts/").status, 200)
        self.assertEqual(self.ask("GET", "/v1/account/a/?quota=true").status, 200)
        self.assertEqual(self.ask("GET", "http://127.0.0.1:3000/v1/accounts?page=1").json["page"], 1)

    def test_head_and_options(self) -> None:
        """HEAD answers as GET does without a body; OPTIONS tells the methods."""
        for path in ("/v1/accounts", "/health", f"/v1/account/a/attachment/{MESSAGE}"):
            whole, bare = self.ask("GET", path), self.ask("HEAD", path)
            self.assertEqual((bare.status, bare.rest), (200, b""))
            self.assertEqual(bare.headers, whole.headers)
        self.refused(self.ask("GET", "/v1/nothing"), 404)
        answer = self.ask("OPTIONS", "/v1/account/a", token=None)
        self.assertEqual((answer.status, answer.header("allow")), (204, "DELETE, GET, HEAD, PUT, OPTIONS"))

    def test_any_host(self) -> None:
        """A malformed Host, or none, changes nothing for one who has a token."""
        for host in ("", "[::1", "a b", "\xff\xfe", "x" * 300, "..", "xn--a.xn--\xfc"):
            self.assertEqual(self.ask("GET", "/v1/accounts", headers={"host": host}).status, 200, host)

    def test_odd_methods(self) -> None:
        """A method that no method can be is refused in JSON."""
        connection = self.connect()
        connection.send(b"\xff\xfe /v1/accounts HTTP/1.1\r\n\r\n")
        self.refused(connection.answer(), 400)


class WaitingTests(ApiCase):
    def start(self, **headers: str) -> tuple[Any, Deferred[Any]]:
        waiting: Deferred[Any] = Deferred()
        self.mailing.say["list_messages"] = waiting
        connection = self.connect()
        sent = [
            ("authorization", f"Bearer {TOKEN}"),
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]
        connection.send(head("GET", "/v1/account/a/messages?path=INBOX", sent))
        return connection, waiting

    def test_deadline(self) -> None:
        """A request that takes longer than the default is ended with 504 and cancelled."""
        connection, _ = self.start()
        self.clock.advance(9.9)
        self.assertEqual(connection.sent, b"")
        self.clock.advance(0.2)
        self.assertEqual(self.refused(connection.answer(), 504)["code"], "Timeout")
        self.assertEqual(self.mailing.cancelled, ["list_messages"])

    def test_longer_deadline(self) -> None:
        """A client may ask for more time, not for less, and the part learns until when."""
        connection, _ = self.start(x_ee_timeout="60000")
        self.assertEqual(self.mailing.calls[0][1]["deadline"].left(), 60)
        self.clock.advance(59)
        self.assertEqual(connection.sent, b"")
        self.start(x_ee_timeout="0")
        self.assertEqual(self.mailing.calls[1][1]["deadline"].left(), 10)
        for bad in ("-1", "x", "7200001", "²"):
            self.refused(self.ask("GET", "/v1/accounts", headers={"x-ee-timeout": bad.encode().decode("latin-1")}), 400)

    def test_client_gone(self) -> None:
        """When the client goes, the work for it is cancelled, nothing is written, nothing is left."""
        connection, _ = self.start()
        connection.lose()
        self.assertEqual(self.mailing.cancelled, ["list_messages"])
        self.assertEqual(connection.sent, b"")
        self.assertEqual(len(self.site.present), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pipeline(self) -> None:
        """Requests that are sent ahead are answered one after the other, in order."""
        connection, waiting = self.start()
        connection.send(head("GET", "/health") + head("GET", "/nothing"))
        self.assertEqual(connection.sent, b"")
        waiting.errback(AccountNotFound("none"))
        first = connection.answer()
        self.assertEqual(first.status, 404)
        self.assertEqual([first.rest.count(b"HTTP/1.1 200"), first.rest.count(b"HTTP/1.1 404")], [1, 1])


class CorsTests(ApiCase):
    cors = Cors(frozenset(("https://app.example",)), 300)

    def test_preflight(self) -> None:
        """A browser that asks for an origin of the list is told what it may do, without a credential."""
        asking = {"origin": "https://app.example", "access-control-request-method": "PUT"}
        answer = self.ask("OPTIONS", "/v1/account/a", headers=asking, token=None)
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.header("access-control-allow-origin"), "https://app.example")
        self.assertEqual(answer.header("access-control-allow-credentials"), "true")
        self.assertIn("PUT", answer.header("access-control-allow-methods") or "")
        self.assertIn("X-RateLimit-Reset", answer.header("access-control-expose-headers") or "")
        self.assertIn("X-EE-Timeout", answer.header("access-control-allow-headers") or "")
        self.assertEqual(answer.header("access-control-max-age"), "300")

    def test_answers(self) -> None:
        """Answers to that origin say so, refusals and early ones too; other origins get nothing."""
        mine = {"origin": "https://app.example"}
        for answer in (
            self.ask("GET", "/v1/accounts", headers=mine),
            self.ask("GET", "/v1/accounts", headers=mine, token=None),
            self.ask("POST", "/v1/account", {}, headers=mine, token=None),
        ):
            self.assertEqual(answer.header("access-control-allow-origin"), "https://app.example")
        other = self.ask("GET", "/v1/accounts", headers={"origin": "https://evil.example"})
        self.assertEqual((other.header("access-control-allow-origin"), other.header("vary")), (None, "origin"))
        self.assertIsNone(self.ask("GET", "/health", headers=mine).header("access-control-allow-origin"))


class AllCorsTests(ApiCase):
    cors = Cors(frozenset(("*", "https://app.example")))

    def test_no_credentials(self) -> None:
        """Pages of all origins may use the API, but not with what a browser remembers."""
        asking = {"origin": "https://any.example", "access-control-request-method": "GET"}
        for answer in (
            self.ask("OPTIONS", "/v1/accounts", headers=asking, token=None),
            self.ask("GET", "/v1/accounts", headers=asking),
        ):
            self.assertEqual(answer.header("access-control-allow-origin"), "*")
            self.assertIsNone(answer.header("access-control-allow-credentials"))
        self.assertIn(
            "Authorization",
            self.ask("OPTIONS", "/v1/accounts", headers=asking).header("access-control-allow-headers") or "",
        )
        for origin in ("*", "h\xe9"):
            answer = self.ask("GET", "/v1/accounts", headers={"origin": origin})
            self.assertEqual(answer.header("access-control-allow-origin"), "*")
            self.assertIsNone(answer.header("access-control-allow-credentials"))

    def test_named(self) -> None:
        """An origin that is named beside the star may use what a browser remembers."""
        answer = self.ask("GET", "/v1/accounts", headers={"origin": "https://app.example"})
        self.assertEqual(answer.header("access-control-allow-origin"), "https://app.example")
        self.assertEqual(answer.header("access-control-allow-credentials"), "true")

    def test_local(self) -> None:
        """A daemon that asks for no credential lets in no page that is not named."""
        self.tokens.records.clear()
        for origin, status in (("https://any.example", 403), ("*", 403), ("https://app.example", 200)):
            answer = self.ask("GET", "/v1/accounts", headers={"origin": origin}, token=None)
            self.assertEqual(answer.status, status, origin)


class NoCorsTests(ApiCase):
    def test_off(self) -> None:
        """Without a list no page of another origin is let in."""
        answer = self.ask(
            "OPTIONS", "/v1/accounts", headers={"origin": "https://app.example", "access-control-request-method": "GET"}
        )
        self.assertIsNone(answer.header("access-control-allow-origin"))


class LogTests(ApiCase):
    def logged(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        watch(self, events.append)
        return events

    def test_line(self) -> None:
        """Each request leaves one line with method, path, status, time and account, and no secret."""
        events = self.logged()
        self.ask("GET", f"/v1/accounts?access_token={TOKEN}", token=None)
        self.ask("GET", "/v1/account/a%2Fb", headers={"authorization": "Basic c2VjcmV0OnNlY3JldA=="})
        self.ask("POST", "/v1/account", ACCOUNT, token=None)
        self.ask("GET", "/nothing")
        lines = [
            one for one in events if one["log_namespace"] == "emailengine.api.app" and one["log_level"] is LogLevel.info
        ]
        self.assertEqual(
            [(one["method"], one["path"], one["status"]) for one in lines],
            [
                ("GET", "/v1/accounts", 200),
                ("GET", "/v1/account/a%2Fb", 401),
                ("POST", "/v1/account", 401),
                ("GET", "/nothing", 404),
            ],
        )
        self.assertEqual(lines[1]["account"], "a/b")
        for one in lines:
            told = {key: value for key, value in one.items() if not key.startswith("log_")}
            for secret in (TOKEN, "c2VjcmV0", "secret"):
                self.assertNotIn(secret, repr(told))

    def test_counted(self) -> None:
        """Requests are counted by route, never by path."""
        before = metrics.REGISTRY.get_sample_value(
            "api_call_total", {"method": "GET", "statusCode": "404", "route": "unknown"}
        )
        self.ask("GET", "/some/thing")
        after = metrics.REGISTRY.get_sample_value(
            "api_call_total", {"method": "GET", "statusCode": "404", "route": "unknown"}
        )
        self.assertEqual((after or 0) - (before or 0), 1)
