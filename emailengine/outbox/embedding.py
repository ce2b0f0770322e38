"""Pictures that stand in the HTML itself as `data:` URIs become parts of the message. Pure."""

from __future__ import annotations

import binascii
import re
import uuid
from urllib.parse import unquote_to_bytes

from emailengine.wire.mime.compose import Attachment

_MOST = 500  # pictures; what is beyond stays as it is
_MOST_LOOKS = 5_000  # places that might be one
_MOST_ESCAPED = 200_000  # characters of a picture that is written with percent signs
_WINDOW = 1000  # characters of an <img> tag before its source
_BEFORE = re.compile(r"<img\b[^<>]*?\bsrc\s*=\s*(['\"])\Z", re.IGNORECASE)
_HEAD = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[\w.+-]+)*)(;base64)?,", re.IGNORECASE)
_NAMES = {"jpeg": "jpg", "svg+xml": "svg", "x-icon": "ico", "vnd.microsoft.icon": "ico"}


def embed_images(html: str) -> tuple[str, list[Attachment]]:
    """The HTML with `cid:` in place of each `data:` source of an image, and the parts that these name."""
    pieces: list[str] = []
    parts: list[Attachment] = []
    done = 0
    at = html.find("data:")
    looks = 0
    while at >= 0 and looks < _MOST_LOOKS and len(parts) < _MOST:
        following = at + 5
        quote = html[at - 1 : at]
        looks += 1
        if quote in ("'", '"'):
            start = html.rfind("<", max(done, at - _WINDOW), at)
            in_tag = start >= 0 and _BEFORE.match(html, start, at) is not None
            end = html.find(quote, at) if in_tag else -1
            part = _part(html, at, end, len(parts) + 1) if end > at else None
            if part is not None:
                pieces += [html[done:at], "cid:", part.cid or ""]
                parts.append(part)
                done = following = end
        at = html.find("data:", following)
    return ("".join([*pieces, html[done:]]), parts) if parts else (html, [])


def _part(html: str, at: int, end: int, number: int) -> Attachment | None:
    head = _HEAD.match(html, at, end)
    if head is None:
        return None
    content_type = (head[1] or "text/plain").lower()
    data = html[head.end() : end]
    if (not head[3] or "%" in data) and len(data) > _MOST_ESCAPED:
        return None
    try:
        octets = unquote_to_bytes(data)
        if head[3]:
            octets = binascii.a2b_base64(octets)
    except (binascii.Error, ValueError):
        return None
    subtype = content_type.partition("/")[2]
    return Attachment(
        content=octets,
        content_type=content_type,
        filename=f"image-{number}.{_NAMES.get(subtype, subtype)}",
        disposition="inline",
        cid=f"{uuid.uuid4()}@emailengine",
    )
