"""Octets into responses."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap.splitter import Sink, Splitter
from emailengine.wire.imap.tokens import Literal, Piece

SNIPPETS = st.sampled_from(
    [b"* 1 FETCH (", b"BODY[] ", b"{3}\r\n", b"{0}\r\n", b"~{2}\r\n", b"{12+}\r\n", b"{3}", b")", b"\r\n", b"\n", b"\r"]
) | st.sampled_from(
    [b"* OK {3}\r\n", b"*  ok x{1}", b"a1 OK {2}\r\n", b"+ {1}\r\n", b"abc", b"{99999999999}\r\n", b'"', b"x{1}\r\n"]
)
STREAM = st.lists(SNIPPETS | st.binary(max_size=6), max_size=20).map(b"".join)


def fed(splitter: Splitter, *portions: bytes) -> tuple[list[list[Piece]], str | None]:
    """Responses and the fault, if one ended the stream."""
    found: list[list[Piece]] = []
    for one in portions:
        try:
            found += splitter.feed(one)
        except TheyBrokeProtocol:
            break
    return found, None if splitter.broken is None else splitter.broken.what


class SplitterTests(SynchronousTestCase):
    @given(STREAM, st.lists(st.integers(0, 120), max_size=8), st.sampled_from([30, 10_000]))
    @example(b"* 1 FETCH (BODY[] {3}\r\nabc)\r\n* 2 EXISTS\r\n", [22, 23, 26, 27, 28], 10_000)
    @example(b"x\r\n\n\r\ny\n", [1, 2, 3], 10_000)
    @example(b"\r", [], 10_000)
    @example(b"* OK 34567890\r\n", [14], 13)
    def test_any_cut(self, data: bytes, cuts: list[int], longest: int) -> None:
        """Cutting the input anywhere changes neither the responses, nor what is held, nor the fault."""
        one, many = (Splitter(max_line=longest, max_literal=longest) for _ in range(2))
        whole = fed(one, data)
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        self.assertEqual(fed(many, *[data[a:b] for a, b in itertools.pairwise(edges)]), whole)
        if one.broken is None:
            self.assertEqual(many.pending, one.pending)

    def test_pieces(self) -> None:
        """Text and literals come in turn; the announcement of a literal is not part of the text."""
        found, _ = fed(
            Splitter(), b"* 1 FETCH (BODY[] {3}\r\na\r\n UID 5 BODY[1] ~{0}\r\n X {2+}\r\nhi)\r\n\r\n* OK x\n"
        )
        self.assertEqual(
            found,
            [
                [
                    *(b"* 1 FETCH (BODY[] ", Literal(b"a\r\n"), b" UID 5 BODY[1] ", Literal(b"", True), b" X "),
                    *(Literal(b"hi"), b")"),
                ],
                [b"* OK x"],
            ],
        )

    def test_no_literals_in_free_text(self) -> None:
        """What looks like a literal in free text, in an atom or in a tagged response is text."""
        for line in (
            b"* OK see {5}",
            b"*  OK see {5}",
            b"* bye {5}",
            b"* NO {5}",
            b"* PREAUTH {5}",
            b"a1 OK {5}",
            b"+ {5}",
            b"* SEARCH a{5}",
            b"* OK[X] {5}",
            b"{5}",
        ):
            self.assertEqual(fed(Splitter(), line + b"\r\nnext\r\n")[0], [[line], [b"next"]])
        self.assertEqual(fed(Splitter(), b"* OKAY {4}\r\nnext\r\n")[0], [[b"* OKAY ", Literal(b"next")]])

    def test_pending(self) -> None:
        """Any octet of a response that is not whole counts as held, which STARTTLS relies on."""
        for held in (b"*", b"* 1 FETCH (BODY[] {3}\r\n", b"* 1 FETCH (BODY[] {0}\r\n", b"* X {1}\r\na", b"\r"):
            splitter = Splitter()
            self.assertFalse(splitter.pending)
            splitter.feed(b"a1 OK begin\r\n" + held)
            self.assertTrue(splitter.pending, held)

    def test_limits(self) -> None:
        """A line or literals over the limit end the stream; what was whole before is given, then the fault, for ever."""
        for data, what in [
            (b"x" * 31, "a line is too long"),
            (b"x" * 31 + b"\r\n", "a line is too long"),
            (b"* X (" + b"y {0}\r\n" * 5, "a line is too long"),
            (b"* X {31}\r\n", "a literal is too large"),
            (b"* X {20}\r\n" + b"a" * 20 + b" {20}\r\n", "a literal is too large"),
            (b"* X {123456789012345678901234567890}\r\n", "a literal is too large"),
        ]:
            longest = 1000 if what == "a literal is too large" else 30
            splitter = Splitter(max_line=longest, max_literal=30)
            self.assertEqual(splitter.feed(b"* OK\r\n" + data), [[b"* OK"]])
            self.assertEqual(splitter.broken and splitter.broken.what, what)
            for _ in range(2):
                self.assertRaises(TheyBrokeProtocol, splitter.feed, b"* OK\r\n")
        self.assertEqual(fed(Splitter(max_line=30), b"x" * 30 + b"\r\n"), ([[b"x" * 30]], None))

    @given(st.binary(min_size=1, max_size=300), st.integers(1, 40))
    def test_sink(self, data: bytes, portion: int) -> None:
        """A literal may go to a sink as it arrives; it then stands empty, and the limit does not count it."""
        arrived: list[bytes] = []
        asked: list[tuple[list[Piece], int]] = []

        def choose(pieces: Sequence[Piece], size: int) -> Sink | None:
            asked.append((list(pieces), size))
            return arrived.append if len(asked) == 1 else None

        splitter = Splitter(max_literal=4)
        splitter.expect_sink(choose)
        stream = b"* 1 FETCH (BODY[] {%d}\r\n%s BODY[1] {2}\r\nhi)\r\n" % (len(data), data)
        found, fault = fed(splitter, *[stream[at : at + portion] for at in range(0, len(stream), portion)])
        self.assertIsNone(fault)
        self.assertEqual(b"".join(arrived), data)
        sunk = Literal(b"", sunk=len(data))
        self.assertEqual(found, [[b"* 1 FETCH (BODY[] ", sunk, b" BODY[1] ", Literal(b"hi"), b")"]])
        self.assertEqual(asked[0], ([b"* 1 FETCH (BODY[] "], len(data)))
        splitter.expect_sink(None)
        splitter.feed(b"* 2 FETCH (BODY[] {2}\r\nhi)\r\n")
        self.assertEqual(len(asked), 2)
