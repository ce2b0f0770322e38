"""Mail to be sent: what a client submits, and how it stands in the queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from emailengine.model.formats import Email, EmailOrBlank, Ip, Moment, Text256, Text1024
from emailengine.model.shape import Answer, Record, Request

TEXT_LIMIT = 5 * 1024 * 1024  # characters of each text and of each attachment's base64, unless the operator says else

_SINGLE = Meta(extra={"single": True})
_LOWER = Meta(extra={"lower": True})
_Large = str
_Trimmed = Annotated[str, Meta(extra={"trim": True})]
_MessageId = Annotated[str, Meta(max_length=996, extra={"trim": True})]


class Recipient(Record, kw_only=True):
    """A name and an address of a message to be sent."""

    name: Annotated[str, Meta(max_length=256, extra={"trim": True})] = ""
    address: Email


class Reference(Record, kw_only=True):
    """
    The message that is answered or forwarded.

    `message_id`: the Message-ID it must have. `ignore_missing`: send without it if it is not there.
    """

    later: ClassVar[Mapping[str, str]] = {
        "inline": "quoting of the original message",
        "forwardAttachments": "forwarding of attachments",
        "threadId": "Gmail API",
        "documentStore": "document store",
    }

    message: Annotated[str, Meta(min_length=1, max_length=256)]
    action: Annotated[Literal["reply", "reply-all", "forward"], _LOWER] = "reply"
    ignore_missing: bool = False
    message_id: _MessageId | None = None


class SubmittedAttachment(Record, kw_only=True):
    """An attachment: its content in base64, or the id of an attachment in the same account."""

    filename: Text256 | None = None
    content: _Large | None = None
    reference: Annotated[Text256 | None, Meta(extra={"false": True})] = None
    content_type: Annotated[str, Meta(max_length=256, extra={"trim": True, "lower": True})] | None = None
    content_disposition: Annotated[Literal["inline", "attachment"], _LOWER] | None = None
    cid: Text256 | None = None
    encoding: Literal["base64"] = "base64"

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.content is None and not self.reference:
            yield "content", "is required"
        elif self.content is not None and self.reference:
            yield "reference", "is not allowed beside content"


class Envelope(Record, kw_only=True):
    """Who the mail server is told; `from` may be empty, and without one it is the author."""

    from_: EmailOrBlank | None = field(name="from", default=None)
    to: Annotated[list[Email], _SINGLE] = field(default_factory=list)


class SubmitRequest(Request, kw_only=True):
    """
    The body of POST /v1/account/{account}/submit.

    `local_address` is one of the setting `localAddresses` to deliver from; another one is no wish at all.
    `raw` is a whole message in base64, of which the other fields replace headers. `copy` None leaves it to the rule
    whether the message is uploaded to the Sent folder. `send_at` in the past means now.
    """

    later: ClassVar[Mapping[str, str]] = {
        "template": "templates",
        "render": "templates",
        "mailMerge": "mail merge",
        "listId": "mail merge",
        "trackOpens": "tracking",
        "trackClicks": "tracking",
        "trackingEnabled": "tracking",
        "baseUrl": "tracking",
        "gateway": "gateways",
        "dsn": "delivery status notifications",
        "proxy": "proxies of single messages",
        "previewText": "preview text",
        "locale": "quoting of the original message",
        "tz": "quoting of the original message",
    }

    reference: Reference | None = None
    envelope: Envelope | None = None
    raw: _Large | None = None
    from_: Recipient | None = field(name="from", default=None)
    reply_to: Annotated[list[Recipient] | None, _SINGLE] = None
    to: Annotated[list[Recipient] | None, _SINGLE] = None
    cc: Annotated[list[Recipient] | None, _SINGLE] = None
    bcc: Annotated[list[Recipient] | None, _SINGLE] = None
    subject: Annotated[str, Meta(max_length=10240, extra={"trim": True})] | None = None
    text: _Trimmed | None = None
    html: _Trimmed | None = None
    attachments: list[SubmittedAttachment] | None = None
    message_id: _MessageId | None = None
    headers: dict[str, Any] | None = None
    copy: bool | None = None
    sent_mail_path: Text1024 | None = None
    send_at: Moment | None = None
    delivery_attempts: Annotated[int, Meta(ge=1, le=1000)] | None = None
    local_address: Annotated[Ip | None, Meta(extra={"trim": True})] = None
    dry_run: bool = False

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.raw is not None:
            for name in ("html", "text", "attachments"):
                if getattr(self, name):
                    yield name, "is not allowed beside raw"
        for name, value in (self.headers or {}).items():
            yield from _header_faults(name, value)


def _header_faults(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if not name or not all("!" <= sign <= "~" and sign != ":" for sign in name):
        yield f"headers.{name}", "must be the name of a header (RFC 5322 2.2)"
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, (str, int, float)) for one in values):
        yield f"headers.{name}", "must be text or a list of texts"
    elif any(sign in str(one) for one in values for sign in "\r\n\0"):
        yield f"headers.{name}", "must be on one line"


class SubmitQuery(Request, kw_only=True):
    """The query of POST /v1/account/{account}/submit; nothing in it has an effect here."""

    later: ClassVar[Mapping[str, str]] = {"documentStore": "document store"}

    use_structured_format: bool = False


class ReferenceResult(Answer, kw_only=True):
    """Whether the referenced message was used."""

    message: str
    success: bool
    thread_id: str | None = None
    error: str | None = None


class Idempotency(Answer, kw_only=True):
    """Whether the answer is that of an earlier request with the same key."""

    key: str
    status: Literal["MISS", "HIT"]


class SubmitResponse(Answer, kw_only=True):
    """The answer to a submission: it is queued, not yet delivered. `preview` is the message of a dry run, in base64."""

    response: str
    message_id: str
    queue_id: str | None = None
    send_at: str | None = None
    reference: ReferenceResult | None = None
    preview: str | None = None
    idempotency: Idempotency | None = None


class QueueError(Answer, kw_only=True):
    """Why the last attempt failed."""

    message: str
    code: str | None = None
    status_code: int | None = None
    network_routing: dict[str, Any] | None = None


class Progress(Answer, kw_only=True):
    """How far a delivery is."""

    status: Literal["queued", "processing", "smtp-starting", "smtp-completed", "submitted", "error"]
    response: str | None = None
    message_id: str | None = None
    original_message_id: str | None = None
    error: QueueError | None = None


class QueuedEnvelope(Answer, kw_only=True):
    """Who the mail server is told."""

    from_: str = field(name="from")
    to: list[str]


class QueueEntry(Answer, kw_only=True):
    """One message of the outbox. `next_attempt` is False once there is none."""

    queue_id: str
    account: str
    source: Literal["smtp", "api", "test", "ui"]
    message_id: str
    envelope: QueuedEnvelope
    subject: str | None = None
    idempotency_key: str | None = None
    proxy: str | None = None
    local_address: str | None = None
    use_structured_format: bool | None = None
    created: str
    scheduled: str
    next_attempt: str | bool
    attempts_made: int
    attempts: int
    progress: Progress


class OutboxPage(Answer, kw_only=True):
    """A page of the outbox: delayed, waiting, running, failed, the oldest first in each."""

    total: int
    page: int
    pages: int
    messages: list[QueueEntry]


class Cancelled(Answer, kw_only=True):
    """Whether there was something to cancel."""

    deleted: bool
