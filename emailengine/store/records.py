"""Values as they lie in Redis: compact JSON. What is read may be damaged or of another version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from emailengine.errors import StoredUnreadable
from emailengine.model import codec
from emailengine.model.event import Say


def pack(value: object) -> bytes:
    """A Struct or plain values as JSON. Half characters, which mail servers may send, become `?`."""
    try:
        return codec.encode(value)
    except UnicodeEncodeError:
        plain = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))
        return plain.encode("utf-8", "replace")


def pack_says(says: Sequence[Say]) -> list[bytes]:
    """Events as the scripts take them."""
    return [pack(say) for say in says]


def unpack(packed: bytes | None, what: str) -> Any:
    """The plain value of a JSON text; None for one that is not there. `StoredUnreadable`, naming `what`."""
    if packed is None:
        return None
    try:
        return msgspec.json.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoredUnreadable(f"{what} cannot be read: {error}") from None


def unpack_object(packed: bytes | None, what: str) -> dict[str, Any] | None:
    """A JSON object; None for one that is not there. `StoredUnreadable`, naming `what`."""
    value = unpack(packed, what)
    if value is not None and not isinstance(value, dict):
        raise StoredUnreadable(f"{what} cannot be read: it is no object")
    return value


def unpack_number(stored: bytes | None, what: str) -> int:
    """A whole number, 0 for one that is not there. `StoredUnreadable`, naming `what`."""
    try:
        return int(stored or 0)
    except ValueError:
        raise StoredUnreadable(f"{what} cannot be read: it is no number") from None
