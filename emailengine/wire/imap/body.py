"""ENVELOPE and BODYSTRUCTURE as values (RFC 9051 7.5.2).

`envelope` and `part` read any token tree and never fail: what is missing or of the wrong kind comes out empty. The
usual forms are read faster by `usual.py`, with the same result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import define, field

from emailengine.wire.imap import tokens
from emailengine.wire.imap.tokens import Token, unescape

_IN_A_HEADER = re.compile(
    rb';[ \t]*+([^=;" \t]++)[ \t]*+=[ \t]*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^;" \t]*+))', re.DOTALL
)
"""One parameter, behind a semicolon."""


@define(unsafe_hash=True)  # not frozen: making a frozen one takes twice as long, and a listing makes thousands
class Address:
    """
    One address as sent: RFC 2047 words are not decoded. Empty strings are told as None.

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


def envelope(tree: Token) -> Envelope | None:
    """The envelope a token tree says; None if it is no list."""
    if not isinstance(tree, list):
        return None
    told = [*tree, *[None] * (10 - len(tree))]
    return Envelope(
        _octets(told[0]),
        _octets(told[1]),
        _addresses(told[2]),
        _addresses(told[3]),
        _addresses(told[4]),
        _addresses(told[5]),
        _addresses(told[6]),
        _addresses(told[7]),
        _octets(told[8]),
        _octets(told[9]),
    )


def part(tree: Token) -> Part | None:
    """The structure of a whole message as a token tree says it; None if it is no list or an empty one."""
    if not isinstance(tree, list) or not tree:
        return None
    return _part(tree, "", "1")


def _part(tree: list[Token], number: str, number_of_leaf: str) -> Part:
    if _is_leaf(tree):
        return _leaf(tree, number_of_leaf)
    children: list[Token] = []
    for one in tree:
        if isinstance(one, bytes):
            break
        children.append(one)
    if any(isinstance(one, list) for one in children):
        rest = tree[len(children) :]
    else:
        # a multipart with nothing in it: (NIL "mixed" ...), (() "mixed" ...) or ("mixed" (params) ...)
        rest = tree[len(children) :] if children and len(children) < len(tree) else tree
        children = []
    dot = f"{number}." if number else ""
    parts: list[Part] = []
    for place, child in enumerate(children, 1):
        numbered = f"{dot}{place}"
        parts.append(_part(child, numbered, numbered) if isinstance(child, list) else Part(numbered))
    told = [*rest, *[None] * (5 - len(rest))]
    disposition, disposition_params = _disposition(told[2])
    return Part(
        number,
        "multipart",
        _word(told[0], "mixed"),
        _params(told[1]),
        disposition=disposition,
        disposition_params=disposition_params,
        language=_language(told[3]),
        location=tokens.text(told[4]),
        children=tuple(parts),
    )


def _is_leaf(tree: list[Token]) -> bool:
    if not tree or isinstance(tree[0], list):
        return not tree
    if len(tree) > 6 and tokens.number(tree[6]) is not None:
        return True
    first, second = tree[0], tree[1] if len(tree) > 1 else None
    if isinstance(first, bytes):
        return isinstance(second, bytes)
    return all(one is None for one in tree)


def _leaf(tree: list[Token], numbered: str) -> Part:
    told = [*tree, *[None] * (7 - len(tree))]
    kind, subtype = _word(told[0], "text"), _word(told[1], "plain")
    rest = told[7:]
    inner: Envelope | None = None
    children: tuple[Part, ...] = ()
    if kind == "message" and subtype in ("rfc822", "global") and _holds_message(rest):
        inner = envelope(rest[0])
        if len(rest) > 1 and isinstance(rest[1], list) and rest[1]:
            children = (_part(rest[1], numbered, f"{numbered}.1"),)
        rest = rest[2:]
    lines = tokens.number(rest[0]) if rest else None
    if lines is not None or children or inner is not None or _lacks_lines(rest):
        rest = rest[1:]
    rest = [*rest, *[None] * (4 - len(rest))]
    disposition, disposition_params = _disposition(rest[1])
    return Part(
        numbered,
        kind,
        subtype,
        _params(told[2]),
        tokens.text(told[3]),
        tokens.text(told[4]),
        _word(told[5], "7bit"),
        tokens.number(told[6]) or 0,
        lines,
        tokens.text(rest[0]),
        disposition,
        disposition_params,
        _language(rest[2]),
        tokens.text(rest[3]),
        children,
        inner,
    )


def _holds_message(rest: list[Token]) -> bool:
    """Some servers tell a message/rfc822 like any other part: what follows the size is then an MD5, not an envelope."""
    if not rest:
        return False
    if isinstance(rest[0], list):
        return True
    body = rest[1] if len(rest) > 1 else None
    return rest[0] is None and isinstance(body, list) and (len(body) > 6 or (bool(body) and isinstance(body[0], list)))


def _lacks_lines(rest: list[Token]) -> bool:
    """Whether the number of lines is told as NIL or nonsense, not left out: the disposition then comes third."""
    if rest and isinstance(rest[0], bytes) and rest[0][:1] == b"-" and rest[0][1:].isdigit():
        return True
    third = rest[2] if len(rest) > 2 else None
    return rest[:2] == [None, None] and isinstance(third, list) and len(third) > 1 and not isinstance(third[1], bytes)


def _octets(token: Token) -> bytes | None:
    return token if isinstance(token, bytes) else None


def _addresses(token: Token) -> tuple[Address, ...]:
    if not isinstance(token, list):
        return ()
    found: list[Address] = []
    for one in token:
        if isinstance(one, list):
            told = [*one, *[None] * (4 - len(one))]
            found.append(Address(_octets(told[0]) or None, _octets(told[2]) or None, _octets(told[3]) or None))
    return tuple(found)


def _word(token: Token, default: str) -> str:
    """A word of a closed vocabulary, lower case."""
    if not isinstance(token, bytes):
        return default
    return token.decode("ascii", "replace").strip().lower() or default


def _params(token: Token) -> dict[str, str]:
    if not isinstance(token, list):
        return {}
    names = token[::2]
    values = [*token[1::2], None]
    return {
        name.decode("ascii", "replace").lower(): tokens.text(value) or ""
        for name, value in zip(names, values, strict=False)
        if isinstance(name, bytes)
    }


def _disposition(token: Token) -> tuple[str | None, dict[str, str]]:
    if isinstance(token, bytes):  # a list is missing around it, or it is the header field as it stood in the message
        kind = token.partition(b";")[0].strip()
        params = [(name, unescape(quoted) or plain) for name, quoted, plain in _IN_A_HEADER.findall(token)]
        return _word(kind, "attachment"), _params([one for pair in params for one in pair])
    if not isinstance(token, list) or not token or not isinstance(token[0], bytes):
        return None, {}
    return _word(token[0], "attachment"), _params(token[1] if len(token) > 1 else None)


def _language(token: Token) -> tuple[str, ...]:
    if isinstance(token, bytes):
        token = [token]
    if not isinstance(token, list):
        return ()
    return tuple([one.decode("ascii", "replace").lower() for one in token if isinstance(one, bytes)])
