"""The octets of a connection cut into whole responses, at a cost linear in their number (RFC 9051 section 4.3).

How the octets are spread over calls of `feed` changes nothing. Each octet is looked at once: line ends are searched for
in what just arrived, and what is incomplete waits in one buffer that only grows.

A literal is taken for one only where the syntax has a place for it: not in the free text of OK, NO, BAD, BYE, PREAUTH,
continuations and tagged responses, and not at the end of an atom. `{5}` there is just text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap.tokens import Literal, Piece

MAX_LINE = 16 * 1024 * 1024
"""Text of one response, literals aside: a plain SEARCH that finds two million messages is about this long."""

MAX_LITERAL = 256 * 1024 * 1024
"""Literals of one response held in memory: no mail system accepts larger messages, and one fits into a small host."""

_COST_OF_LITERAL = 64
"""Counted as text for each literal, so that millions of empty ones end at the limit as well."""

_LITERAL = re.compile(rb'(?:^|(?<=[ ()"\[\]>\t]))(~?)\{([0-9]+)\+?\}\Z')
_NOT_FREE_TEXT = re.compile(rb"\*[ \t]++(?!(?:OK|NO|BAD|BYE|PREAUTH)(?:[ \t\[]|\Z))", re.IGNORECASE)

Sink: TypeAlias = Callable[[bytes], None]
Choose: TypeAlias = Callable[[Sequence[Piece], int], Sink | None]


class Splitter:
    """
    Collects what arrives and gives back each response once it is whole.

    A response is a list of pieces: the line without its end, or, where literals are in it, text and literals in turn.
    The `{n}` before a literal is not part of the text. Empty lines between responses are dropped; a bare LF ends a line
    as well as CRLF.
    """

    __slots__ = (
        "_binary",
        "_broken",
        "_choose",
        "_held",
        "_line",
        "_literal",
        "_max_line",
        "_max_literal",
        "_need",
        "_pieces",
        "_sink",
        "_sunk",
        "_text",
    )

    def __init__(self, *, max_line: int = MAX_LINE, max_literal: int = MAX_LITERAL) -> None:
        self._max_line = max_line
        self._max_literal = max_literal
        self._choose: Choose | None = None
        self._broken: TheyBrokeProtocol | None = None
        self._line = bytearray()  # the start of a line whose end has not come
        self._pieces: list[Piece] = []  # of the response that is not yet whole
        self._text = 0  # octets of text in _pieces
        self._held = 0  # octets of literals in _pieces
        self._need = 0  # octets the literal still lacks
        self._literal = bytearray()
        self._binary = False
        self._sink: Sink | None = None
        self._sunk = 0

    @property
    def pending(self) -> bool:
        """
        Whether a part of a response is held.

        After the OK to STARTTLS nothing may be: not here, and no response after that OK in the list it came in.
        """
        return bool(self._line or self._pieces or self._need)

    def expect_sink(self, choose: Choose | None) -> None:
        """
        Ask `choose` about each literal that starts from now on; None ends this.

        It gets the pieces of the response so far and the literal's size, and returns where the octets shall go as they
        arrive, or None to keep them. A literal that went to a sink stands in the response empty, with `sunk` set; only
        literals that are kept count against `max_literal`. Neither function may raise.
        """
        self._choose = choose

    def feed(self, data: bytes) -> list[list[Piece]]:
        """
        Take in octets; give back the responses that became whole, in order.

        Raises TheyBrokeProtocol if a limit is passed: it is no longer known where a response ends, so the connection
        has to go, and further calls raise the same. Responses that were whole before that are given back first, and the
        error follows with the next call.
        """
        if self._broken is not None:
            raise self._broken
        done: list[list[Piece]] = []
        try:
            self._feed(data, done)
        except TheyBrokeProtocol as fault:
            self._broken = fault
            self._line.clear()
            self._literal.clear()
            self._pieces = []
            if not done:
                raise
        return done

    @property
    def broken(self) -> TheyBrokeProtocol | None:
        """The error the next `feed` raises. Look here after the last response of a feed."""
        return self._broken

    def _feed(self, data: bytes, done: list[list[Piece]]) -> None:
        pos = 0
        max_line = self._max_line
        untried = len(data) <= max_line
        while True:
            if self._need:
                pos = self._fill(data, pos)
                if self._need:
                    return
            if untried and not self._line and not self._pieces:
                untried = False
                if data.find(b"}", pos) < 0 or (data.find(b"}\r", pos) < 0 and data.find(b"}\n", pos) < 0):
                    # the usual case by far: no literal can start or end in what is left
                    lines = data[pos:].split(b"\r\n")
                    if data.count(b"\n", pos) == len(lines) - 1:
                        self._line += lines.pop()
                        done.extend([[one] for one in lines if one])
                        return
            end = data.find(b"\n", pos)
            if end < 0:
                if pos < len(data):
                    self._line += data[pos:] if pos else data
                    if len(self._line) - self._line.endswith(b"\r") + self._text > max_line:
                        raise TheyBrokeProtocol("a line is too long")
                return
            if self._line:
                self._line += data[pos:end]
                line = bytes(self._line)
                self._line = bytearray()
                if line.endswith(b"\r"):
                    line = line[:-1]
            elif end > pos and data[end - 1] == 13:
                line = data[pos : end - 1]
            else:
                line = data[pos:end]
            pos = end + 1
            if len(line) + self._text > max_line:
                raise TheyBrokeProtocol("a line is too long")
            if line.endswith(b"}") and self._starts_literal(line):
                continue
            if not self._pieces:
                if line:
                    done.append([line])
                continue
            if line:
                self._pieces.append(line)
            done.append(self._pieces)
            self._pieces = []
            self._text = self._held = 0

    def _starts_literal(self, line: bytes) -> bool:
        match = _LITERAL.search(line, max(0, len(line) - 40))
        if match is None or (not self._pieces and not _NOT_FREE_TEXT.match(line)):
            return False
        size = int(match[2])
        text = line[: match.start()]
        if text:
            self._pieces.append(text)
        self._text += len(line) + _COST_OF_LITERAL
        self._binary = bool(match[1])
        self._sunk = 0
        self._sink = self._choose(self._pieces, size) if self._choose is not None else None
        if self._sink is None:
            self._held += size
            if self._held > self._max_literal:
                raise TheyBrokeProtocol("a literal is too large")
        self._need = size
        if not size:
            self._pieces.append(Literal(b"", self._binary))
        return True

    def _fill(self, data: bytes, pos: int) -> int:
        end = min(len(data), pos + self._need)
        self._need -= end - pos
        if self._sink is not None:
            if end > pos:
                self._sunk += end - pos
                self._sink(data[pos:end])
            if not self._need:
                self._pieces.append(Literal(b"", self._binary, self._sunk))
                self._sink = None
        elif self._need:
            self._literal += data[pos:end]
        elif self._literal:
            self._literal += data[pos:end]
            self._pieces.append(Literal(bytes(self._literal), self._binary))
            self._literal = bytearray()
        else:
            self._pieces.append(Literal(data[pos:end], self._binary))
        return end
