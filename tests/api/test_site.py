"""Limits that act while bytes arrive, early refusals, and connections that end well."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from emailengine.api.access import AccessRules
from emailengine.api.app import build
from emailengine.api.site import Limits
from tests.api.client import TOKEN, ApiCase, Connection, head, parse

AUTH = ("authorization", f"Bearer {TOKEN}")
CHUNKED = ("transfer-encoding", "chunked")
SUBMIT = "/v1/account/a/submit"
BODY = json.dumps({"account": "a", "name": "A"}).encode()


def length(size: int) -> tuple[str, str]:
    return ("content-length", str(size))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class BodyTests(ApiCase):
    limits = Limits(body=1000, large_body=5000)

    def post(self, path: str, *headers: tuple[str, str]) -> Connection:
        connection = self.connect()
        connection.send(head("POST", path, headers))
        return connection

    def ended(self, connection: Connection, status: int) -> Any:
        """The refusal on a connection that ends with it."""
        answer = connection.answer()
        told = self.refused(answer, status)
        self.assertEqual(answer.header("connection"), "close")
        self.assertTrue(connection.closing)
        self.assertEqual(answer.rest, b"")
        return told

    def test_too_large_by_length(self) -> None:
        """A length over the limit is refused when the head is there, before any of the body."""
        for path, size in (("/v1/account", 1001), (SUBMIT, 5001), ("/v1/nothing", 1001)):
            told = self.ended(self.post(path, AUTH, length(size)), 413)
            self.assertEqual(set(told), {"statusCode", "error", "message"})
            self.assertEqual(told["error"], "Request Entity Too Large")

    def test_too_large_in_chunks(self) -> None:
        """Without a length the body is refused when it has grown over the limit, and the rest is dropped."""
        for path, limit in (("/v1/account", 1000), (SUBMIT, 5000)):
            connection = self.post(path, AUTH, CHUNKED)
            connection.send(chunk(b" " * limit))
            self.assertEqual(connection.sent, b"")
            connection.send(chunk(b" "))
            self.ended(connection, 413)
            connection.send(chunk(b" " * 100_000) + b"0\r\n\r\n" + head("GET", "/health"))
            self.ended(connection, 413)

    def test_at_the_limit(self) -> None:
        """A body of just the limit is read, in either framing."""
        whole = BODY + b" " * (1000 - len(BODY))
        connection = self.post("/v1/account", AUTH, length(1000))
        connection.send(whole)
        self.assertEqual(connection.answer().status, 200)
        connection = self.post("/v1/account", AUTH, CHUNKED)
        for octet in whole:
            connection.send(chunk(bytes([octet])))
        connection.send(b"0\r\n\r\n")
        self.assertEqual(connection.answer().status, 200)
        self.assertEqual(len(self.accounts.calls), 2)

    def test_who_may_not_come_in(self) -> None:
        """A body from somebody who may not come in is refused before it is read."""
        for headers, status in (((), 401), ((("authorization", "Bearer x"),), 401)):
            self.ended(self.post(SUBMIT, *headers, length(5000)), status)
            self.ended(self.post(SUBMIT, *headers, CHUNKED), status)
        self.allow(scopes=["smtp"])
        self.assertEqual(self.ended(self.post(SUBMIT, AUTH, length(5000)), 403)["requestedScope"], "api")

    def test_while_the_token_is_looked_up(self) -> None:
        """Nothing more is read until it is known who is there; then it goes on where it was."""
        self.tokens.wait = Deferred()
        connection = self.post("/v1/account", AUTH, length(len(BODY)))
        self.assertEqual(connection.transport.producerState, "paused")
        self.tokens.wait.callback(None)
        self.assertEqual(connection.transport.producerState, "producing")
        connection.send(BODY)
        self.assertEqual(connection.answer().status, 200)

    def test_body_before_the_answer(self) -> None:
        """A body that came with its head waits for the token, and is answered in order."""
        for token, status in ((AUTH, 200), (("authorization", "Bearer " + "11" * 32), 401)):
            self.tokens.wait = Deferred()
            connection = self.connect()
            connection.send(head("POST", "/v1/account", [token, length(len(BODY))]) + BODY + head("GET", "/health"))
            self.assertEqual(connection.sent, b"")
            self.tokens.wait.callback(None)
            answer = connection.answer()
            self.assertEqual(answer.status, status)
            self.assertEqual(parse(answer.rest).status, 200)
            self.assertEqual(connection.transport.producerState, "producing")

    def test_gone_while_looked_up(self) -> None:
        """A client that goes before it is known who it is leaves nothing behind."""
        for whole in (b"", BODY):
            self.tokens.wait = Deferred()
            connection = self.post("/v1/account", AUTH, length(len(BODY)))
            connection.send(whole)
            connection.lose()
            self.assertEqual((len(self.site.present), self.clock.getDelayedCalls()), (0, []))
        self.assertEqual(self.accounts.calls, [])

    def test_slow_body(self) -> None:
        """A body that does not arrive in time is a 408."""
        connection = self.post("/v1/account", AUTH, length(100))
        connection.send(b"{")
        self.clock.advance(9.9)
        self.assertEqual(connection.sent, b"")
        self.clock.advance(0.2)
        self.ended(connection, 408)

    def test_expects_to_continue(self) -> None:
        """A client that waits to be asked for its body is asked once it may come in, and only then."""
        wish = ("expect", "100-continue")
        connection = self.post("/v1/account", AUTH, length(len(BODY)), wish)
        self.assertEqual(connection.sent, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.ended(self.post("/v1/account", length(len(BODY)), wish), 401)
        self.ended(self.post("/v1/account", AUTH, length(1001), wish), 413)
        self.tokens.wait = Deferred()
        connection = self.post("/v1/account", AUTH, length(len(BODY)), wish)
        self.assertEqual(connection.sent, b"")
        self.tokens.wait.callback(None)
        self.assertEqual(connection.sent, b"HTTP/1.1 100 Continue\r\n\r\n")

    def test_body_where_none_is_wanted(self) -> None:
        """A body that a route has no use for is dropped, and the connection goes on."""
        connection = self.connect()
        request = head("DELETE", "/v1/account/a", [AUTH, length(3)]) + b"xyz"
        connection.send(request + request)
        self.assertEqual([parse(connection.sent).status, parse(parse(connection.sent).rest).status], [200, 200])


class OpenBodyTests(ApiCase):
    rules = AccessRules(interface="127.0.0.1")

    def test_no_way_around(self) -> None:
        """On a daemon without tokens a body in chunks needs its content type as well."""
        self.tokens.records.clear()
        host = ("host", "localhost")
        connection = self.connect()
        connection.send(head("POST", "/v1/account", [host, CHUNKED]) + chunk(BODY) + b"0\r\n\r\n")
        self.assertEqual(connection.answer().status, 415)
        connection = self.connect()
        connection.send(head("POST", "//v1/account", [host, CHUNKED]) + chunk(BODY) + b"0\r\n\r\n")
        self.assertEqual(connection.answer().status, 415)
        self.assertEqual(self.accounts.calls, [])


class HeadTests(ApiCase):
    def test_nonsense(self) -> None:
        """What is no HTTP is told so in JSON, and the connection ends."""
        for raw in (
            b"nonsense\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /v1/accounts HTTP/1.1\r\nbad header\r\n\r\n",
            b"POST /v1/account HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            b"POST /v1/account HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            b"POST /v1/account HTTP/1.1\r\n"
            + b"authorization: Bearer "
            + TOKEN.encode()
            + b"\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ):
            connection = self.connect()
            connection.send(raw)
            self.refused(connection.answer(), 400)
            self.assertTrue(connection.closing, raw)

    def test_bad_request_lines(self) -> None:
        """A first line that is none is a JSON 400, whatever comes after it, and no error of the server's own."""
        for line in (
            b"GARBAGE",
            b"",
            b"GET /v1/accounts HTTP/2.0",
            b"GET /v1/accounts",
            b"GET /v1/account/\xc3\xb6 HTTP/1.1",
            b"\xff\xfe /v1/accounts HTTP/1.1",
        ):
            connection = self.connect()
            connection.send(b"\r\n" + line + b"\r\nHost: localhost\r\n\r\n")
            connection.send(b"\r\n\r\n")
            answer = connection.answer()
            self.refused(answer, 400)
            self.assertEqual((answer.rest, connection.closing), (b"", True), line)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_targets(self) -> None:
        """A target that is neither a path nor a whole URL is a 400, and is no other path either."""
        for target in (
            "v1/accounts",
            "x",
            "*",
            "?",
            "localhost:3000",
            "ftp://localhost/v1/accounts",
            "x?/://a/v1/accounts",
        ):
            for method in ("GET", "DELETE"):
                connection = self.connect()
                connection.send(head(method, target, [AUTH]))
                self.refused(connection.answer(), 400)
                self.assertTrue(connection.closing, target)
        self.assertEqual(self.ask("HEAD", "x").body, b"")
        for target in ("http://localhost/health", "HTTPS://localhost:1/health/?x", "/health", "http://localhost", "/"):
            self.assertEqual(self.ask("GET", target).status, 200, target)
        self.assertEqual(self.ask("OPTIONS", "*").status, 204)

    def test_refused_is_not_done(self) -> None:
        """A request that was answered 400 is not carried out, wherever in its head the fault stands."""
        for bad in (
            b"Bad Name: 1",
            b"no colon",
            b"X: a\x00b",
            b"Content-Length: 0\r\nContent-Length: 0",
            b"Content-Length: x",
            b"Transfer-Encoding: gzip",
            b"a: b\r\n" * 600 + b"a: b",
        ):
            for after in (b"", b"X: y\r\n", b"X: y\r\n\r\n" + head("DELETE", "/v1/account/b", [AUTH])):
                for cut in (False, True):
                    connection = self.connect()
                    first = head("DELETE", "/v1/account/a", [AUTH])[:-2]
                    parts = (first + bad + b"\r\n", after + b"\r\n")
                    for part in parts if cut else (b"".join(parts),):
                        connection.send(part)
                    answer = connection.answer()
                    self.refused(answer, 400)
                    self.assertEqual((answer.rest, connection.closing), (b"", True), bad)
        self.assertEqual(self.accounts.calls, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_refused_while_looked_up(self) -> None:
        """A malformed body is refused once, whatever becomes of the question who sent it."""
        for header in (AUTH, ("authorization", "Bearer " + "11" * 32)):
            self.tokens.wait = Deferred()
            connection = self.connect()
            wish = ("expect", "100-continue")
            connection.send(head("POST", "/v1/account", [header, CHUNKED, wish]) + b"zz\r\n")
            self.refused(connection.answer(), 400)
            self.tokens.wait.callback(None)
            self.assertEqual(connection.answer().rest, b"")
        self.assertEqual(self.accounts.calls, [])

    def test_lingers(self) -> None:
        """A refused client that does not go is cut after a moment."""
        connection = self.connect()
        connection.send(b"GARBAGE\r\n\r\n")
        self.clock.advance(1.9)
        self.assertFalse(connection.transport.disconnected or connection.transport.disconnecting)
        self.clock.advance(0.2)
        self.assertTrue(connection.transport.disconnected or connection.transport.disconnecting)

    def test_long_heads(self) -> None:
        """A head may be as long as the longest id needs; one without end is refused in JSON."""
        self.assertEqual(self.ask("GET", "/v1/account/a/text/" + "A" * 10240).status, 200)
        for raw in (b"GET /" + b"a" * 40_000, b"GET / HTTP/1.1\r\n" + b"a: " + b"b" * 40_000):
            connection = self.connect()
            connection.send(raw)
            self.refused(connection.answer(), 431)
        connection = self.connect()
        connection.send(b"GET / HTTP/1.1\r\n" + b"a: 1234567890\r\n" * 6000)
        self.refused(connection.answer(), 400)

    def test_cut_anywhere(self) -> None:
        """Requests are read the same wherever the network cuts them."""
        raw = head("POST", "/v1/account", [AUTH, length(len(BODY))]) + BODY
        for place in range(1, len(raw)):
            connection = self.connect()
            connection.send(raw[:place])
            connection.send(raw[place:])
            self.assertEqual(connection.answer().status, 200, place)


class AnythingTests(ApiCase):
    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X-Y"]),
        st.lists(
            st.sampled_from(["v1", "account", "a", "%2F", "%ff", "%", "messages", "message", "text", "", ".", ":"]),
            max_size=6,
        ),
        st.text("path=&page%2fé\x7f?#[]1", max_size=20),
        st.lists(
            st.tuples(
                st.sampled_from(["host", "authorization", "content-type", "x-ee-timeout", "origin", "expect"]),
                st.text("abz[]:/. é1", max_size=9),
            ),
            max_size=4,
        ),
        st.text('{}[]:",1a\x80', max_size=40),
    )
    def test_never_broken(
        self, method: str, path: list[str], query: str, headers: list[tuple[str, str]], text: str
    ) -> None:
        """Whatever comes, the answer is JSON or a page of ours, and never an error of the server's own."""
        connection, body = self.connect(), text.encode("latin-1")
        target = "/" + "/".join(path) + "?" + query.replace("é", "\xb0")
        connection.send(head(method, target, [AUTH, length(len(body)), *headers]) + body)
        answer = connection.answer(headless=method == "HEAD")
        self.assertLess(answer.status, 500)
        if answer.status != 204:
            kind = answer.header("content-type") or ""
            self.assertTrue(kind.startswith("application/json") or answer.status == 200)
        connection.lose()
        self.assertEqual(self.flushLoggedErrors(), [])


