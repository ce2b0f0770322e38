"""A whole message that a client made itself: its header is changed where the request says so, its body never. Pure.

The request's fields replace those of the message; where the request is silent, the message's own count as if they had
been asked for. What no message may lack is added. The `X-EE-` fields that steer the sending are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from emailengine.model import codec
from emailengine.model.dates import parse_iso
from emailengine.model.submission import SubmitRequest
from emailengine.outbox.letter import (
    Circumstances,
    Letter,
    custom_headers,
    envelope,
    mailbox,
    mailboxes,
    new_message_id,
    own_mailbox,
    recipients,
    subject,
)
from emailengine.wire.mime import headers, reply
from emailengine.wire.mime.compose import date_text
from emailengine.wire.mime.decode import Fields, split_message
from emailengine.wire.mime.lines import Crlf
from emailengine.wire.mime.words import Mailbox, parse_address_list

_HEADER_LIMIT = 1024 * 1024  # octets; no real message comes near it
_SLICE = 262_144
_END = re.compile(rb"\n\r?\n")

_SEND_AT = "x-ee-send-at"
_ATTEMPTS = "x-ee-delivery-attempts"
_STEERING = (_SEND_AT, _ATTEMPTS, "x-ee-gateway", "x-ee-tracking-enabled")
_STRUCTURE = frozenset(("mime-version", "content-type", "content-transfer-encoding", "content-disposition"))
_ONCE = frozenset(("from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id"))


def rewrite(message: bytes, sent: SubmitRequest, around: Circumstances) -> Letter:
    """The message as it is sent. `InvalidInput` if nobody would get it, or if it is none."""
    end = _END.search(message, 0, _HEADER_LIMIT)
    if end is None and len(message) > _HEADER_LIMIT:
        raise codec.fault("raw", "must begin with a header of at most 1 MiB")
    fields, rest = split_message(message)
    if not any(name for name, _ in fields.items):
        raise codec.fault("raw", "must be a message with a header (RFC 5322)")
    _complete_last_line(fields)
    scheduled, attempts = _steering(fields, sent, around.now)
    from_ = _from(fields, sent, around)
    people = _people(fields, sent, around, from_.address)
    sender, to = envelope(sent, from_.address, people)
    if sent.reply_to is not None:
        _set_addresses(fields, "Reply-To", mailboxes(sent.reply_to) or ())
    _set_subject(fields, sent, around)
    own_id = _message_id(fields, sent, sender, around)
    _set_thread(fields, around)
    _set_custom(fields, sent)
    _set_date(fields, scheduled, around.now)
    if fields.get("mime-version") is None:
        fields.add(b"MIME-Version: 1.0\r\n")
    return Letter(
        pieces=_pieces(fields.raw(), rest),
        message_id=own_id,
        sender=sender,
        recipients=to,
        subject=fields.get("subject") or None,
        scheduled=scheduled,
        attempts=attempts,
    )


def _complete_last_line(fields: Fields) -> None:
    name, line = fields.items[-1]
    if not line.endswith(b"\n"):
        fields.items[-1] = (name, line + b"\r\n")


def _steering(fields: Fields, sent: SubmitRequest, now: float) -> tuple[float, int | None]:
    """When to send and how often to try; the message's own word counts before the request's."""
    send_at = parse_iso(sent.send_at) if sent.send_at is not None else None
    attempts = sent.delivery_attempts
    told = (fields.get(_SEND_AT) or "").strip()
    if told:
        try:
            send_at = int(told) / 1000 if told.isascii() and told.isdigit() else parse_iso(told)
        except ValueError:
            pass
    told = (fields.get(_ATTEMPTS) or "").strip()
    if told.isascii() and told.isdigit() and 1 <= int(told[:9]) <= 1000:
        attempts = int(told)
    fields.remove(*_STEERING)
    return max(now, send_at or 0.0), attempts


def _from(fields: Fields, sent: SubmitRequest, around: Circumstances) -> Mailbox:
    if sent.from_ is not None:
        chosen = mailbox(sent.from_)
    else:
        there = _addresses(fields, "from")
        if there:
            return there[0]
        chosen = own_mailbox(around.settings)
    fields.replace(headers.address_field("From", [chosen]))
    return chosen


def _people(fields: Fields, sent: SubmitRequest, around: Circumstances, author: str) -> reply.Recipients:
    there = {name: _addresses(fields, name) or None for name in ("to", "cc", "bcc")}
    asked = {"to": mailboxes(sent.to), "cc": mailboxes(sent.cc), "bcc": mailboxes(sent.bcc)}
    lists = {name: there[name] if asked[name] is None else asked[name] for name in there}
    people = recipients(around, author, lists["to"], lists["cc"], lists["bcc"])
    for name, title, wanted in (("to", "To", people.to), ("cc", "Cc", people.cc), ("bcc", "Bcc", people.bcc)):
        if asked[name] is not None or list(wanted) != (there[name] or []):
            _set_addresses(fields, title, wanted)
    return people


def _addresses(fields: Fields, name: str) -> list[Mailbox]:
    return [one for raw in fields.raw_values(name) for one in parse_address_list(raw) if one.address]


def _set_addresses(fields: Fields, title: str, wanted: Sequence[Mailbox]) -> None:
    if wanted:
        fields.replace(headers.address_field(title, wanted))
    else:
        fields.remove(title.lower())


def _set_subject(fields: Fields, sent: SubmitRequest, around: Circumstances) -> None:
    chosen = sent.subject
    if not chosen and not fields.get("subject"):
        chosen = subject(around.quoted)
    if chosen:
        fields.replace(headers.text_field("Subject", chosen))


def _message_id(fields: Fields, sent: SubmitRequest, sender: str, around: Circumstances) -> str:
    there = headers.bracketed(fields.get("message-id") or "")
    chosen = headers.bracketed(sent.message_id or "")
    if there and not chosen:
        return there
    chosen = chosen or new_message_id(sender, around.hostname)
    fields.replace(headers.ids_field("Message-ID", [chosen]))
    return chosen


def _set_thread(fields: Fields, around: Circumstances) -> None:
    quoted = around.quoted
    if quoted is None:
        return
    fields.remove("in-reply-to", "references")
    parent = reply.in_reply_to(quoted.action, quoted.original)
    if parent:
        fields.add(headers.ids_field("In-Reply-To", [parent]))
    older = reply.references(quoted.original)
    if older:
        fields.add(headers.ids_field("References", older))


def _set_custom(fields: Fields, sent: SubmitRequest) -> None:
    for name, value in custom_headers(sent.headers):
        lower = name.lower()
        if lower in _STRUCTURE:
            continue
        if lower in ("in-reply-to", "references"):
            fields.replace(headers.ids_field(name, value.split()))
        elif lower not in _ONCE or fields.get(lower) is None:
            fields.add(headers.text_field(name, value))


def _set_date(fields: Fields, scheduled: float, now: float) -> None:
    if scheduled > now or not fields.get("date"):
        fields.replace(f"Date: {date_text(scheduled)}\r\n".encode("ascii"))


def _pieces(head: bytes, rest: bytes) -> Iterator[bytes]:
    """The message with CRLF, as SMTP and IMAP want it."""
    ends = Crlf()
    yield ends.feed(head)
    rest = rest or b"\r\n"
    for at in range(0, len(rest), _SLICE):
        yield ends.feed(rest[at : at + _SLICE])
    yield ends.finish()
