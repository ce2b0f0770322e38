"""From what a client submits to a message: who it is from, who gets it, its ids and dates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from emailengine.core.ids import message_id
from emailengine.model import codec
from emailengine.model.account import AccountSettings
from emailengine.model.dates import parse_iso
from emailengine.model.message import Address, MessageDetail
from emailengine.model.submission import Recipient, SubmitRequest
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.mime import reply
from emailengine.wire.mime.compose import Attachment, Outgoing, compose
from emailengine.wire.mime.headers import ascii_domain, bracketed, field_name
from emailengine.wire.mime.words import Mailbox


@frozen(kw_only=True)
class Letter:
    """
    A message that is about to be written: `pieces` are its octets.

    `sender` and `recipients` are the envelope, `scheduled` is when it may leave. `attempts` is None where the
    message does not say how often to try.
    """

    pieces: Iterator[bytes]
    message_id: str
    sender: str
    recipients: list[str]
    subject: str | None
    scheduled: float
    attempts: int | None = None


@frozen
class Quoted:
    """The message that is answered or forwarded."""

    action: reply.Action
    original: reply.Original


@frozen(kw_only=True)
class Circumstances:
    """What a message takes from where and when it is made."""

    settings: AccountSettings
    now: float
    hostname: str
    quoted: Quoted | None = None


def original_of(detail: MessageDetail) -> reply.Original:
    """What a reply needs to know of a stored message."""
    references = " ".join((detail.headers or {}).get("references", ()))
    return reply.Original(
        message_id=detail.message_id,
        in_reply_to=detail.in_reply_to,
        references=references or None,
        subject=detail.subject,
        from_=_people([detail.from_] if detail.from_ is not None else ()),
        reply_to=_people(detail.reply_to or ()),
        to=_people(detail.to or ()),
        cc=_people(detail.cc or ()),
    )


def _people(found: Iterable[Address]) -> tuple[Mailbox, ...]:
    return tuple(Mailbox(one.name, one.address) for one in found if one.address)


def own_mailbox(settings: AccountSettings) -> Mailbox:
    """Who an account's mail is from. `InvalidInput` if nothing tells its address."""
    logins = [server.auth.user for server in (settings.smtp, settings.imap) if server is not None and server.auth]
    address = settings.email or next((user for user in logins if "@" in user[1:-1]), None)
    if address is None:
        raise codec.fault("from", "is required: the account has no e-mail address of its own")
    return Mailbox(settings.name, address)


def write(sent: SubmitRequest, around: Circumstances, attachments: Sequence[Attachment]) -> Letter:
    """
    The message of a request that is not raw. `InvalidInput` if nobody would get it.

    `attachments` are those of the request with their content, and what was taken out of its HTML.
    """
    from_ = mailbox(sent.from_) if sent.from_ is not None else own_mailbox(around.settings)
    people = recipients(around, from_.address, mailboxes(sent.to), mailboxes(sent.cc), mailboxes(sent.bcc))
    sender, to = envelope(sent, from_.address, people)
    wanted = parse_iso(sent.send_at) if sent.send_at is not None else None
    quoted = around.quoted
    own_id = bracketed(sent.message_id or "") or new_message_id(sender, around.hostname)
    outgoing = Outgoing(
        from_=from_,
        reply_to=mailboxes(sent.reply_to) or (),
        to=people.to,
        cc=people.cc,
        bcc=people.bcc,
        subject=sent.subject or subject(quoted),
        text=sent.text,
        html=sent.html,
        attachments=attachments,
        message_id=own_id,
        date=around.now if wanted is None else wanted,
        in_reply_to=reply.in_reply_to(quoted.action, quoted.original) if quoted is not None else None,
        references=reply.references(quoted.original) if quoted is not None else (),
        headers=custom_headers(sent.headers),
    )
    return Letter(
        pieces=compose(outgoing),
        message_id=own_id,
        sender=sender,
        recipients=to,
        subject=outgoing.subject or None,
        scheduled=max(around.now, wanted or 0.0),
        attempts=sent.delivery_attempts,
    )


def mailbox(one: Recipient) -> Mailbox:
    return Mailbox(one.name, one.address)


def mailboxes(some: Iterable[Recipient] | None) -> tuple[Mailbox, ...] | None:
    return None if some is None else tuple(mailbox(one) for one in some)


def recipients(
    around: Circumstances,
    author: str,
    to: Sequence[Mailbox] | None,
    cc: Sequence[Mailbox] | None,
    bcc: Sequence[Mailbox] | None,
) -> reply.Recipients:
    """Who the message is for, in its header: what was asked for, and what a reply adds."""
    if around.quoted is None:
        return reply.Recipients(tuple(to or ()), tuple(cc or ()), tuple(bcc or ()))
    own = [author, around.settings.email or ""]
    quoted = around.quoted
    return reply.recipients(quoted.action, quoted.original, own=own, to=to, cc=cc or (), bcc=bcc or ())


def envelope(sent: SubmitRequest, author: str, people: reply.Recipients) -> tuple[str, list[str]]:
    """Who the mail server is told: what was asked for, else who the header names, each once. `InvalidInput` if none."""
    sender = sent.envelope.from_ if sent.envelope is not None else None
    if sender is None:
        sender = author
    to = list(sent.envelope.to) if sent.envelope is not None else []
    if not to:
        to = [one.address for one in (*people.to, *people.cc, *people.bcc) if one.address]
    if not to:
        raise codec.fault("to", "is required: the message has no recipient")
    return sender, list(dict.fromkeys(to))


def subject(quoted: Quoted | None) -> str | None:
    """The subject that the original gives."""
    return None if quoted is None else reply.subject(quoted.action, quoted.original.subject)


def new_message_id(sender: str, hostname: str) -> str:
    """A Message-ID in the sender's domain, or in ours for the empty sender."""
    domain = ascii_domain(sender.rpartition("@")[2].lower())
    usable = domain.isascii() and all(sign.isalnum() or sign in "-.[]:_" for sign in domain)
    return message_id(domain if domain and usable else hostname)


def custom_headers(headers: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The request's own header fields, one for each value. `InvalidInput` for a name that is none."""
    found: list[tuple[str, str]] = []
    for name, value in (headers or {}).items():
        try:
            written = field_name(name)
        except WeMisusedProtocol:
            raise codec.fault(f"headers.{name}", "must be the name of a header (RFC 5322 2.2)") from None
        found += [(written, str(one)) for one in (value if isinstance(value, list) else [value])]
    return found
