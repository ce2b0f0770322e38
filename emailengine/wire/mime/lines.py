"""Line ends: any of CRLF, LF and a lone CR become CRLF, over pieces cut anywhere."""

from __future__ import annotations

from attrs import define


@define
class Crlf:
    """
    Makes every line end CRLF.

    `feed` may hold back one CR until it is known what follows; `finish` gives it up. Whatever the cuts, the
    pieces joined are the same.
    """

    _held: bool = False

    def feed(self, data: bytes) -> bytes:
        if self._held:
            data = b"\r" + data
        if data.endswith(b"\r"):
            self._held = True
            data = data[:-1]
        else:
            self._held = False
        return crlf(data)

    def finish(self) -> bytes:
        if not self._held:
            return b""
        self._held = False
        return b"\r\n"


def crlf(data: bytes) -> bytes:
    """All of a text's line ends as CRLF."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.replace(b"\n", b"\r\n")
