"""What a route is: one row of a table, from which requests are read and the published document is made."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Generic, Literal, TypeVar

from attrs import define, frozen
from twisted.internet.defer import Deferred

from emailengine.core.deadline import Deadline
from emailengine.model.shape import Request

P = TypeVar("P")
Q = TypeVar("Q")
B = TypeVar("B")

JSON = "application/json"

Action = Literal["read", "write", "send", "destructive"]


class Nothing(Request, kw_only=True):
    """A path, query or body without members."""


class Ignored(Request, kw_only=True):
    """A query that may hold anything: nobody looks at it."""

    open_ended: ClassVar[bool] = True


@frozen
class Grant:
    """
    What a token needs for a route: a scope and, if it is a narrowed one, an action on a group.

    Nobody can be granted the group `admin`.
    """

    action: Action
    group: str
    scope: Literal["api", "metrics"] = "api"


@define
class Call(Generic[P, Q, B]):
    """One request, read: its path, query and body, and until when the answer is wanted."""

    at: P
    query: Q
    body: B
    deadline: Deadline
    idempotency_key: str | None


@frozen
class Page:
    """An answer that is no JSON of a Struct."""

    content_type: str
    body: bytes
    status: int = 200


@frozen(kw_only=True)
class Route(Generic[P, Q, B]):
    """
    One operation.

    `path` has its parameters in braces, each a whole segment. `run` returns a Struct, plain values, a `Page` or a
    `Download`. Without a `grant` the route is open to everybody. `answer` is the type of the answer where it is JSON.
    A `large` body may have the higher of the two limits.
    One that runs `once` takes an idempotency key.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    run: Callable[[Call[P, Q, B]], Coroutine[Deferred[Any], Any, object]]
    grant: Grant | None
    at: type[P]
    query: type[Q]
    body: type[B]
    answer: type | None = None
    content_type: str = JSON
    about: str
    area: str
    large: bool = False
    once: bool = False

    @property
    def has_body(self) -> bool:
        return self.body is not Nothing
