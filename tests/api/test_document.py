"""The published document: what it promises is there, and it is OpenAPI 3.0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from emailengine.model.openapi import operation_id
from tests.api.client import ApiCase

ROUTES = """
POST /v1/account
GET /v1/accounts
GET /v1/account/{account}
PUT /v1/account/{account}
DELETE /v1/account/{account}
PUT /v1/account/{account}/reconnect
PUT /v1/account/{account}/sync
GET /v1/account/{account}/mailboxes
GET /v1/account/{account}/messages
GET /v1/account/{account}/message/{message}
PUT /v1/account/{account}/message/{message}
GET /v1/account/{account}/message/{message}/source
GET /v1/account/{account}/text/{text}
GET /v1/account/{account}/attachment/{attachment}
POST /v1/account/{account}/submit
GET /v1/outbox
GET /v1/outbox/{queueId}
DELETE /v1/outbox/{queueId}
GET /v1/logs/{account}
GET /v1/settings
POST /v1/settings
GET /v1/stats
"""


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from walk(one)
    elif isinstance(value, list):
        for one in value:
            yield from walk(one)


class DocumentTests(ApiCase):
    def document(self) -> Any:
        answer = self.ask("GET", "/swagger.json", token=None)
        self.assertEqual(answer.header("content-type"), "application/json; charset=utf-8")
        return answer.json

    def test_routes(self) -> None:
        """The routes are these, each with a name of its own and its path's parameters."""
        document = self.document()
        there = {
            f"{method.upper()} {path}": operation
            for path, item in document["paths"].items()
            for method, operation in item.items()
        }
        self.assertEqual(set(there), set(ROUTES.strip().splitlines()))
        self.assertEqual(len({one["operationId"] for one in there.values()}), len(there))
        for name, operation in there.items():
            named = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            self.assertEqual(named, re.findall(r"{(\w+)}", name))
        self.assertEqual(operation_id("GET", "/v1/account/{account}/messages"), "getV1AccountAccountMessages")

    def test_headers(self) -> None:
        """Every route takes a time limit, and a submission a key that keeps it from being sent twice."""
        for path, item in self.document()["paths"].items():
            for operation in item.values():
                named = {one["name"]: one for one in operation["parameters"] if one["in"] == "header"}
                submits = path == "/v1/account/{account}/submit"
                self.assertEqual(set(named), {"x-ee-timeout"} | ({"Idempotency-Key"} if submits else set()))
                if submits:
                    key = named["Idempotency-Key"]
                    self.assertEqual(key["schema"], {"type": "string", "maxLength": 1024})
                    self.assertFalse(key["required"])
                    self.assertTrue(key["description"])

    def test_schemas(self) -> None:
        """Every reference leads somewhere, and nothing in it is what OpenAPI 3.0 does not know."""
        document = self.document()
        self.assertTrue(document["openapi"].startswith("3.0."))
        self.assertEqual(document["info"]["version"], "9.9.9")
        for one in walk(document):
            reference = one.get("$ref")
            if isinstance(reference, str):
                target: Any = document
                for step in reference.removeprefix("#/").split("/"):
                    target = target[step]
                self.assertEqual(list(one), ["$ref"])
            self.assertNotEqual(one.get("type"), "null")
            self.assertNotIsInstance(one.get("type"), list)
            for word in ("const", "prefixItems", "$defs"):
                self.assertNotIn(word, one)

    def test_shapes(self) -> None:
        """Queries, bodies and answers have the names that are on the wire."""
        document = self.document()
        listing = document["paths"]["/v1/account/{account}/messages"]["get"]
        queried = {one["name"]: one for one in listing["parameters"] if one["in"] == "query"}
        self.assertEqual(set(queried), {"path", "cursor", "page", "pageSize"})
        self.assertTrue(queried["path"]["required"])
        self.assertEqual(
            queried["pageSize"]["schema"], {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}
        )
        schemas = document["components"]["schemas"]
        self.assertEqual(schemas["Registration"]["required"], ["account", "name"])
        self.assertEqual(schemas["Registration"]["properties"]["account"]["nullable"], True)
        self.assertEqual(
            schemas["MessageDetail"]["properties"]["from"],
            {"allOf": [{"$ref": "#/components/schemas/Address"}], "nullable": True, "default": None},
        )
