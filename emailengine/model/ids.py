"""Ids of messages, attachments and texts: what they name is packed into them, so they resolve without other state.

A message id is the folder's number and the UID, four bytes each, big endian, in base64url: 11 characters. An attachment
id appends the part's number as ASCII (`2.1`); a text id appends msgpack `[[plain parts], [html parts], [other parts]]`.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from struct import Struct

import msgspec

from emailengine.errors import MessageNotFound

MESSAGE_LIMIT = 256  # characters, as the API documents them
ATTACHMENT_LIMIT = 2048
TEXT_LIMIT = 10240

_HEAD = Struct(">II")
_PART = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})*")
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
_TEXT = msgspec.msgpack.Decoder(list[list[str]])


def _write(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _read(text: str) -> bytes:
    if not _ALPHABET.fullmatch(text):
        raise MessageNotFound("No such message")
    try:
        data = binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "==="[: -len(text) % 4])
    except binascii.Error:
        raise MessageNotFound("No such message") from None
    if len(data) < _HEAD.size:
        raise MessageNotFound("No such message")
    return data


def pack_message(folder: int, uid: int) -> str:
    """The id of a message: 11 characters."""
    return _write(_HEAD.pack(folder, uid))


def unpack_message(text: str) -> tuple[int, int]:
    """Folder number and UID. `MessageNotFound` for a text that is no such id."""
    data = _read(text) if len(text) <= MESSAGE_LIMIT else b""
    if len(data) != _HEAD.size:
        raise MessageNotFound("No such message")
    folder, uid = _HEAD.unpack(data)
    return folder, uid


def pack_attachment(folder: int, uid: int, part: str) -> str:
    """The id of the part with that number, such as `2.1`."""
    return _write(_HEAD.pack(folder, uid) + part.encode("ascii"))


def unpack_attachment(text: str) -> tuple[int, int, str]:
    """Folder number, UID and part number. `MessageNotFound` for a text that is no such id."""
    data = _read(text) if len(text) <= ATTACHMENT_LIMIT else b""
    part = data[_HEAD.size :].decode("ascii", "replace")
    if not _PART.fullmatch(part):
        raise MessageNotFound("No such attachment")
    folder, uid = _HEAD.unpack_from(data)
    return folder, uid, part


def pack_text(folder: int, uid: int, plain: Sequence[str], html: Sequence[str], other: Sequence[str]) -> str:
    """The id of a message's text: the numbers of its parts by type."""
    return _write(_HEAD.pack(folder, uid) + msgspec.msgpack.encode([list(plain), list(html), list(other)]))


def unpack_text(text: str) -> tuple[int, int, list[str], list[str], list[str]]:
    """Folder number, UID and the part numbers by type. `MessageNotFound` for a text that is no such id."""
    data = _read(text) if len(text) <= TEXT_LIMIT else b""
    try:
        parts = _TEXT.decode(data[_HEAD.size :])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MessageNotFound("No such text") from None
    if len(parts) != 3 or not all(_PART.fullmatch(part) for kind in parts for part in kind):
        raise MessageNotFound("No such text")
    folder, uid = _HEAD.unpack_from(data)
    return folder, uid, parts[0], parts[1], parts[2]
