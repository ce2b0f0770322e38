"""Access tokens: 32 random bytes in hexadecimal, of which only a hash is kept."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from emailengine.model.shape import Record

_VALUE = re.compile(r"[0-9a-fA-F]{64}")


class TokenPermissions(Record, kw_only=True):
    """What a narrowed token may do; an absent axis is unrestricted."""

    actions: list[str] | None = None
    groups: list[str] | None = None


class TokenRecord(Record, kw_only=True):
    """
    What Redis keeps of a token, under its id. Dates are ISO texts.

    `scopes` None passes all checks; `account` binds the token to that account's own routes.
    """

    created: str
    description: str = ""
    scopes: list[str] | None = None
    account: str | None = None
    expires: str | None = None
    ip: str | None = None
    remote_address: str | None = None
    permissions: TokenPermissions | None = None
    restrictions: dict[str, Any] | None = None
    metadata: str | None = None


def token_id(value: str) -> str | None:
    """The id of a token: SHA-256 of its bytes, in hexadecimal. None if the text cannot be a token."""
    if not _VALUE.fullmatch(value):
        return None
    return hashlib.sha256(bytes.fromhex(value)).hexdigest()
