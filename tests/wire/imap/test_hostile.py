"""Servers that mean harm: any octets, and a lot of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap.responses import ESearch, Fetched, Status, Tagged, parse
from emailengine.wire.imap.splitter import Splitter
from tests.wire.imap.transcripts import NAMES, said_by_server

LINES = b"".join(said_by_server(name) for name in NAMES).splitlines(keepends=True)
NOISE = st.sampled_from([*b'( ) " \\ [ ] * NIL 0'.split(), b"{1}\r\n", b" ", b"\r\n", b"\n", b"\0", b"\xff"])
STARTS = (
    b"|* |* 1 |a1 OK [|* OK [|* 1 FETCH (|* 1 FETCH (BODY[|* LIST |* LSUB () |* STATUS |* ESEARCH |* SEARCH "
    b"|* VANISHED |* QUOTA |* QUOTAROOT |* NAMESPACE |* FLAGS |* ID |* CAPABILITY |* X "
).split(b"|")
UNITS = b'(|)|() |"|"" |\\|"\\|[|a |NIL |( |\t\r| |(a |"a'.split(b"|")
ITEMS = (
    b'BODY[ |BODY (a) |BODY ((|BINARY.SIZE[1] 5 |ENVELOPE (|FLAGS (x |BODY[HEADER.FIELDS (" |INTERNALDATE "|UID 5|MODSEQ (5'
    b'|ENVELOPE ("|BODYSTRUCTURE NIL |BODY (("a" "b" NIL NIL NIL "7bit" 5)|X-GM-LABELS (&AAA-&|BODY[1] {0}\r\n |{0}\r\n'
).split(b"|")


def swallow(data: bytes) -> None:
    """Read everything that can be read; nothing but TheyBrokeProtocol may come out."""
    splitter = Splitter()
    try:
        found = splitter.feed(data)
    except TheyBrokeProtocol:
        return
    for pieces in found:
        try:
            parse(pieces)
        except TheyBrokeProtocol:
            pass


def floods(size: int) -> Iterator[bytes]:
    """About so many octets, in each of the ways that might cost more than they should."""
    for start in STARTS:
        for unit in UNITS:
            yield start + unit * (size // len(unit)) + b"x)\r\n"
    for unit in ITEMS:
        yield b"* 1 FETCH (" + unit * (size // len(unit)) + b")\r\n"
    yield b"* 1 FETCH (BODY[(" + b" {1}\r\nx" * (size // 7) + b")] NIL)\r\n"
    yield b"* 1 FETCH (" + b"".join(b"BINARY.SIZE[%d] 1 " % one for one in range(size // 18)) + b")\r\n"
    for unit in (b"&AOk-", b"&", b"\xc3\xa9", b"\\\\"):
        yield b'* LIST () "/" "' + unit * (size // len(unit)) + b'"\r\n'
    yield b"* SEARCH" + b" 4294967295" * (size // 11) + b"\r\n"
    yield b"* SEARCH " + b"1" * size + b"x\r\n"
    yield b"* VANISHED " + b"9:1," * (size // 4) + b"2\r\n"
    yield b"* STATUS a" + b" " * size + b"(\r\n"
    yield b"* STATUS a " + b"(" * size + b")\r\n"


class HostileTests(SynchronousTestCase):
    @given(
        st.lists(st.sampled_from(LINES), max_size=3),
        st.lists(st.tuples(st.integers(0, 2000), NOISE, st.integers(0, 3)), max_size=5),
    )
    def test_damage(self, lines: list[bytes], damages: list[tuple[int, bytes, int]]) -> None:
        """Real responses with octets replaced, cut out and put in are read or refused."""
        data = b"".join(lines)
        for place, noise, gone in damages:
            place %= len(data) + 1
            data = data[:place] + noise + data[place + gone :]
        swallow(data)

    @given(st.sampled_from(STARTS), st.lists(NOISE, max_size=12).map(b"".join) | st.binary(max_size=30))
    def test_noise(self, start: bytes, noise: bytes) -> None:
        """So is noise after any start."""
        swallow(start + noise + b"\r\n")

    def test_linear(self) -> None:
        """
        Sixty kilobytes of the same thing take a moment, whatever the thing.

        The bound is far above what it takes (up to 100 ms) and far below what anything quadratic would.
        """
        for data in floods(60_000):
            before = time.process_time()
            swallow(data)
            self.assertLess(time.process_time() - before, 1.5, data[:60])

    def test_limits(self) -> None:
        """A response that passes a limit is refused, and so cannot hold up everything else; its end is still known."""
        refused: list[tuple[bytes, dict[str, Any]]] = [
            (b"* X " + b"( ) " * 30, {"max_text": 100}),
            (b"* 1 FETCH (FLAGS (" + b"a " * 90 + b"))", {"max_text": 100}),
            (b"* NAMESPACE " + b"( ) " * 30, {"max_words": 100}),
            (b'* LIST () "/" "' + b"\xff" * 100 + b'"', {"max_words": 100}),
            (b"* 1 FETCH (BODY (" + b'("a" "b")' * 30 + b"))", {"max_text": 100}),
            (b"* SEARCH" + b" 1" * 51, {"max_numbers": 50}),
            (b"* SORT" + b"\t1" * 51, {"max_numbers": 50}),
            (b"* VANISHED 1" + b",1" * 50, {"max_ranges": 50}),
            (b'* ESEARCH (TAG "a") ALL 1' + b",1" * 50, {"max_ranges": 50}),
            (b'* ESEARCH (TAG "a") PARTIAL (1:9 1' + b",1" * 50 + b")", {"max_ranges": 50}),
        ]
        for line, limits in refused:
            self.assertRaises(TheyBrokeProtocol, parse, [line], **limits)
            parse([line], **{name: limit * 20 for name, limit in limits.items()})
        self.assertEqual(parse([b"a1 NO " + b"x" * 300], max_text=100), Tagged(b"a1", "NO", None, "x" * 94))
        self.assertEqual(parse([b"* BYE " + b"x" * 300], max_text=100), Status("BYE", None, "x" * 94))
        many = b",".join(b"%d" % one for one in range(1, 999, 2))
        self.assertIsInstance(parse([b"* ESEARCH ALL " + many], max_text=100), ESearch)
        self.assertIsInstance(parse([b"* 1 FETCH (BODY (" + b'("a" "b")' * 30 + b"))"], max_words=100), Fetched)

    def test_trickle(self) -> None:
        """A long line, and a long literal, cost the same when they come in small portions."""
        for data in (b"* X " + b"a" * 2_000_000 + b"\r\n", b"* X {2000000}\r\n" + b"a" * 2_000_000 + b"\r\n"):
            splitter = Splitter()
            before = time.process_time()
            found = [one for at in range(0, len(data), 50) for one in splitter.feed(data[at : at + 50])]
            self.assertEqual(len(found), 1)
            self.assertLess(time.process_time() - before, 4)
