"""Messages as the API lists and shows them, and what may be asked of one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, TypedDict

from msgspec import UNSET, Meta, UnsetType, field

from emailengine.model.mailbox import SpecialUse
from emailengine.model.paging import Page, PageSize, cursor_page
from emailengine.model.shape import Answer, Request

TextType = Literal["html", "plain", "*"]
MessageSpecialUse = Literal["\\Drafts", "\\Junk", "\\Sent", "\\Trash", "\\Inbox"]

_LOWER = Meta(extra={"lower": True})
_SINGLE = Meta(extra={"single": True})
_FLAG = re.compile(r"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_MaxBytes = Annotated[int, Meta(ge=0, le=1073741824)]


class Address(Answer, kw_only=True):
    """A person or a group; a group has no address, and `name` may be empty."""

    name: str
    address: str | None = None


class Attachment(Answer, kw_only=True):
    """
    A part that is not the message's own text. `encoded_size` is in bytes, before decoding.

    `embedded`: within multipart/related; `inline`: to be shown with the text; `encoded_in_message`: a part of an
    enclosed message. `content_id` has its angle brackets.
    """

    id: str
    content_type: str
    encoded_size: int
    embedded: bool
    inline: bool
    encoded_in_message: bool
    filename: str | None = None
    content_id: str | None = None
    method: str | None = None
    content: str | None = None


class EncodedSize(TypedDict, total=False):
    """Bytes of a message's text by type, before decoding; a type that the message lacks is absent."""

    plain: int
    html: int


class TextInfo(Answer, kw_only=True):
    """Where a message's text is, and the text itself once it was fetched."""

    id: str
    encoded_size: EncodedSize
    plain: str | None = None
    html: str | None = None
    has_more: bool | None = None
    web_safe: bool | None = None


class BounceResponse(Answer, kw_only=True):
    """What the refusing server said."""

    message: str | None = None
    status: str | None = None


class Bounce(Answer, kw_only=True):
    """A bounce that came back for a message; `message` is the id of the bounce's own mail."""

    message: str
    recipient: str | None = None
    action: str | None = None
    response: BounceResponse | None = None
    date: str | None = None


class MessageEntry(Answer, kw_only=True):
    """
    One message of a list. `date` is the Date header's, else the server's.

    `unseen`, `flagged`, `answered` and `draft` are there only when true. One that could not be shaped has `status`
    "failed" and `error`.
    """

    id: str
    uid: int
    path: str | None = None
    email_id: str | None = None
    thread_id: str | None = None
    date: str | None = None
    flags: list[str]
    labels: list[str] | None = None
    unseen: bool = False
    flagged: bool = False
    answered: bool = False
    draft: bool = False
    size: int | None = None
    subject: str | None = None
    from_: Address | None = field(name="from", default=None)
    reply_to: list[Address] | None = None
    to: list[Address] | None = None
    cc: list[Address] | None = None
    message_id: str | None = None
    in_reply_to: str | None = None
    attachments: list[Attachment] | None = None
    text: TextInfo | None = None
    bounces: list[Bounce] | None = None
    message_special_use: MessageSpecialUse | None = None
    is_auto_reply: bool = False
    status: Literal["failed"] | None = None
    error: str | None = None


class MessageDetail(Answer, kw_only=True):
    """One message. `headers` have lower-case names and a list of decoded values each."""

    id: str
    uid: int
    path: str
    email_id: str | None = None
    thread_id: str | None = None
    date: str | None = None
    flags: list[str]
    labels: list[str] | None = None
    unseen: bool = False
    flagged: bool = False
    answered: bool = False
    draft: bool = False
    size: int | None = None
    subject: str | None = None
    from_: Address | None = field(name="from", default=None)
    sender: Address | None = None
    reply_to: list[Address] | None = None
    to: list[Address] | None = None
    cc: list[Address] | None = None
    bcc: list[Address] | None = None
    message_id: str | None = None
    in_reply_to: str | None = None
    attachments: list[Attachment] | None = None
    headers: dict[str, list[str]] | None = None
    text: TextInfo | None = None
    bounces: list[Bounce] | None = None
    is_auto_reply: bool = False
    special_use: SpecialUse | None = None
    message_special_use: MessageSpecialUse | None = None


