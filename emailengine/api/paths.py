"""What stands in the paths of routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from emailengine.model.formats import Name
from emailengine.model.ids import ATTACHMENT_LIMIT, MESSAGE_LIMIT, TEXT_LIMIT
from emailengine.model.shape import Request

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_COMPLAINT = "must be in base64url"


class AccountPath(Request, kw_only=True):
    """An account."""

    account: Name


class AnyMessagePath(Request, kw_only=True):
    """A message that is to be changed: an id that cannot be one is one that is not there."""

    account: Name
    message: Annotated[str, Meta(min_length=1, max_length=MESSAGE_LIMIT)]


class MessagePath(Request, kw_only=True):
    """A message that is to be read."""

    account: Name
    message: Annotated[str, Meta(min_length=1, max_length=MESSAGE_LIMIT)]

    def faults(self) -> Iterator[tuple[str, str]]:
        if not _BASE64URL.fullmatch(self.message):
            yield "message", _COMPLAINT


class TextPath(Request, kw_only=True):
    """The text of a message."""

    account: Name
    text: Annotated[str, Meta(min_length=1, max_length=TEXT_LIMIT)]

    def faults(self) -> Iterator[tuple[str, str]]:
        if not _BASE64URL.fullmatch(self.text):
            yield "text", _COMPLAINT


class AttachmentPath(Request, kw_only=True):
    """An attachment."""

    account: Name
    attachment: Annotated[str, Meta(min_length=1, max_length=ATTACHMENT_LIMIT)]

    def faults(self) -> Iterator[tuple[str, str]]:
        if not _BASE64URL.fullmatch(self.attachment):
            yield "attachment", _COMPLAINT


class QueuePath(Request, kw_only=True):
    """A message on its way out."""

    queue_id: Annotated[str, Meta(min_length=1, max_length=100)]
