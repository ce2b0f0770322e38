"""Parameters of Content-Type and Content-Disposition as text: RFC 2231, and what mailers write instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from emailengine.wire.mime import charsets
from emailengine.wire.mime.words import decode_header

_PIECES = 256  # continuations of one parameter; a file name of 256 lines is none
_EXTENDED = re.compile(r"([^']*)'([^']*)'(.*)", re.DOTALL)


def parameter(params: Mapping[str, str], name: str) -> str | None:
    """
    The value of a parameter, by its lower-case name; None if it is not there.

    Continuations (`name*0`, RFC 2231 3) and charsets (`name*`, RFC 2231 4) win over the plain form beside them, which
    is for old readers. Encoded words in the plain form are read: that is forbidden, and usual.
    """
    whole = params.get(f"{name}*")
    if whole is not None:
        return _extended(whole)
    joined = _joined(params, name)
    if joined is not None:
        return joined
    plain = params.get(name)
    return None if plain is None else decode_header(plain)


def _extended(value: str) -> str:
    charset, data = _split(value)
    return _clean(charsets.decode(data, charset))


def _split(value: str) -> tuple[str | None, bytes]:
    match = _EXTENDED.fullmatch(value)
    charset, rest = (match[1] or None, match[3]) if match is not None else (None, value)
    return charset, unquote_to_bytes(rest.encode("utf-8", "surrogateescape"))


def _joined(params: Mapping[str, str], name: str) -> str | None:
    charset: str | None = None
    data = bytearray()
    encoded = False
    for place in range(_PIECES):
        piece = params.get(f"{name}*{place}*")
        if piece is not None:
            encoded = True
            if place == 0:
                charset, octets = _split(piece)
            else:
                octets = unquote_to_bytes(piece.encode("utf-8", "surrogateescape"))
            data += octets
            continue
        piece = params.get(f"{name}*{place}")
        if piece is None:
            break
        data += piece.encode("utf-8", "surrogateescape")
    else:
        place = _PIECES
    if place == 0:
        return None
    if not encoded:
        return decode_header(bytes(data))
    return _clean(charsets.decode(bytes(data), charset))


def _clean(text: str) -> str:
    return "".join(" " if ord(sign) < 32 or ord(sign) == 127 else sign for sign in text).strip()