class MessageList(Answer, kw_only=True):
    """A page of a folder, newest first. Both cursors are always there, null at the ends."""

    total: int
    page: int
    pages: int
    next_page_cursor: str | None
    prev_page_cursor: str | None
    messages: list[MessageEntry]


class MessageListQuery(Request, kw_only=True):
    """The query of GET /v1/account/{account}/messages. The cursor wins over the page."""

    later: ClassVar[Mapping[str, str]] = {"documentStore": "document store"}

    path: Annotated[str, Meta(min_length=1, max_length=1024)]
    cursor: Annotated[str, Meta(max_length=1048576, extra={"trim": True})] | None = None
    page: Page = 0
    page_size: PageSize = 20

    @property
    def wanted_page(self) -> int:
        """The page that is meant. Raises as `paging.cursor_page` does."""
        return cursor_page(self.cursor) if self.cursor else self.page


_WebSafeLater: Mapping[str, str] = {
    "webSafeHtml": "web-safe HTML",
    "preProcessHtml": "web-safe HTML",
    "embedAttachedImages": "web-safe HTML",
    "documentStore": "document store",
}


class MessageQuery(Request, kw_only=True):
    """
    The query of GET /v1/account/{account}/message/{message}.

    Without `text_type` no text is fetched; `max_bytes` counts characters of each type.
    """

    later: ClassVar[Mapping[str, str]] = _WebSafeLater

    text_type: Annotated[TextType, _LOWER] | None = None
    max_bytes: _MaxBytes | None = None
    mark_as_seen: bool = False


class TextQuery(Request, kw_only=True):
    """The query of GET /v1/account/{account}/text/{text}."""

    later: ClassVar[Mapping[str, str]] = _WebSafeLater

    text_type: Annotated[TextType, _LOWER] = "*"
    max_bytes: _MaxBytes | None = None


class Text(Answer, kw_only=True):
    """A message's text; a type that was asked for by name is there even if it is empty."""

    plain: str | None = None
    html: str | None = None
    has_more: bool
    web_safe: bool | None = None


class Changes(Request, kw_only=True):
    """What to add, to delete, or to set: `set`, even to nothing, makes the other two void."""

    add: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]] | UnsetType, _SINGLE] = UNSET
    delete: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]] | UnsetType, _SINGLE] = UNSET
    set: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]] | UnsetType, _SINGLE] = UNSET


class FlagChanges(Changes, kw_only=True):
    """Changes of what can be said in IMAP: one word each, with or without a backslash before it."""

    def faults(self) -> Iterator[tuple[str, str]]:
        for name, flags in (("add", self.add), ("delete", self.delete), ("set", self.set)):
            for place, flag in enumerate(flags or ()):
                if not _FLAG.fullmatch(flag):
                    yield f"{name}[{place}]", "must be a flag: a word of ASCII letters, digits and signs, as in \\Seen"


class MessageUpdate(Request, kw_only=True):
    """The body of PUT /v1/account/{account}/message/{message}. Labels are Gmail's; other servers ignore them."""

    flags: FlagChanges | None = None
    labels: Changes | None = None


class Changed(Answer, kw_only=True):
    """For each operation that was asked for: whether the server did it."""

    add: bool | UnsetType = UNSET
    delete: bool | UnsetType = UNSET
    set: bool | UnsetType = UNSET
    result: list[str] | None = None


class MessageUpdated(Answer, kw_only=True):
    """The answer to an update; `flags` and `labels` are there if they were asked for."""

    flags: Changed | None = None
    labels: Changed | None = None
