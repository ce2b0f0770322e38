"""Encryption at rest: AES-256-GCM under a key that scrypt makes of the installation's secret.

Format `$wd01$aes-256-gcm$tag$iv$salt$text`, hexadecimal. A derivation costs 42 ms, so all values that one daemon writes
share a salt (each has its own IV), and derived keys are kept: one derivation a start, not one a value.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from emailengine.errors import EmailEngineError

_PREFIX = "$wd01$aes-256-gcm$"
_TAG = 16


class SecretUnreadable(EmailEngineError):
    """A stored value was sealed with another secret, or was damaged."""

    default_code = "InternalConfigError"


class Vault:
    """Seals and opens short texts. Without a secret everything stays as it is, and sealed values cannot be opened."""

    def __init__(self, secret: str | None, salt: bytes | None = None) -> None:
        self._secret = secret.encode() if secret else None
        self._salt = salt if salt is not None else os.urandom(16)
        self._keys: dict[bytes, AESGCM] = {}

    @property
    def active(self) -> bool:
        return self._secret is not None

    def use_salt(self, salt: bytes) -> None:
        """Seal with this salt from now on: with one that is kept, all that was sealed needs one derivation."""
        self._salt = salt

    def seal(self, text: str) -> str:
        """`text` in the stored format; unchanged where there is no secret."""
        if self._secret is None:
            return text
        iv = os.urandom(12)
        sealed = self._key(self._salt).encrypt(iv, text.encode(), None)
        return f"{_PREFIX}{sealed[-_TAG:].hex()}${iv.hex()}${self._salt.hex()}${sealed[:-_TAG].hex()}"

    def open(self, stored: str) -> str:
        """
        The text behind a stored value; one without the mark of a sealed value is clear text and returned as it is.

        `SecretUnreadable` if it was sealed with another secret or is damaged: never half a value, never the sealed one.
        """
        if not stored.startswith(_PREFIX):
            return stored
        if self._secret is None:
            raise SecretUnreadable("A stored value is encrypted: start with the secret it was written with")
        try:
            tag, iv, salt, sealed = stored[len(_PREFIX) :].split("$")
            clear = self._key(bytes.fromhex(salt)).decrypt(bytes.fromhex(iv), bytes.fromhex(sealed + tag), None)
            return clear.decode()
        except (InvalidTag, ValueError):
            raise SecretUnreadable("A stored value cannot be decrypted with the configured secret") from None

    def _key(self, salt: bytes) -> AESGCM:
        assert self._secret is not None
        found = self._keys.get(salt)
        if found is None:
            found = self._keys[salt] = AESGCM(Scrypt(salt=salt, length=32, n=16384, r=8, p=1).derive(self._secret))
        return found
