"""IMAP text into tokens: one regular expression and a stack (RFC 9051 section 9).

A response is given as pieces: text, literal, text ... The literals are never put back into the text. The text pieces
are joined with one LF where a literal stood, which no text piece can hold, and the reader takes the literals in order.

A token is bytes for an atom, a quoted string or a literal, None for an unquoted NIL, and a list for a parenthesised
list. Bytes stay bytes: whoever knows the field decodes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from attrs import frozen

from emailengine.wire.errors import TheyBrokeProtocol

MAX_NESTING = 50
"""Mail nested 20 deep has been seen (each level of forwarding costs two lists); nobody reads deeper than that."""

Token: TypeAlias = "bytes | list[Token] | None"


@frozen
class Literal:
    """
    Octets with a length in front of them, as a piece of a response or of a command.

    `binary` is the `~{n}` form (RFC 3516). `sunk` counts the octets of a received literal that went to a sink; `data`
    is empty then.
    """

    data: bytes
    binary: bool = False
    sunk: int = 0


Piece: TypeAlias = bytes | Literal

# The last group takes a stray quote, so that a search from any position matches right there.
_TOKEN = re.compile(
    rb"[ \t\r]*+(?:"
    rb'"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"'  # 1 quoted
    rb"|(\()"  # 2
    rb"|(\))"  # 3
    rb'|([^ \t\r\n()"][^ \t\r\n()]*+)'  # 4 atom
    rb"|(\n)"  # 5 a literal stood here
    rb'|(")'  # 6 a quoted string that never ends
    rb"|\Z"  # else the search would start again at each space before the end
    rb")"
)
_ESCAPED = re.compile(rb'\\(["\\])')
_SPACE = re.compile(rb"[ \t\r]*+")
_NUMBER = re.compile(rb"[0-9]{1,19}")


def unescape(quoted: bytes) -> bytes:
    r"""The content of a quoted string without its backslashes; one before any other character than `"` or `\` stays."""
    return _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def number(token: Token) -> int | None:
    """The value of a token that is a number below 2**63 (RFC 9051 `number64`), else None."""
    if isinstance(token, bytes) and _NUMBER.fullmatch(token):
        value = int(token)
        if value < 1 << 63:
            return value
    return None


def text(token: Token) -> str | None:
    """A string token as text: UTF-8, and what is not UTF-8 as surrogates (PEP 383). None for NIL and lists."""
    return token.decode("utf-8", "surrogateescape") if isinstance(token, bytes) else None


class Reader:
    """
    Reads tokens one after the other from one response.

    `text` is the joined text, `pos` the place of the next token. Methods raise TheyBrokeProtocol and nothing else.
    """

    __slots__ = ("_literals", "_max_nesting", "pos", "text")

    def __init__(
        self, text: bytes, literals: Sequence[Literal] = (), *, pos: int = 0, max_nesting: int = MAX_NESTING
    ) -> None:
        self.text = text
        self.pos = pos
        self._literals = iter(literals)
        self._max_nesting = max_nesting

    def at_end(self) -> bool:
        match = _SPACE.match(self.text, self.pos)
        return match is None or match.end() == len(self.text)

    def literal(self) -> bytes:
        """The octets of the next literal; its LF in `text` must have been passed by the caller."""
        for one in self._literals:
            return one.data
        raise TheyBrokeProtocol("a line break inside a response")

    def value(self) -> Token:
        """
        The next token, with everything inside it if it is a list.

        Lists nested deeper than the limit are read and left out, so that one bottomless BODYSTRUCTURE does not
        make a mailbox unreadable.
        """
        token = self.value_or_end()
        if token is _END:
            raise TheyBrokeProtocol("a value is missing", self.text[self.pos : self.pos + 80])
        return token

    def rest(self) -> list[Token]:
        """All tokens up to the end. A closing parenthesis nobody opened is passed over."""
        found: list[Token] = []
        self._take(found)
        return found

    def value_or_end(self) -> Token:
        """As `value`, but END where the text or the surrounding list ends; the closing parenthesis is not passed."""
        return self._take(None)

    def _take(self, everything: list[Token] | None) -> Token:
        """One value, or everything up to the end into a list."""
        stack: list[list[Token]] = []
        current = everything
        for match in _TOKEN.finditer(self.text, self.pos):
            kind = match.lastindex
            token: Token
            if kind == 1:
                token = match[1]
                if b"\\" in token:
                    token = _ESCAPED.sub(rb"\1", token)
            elif kind == 4:
                token = match[4]
                if len(token) == 3 and token.upper() == b"NIL":
                    token = None
            elif kind == 2:
                deeper: list[Token] = []
                if current is not None:
                    if len(stack) < self._max_nesting:
                        current.append(deeper)
                    stack.append(current)
                else:
                    stack.append(deeper)
                current = deeper
                continue
            elif kind == 3:
                if not stack:
                    if everything is None:
                        return _END
                    continue
                closed = current
                current = stack.pop()
                if not stack and everything is None:
                    self.pos = match.end()
                    return closed
                continue
            elif kind == 5:
                token = self.literal()
            elif kind == 6:
                raise TheyBrokeProtocol("a quoted string does not end", self.text[match.start() : match.start() + 80])
            else:
                break
            if current is None:
                self.pos = match.end()
                return token
            current.append(token)
        if stack:
            raise TheyBrokeProtocol("a list does not end", self.text[self.pos : self.pos + 80])
        self.pos = len(self.text) if everything is not None else self.pos
        return _END


_END: Token = []
END = _END
"""What `value_or_end` gives when there is no further value; compare with `is`."""


def join(pieces: Sequence[Piece]) -> tuple[bytes, list[Literal]]:
    """The pieces of one response as the text and the literals a Reader wants."""
    if len(pieces) == 1 and isinstance(pieces[0], bytes):
        return pieces[0], []
    literals = [one for one in pieces if isinstance(one, Literal)]
    return b"".join([b"\n" if isinstance(one, Literal) else one for one in pieces]), literals
