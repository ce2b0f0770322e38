"""What FETCH told, in the shapes of the API. Pure.

A message's parts are sorted once into text and attachments; the list entry, the detail and the webhook's payload are
made from the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from emailengine.accounts.addresses import completed
from emailengine.model.dates import iso
from emailengine.model.ids import pack_attachment, pack_message, pack_text
from emailengine.model.message import Address, Attachment, EncodedSize, MessageDetail, MessageEntry, TextInfo
from emailengine.wire.imap.body import Address as RawAddress
from emailengine.wire.imap.body import Part
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.mime.decode import parse_headers
from emailengine.wire.mime.params import parameter
from emailengine.wire.mime.words import decode_header, parse_date

ROLES_IN_ORDER = ("\\Junk", "\\Sent", "\\Trash", "\\Inbox", "\\Drafts")

ENTRY_ITEMS = ("UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE")
"""The FETCH items of a list entry."""


@frozen
class Texts:
    """A message's text by kind, decoded, with LF line ends; None for a kind that was not asked for or is not there."""

    plain: str | None
    html: str | None
    has_more: bool


@define
class Leaves:
    """A message's leaf parts, sorted: what is its text, and what is attached to it."""

    plain: list[Part] = field(factory=list)
    html: list[Part] = field(factory=list)
    attached: list[tuple[Part, bool, bool]] = field(factory=list)  # part, in multipart/related, in message/rfc822


def sort_leaves(body: Part | None) -> Leaves:
    """Sort the parts below `body`; None (a server that cannot tell) gives no part at all."""
    leaves = Leaves()
    if body is not None:
        _sort(body, leaves, related=False, enclosed=False)
    return leaves


def _sort(part: Part, leaves: Leaves, *, related: bool, enclosed: bool) -> None:
    if part.type == "multipart":
        for child in part.children:
            _sort(child, leaves, related=related or part.subtype == "related", enclosed=enclosed)
        return
    text = part.type == "text" and part.subtype in ("plain", "html") and part.disposition != "attachment"
    if not text:
        leaves.attached.append((part, related, enclosed))
        for child in part.children:
            _sort(child, leaves, related=False, enclosed=True)
    elif not enclosed:
        # the text of an enclosed message is that message's, not this one's
        (leaves.plain if part.subtype == "plain" else leaves.html).append(part)


def addresses(raw: Iterable[RawAddress]) -> list[Address]:
    """An address list; the start of a group has a name and no address, its end is left out."""
    found = []
    for one in raw:
        if one.host is None:
            if one.mailbox is not None:
                found.append(Address(name=_text(one.mailbox)))
            continue
        name = decode_header(one.name) if one.name else ""
        mailbox = one.mailbox or b""
        found.append(Address(name=name, address=f"{_text(mailbox)}@{_text(one.host)}" if one.host else _text(mailbox)))
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def message_date(seen: Fetched) -> str | None:
    """The Date header, or the server's own date where there is none that can be read; ISO 8601."""
    moment = parse_date(seen.envelope.date) if seen.envelope is not None and seen.envelope.date else None
    if moment is None:
        moment = seen.internal_date
    return None if moment is None else iso(moment)


def attachments(leaves: Leaves, folder: int, uid: int) -> list[Attachment] | None:
    """The attachments of a message; None when it has none."""
    if not leaves.attached:
        return None
    return [
        Attachment(
            id=pack_attachment(folder, uid, part.number),
            content_type=f"{part.type}/{part.subtype}",
            encoded_size=part.size,
            embedded=related,
            inline=part.disposition == "inline" or (part.disposition is None and related),
            encoded_in_message=enclosed,
            filename=file_name(part),
            content_id=_readable(part.content_id),
            method=_readable(part.params.get("method")) if part.type == "text" and part.subtype == "calendar" else None,
        )
        for part, related, enclosed in leaves.attached
    ]


def _readable(text: str | None) -> str | None:
    """A text of the structure without the surrogates that stand for octets that are no UTF-8: JSON cannot hold them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if text else None


def file_name(part: Part) -> str | None:
    """The name the sender gave a part (RFC 2183; the name parameter of old mailers otherwise)."""
    return parameter(part.disposition_params, "filename") or parameter(part.params, "name") or None


def text_info(leaves: Leaves, folder: int, uid: int) -> TextInfo | None:
    """Where a message's text is and how large it is, before decoding; None when it has none."""
    if not leaves.plain and not leaves.html:
        return None
    sizes: EncodedSize = {}
    if leaves.plain:
        sizes["plain"] = sum(part.size for part in leaves.plain)
    if leaves.html:
        sizes["html"] = sum(part.size for part in leaves.html)
    return TextInfo(
        id=pack_text(folder, uid, [part.number for part in leaves.plain], [part.number for part in leaves.html], []),
        encoded_size=sizes,
    )


