"""From the text of a request to the values a route works with; all faults of path, query, headers and body at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

from emailengine.api.routing import JSON, Ignored, Nothing
from emailengine.errors import InvalidInput, UnsupportedMedia
from emailengine.model import codec

T = TypeVar("T")
Fault = dict[str, str]

FORM = "application/x-www-form-urlencoded"
TIMEOUT_LIMIT = 7_200_000  # milliseconds that a client may ask for
KEY_LIMIT = 1024  # characters of an idempotency key
_PAIRS = 1000  # in a query or a form

_TARGET = re.compile(rb"/|https?://", re.IGNORECASE)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOTHING = Nothing()
_IGNORED = Ignored()


def is_target(method: bytes, target: bytes) -> bool:
    """Whether a request target is one: a path, a whole URL, or the `*` of OPTIONS (RFC 9112 3.2)."""
    return _TARGET.match(target) is not None or (method == b"OPTIONS" and target == b"*")


def raw_path(target: bytes) -> str:
    """
    The path of a request target, still escaped: what is not ASCII in it is escaped too.

    One slash at the end is taken off: `/v1/accounts/` is `/v1/accounts`.
    """
    path = target.partition(b"?")[0]
    if not path.startswith(b"/"):  # the absolute form, RFC 9112 3.2.2
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    if len(path) > 1 and path.endswith(b"/"):
        path = path[:-1]
    if path.isascii():
        return path.decode("ascii")
    return "".join(chr(octet) if octet < 128 else f"%{octet:02X}" for octet in path)


def raw_query(target: bytes) -> str:
    """The query of a request target, still escaped."""
    return target.partition(b"?")[2].decode("latin-1")


def segment(name: str, raw: str) -> str:
    """A segment of a path, unescaped. `InvalidInput` for a broken escape or what is not UTF-8."""
    if "%" not in raw:
        return raw
    if _BAD_ESCAPE.search(raw):
        raise codec.fault(name, "has a broken percent-encoding")
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise codec.fault(name, "is not UTF-8") from None


def pairs(text: str, what: str = "query") -> list[tuple[str, str]]:
    """The names and values of a query string or a form. `InvalidInput` if it cannot be read."""
    if not text:
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_PAIRS)
    except UnicodeDecodeError:
        raise InvalidInput(f"The {what} is not UTF-8") from None
    except ValueError:
        raise InvalidInput(f"The {what} has more than {_PAIRS} members") from None


def media_type(header: str | None) -> str | None:
    """A Content-Type without its parameters, in lower case."""
    return None if header is None else header.partition(";")[0].strip().lower()


def check_media(kind: str | None, encoding: str | None) -> None:
    """`UnsupportedMedia` unless a body of that type can be read. Without a type it is taken as JSON."""
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMedia("A compressed body cannot be read")
    if kind in (None, "", JSON, FORM) or (kind.startswith("application/") and kind.endswith("+json")):
        return
    raise UnsupportedMedia("The body must be JSON: send Content-Type: application/json")


def read_body(raw: bytes, kind: str | None, into: type[T]) -> T:
    """A body as a Struct: JSON, or a flat form."""
    if kind != FORM:
        return codec.read_json(raw, into)
    if raw.lstrip()[:1] in (b"{", b"["):
        raise UnsupportedMedia("The body looks like JSON: send Content-Type: application/json")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidInput("The body is not UTF-8") from None
    return codec.read_pairs(pairs(text, "body"), into)


class Reading:
    """Reads one part of a request after the other and keeps their faults until all are known."""

    __slots__ = ("_faults",)

    def __init__(self) -> None:
        self._faults: list[Mapping[str, str]] = []

    def part(self, read: Callable[..., T], *arguments: Any) -> T | None:
        """What `read` gives; None if it was invalid. An error without fields is raised at once."""
        try:
            return read(*arguments)
        except InvalidInput as error:
            fields = error.extra.get("fields")
            if not fields:
                raise
            self._faults += fields
            return None

    def check(self) -> None:
        """`InvalidInput` with all faults, if there are any."""
        if self._faults:
            raise codec.invalid(self._faults)


def read_path(raw: Mapping[str, str], into: type[T]) -> T:
    """The parameters of a path, by name, each still escaped."""
    if not raw and into is Nothing:
        return _NOTHING  # type: ignore[return-value]  # into is its type
    reading = Reading()
    values = {name: reading.part(segment, name, one) for name, one in raw.items()}
    reading.check()
    return codec.read(values, into)


def read_query(sent: Sequence[tuple[str, str]], into: type[T]) -> T:
    """The members of a query."""
    if into is Ignored:
        return _IGNORED  # type: ignore[return-value]  # into is its type
    return codec.read_pairs(sent, into)


def timeout(text: str) -> float:
    """Seconds, of the header `x-ee-timeout`. `InvalidInput` if it is no number or too large."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 12 or int(text) > TIMEOUT_LIMIT:
        raise codec.fault("x-ee-timeout", f"must be a number of milliseconds from 0 to {TIMEOUT_LIMIT}")
    return int(text) / 1000


def idempotency_key(text: str) -> str | None:
    """The key of the header `Idempotency-Key`, without the quotes around it; None if it is empty."""
    key = text.strip()
    if len(key) > 1 and key[0] == key[-1] and key[0] in "\"'":
        key = key[1:-1]
    if len(key) > KEY_LIMIT:
        raise codec.fault("idempotency-key", f"must have at most {KEY_LIMIT} characters")
    return key or None
