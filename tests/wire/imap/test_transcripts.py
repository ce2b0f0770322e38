"""What servers of all kinds say, read as whole conversations: see tests/transcripts."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap.responses import parse
from emailengine.wire.imap.splitter import Splitter
from emailengine.wire.imap.tokens import Piece
from tests.wire.imap.transcripts import NAMES, rows, said_by_server, told


def in_cuts(data: bytes, cuts: Iterable[int]) -> list[list[Piece]]:
    """What the splitter makes of the octets when they come in these portions."""
    splitter = Splitter()
    found: list[list[Piece]] = []
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        found += splitter.feed(data[start:cut])
        start = max(start, cut)
    return found


def meaning(pieces: list[Piece]) -> str:
    try:
        return told(parse(pieces))
    except TheyBrokeProtocol as fault:
        return f"! {fault.what}"


class TranscriptTests(SynchronousTestCase):
    maxDiff = None

    def test_meaning(self) -> None:
        """Each response means what is written below it; what cannot be read leaves the next readable."""
        self.assertIn("oddities", NAMES)
        for name in NAMES:
            for octets, expected in rows(name):
                found = [meaning(pieces) for pieces in in_cuts(octets, [])]
                self.assertEqual(found, [expected], octets)

    def test_octet_by_octet(self) -> None:
        """A conversation that trickles in is the same conversation."""
        for name in NAMES:
            data = said_by_server(name)
            self.assertEqual(in_cuts(data, range(len(data))), in_cuts(data, []))
            self.assertEqual([meaning(one) for one in in_cuts(data, [])], [expected for _, expected in rows(name)])

    def test_bare_line_feeds(self) -> None:
        """A server that ends its lines with a bare LF says the same; literals aside, which count their octets."""
        for name in NAMES:
            plain = [(octets, expected) for octets, expected in rows(name) if octets.count(b"\n") == 1]
            data = b"".join([octets.replace(b"\r\n", b"\n") for octets, _ in plain])
            self.assertEqual([meaning(one) for one in in_cuts(data, [])], [expected for _, expected in plain])

    @given(st.sampled_from(NAMES), st.lists(st.integers(0, 4000), max_size=12))
    def test_any_cut(self, name: str, cuts: list[int]) -> None:
        """Cutting it anywhere changes nothing."""
        data = said_by_server(name)
        self.assertEqual(in_cuts(data, [one % len(data) for one in cuts]), in_cuts(data, []))
