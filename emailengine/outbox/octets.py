"""Base64 of large things in slices, so that nobody waits for it."""

from __future__ import annotations

import base64
import binascii

from emailengine.core.turns import Turns

_SLICE = 262_144  # digits, a multiple of four: half a millisecond


async def decode_base64(text: str, turns: Turns) -> bytes | None:
    """The octets; None if that is not base64 (RFC 4648 4, with line ends and blanks allowed)."""
    for blank in "\r\n \t":
        text = text.replace(blank, "")
    pieces: list[bytes] = []
    try:
        for at in range(0, len(text), _SLICE):
            piece = text[at : at + _SLICE]
            if "=" in piece and at + _SLICE < len(text):
                return None
            pieces.append(binascii.a2b_base64(piece.encode("ascii"), strict_mode=True))
            await turns.breathe()
    except (binascii.Error, UnicodeEncodeError):
        return None
    return b"".join(pieces)


async def encode_base64(octets: bytes, turns: Turns) -> str:
    """The octets as one line of base64."""
    size = _SLICE // 4 * 3
    pieces: list[str] = []
    for at in range(0, len(octets), size):
        pieces.append(base64.b64encode(octets[at : at + size]).decode("ascii"))
        await turns.breathe()
    return "".join(pieces)