class ClosingTests(ApiCase):
    def test_idle(self) -> None:
        """When the site closes, idle connections end at once."""
        connection = self.connect()
        connection.send(head("GET", "/health"))
        self.site.close()
        self.assertTrue(connection.closing)

    def test_busy(self) -> None:
        """A running request is answered, with word that the connection ends, and no further one is taken."""
        waiting: Deferred[Any] = Deferred()
        self.accounts.say["delete"] = waiting
        connection = self.connect()
        connection.send(head("DELETE", "/v1/account/a", [AUTH]))
        self.site.close()
        gone = Deferred.fromCoroutine(self.site.present.gone())
        self.assertFalse(connection.closing)
        connection.send(head("DELETE", "/v1/account/b", [AUTH]))
        waiting.callback(None)
        answer = connection.answer()
        self.assertEqual((answer.status, answer.header("connection"), answer.rest), (200, "close", b""))
        self.assertTrue(connection.closing)
        self.assertNoResult(gone)
        connection.lose()
        self.successResultOf(gone)
        self.assertEqual(len(self.accounts.calls), 1)


class BuildTests(ApiCase):
    def test_opens_nothing(self) -> None:
        """Building a site starts nothing and asks nobody."""
        build(
            accounts=self.accounts,
            mailing=self.mailing,
            outbox=self.outbox,
            logs=self.logs,
            settings=self.settings,
            tokens=self.tokens,
            figures=self.figures,
            clock=self.clock,
            version="1",
            access=AccessRules(),
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
