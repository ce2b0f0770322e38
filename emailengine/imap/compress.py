"""COMPRESS=DEFLATE (RFC 4978): what the server says is inflated in small portions, what we say needs no memory.

Most of what we say is short, and is sent in stored blocks. A long command gets a compressor of its own, which is gone
when the command is sent: nothing that follows refers back to it. The server may refer back 32 KiB at any time, so its
direction costs that much for as long as the connection lives: about 40 KiB with what zlib needs besides.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from emailengine.imap.commands.command import Plain
from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap.tokens import Piece

PORTION: Final = 65_536
"""Octets that are inflated at once; a fraction of a millisecond."""

RATIO: Final = 100
"""How many times larger than its compressed form text may become. A real mailbox comes to 3 or 4."""

MAX_BLANK: Final = 256 * 1024 * 1024
"""Octets beyond that ratio: an attachment of nothing but zeros inflates 1 000 times, and is no larger than this."""

_STORED: Final = 512
"""Octets below which compressing saves next to nothing."""
_LARGEST_BLOCK: Final = 0xFFFF


class Compress(Plain):
    """COMPRESS DEFLATE. What follows its OK is compressed, in both directions."""

    __slots__ = ()
    word = "COMPRESS"
    alone_on_its_line = True

    def line(self) -> Sequence[Piece]:
        return [b"COMPRESS DEFLATE"]


class Inflate:
    """The server's direction."""

    __slots__ = ("_blank", "_max_blank", "_z")

    def __init__(self, *, max_blank: int = MAX_BLANK) -> None:
        self._z = zlib.decompressobj(-zlib.MAX_WBITS)
        self._max_blank = max_blank
        self._blank = 0

    def portion(self, octets: bytes) -> tuple[bytes, bytes | None]:
        """
        The first octets that these stand for, PORTION at most, and what to give in next, None when that was all.

        Raises TheyBrokeProtocol for what is not compressed, for what follows the end of the stream, and for a bomb.
        """
        if self._z.eof:
            raise TheyBrokeProtocol("the compressed stream goes on after its end")
        try:
            inflated = self._z.decompress(octets, PORTION)
        except zlib.error:
            raise TheyBrokeProtocol("the compressed stream is damaged") from None
        if self._z.unused_data:
            raise TheyBrokeProtocol("the compressed stream goes on after its end")
        rest = self._z.unconsumed_tail
        self._blank = max(0, self._blank + len(inflated) - RATIO * (len(octets) - len(rest)))
        if self._blank > self._max_blank:
            raise TheyBrokeProtocol("the compressed stream is a bomb")
        # a full portion may leave something inside zlib though it has taken in everything
        return inflated, rest if rest or (len(inflated) == PORTION and not self._z.eof) else None


class Deflate:
    """Our direction, for the parts of one long command."""

    __slots__ = ("_z",)

    def __init__(self) -> None:
        self._z = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    def __call__(self, octets: bytes) -> bytes:
        return self._z.compress(octets) + self._z.flush(zlib.Z_SYNC_FLUSH)


def deflated(octets: bytes) -> bytes:
    """Octets that stand for these, whatever was said before."""
    if len(octets) >= _STORED:
        return Deflate()(octets)
    size = len(octets)
    return b"\x00%b%b%b" % (size.to_bytes(2, "little"), (size ^ _LARGEST_BLOCK).to_bytes(2, "little"), octets)