def message_special_use(special_use: str | None, labels: Iterable[str]) -> str | None:
    """The first of the roles a message may have by its folder or by a label."""
    have = set(labels)
    if special_use is not None:
        have.add(special_use)
    return next((use for use in ROLES_IN_ORDER if use in have), None)


def is_auto_reply(subject: str, headers: Mapping[str, list[str]], in_reply_to: bool) -> bool:
    """Whether a message answers by itself: out of office, vacation (RFC 3834 and what mailers really write)."""
    start = subject.strip().lower()
    if start.startswith(("auto reply", "autoreply", "automatic reply", "auto response", "autoresponse")):
        return True
    if start.startswith(("automatic response", "out of office", "out of the office", "oof:", "ooo:")):
        return True
    if start.startswith("auto:") and in_reply_to:
        return True
    first = {name: values[0].lower() for name, values in headers.items() if values}
    if any(word in first.get("precedence", "") for word in ("auto_reply", "auto-reply", "autoreply")):
        return True
    if any(word in first.get("auto-submitted", "") for word in ("auto-replied", "auto_replied", "autoreplied")):
        return True
    return any(
        first.get(name) for name in ("x-auto-response-suppress", "x-autoresponder", "x-autorespond", "x-autoreply")
    )


def shape_entry(seen: Fetched, folder: int) -> MessageEntry:
    """One message of a list."""
    seen.envelope = completed(seen.envelope, seen.sections.get("HEADER.FIELDS"))
    return MessageEntry(**_shared_fields(seen, sort_leaves(seen.body), folder))


def shape_detail(
    seen: Fetched,
    leaves: Leaves,
    folder: int,
    path: str,
    special_use: str | None,
    header: bytes | None,
    texts: Texts | None,
) -> MessageDetail:
    """A message with its headers, and its text if it was fetched. `header` is the header as sent."""
    seen.envelope = envelope = completed(seen.envelope, header)
    fields = _shared_fields(seen, leaves, folder)
    fields["path"] = path
    if envelope is not None:
        fields["sender"] = next(iter(addresses(envelope.sender)), None)
        fields["bcc"] = addresses(envelope.bcc) or None
    headers: dict[str, list[str]] = {}
    if header:
        for name, value in parse_headers(header):
            headers.setdefault(name, []).append(value)
        fields["headers"] = headers
    if texts is not None and fields["text"] is not None:
        info: TextInfo = fields["text"]
        info.plain, info.html, info.has_more = texts.plain, texts.html, texts.has_more
    return MessageDetail(
        is_auto_reply=is_auto_reply(fields["subject"] or "", headers, fields["in_reply_to"] is not None),
        special_use=special_use,  # type: ignore[arg-type]  # one of sync.roles.ROLES
        message_special_use=message_special_use(special_use, seen.labels or ()),  # type: ignore[arg-type]  # as above
        **fields,
    )


def _shared_fields(seen: Fetched, leaves: Leaves, folder: int) -> dict[str, Any]:
    """What a list entry and a detail have in common, by attribute name."""
    uid = seen.uid or 0
    flags = [flag for flag in seen.flags or () if flag != "\\Recent"]
    labels = seen.labels
    fields: dict[str, Any] = {
        "id": pack_message(folder, uid),
        "uid": uid,
        "email_id": seen.email_id,
        "thread_id": seen.thread_id,
        "date": message_date(seen),
        "flags": flags,
        "labels": None if labels is None else list(labels),
        "unseen": "\\Seen" not in flags,
        "flagged": "\\Flagged" in flags,
        "answered": "\\Answered" in flags,
        "draft": "\\Draft" in flags or (labels is not None and "\\Draft" in labels),
        "size": seen.size,
        "attachments": attachments(leaves, folder, uid),
        "text": text_info(leaves, folder, uid),
        "subject": None,
        "in_reply_to": None,
    }
    envelope = seen.envelope
    if envelope is not None:
        fields["subject"] = (decode_header(envelope.subject) or None) if envelope.subject else None
        fields["from_"] = next(iter(addresses(envelope.from_)), None)
        fields["reply_to"] = addresses(envelope.reply_to) or None
        fields["to"] = addresses(envelope.to) or None
        fields["cc"] = addresses(envelope.cc) or None
        fields["message_id"] = _id(envelope.message_id)
        fields["in_reply_to"] = _id(envelope.in_reply_to)
    return fields


def _id(raw: bytes | None) -> str | None:
    return (_text(raw).strip() or None) if raw else None
