"""Text into tokens."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap import tokens, write
from emailengine.wire.imap.splitter import Splitter
from emailengine.wire.imap.tokens import Literal, Piece, Reader, Token, join
from emailengine.wire.imap.write import LiteralMode

STRING = st.binary(max_size=30).map(lambda one: one.replace(b"\0", b"")) | st.text(
    alphabet='ab "\\(){}[]%*\r\nNIL\xe9', max_size=12
).map(str.encode)
TREE = st.recursive(st.none() | STRING, lambda inner: st.lists(inner, max_size=5), max_leaves=20)


def written(token: Token) -> list[Piece]:
    if token is None:
        return [b"NIL"]
    if isinstance(token, bytes):
        return [write.string(token)]
    return write.parenthesised([written(one) for one in token])


def read(*pieces: Piece, max_nesting: int = 50) -> list[Token]:
    text, literals = join(pieces)
    return Reader(text, literals, max_nesting=max_nesting).rest()


class TokenTests(SynchronousTestCase):
    @given(st.lists(TREE, min_size=1, max_size=4))
    def test_reads_what_we_write(self, trees: list[Token]) -> None:
        """Any tree of strings, NIL and lists is read back as it was written."""
        self.assertEqual(read(*write.command(*[written(one) for one in trees])), trees)

    @given(STRING)
    def test_astring(self, value: bytes) -> None:
        """A string in its shortest form is read back, too, and never as NIL."""
        self.assertEqual(read(write.astring(value)), [value])

    @given(st.lists(TREE, max_size=3))
    def test_sent_and_received(self, trees: list[Token]) -> None:
        """What goes out with literals comes back through the splitter as the same tree."""
        pieces = write.command(b"X", *[written(one) for one in trees])
        octets = b"".join(b"".join(burst) for burst in write.render(b"*", pieces, LiteralMode.PLUS))
        (back,) = Splitter().feed(octets)
        self.assertEqual(read(*back), [b"*", b"X", *trees])

    def test_forms(self) -> None:
        """NIL is NIL in any case but only unquoted; spaces are free; a backslash hides quotes and itself only."""
        found = read(b' NIL nil "NIL" (Nil)  a\t(b(c)d)"e\\"\\\\\\x"f')
        self.assertEqual(found, [None, None, b"NIL", [None], b"a", [b"b", [b"c"], b"d"], b'e"\\\\x', b"f"])
        self.assertEqual(read(b"() ) a"), [[], b"a"])

    def test_nesting(self) -> None:
        """Lists deeper than the limit are left out, whatever is in them, and what follows is read."""
        self.assertEqual(read(b'(a(b("c)"(d)e)f)g) h', max_nesting=2), [[b"a", [b"b", b"f"], b"g"], b"h"])
        deep = b"(" * 5000 + b"x" + b")" * 5000
        (found,) = read(deep)
        self.assertEqual(re.sub(r"[^\[]", "", repr(found)), "[" * 50)

    def test_broken(self) -> None:
        """What has no end is told, as is a line break that no literal explains."""
        for text in (b"(a", b"((a)", b'"a', b'("a)', b'"a\\"', b"a\nb"):
            self.assertRaises(TheyBrokeProtocol, read, text)
        self.assertRaises(TheyBrokeProtocol, Reader(b"  ").value)

    def test_numbers(self) -> None:
        """Numbers are digits below 2**63 and nothing else."""
        self.assertEqual([tokens.number(one) for one in (b"0", b"007", b"9223372036854775807")], [0, 7, 2**63 - 1])
        others: list[Token] = [b"9223372036854775808", b"-1", b"", b"1 ", b"1e3", None, [b"1"], "\u0663".encode()]
        for one in others:
            self.assertIsNone(tokens.number(one))

    def test_text(self) -> None:
        """Octets that are no UTF-8 survive in a text."""
        self.assertEqual(tokens.text(b"\xc3\xa9\xe9"), "é\udce9")
        self.assertIsNone(tokens.text(None))

    def test_literals_stay_whole(self) -> None:
        """A literal may hold anything, also what looks like syntax."""
        self.assertEqual(read(b"(", Literal(b') "x\r\n'), b" ", Literal(b""), b")"), [[b') "x\r\n', b""]])
