"""Mailbox names: modified UTF-7 (RFC 3501 5.1.3), UTF-8 (RFC 6855), and every name that is neither, without loss.

With `utf8` names are UTF-8 on the wire and `&` is itself: after ENABLE UTF8=ACCEPT or IMAP4rev2. A name that follows
the rules has the same text either way.

`encode(decode(raw)) == raw` for all bytes, so a mailbox can always be named again by its text. Servers hold names that
break the rules: `R&D`, raw UTF-8, raw Latin-1. Their odd characters are decoded as what they most likely mean, each
followed by an invisible mark which `encode` understands:

- U+2060 (word joiner): the character before it stands in the name as itself, in UTF-8;
- U+2061 (function application): the character before it is one octet.

Decoded names hold no surrogates and can always be written as JSON. Marks are per character, so a parent's name stays a
prefix of its children's. `decode(encode(text)) == text` for every text without marks and surrogates.
"""

from __future__ import annotations

import binascii
import re

_RAW = "\u2060"
_OCTET = "\u2061"

_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*+")
_STEP = re.compile(
    rb"([\x20-\x25\x27-\x7e]++)"  # 1 itself
    rb"|&-"
    rb"|&([A-Za-z0-9+,]++)-"  # 2 base64 of UTF-16
    rb"|(&)"  # 3 an ampersand that starts nothing
    rb"|([^\x20-\x7e]++)"  # 4 what should have been encoded
)
_UNIT = re.compile(
    "([\x20-\x25\x27-\x7e])"  # 1 itself
    "|([^\x20-\x25\x27-\x7e\u2060\u2061])\u2060"  # 2 a raw character
    "|([\x80-\xff])\u2061"  # 3 a raw octet
    "|&"
    "|((?:[^\x20-\x7e](?![\u2060\u2061]))+)"  # 4 to be encoded
    "|(.)",  # 5 a mark after nothing, or a character before a mark it cannot have
    re.DOTALL,
)
_UTF8_UNIT = re.compile(
    "([\x80-\xff])\u2061"  # 1 a raw octet
    "|([^\x20-\x25\x27-\x7e\u2060\u2061])\u2060"  # 2 a character that is itself either way
    "|.",
    re.DOTALL,
)
_NOT_UTF8 = re.compile("[\u2060\u2061\udc80-\udcff]")


def decode(raw: bytes, *, utf8: bool = False) -> str:
    """The name as text. Total: never fails."""
    if _PLAIN.fullmatch(raw):
        return raw.decode("ascii")
    if utf8:
        return _decode_utf8(raw)
    found: list[str] = []
    encoded_before = False  # `&AOk-&APw-` should have been one: the second is not canonical
    pos = 0
    while pos < len(raw):
        match = _STEP.match(raw, pos)
        assert match is not None  # the four kinds and `&-` cover every octet
        pos = match.end()
        kind = match.lastindex
        text: str | None
        if kind == 2:
            text = None if encoded_before else _unbase64(match[2])
            encoded_before = text is not None
            if text is None:
                text = "&" + _RAW
                pos = match.start() + 1
        else:
            encoded_before = False
            if kind is None:
                text = "&"
            elif kind == 1:
                text = match[1].decode("ascii")
            elif kind == 3:
                text = "&" + _RAW
            else:
                text = _marked(match[4])
        found.append(text)
    return "".join(found)


def encode(text: str, *, utf8: bool = False) -> bytes:
    """The name as octets. Total: a lone surrogate is encoded as the half character it is."""
    if utf8:
        return _encode_utf8(text)
    found: list[bytes] = []
    for match in _UNIT.finditer(text):
        kind = match.lastindex
        if kind is None:
            found.append(b"&-")
        elif kind == 1:
            found.append(match[1].encode("ascii"))
        elif kind == 2:
            found.append(match[2].encode("utf-8", "surrogatepass"))
        elif kind == 3:
            found.append(match[3].encode("latin-1"))
        else:
            found.append(_base64(match[0]))
    return b"".join(found)


def _decode_utf8(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "surrogateescape")
    return _NOT_UTF8.sub(_octets, text)


def _octets(match: re.Match[str]) -> str:
    return "".join([chr(octet) + _OCTET for octet in match[0].encode("utf-8", "surrogateescape")])


def _encode_utf8(text: str) -> bytes:
    found: list[bytes] = []
    for match in _UTF8_UNIT.finditer(text):
        if match[1] is not None:
            found.append(match[1].encode("latin-1"))
        else:
            found.append((match[2] or match[0]).encode("utf-8", "surrogatepass"))
    return b"".join(found)


def _base64(text: str) -> bytes:
    packed = binascii.b2a_base64(text.encode("utf-16-be", "surrogatepass"), newline=False)
    return b"&" + packed.rstrip(b"=").replace(b"/", b",") + b"-"


def _unbase64(body: bytes) -> str | None:
    """The text of a shifted sequence, None unless it is exactly what `_base64` makes of a text without marks."""
    try:
        packed = binascii.a2b_base64(body.replace(b",", b"/") + b"=" * (-len(body) % 4))
        text = packed.decode("utf-16-be")
    except ValueError:
        return None
    if _RAW in text or _OCTET in text or any(" " <= one <= "~" for one in text):
        return None
    return text if _base64(text) == b"&" + body + b"-" else None


def _marked(run: bytes) -> str:
    found: list[str] = []
    for one in run.decode("utf-8", "surrogateescape"):
        if "\udc80" <= one <= "\udcff":
            found.append(chr(ord(one) - 0xDC00) + _OCTET)
        elif one in (_RAW, _OCTET):
            found.extend([chr(octet) + _OCTET for octet in one.encode("utf-8")])
        else:
            found.append(one + _RAW)
    return "".join(found)
