"""A message's addresses out of its own header, where the server's ENVELOPE has none. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs

from emailengine.wire.imap.body import Address, Envelope
from emailengine.wire.mime.decode import Fields, split_message

HEADER_ITEM: Final = "BODY.PEEK[HEADER.FIELDS (FROM SENDER REPLY-TO TO CC BCC)]"
_LONGEST = 16 * 1024  # octets of a field that are read,
_MOST = 500  # and addresses of a kind that are told
# what is opened and not closed ends where it must: looking for its end again and again would be quadratic
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+["\\]?|\((?:[^()\\]|\\.)*+[)\\]?|<[^<>]*+>?|[,;:]|[^\s"(<,;:]+', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SPACE = re.compile(rb"\s+")


def completed(envelope: Envelope | None, header: bytes | None) -> Envelope | None:
    """The envelope, with the addresses of the header if it has no address at all."""
    if envelope is None or not header:
        return envelope
    if any(one.host for one in (*envelope.from_, *envelope.sender, *envelope.to, *envelope.cc, *envelope.bcc)):
        return envelope
    fields, _ = split_message(header)
    return attrs.evolve(
        envelope,
        from_=_addresses(fields, "from"),
        sender=_addresses(fields, "sender"),
        reply_to=_addresses(fields, "reply-to"),
        to=_addresses(fields, "to"),
        cc=_addresses(fields, "cc"),
        bcc=_addresses(fields, "bcc"),
    )


def _addresses(fields: Fields, name: str) -> tuple[Address, ...]:
    found = []
    left = _MOST
    for value in fields.raw_values(name):
        for display, address in _mailboxes(value[:_LONGEST]):
            mailbox, _, host = address.rpartition(b"@")
            if mailbox and host and left:
                left -= 1
                found.append(Address(display or None, mailbox, host))
    return tuple(found)


def _mailboxes(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Display name and address of each mailbox in a list of them (RFC 5322 3.4); comments and groups are left out."""
    words: list[bytes] = []
    address: bytes | None = None
    for token in [*_TOKEN.findall(value), b","]:
        start = token[:1]
        if start == b"<":
            address = _SPACE.sub(b"", token.strip(b"<>"))
        elif start in b",;":
            if address is not None:
                yield b" ".join(words), address
            elif words:
                yield b"", b"".join(words)
            words, address = [], None
        elif start == b":":
            words = []  # the name of a group
        elif start == b'"':
            words.append(_ESCAPED.sub(rb"\1", token.strip(b'"')))
        elif start != b"(":
            words.append(token)
