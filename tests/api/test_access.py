"""Who is let in, and who is told what when not."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from emailengine.api.access import AccessRules
from emailengine.api.cors import Cors
from emailengine.model.token import TokenPermissions
from tests.api.client import TOKEN, ApiCase


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


class TokenTests(ApiCase):
    def test_shown_either_way(self) -> None:
        """A token may come as a header, in any case of the scheme, or in the query, where it is no further member."""
        self.assertEqual(self.ask("GET", "/v1/accounts").status, 200)
        for header in (f"bearer {TOKEN}", f"BEARER  {TOKEN.upper()}"):
            self.assertEqual(self.ask("GET", "/v1/accounts", headers={"authorization": header}).status, 200)
        self.assertEqual(self.ask("GET", f"/v1/accounts?page=1&access_token={TOKEN}", token=None).json["page"], 1)
        self.assertEqual(self.ask("POST", f"/v1/settings?access_token={TOKEN}", {}, token=None).status, 200)

    def test_both_ways(self) -> None:
        """With a header the query's token is a member that nobody knows."""
        told = self.refused(self.ask("GET", f"/v1/accounts?access_token={TOKEN}"), 400)
        self.assertEqual(told["fields"][0]["key"], "access_token")

    def test_refused(self) -> None:
        """No credential, an unknown one and one that cannot be one give the same body, and the way to log in."""
        other = "11" * 32
        for headers, query in (
            ({}, ""),
            ({}, "?access_token="),
            ({}, f"?access_token={other}"),
            ({}, f"?access_token={TOKEN}&access_token={TOKEN}"),
            ({"authorization": f"Bearer {other}"}, ""),
            ({"authorization": "Bearer x"}, ""),
            ({"authorization": "Bearer"}, ""),
            ({"authorization": TOKEN}, ""),
            ({"authorization": f"Digest {TOKEN}"}, ""),
            (basic("user:password"), ""),
            (basic(f":{TOKEN}"), ""),
        ):
            answer = self.ask("GET", f"/v1/accounts{query}", headers=headers, token=None)
            told = self.refused(answer, 401)
            self.assertEqual((set(told), told["error"]), ({"statusCode", "error", "message"}, "Unauthorized"))
            self.assertEqual(answer.headers["www-authenticate"], ['Bearer realm="emailengine"'])
        self.assertEqual(self.accounts.calls, [])

    def test_scopes(self) -> None:
        """A token with scopes does what they name, `*` is all of them, and so is none at all."""
        for scopes, api, metrics in (
            (["api"], 200, 403),
            (["metrics"], 403, 200),
            (["smtp"], 403, 403),
            (["*"], 200, 200),
            ([], 403, 403),
            (None, 200, 200),
        ):
            self.allow(scopes=scopes)
            self.assertEqual(self.ask("GET", "/v1/accounts").status, api)
            self.assertEqual(self.ask("GET", "/metrics").status, metrics)
        self.allow(scopes=["smtp"])
        self.assertEqual(self.refused(self.ask("GET", "/v1/accounts"), 403)["requestedScope"], "api")

    def test_permissions(self) -> None:
        """A narrowed token does what both axes allow; what is administration it never does."""
        reader = TokenPermissions(actions=["read"])
        self.allow(permissions=reader)
        self.assertEqual(self.ask("GET", "/v1/account/a/messages?path=x").status, 200)
        told = self.refused(self.ask("PUT", "/v1/account/a/message/AAAAAQAAAAE", {}), 403)
        self.assertEqual(told["requiredPermission"], "write:message")
        self.refused(self.ask("GET", "/v1/settings?webhooks=true"), 403)
        self.allow(permissions=TokenPermissions(groups=["submit"]))
        self.assertEqual(self.ask("POST", "/v1/account/a/submit", {}).status, 200)
        self.refused(self.ask("GET", "/v1/outbox"), 403)
        self.allow(permissions=TokenPermissions(groups=["admin"]))
        self.refused(self.ask("POST", "/v1/account", {}), 403)
        self.allow(permissions=TokenPermissions())
        self.refused(self.ask("GET", "/v1/accounts"), 403)

    def test_bound(self) -> None:
        """A token of an account works on that account's own routes and nowhere else."""
        self.allow(account="a/b")
        self.assertEqual(self.ask("GET", "/v1/account/a%2Fb").status, 200)
        self.assertEqual(self.ask("POST", "/v1/account/%20a%2fb/submit", {}).status, 200)
        for method, path in (
            ("GET", "/v1/account/a"),
            ("GET", "/v1/account/%zz"),
            ("GET", "/v1/accounts"),
            ("GET", "/v1/outbox"),
            ("GET", "/v1/stats"),
            ("GET", "/metrics"),
        ):
            self.refused(self.ask(method, path), 403)

    def test_order(self) -> None:
        """Access comes before validation: who may not come in learns nothing of the input."""
        self.allow(scopes=["smtp"])
        self.refused(self.ask("GET", "/v1/accounts?nonsense=1"), 403)
        self.refused(self.ask("GET", "/v1/accounts?nonsense=1", token=None), 401)

    def test_addresses(self) -> None:
        """A token with addresses works from those, however the address is written."""
        self.allow(restrictions={"addresses": ["192.0.2.0/24", "2001:db8::1"]})
        for peer in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8:0::1"):
            self.assertEqual(self.ask("GET", "/v1/accounts", peer=peer).status, 200, peer)
        for peer in ("198.51.100.1", "2001:db8::2"):
            self.assertEqual(self.refused(self.ask("GET", "/v1/accounts", peer=peer), 403)["remoteAddress"], peer)

    def test_referrers(self) -> None:
        """A token with referrers works from those pages."""
        self.allow(restrictions={"referrers": ["https://*.example/app*"]})
        good, bad = {"referer": "https://a.example/app/1"}, {"referer": "http://a.example/app/1"}
        self.assertEqual(self.ask("GET", "/v1/accounts", headers=good).status, 200)
        self.refused(self.ask("GET", "/v1/accounts", headers=bad), 403)
        self.refused(self.ask("GET", "/v1/accounts"), 403)

    def test_rate(self) -> None:
        """A token with a rate is told what is left, refused when nothing is, and welcome in the next window."""
        self.allow(restrictions={"rateLimit": {"maxRequests": 2, "timeWindow": 60}})
        first, second = self.ask("GET", "/v1/accounts"), self.ask("GET", "/v1/accounts")
        self.assertEqual([one.header("x-ratelimit-remaining") for one in (first, second)], ["1", "0"])
        answer = self.ask("GET", "/v1/accounts")
        told = self.refused(answer, 429)
        self.assertEqual(
            (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-reset")), ("2", str(told["ttl"]))
        )
        self.wall += told["ttl"]
        self.assertEqual(self.ask("GET", "/v1/accounts").status, 200)

    def test_unknown_restriction(self) -> None:
        """A restriction that this version cannot enforce refuses everything."""
        bad: list[dict[str, Any]] = [
            {"weekdays": [1]},
            {"addresses": "192.0.2.1"},
            {"referrers": {}, "addresses": ["nonsense"]},
            {"rateLimit": 5},
            {"rateLimit": {"timeWindow": 10}},
        ]
        for restrictions in bad:
            self.allow(restrictions=restrictions)
            self.refused(self.ask("GET", "/v1/accounts", peer="192.0.2.1"), 403)


class BasicTests(ApiCase):
    rules = AccessRules(basic="user:päss:word", interface="0.0.0.0")

    def test_operator(self) -> None:
        """The configured user and password open everything, from anywhere, and tokens work beside them."""
        for path in ("/v1/accounts", "/metrics", "/v1/settings?webhooks=1"):
            self.assertEqual(self.ask("GET", path, headers=basic("user:päss:word"), peer="192.0.2.1").status, 200)
        self.assertEqual(self.ask("GET", "/v1/accounts").status, 200)

    def test_refused(self) -> None:
        """Anything else is a 401 that offers both ways, also on a daemon without tokens."""
        self.tokens.records.clear()
        wrong: list[Mapping[str, str]] = [
            {},
            basic("user:pass"),
            basic("user"),
            basic(""),
            {"authorization": "Basic !"},
            {"authorization": "Basic w7w=w"},
        ]
        for headers in wrong:
            answer = self.ask("GET", "/v1/accounts", headers=headers, token=None)
            self.refused(answer, 401)
            self.assertEqual([one.split()[0] for one in answer.headers["www-authenticate"]], ["Bearer", "Basic"])


class BasicPageTests(ApiCase):
    """A browser that remembers the login sends it along with what any page asks for."""

    rules = AccessRules(basic="user:word", interface="0.0.0.0")
    cors = Cors(frozenset(("https://app.example",)))

    def sent(self, method: str = "GET", body: Any = None, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = "/v1/accounts" if method in ("GET", "HEAD") else "/v1/account"
        if method == "DELETE":
            path += "/a"
        login = {"host": "mail.example"} | basic("user:word")
        return self.ask(method, path, body, headers=login | named, token=None).status

    def test_forms(self) -> None:
        """A body of a type that a page may send without asking is refused."""
        for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            self.assertEqual(self.sent("POST", {"account": "a", "name": "A"}, content_type=kind), 415, kind)
        self.assertEqual(self.accounts.calls, [])
        self.assertEqual(self.sent("POST", {"account": "a", "name": "A"}), 200)

    def test_other_pages(self) -> None:
        """What a page of another site asks for is refused, whatever the method."""
        for method in ("GET", "HEAD", "DELETE"):
            self.assertEqual(self.sent(method, sec_fetch_site="cross-site"), 403)
            for origin in ("https://evil.example", "null", "https://mail.example:8443", "https://mail.example.evil"):
                self.assertEqual(self.sent(method, origin=origin), 403, origin)
            self.assertEqual(self.sent(method, origin="https://evil.example", sec_fetch_site="same-site"), 403)
            self.assertEqual(self.sent(method, origin="http://mail.example", sec_fetch_site="cross-site"), 403)
        self.assertEqual(self.accounts.calls, [])

    def test_own_pages(self) -> None:
        """Pages of the same host, of a configured origin, and no page at all are let in."""
        for headers in (
            {},
            {"sec_fetch_site": "none"},
            {"sec_fetch_site": "same-origin"},
            {"origin": "https://mail.example", "sec_fetch_site": "same-origin"},
            {"origin": "https://mail.example"},
            {"origin": "http://MAIL.example", "host": "mail.example:80"},
            {"origin": "https://app.example", "sec_fetch_site": "cross-site"},
            # a proxy in between has its own idea of the Host, the browser knows better
            {"origin": "https://mail.example", "sec_fetch_site": "same-origin", "host": "127.0.0.1:3000"},
        ):
            self.assertEqual(self.sent(**headers), 200, headers)

    def test_tokens(self) -> None:
        """A token is nothing that a browser adds by itself: it works from everywhere."""
        headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        self.assertEqual(self.ask("GET", "/v1/accounts", headers=headers).status, 200)


class BasicStarTests(ApiCase):
    rules = AccessRules(basic="user:word")
    cors = Cors(frozenset(("*",)))

    def test_all_pages(self) -> None:
        """Where the operator lets in pages of all origins, they are."""
        headers = {"origin": "https://any.example", "sec-fetch-site": "cross-site"} | basic("user:word")
        self.assertEqual(self.ask("GET", "/v1/accounts", headers=headers, token=None).status, 200)


class OpenTests(ApiCase):
    """A daemon with neither tokens nor a password."""

    def setUp(self) -> None:
        super().setUp()
        self.tokens.records.clear()

    def open(self, method: str = "GET", body: Any = None, **more: Any) -> int:
        return self.ask(method, "/v1/account" if body is not None else "/v1/accounts", body, token=None, **more).status

    def test_this_machine(self) -> None:
        """Whoever is on this machine is let in, by any loopback name."""
        for host in (
            "localhost",
            "LOCALHOST:3000",
            "127.0.0.1:3000",
            "127.8.9.1",
            "[::1]:3000",
            "[0:0::1]",
            "localhost:65535",
        ):
            self.assertEqual(self.open(headers={"host": host}), 200, host)
        for peer in ("127.0.0.1", "127.1.1.1", "::1", "::ffff:127.0.0.1"):
            self.assertEqual(self.open(peer=peer), 200, peer)
        self.assertEqual(self.open("POST", {"account": "a", "name": "A"}), 200)
        self.assertEqual(self.ask("GET", "/metrics", token=None).status, 200)

    def test_others(self) -> None:
        """Other machines, pages of other names and what came over a proxy are not."""
        self.assertEqual(self.open(peer="192.0.2.1"), 401)
        for host in (
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::2]",
            "192.168.1.2",
            "x@localhost",
            "127.999.0.1",
            "127.0.0.1%1",
            "127.1",
            "::1",
            "[127.0.0.1]",
            "[::1%1]",
            "[::1",
            "localhost:0",
            "localhost:65536",
            "localhost:",
            "localhost:\xb2",
        ):
            self.assertEqual(self.open(headers={"host": host}), 401, host)
        for name in ("Forwarded", "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Anything", "Via"):
            self.assertEqual(self.open(headers={name: "for=127.0.0.1"}), 401, name)
        self.assertEqual(self.accounts.calls, [])

    def test_forms(self) -> None:
        """A body that a page could send without asking is not."""
        for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            self.assertEqual(
                self.open("POST", {"account": "a", "name": "A"}, headers={"content-type": kind}), 415, kind
            )
        self.assertEqual(self.accounts.calls, [])

    def test_other_pages(self) -> None:
        """What a page of another site asks for is refused, whatever the method."""
        for method, path in (("GET", "/v1/accounts"), ("HEAD", "/v1/accounts"), ("DELETE", "/v1/account/a")):
            for headers, status in (
                ({"sec-fetch-site": "cross-site"}, 403),
                ({"origin": "https://evil.example"}, 403),
                ({"origin": "null"}, 403),
                ({"origin": "http://localhost:8080", "sec-fetch-site": "same-site"}, 403),
                ({"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, 403),
                ({"sec-fetch-site": "none"}, 200),
                ({"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"}, 200),
            ):
                self.assertEqual(self.ask(method, path, headers=headers, token=None).status, status, headers)
        self.assertEqual(self.ask("GET", "/health", headers={"sec-fetch-site": "cross-site"}, token=None).status, 200)

    def test_wrong_credentials(self) -> None:
        """A credential that is shown must be a good one."""
        self.assertEqual(self.ask("GET", "/v1/accounts").status, 401)
        self.assertEqual(self.ask("GET", "/v1/accounts", headers=basic("a:b"), token=None).status, 401)

    def test_first_token(self) -> None:
        """Once there is a token, nobody comes in without."""
        self.assertEqual(self.open(), 200)
        self.allow()
        self.assertEqual(self.open(), 401)


class OpenElsewhereTests(ApiCase):
    rules = AccessRules(interface="0.0.0.0")

    def test_nobody(self) -> None:
        """A daemon that listens for other machines lets nobody in without a credential."""
        self.tokens.records.clear()
        self.refused(self.ask("GET", "/v1/accounts", token=None), 401)
        self.assertEqual(self.ask("GET", "/health", token=None).status, 200)
