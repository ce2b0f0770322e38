"""Downloads: as fast as the client takes them and no faster, so that one who stalls holds a window and not the file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import cast
from urllib.parse import quote

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IPushProducer, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from emailengine.api.seams import Download
from emailengine.core.deadline import bounded
from emailengine.core.flag import Flag
from emailengine.errors import EmailEngineError

log = Logger()

STALL = 120.0  # seconds: a client that takes nothing for so long must not keep a session of its account

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_ATTRIBUTE = "!#$&+-.^_`|~"  # of RFC 8187 3.2.1, beside letters and digits


def disposition(filename: str | None) -> bytes:
    """A Content-Disposition that saves and never shows, with the name for old and new clients (RFC 6266 appendix D)."""
    if not filename:
        return b"attachment"
    name = _UNSAFE.sub("_", filename.encode("utf-8", "replace").decode())[:255].strip() or "_"
    simple = name.encode("ascii", "replace").replace(b"?", b"_").replace(b"%", b"_")
    return b"attachment; filename=\"%b\"; filename*=utf-8''%b" % (simple, quote(name, safe=_ATTRIBUTE).encode("ascii"))


def content_type(text: str) -> bytes:
    """The type of a part, unless it is no type at all."""
    return text.encode("ascii") if _TYPE.fullmatch(text) else b"application/octet-stream"


@implementer(IPushProducer)
class Tap:
    """Open while the client takes what is written."""

    def __init__(self) -> None:
        self._open = Flag()
        self._open.raise_()

    @property
    def open(self) -> bool:
        return self._open.raised

    async def wait(self) -> None:
        await self._open.wait()

    def pauseProducing(self) -> None:
        self._open.clear()

    def resumeProducing(self) -> None:
        self._open.raise_()

    def stopProducing(self) -> None:
        """The connection is lost, which cancels whoever writes."""


async def send(request: Request, download: Download, clock: IReactorTime, *, stall: float = STALL) -> None:
    """
    Write a download to a request, up to its end but without finishing it.

    An error before the first octet is raised. A later one cannot be told any more: the connection is cut, so that
    the client does not take a part for the whole, and the call ends when the connection is lost.
    """
    try:
        first = b"" if request.method == b"HEAD" else await _next(download.chunks)
        request.setHeader(b"content-type", content_type(download.content_type))
        request.setHeader(b"content-disposition", disposition(download.filename))
        request.setHeader(b"x-content-type-options", b"nosniff")
        request.setHeader(b"content-security-policy", b"sandbox; default-src 'none'")
        if download.size is not None:
            request.setHeader(b"content-length", b"%d" % download.size)
        if request.method == b"HEAD":
            return
        try:
            await _pour(request, first, download, clock, stall)
        except CancelledError:
            raise
        except EmailEngineError as error:
            log.warn("download cut short: {error}", error=error.message)
            await _cut(request)
        except Exception:  # noqa: BLE001 - the answer has begun: it can only be cut
            log.failure("download cut short")
            await _cut(request)
    finally:
        close = getattr(download.chunks, "aclose", None)
        if close is not None:
            await close()


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    async for chunk in chunks:
        if chunk:
            return chunk
    return b""


async def _pour(request: Request, chunk: bytes, download: Download, clock: IReactorTime, stall: float) -> None:
    left = download.size
    tap = Tap()
    request.registerProducer(tap, True)
    try:
        while chunk:
            if left is not None:
                left -= len(chunk)
                if left < 0:
                    raise EmailEngineError("it is longer than announced")
            request.write(chunk)
            if not tap.open:
                await bounded(clock, stall, tap.wait(), "The client")
            chunk = await _next(download.chunks)
        if left:
            raise EmailEngineError("it is shorter than announced")
    finally:
        if request.channel is not None:  # else the connection is lost, and the request not to be touched
            request.unregisterProducer()


async def _cut(request: Request) -> None:
    gone = request.notifyFinish()
    cast("ITCPTransport", request.transport).abortConnection()
    try:
        await gone
    except CancelledError:
        raise
    except Exception:  # noqa: BLE001 - the loss that was asked for, whatever it is called
        return
