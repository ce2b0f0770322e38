"""SCRAM-SHA-256 (RFC 5802, RFC 7677): proves that both know the password, and says it to nobody.

Without channel binding, which Python's TLS cannot give for TLS 1.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from typing import Final

from attrs import define, field

from emailengine.wire.errors import WeMisusedProtocol

NAME: Final = "SCRAM-SHA-256"

FEWEST: Final = 4096
"""Rounds below which the proof would give the password away to whoever can guess fast (RFC 7677 4)."""
MOST: Final = 20_000
"""Rounds above which the key would take too long in one go: these are about 10 ms."""

_HEADER: Final = b"n,,"
# An extension that we do not know, `m=`, must not be passed over (RFC 5802 5.1), so there is none in here.
_SALTED: Final = re.compile(rb"r=([\x21-\x2b\x2d-\x7e]{1,1024}),s=([A-Za-z0-9+/=]{4,1024}),i=([1-9][0-9]{0,8})(?:,.*)?")
_FINAL: Final = re.compile(rb"v=([A-Za-z0-9+/=]{1,200})(?:,.*)?")
_ERROR: Final = re.compile(rb"e=([\x21-\x2b\x2d-\x7e]{1,100})(?:,.*)?")


@define
class Exchange:
    """
    One exchange: `first`, then `proof` for the server's salt, then `check` of its answer.

    Each raises WeMisusedProtocol when it cannot go on, with a text that is fit for a person.
    """

    _user: str
    _password: str = field(repr=False)
    _nonce: str = field(factory=lambda: secrets.token_urlsafe(24), repr=False)
    _bare: bytes = field(init=False, repr=False)
    _prepared: bytes = field(init=False, repr=False)
    _signature: bytes | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        user = saslprep(self._user).replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={user},r={self._nonce}".encode()
        self._prepared = saslprep(self._password).encode()

    @property
    def first(self) -> bytes:
        """What the client says first."""
        return _HEADER + self._bare

    def proof(self, challenge: bytes) -> bytes:
        """The answer to the server's nonce, salt and number of rounds."""
        told = _SALTED.fullmatch(challenge)
        if told is None:
            raise WeMisusedProtocol(_error(challenge) or f"the server's part of {NAME} cannot be read")
        nonce, rounds = told[1], int(told[3])
        if not nonce.startswith(self._nonce.encode()) or len(nonce) == len(self._nonce):
            raise WeMisusedProtocol(f"the server's part of {NAME} belongs to another login")
        if not FEWEST <= rounds <= MOST:
            raise WeMisusedProtocol(f"the server wants {rounds} rounds of {NAME}; {FEWEST} to {MOST} are done")
        try:
            salt = base64.b64decode(told[2], validate=True)
        except binascii.Error:
            raise WeMisusedProtocol(f"the server's part of {NAME} cannot be read") from None
        key = hashlib.pbkdf2_hmac("sha256", self._prepared, salt, rounds)
        said = b"c=" + base64.b64encode(_HEADER) + b",r=" + nonce
        everything = b",".join((self._bare, challenge, said))
        client = _hmac(key, b"Client Key")
        signed = _hmac(hashlib.sha256(client).digest(), everything)
        self._signature = _hmac(_hmac(key, b"Server Key"), everything)
        return said + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(client, signed, strict=True)))

    def check(self, final: bytes) -> bool:
        """Whether the server's last words show that it knows the password, too."""
        told = _FINAL.fullmatch(final)
        if told is None or self._signature is None:
            return False
        try:
            return hmac.compare_digest(base64.b64decode(told[1], validate=True), self._signature)
        except binascii.Error:
            return False


def error_of(final: bytes) -> str | None:
    """The server's word for why it refuses, if that is what its last words are."""
    told = _ERROR.fullmatch(final)
    return told[1].decode("ascii") if told is not None else None


def saslprep(text: str) -> str:
    """
    A user name or password in the one form that both sides use (RFC 4013).

    Raises WeMisusedProtocol for what has no such form; characters newer than Unicode 3.2 stay as they are.
    """
    mapped = "".join(" " if stringprep.in_table_c12(one) else one for one in text if not stringprep.in_table_b1(one))
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(check(one) for one in prepared for check in _FORBIDDEN):
        raise WeMisusedProtocol(f"a character of the user name or password cannot be sent with {NAME}")
    if any(map(stringprep.in_table_d1, prepared)) and (
        any(map(stringprep.in_table_d2, prepared))
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    ):
        raise WeMisusedProtocol(f"the user name or password mixes directions of writing, which {NAME} does not allow")
    return prepared


_FORBIDDEN: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _error(challenge: bytes) -> str | None:
    word = error_of(challenge)
    return f"the server refuses {NAME}: {word}" if word is not None else None


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
