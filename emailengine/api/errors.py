"""Errors as answers: the body that the API documents for each, and the headers that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from math import ceil
from typing import Any

from attrs import frozen

from emailengine.errors import Busy, EmailEngineError, MailServerError
from emailengine.model.codec import encode

Header = tuple[bytes, bytes]

JSON_TYPE: Header = (b"content-type", b"application/json; charset=utf-8")

# as the documented API words them, whatever the Python version calls them
_PHRASES = {408: "Request Time-out", 413: "Request Entity Too Large", 422: "Unprocessable Entity"}


@frozen
class Refusal:
    """An answer that says why there is none."""

    status: int
    headers: tuple[Header, ...]
    body: bytes


class TooManyRequests(EmailEngineError):
    """The token's rate limit is used up; `reset` says in seconds when the next window begins."""

    default_status = 429
    default_transient = True

    def __init__(self, message: str, *, limit: int, reset: int) -> None:
        super().__init__(message, extra={"ttl": reset})
        self.limit = limit
        self.reset = reset


@cache
def phrase(status: int) -> str:
    """The words that belong to a status."""
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def refusal(error: BaseException | None, challenges: Sequence[bytes] = ()) -> Refusal:
    """The answer for an error; one that is not ours tells nothing. `challenges` are offered with a 401."""
    if not isinstance(error, EmailEngineError):
        return plain(500, "An internal error occurred")
    members: dict[str, Any] = {"statusCode": error.status, "error": phrase(error.status), "message": error.message}
    headers: list[Header] = [JSON_TYPE]
    if error.status == 401:
        headers += [(b"www-authenticate", one) for one in challenges]
    else:
        if error.code is not None:
            members["code"] = error.code
        members |= error.extra
    wait = error.retry_after if isinstance(error, Busy | MailServerError) else None
    if wait is not None:
        headers.append((b"retry-after", b"%d" % ceil(wait)))
    if isinstance(error, TooManyRequests):
        headers += [(b"x-ratelimit-limit", b"%d" % error.limit), (b"x-ratelimit-reset", b"%d" % error.reset)]
    return Refusal(error.status, tuple(headers), encode(members))


def plain(status: int, message: str, *headers: Header) -> Refusal:
    """An answer with the three members that are always there."""
    body = encode({"statusCode": status, "error": phrase(status), "message": message})
    return Refusal(status, (JSON_TYPE, *headers), body)
