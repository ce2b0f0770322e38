"""What an account's protocol log is told: the lines of a connection, without what nobody should read there."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from emailengine.imap.commands.command import Command
from emailengine.wire.imap.tokens import Literal, Piece, unescape

LONGEST: Final = 1000
"""Characters of a line that are shown."""

_LOOKED_AT: Final = 16_384
"""Octets of a line that are looked at."""
_MASK: Final = "***"
_SHORT: Final = 4
"""Characters below which a secret is found as a word only: else no line could be read any more."""

_FETCH = re.compile(rb"\*[ \t]+[0-9]+[ \t]+FETCH[ \t]", re.IGNORECASE)
_CONTENT = re.compile(
    rb'((?:(?:BODY|BINARY)\[(?:[^\]"]|"(?:[^"\\]|\\.)*+")*+\](?:<[0-9]+>)?|RFC822(?:\.HEADER|\.TEXT)?|PREVIEW)[ \t]*+)'
    rb'(?:"((?:[^"\\]|\\.)*+)(?:"|\Z)|(?<=[ \t])(?!NIL\b|~?\{|RFC822|PREVIEW)([^ \t()"]++))',
    re.IGNORECASE,
)
_MAY_BE_CONTENT = (b"BODY[", b"BINARY[", b"RFC822 ", b"RFC822\t", b'RFC822"', b"RFC822.T", b"RFC822.H", b"PREVIEW")
"""What one of is in a line that the expression above finds something in: it is slow."""
_ARGUMENT = re.compile(r'"((?:[^"\\]|\\.)*+)"|([^\s"]+)')
_BETWEEN = re.compile(r"[\x00\x01\s]+")


class WireLog(Protocol):
    """One account's protocol log. Lines come without CRLF, their secrets masked, and cut where they are long."""

    def said(self, line: str) -> None:
        """We sent this."""

    def heard(self, line: str) -> None:
        """The server sent this."""

    def event(self, text: str) -> None:
        """What is no line: connected, TLS started, why it ended."""


class Lines:
    """
    Tells a log what goes over one connection.

    A literal is shown as its length. So is message content that came as a quoted string. Of a secret command only its
    name is shown, of the dialogue that follows nothing, and until the next command is given whatever else is told not
    where it repeats what we said in it.
    """

    __slots__ = ("_log", "_secrets")

    def __init__(self, log: WireLog) -> None:
        self._log = log
        self._secrets: list[str] = []

    def event(self, text: str) -> None:
        self._log.event(_cut(self._masked(text)))

    def said(self, tag: bytes, command: Command[Any], pieces: Sequence[Piece]) -> None:
        line = _shown(pieces).decode("utf-8", "backslashreplace")
        self._secrets = []
        if command.secret:
            self._secrets += _secrets(pieces, command.word)
            line = command.word if line == command.word else f"{command.word} {_MASK}"
        self._log.said(_cut(f"{tag.decode('ascii')} {line}"))

    def answered(self, command: Command[Any], answer: bytes) -> None:
        if command.secret:
            self._secrets += _secrets([answer])
            self._log.said(_MASK)
        else:
            self._log.said(_cut(answer.decode("utf-8", "backslashreplace")))

    def heard(self, pieces: Sequence[Piece], *, secret: bool) -> None:
        octets = _shown(pieces)
        if _FETCH.match(octets):
            upper = octets.upper()
            if any(name in upper for name in _MAY_BE_CONTENT):
                octets = _CONTENT.sub(_length, octets)
        line = octets.decode("utf-8", "backslashreplace")
        self._log.heard(_cut(f"+ {_MASK}" if secret and line.startswith("+") else self._masked(line)))

    def _masked(self, line: str) -> str:
        for one in sorted(self._secrets, key=len, reverse=True):
            pattern = re.escape(one)
            line = re.sub(pattern if len(one) >= _SHORT else rf"(?<!\w){pattern}(?!\w)", _MASK, line)
        return line


def _shown(pieces: Sequence[Piece]) -> bytes:
    """The start of a line, each literal as its length."""
    shown: list[bytes] = []
    left = _LOOKED_AT
    for piece in pieces:
        if isinstance(piece, Literal):
            one = b"%s{%d}" % (b"~" if piece.binary else b"", len(piece.data) or piece.sunk)
        else:
            one = piece[:left]
        shown.append(one)
        left -= len(one)
        if left <= 0:
            break
    return b"".join(shown)


def _length(found: re.Match[bytes]) -> bytes:
    whole = found.end() < _LOOKED_AT
    value = unescape(found[2]) if found[2] is not None else found[3]
    return found[1] + (b"{%d}" % len(value) if whole else b"{...}")


def _secrets(pieces: Sequence[Piece], word: str = "") -> Iterator[str]:
    """What must not be shown when the server repeats it: the values, in base64 and without it."""
    for n, piece in enumerate(pieces):
        text = (piece.data if isinstance(piece, Literal) else piece).decode("utf-8", "backslashreplace")
        if isinstance(piece, Literal):
            yield text
            yield b64encode(piece.data).decode("ascii")
            continue
        for quoted, plain in _ARGUMENT.findall(text[len(word) :] if n == 0 else text):
            if quoted:
                value = re.sub(r"\\(.)", r"\1", quoted)
                yield quoted
                yield value
                yield b64encode(value.encode()).decode("ascii")
            elif plain:
                yield plain
                try:
                    inside = b64decode(plain, validate=True).decode()
                except ValueError:
                    continue
                yield from filter(None, _BETWEEN.split(inside))


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
