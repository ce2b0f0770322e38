"""ENVELOPE and BODYSTRUCTURE as values (RFC 9051 7.5.2).

`envelope` and `part` read any token tree and never fail: what is missing or of the wrong kind comes out empty. The
usual forms are read faster by `usual.py`, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field, frozen


@frozen
class Address:
    """
    One address as sent: RFC 2047 words are not decoded.

    A group starts with an address that has a mailbox (the group's name) and no host; it ends with one that has neither.
    """

    name: bytes | None
    mailbox: bytes | None
    host: bytes | None


@define
class Envelope:
    """The headers the server parsed; all texts raw, as in the message."""

    date: bytes | None = None
    subject: bytes | None = None
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    in_reply_to: bytes | None = None
    message_id: bytes | None = None


@define
class Part:
    """
    One MIME part. Texts are not RFC 2047 decoded; bytes that are not UTF-8 are surrogates (PEP 383).

    `number` is what BODY[...] takes: "" for a multipart that is the whole message, "1" for a message that is no
    multipart, else "2", "2.1" ... A multipart inside a message/rfc822 part bears that part's number. The parts of a
    multipart, and the one body of a message/rfc822, are its `children`. `size` counts encoded octets.

    Types, encodings, dispositions and the names of parameters are lower case, values are as sent. `disposition` is None
    where the server told nothing.
    """

    number: str
    type: str = "text"
    subtype: str = "plain"
    params: dict[str, str] = field(factory=dict)
    content_id: str | None = None
    description: str | None = None
    encoding: str = "7bit"
    size: int = 0
    lines: int | None = None
    md5: str | None = None
    disposition: str | None = None
    disposition_params: dict[str, str] = field(factory=dict)
    language: tuple[str, ...] = ()
    location: str | None = None
    children: tuple[Part, ...] = ()
    envelope: Envelope | None = None

    def walk(self) -> Iterator[Part]:
        """This part and all below it, depth first, in the order of the message."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            yield one
            waiting.extend(reversed(one.children))

    def walk_with_parents(self) -> Iterator[tuple[Part, tuple[Part, ...]]]:
        """As `walk`, each part with those it lies in, outermost first."""
        waiting: list[tuple[Part, tuple[Part, ...]]] = [(self, ())]
        while waiting:
            one, parents = waiting.pop()
            yield one, parents
            inside = (*parents, one)
            waiting.extend((child, inside) for child in reversed(one.children))
