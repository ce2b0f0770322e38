"""What a client says, as tokens, and what the server says, as text (RFC 3501 section 9). Strict where clients err."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

_ATOM = re.compile(rb'(?:[^\x00-\x20\x7f-\xff()"{\[]|\[[^\]\x00-\x1f\x7f-\xff]*\])+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0]|\\["\\])*)"')
_SET = re.compile(r"(?:\d+|\*)(?::(?:\d+|\*))?(?:,(?:\d+|\*)(?::(?:\d+|\*))?)*")
_PLAIN = re.compile(rb"[\x20-\x7e]*")
_SHIFTED = re.compile(r"&([^-]*)-")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+|&")


class Bad(Exception):
    """The client broke the protocol, or used what was not offered."""


class No(Exception):
    """A good command that cannot be done; the text may begin with a response code."""


class Atom(bytes):
    """A word without quotes."""

    def upper_text(self) -> str:
        return self.upper().decode("ascii")


class String(bytes):
    """A quoted string or a literal."""


Token: TypeAlias = "Atom | String | list[Token]"


def tokens(pieces: Sequence[bytes | String], *, utf8: bool) -> list[Token]:
    """The tokens of one command: text, literals as String, lists. One space between two, and nowhere else."""
    stack: list[list[Token]] = [[]]
    apart = True  # whether a token may begin here
    for piece in pieces:
        if isinstance(piece, String):
            if not apart:
                raise Bad("a literal must follow a space")
            stack[-1].append(piece)
            apart = False
            continue
        pos = 0
        while pos < len(piece):
            here = piece[pos : pos + 1]
            if here == b" ":
                if apart:
                    raise Bad("a space too many")
                apart = True
                pos += 1
                if pos == len(piece) and piece is pieces[-1]:
                    raise Bad("a space at the end")
            elif here == b")":
                if len(stack) == 1 or (apart and stack[-1]):
                    raise Bad("a parenthesis too many, or a space before it")
                stack.pop()
                apart = False
                pos += 1
            elif not apart:
                raise Bad("no space between two words")
            elif here == b"(":
                inner: list[Token] = []
                stack[-1].append(inner)
                stack.append(inner)
                pos += 1
            else:
                pos = _word(piece, pos, stack[-1], utf8)
                apart = False
    if len(stack) != 1:
        raise Bad("a parenthesis is missing")
    return stack[0]


def _word(piece: bytes, pos: int, into: list[Token], utf8: bool) -> int:
    quoted = _QUOTED.match(piece, pos)
    if quoted is not None:
        if not utf8 and not quoted[1].isascii():
            raise Bad("8-bit text between quotes")
        into.append(String(re.sub(rb"\\(.)", rb"\1", quoted[1])))
        return quoted.end()
    atom = _ATOM.match(piece, pos)
    if atom is None:
        raise Bad("no word")
    into.append(Atom(atom[0]))
    return atom.end()


def word(token: Token) -> str:
    """An atom in upper case."""
    if not isinstance(token, Atom):
        raise Bad("a word is expected")
    return token.upper_text()


def astring(token: Token) -> bytes:
    if isinstance(token, list):
        raise Bad("a string is expected")
    return bytes(token)


def listed(token: Token) -> list[Token]:
    if not isinstance(token, list):
        raise Bad("a list is expected")
    return token


def number(token: Token) -> int:
    if not isinstance(token, Atom) or not token.isdigit():
        raise Bad("a number is expected")
    return int(token)


def ranges(token: Token) -> list[tuple[int | None, int | None]]:
    """A set as pairs, None for `*`."""
    if not isinstance(token, Atom):
        raise Bad("a set is expected")
    text = token.decode("ascii")
    if not _SET.fullmatch(text):
        raise Bad("not a set of numbers")
    found: list[tuple[int | None, int | None]] = []
    for one in text.split(","):
        first, _, last = one.partition(":")
        low, high = (None if end == "*" else int(end) for end in (first, last or first))
        if low == 0 or high == 0:
            raise Bad("no message has the number 0")
        found.append((low, high))
    return found


def members(pairs: Sequence[tuple[int | None, int | None]], there: Sequence[int]) -> set[int]:
    """Those of some numbers in order that a set names; `*` is the greatest of them."""
    if not there:
        return set()
    found: set[int] = set()
    for low, high in pairs:
        ends = sorted((low or there[-1], high or there[-1]))
        found.update(one for one in there if ends[0] <= one <= ends[1])
    return found


def told(numbers: Iterable[int]) -> bytes:
    """Numbers as a set: `1:3,7`."""
    found: list[list[int]] = []
    for one in sorted(numbers):
        if found and one == found[-1][1] + 1:
            found[-1][1] = one
        else:
            found.append([one, one])
    return b",".join([b"%d" % a if a == b else b"%d:%d" % (a, b) for a, b in found])


def string(value: bytes | None) -> bytes:
    """NIL, a quoted string, or a literal."""
    if value is None:
        return b"NIL"
    if len(value) < 400 and _PLAIN.fullmatch(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%s" % (len(value), value)


def encoded(name: str, *, utf8: bool) -> bytes:
    """A mailbox name as it goes over the wire."""
    if utf8:
        return b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'

    def shifted(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        return "&" + base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"

    # a run of letters that ends in & must not swallow it: & itself is printable
    return string(_NOT_PRINTABLE.sub(shifted, name).encode("ascii"))


def decoded(raw: bytes, *, utf8: bool) -> str:
    """A mailbox name from the wire; Bad for what is no such name."""
    try:
        if utf8:
            return raw.decode("utf-8")
        text = raw.decode("ascii")

        def straight(match: re.Match[str]) -> str:
            if not match[1]:
                return "&"
            padded = match[1].replace(",", "/") + "=" * (-len(match[1]) % 4)
            return base64.b64decode(padded, validate=True).decode("utf-16-be")

        if "&" in _SHIFTED.sub("", text):
            raise Bad("an & that begins nothing")
        return _SHIFTED.sub(straight, text)
    except (UnicodeDecodeError, ValueError) as error:
        raise Bad("not the name of a mailbox") from error
