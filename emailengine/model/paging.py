"""Pages and their cursors. Pages count from 0; a cursor is `imap_` and base64url of `{"page":n}`."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

import msgspec
from msgspec import Meta

from emailengine.errors import InvalidInput
from emailengine.model.shape import Request

Page = Annotated[int, Meta(ge=0, le=1048576)]
PageSize = Annotated[int, Meta(ge=1, le=1000)]

_PREFIX = "imap_"


class PageQuery(Request, kw_only=True):
    """The query of a list."""

    page: Page = 0
    page_size: PageSize = 20


class _Cursor(msgspec.Struct):
    page: Page


def make_cursor(page: int) -> str:
    """The cursor of a page."""
    return _PREFIX + urlsafe_b64encode(msgspec.json.encode({"page": page})).rstrip(b"=").decode("ascii")


def cursor_page(cursor: str) -> int:
    """The page of a cursor. `InvalidInput` (`InvalidCursorValue`) for anything that `make_cursor` did not make."""
    try:
        if not cursor.startswith(_PREFIX):
            raise ValueError(cursor)
        text = cursor[len(_PREFIX) :]
        return msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Cursor).page
    except (ValueError, msgspec.DecodeError):
        raise InvalidInput("The cursor is not one of ours", code="InvalidCursorValue") from None


def page_count(total: int, page_size: int, *, least: int = 0) -> int:
    """How many pages `total` entries fill; a message list has one even if it is empty (`least`)."""
    return max(least, -(-total // page_size))


def cursors(page: int, pages: int) -> tuple[str | None, str | None]:
    """The cursors of the next and of the previous page; a page past the end points back to the last one."""
    following = make_cursor(page + 1) if page + 1 < pages else None
    previous = make_cursor(min(page, pages) - 1) if page > 0 and pages > 0 else None
    return following, previous
