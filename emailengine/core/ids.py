"""Identifiers: random ones, sortable ones, and ones that the same facts always give again."""

from __future__ import annotations

import hashlib
import secrets
import string
import uuid

_ALPHABET = string.ascii_letters + string.digits + "_-"


def new_account_id() -> str:
    """21 characters of the URL-safe alphabet, 126 random bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(21))


def queue_id(milliseconds: int) -> str:
    """
    19 hexadecimal digits that sort by time: six bytes of milliseconds without their first digit, four random bytes.

    The first digit of a six-byte time in milliseconds stays 0 until the year 2527.
    """
    return (milliseconds.to_bytes(6, "big") + secrets.token_bytes(4)).hex()[1:]


def event_id(*facts: object) -> str:
    """A UUID-shaped text made of the facts alone: the same facts give the same id on any machine, at any time."""
    digest = hashlib.sha256()
    for fact in facts:
        # with its length, or "a", "bc" would be "ab", "c"; whatever a mail server sent must be hashable
        text = str(fact).encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(text), text))
    made = bytearray(digest.digest()[:16])
    made[6] = made[6] & 0x0F | 0x80  # RFC 9562 5.8: version 8, made by a rule of our own
    made[8] = made[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(made)))


def message_id(domain: str) -> str:
    """A new Message-ID with its angle brackets (RFC 5322 3.6.4)."""
    return f"<{uuid.uuid4()}@{domain}>"


def token() -> str:
    """64 hexadecimal digits, 256 random bits."""
    return secrets.token_hex(32)
