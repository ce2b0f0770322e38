"""The published document (OpenAPI 3.0), made from the same Structs that read requests and shape answers. Pure.

The Structs' schemas are of JSON Schema 2020-12; what OpenAPI 3.0 says otherwise (`nullable`, no `null` type) is turned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from attrs import frozen

from emailengine.model.shape import Answer

_REF = "#/components/schemas/{name}"
_NAME = re.compile(r"\{([^}]*)\}")
_WORD = re.compile(r"[A-Za-z0-9]+")

Schema = dict[str, Any]

HEADERS: tuple[Schema, ...] = (
    {
        "name": "x-ee-timeout",
        "in": "header",
        "description": "Milliseconds that the answer may take, if that is more than the default",
        "schema": {"type": "integer", "minimum": 0, "maximum": 7200000},
    },
)

ONCE: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A text of the client's choice: the same one again does nothing and gives the first answer again",
    "required": False,
    "schema": {"type": "string", "maxLength": 1024},
}


class ErrorField(Answer, kw_only=True):
    """One fault of the input."""

    message: str
    key: str


class ErrorAnswer(Answer, kw_only=True):
    """Why there is no answer. `code` is a stable word for programs; `fields` lists the faults of the input."""

    status_code: int
    error: str
    message: str
    code: str | None = None
    fields: list[ErrorField] | None = None
    state: str | None = None


@frozen(kw_only=True)
class Operation:
    """
    A route, as far as the document tells of it.

    `at` and `query` are the Structs of its parameters. `answer` is None where it is no JSON, but of `content_type`.
    `once` is for those that take an idempotency key.
    """

    method: str
    path: str
    about: str
    area: str
    at: Any
    query: Any
    body: Any | None
    answer: Any | None
    content_type: str
    once: bool = False


def document(operations: Sequence[Operation], version: str) -> Schema:
    """The whole document, as plain values."""
    kinds = _kinds(operations)
    references, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    schema_of = dict(zip(kinds, references, strict=True))
    turned = {name: _turned(one) for name, one in components.items()}
    paths: dict[str, Schema] = {}
    parameters: set[str] = set()
    for one in operations:
        listed = []
        for struct, place in ((one.at, "path"), (one.query, "query")):
            name = _referred(schema_of[struct])
            parameters.add(name)
            listed += _parameters(turned[name], place)
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, listed, schema_of)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "emailengine",
            "version": version,
            "description": "Mailboxes as a REST API and webhooks.",
        },
        "tags": [{"name": area} for area in dict.fromkeys(one.area for one in operations)],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in turned.items() if name not in parameters},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "access_token": {"type": "apiKey", "in": "query", "name": "access_token"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"bearer": []}, {"access_token": []}, {"basic": []}],
    }


def operation_id(method: str, path: str) -> str:
    """A name for programs: `GET /v1/account/{account}/messages` is `getV1AccountAccountMessages`."""
    return method.lower() + "".join(word[0].upper() + word[1:] for word in _WORD.findall(path))


def _kinds(operations: Iterable[Operation]) -> list[Any]:
    kinds: dict[Any, None] = {ErrorAnswer: None}
    for one in operations:
        for kind in (one.at, one.query, one.body, one.answer):
            if kind is not None:
                kinds[kind] = None
    return list(kinds)


def _operation(one: Operation, parameters: list[Schema], schema_of: dict[Any, Schema]) -> Schema:
    if one.answer is not None:
        content = {"application/json": {"schema": _turned(schema_of[one.answer])}}
    else:
        content = {one.content_type: {"schema": {"type": "string", "format": "binary"}}}
    described: Schema = {
        "operationId": operation_id(one.method, one.path),
        "summary": one.about,
        "tags": [one.area],
        "parameters": [*parameters, *HEADERS, *([ONCE] if one.once else [])],
        "responses": {
            "200": {"description": "Done", "content": content},
            "default": {
                "description": "Not done",
                "content": {"application/json": {"schema": _turned(schema_of[ErrorAnswer])}},
            },
        },
    }
    if one.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _turned(schema_of[one.body])}},
        }
    return described


def _parameters(schema: Schema, place: str) -> list[Schema]:
    required = schema.get("required", ())
    return [
        {"name": name, "in": place, "required": place == "path" or name in required, "schema": one}
        for name, one in schema.get("properties", {}).items()
    ]


def _referred(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _turned(schema: Any) -> Any:
    """A schema of JSON Schema 2020-12 as OpenAPI 3.0 writes it."""
    if isinstance(schema, list):
        return [_turned(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one != {"type": "null"}]
        rest = {name: _turned(value) for name, value in schema.items() if name != "anyOf"}
        if len(others) == len(schema["anyOf"]):
            return {**rest, "anyOf": _turned(others)}
        if len(others) > 1:
            return {**rest, "anyOf": _turned(others), "nullable": True}
        only = _turned(others[0])
        # what stands beside a reference is not looked at
        return {**rest, **({"allOf": [only]} if "$ref" in only else only), "nullable": True}
    turned: Schema = {}
    for name, value in schema.items():
        if name == "properties":  # its keys are names of members
            turned[name] = {member: _turned(one) for member, one in value.items()}
        elif name not in ("required", "default", "enum") or (name == "required" and value):
            turned[name] = _turned(value) if name != "required" else value
        elif name != "required":
            turned[name] = value
    if "enum" in turned and "type" not in turned and all(isinstance(one, str) for one in turned["enum"]):
        turned["type"] = "string"
    return turned
