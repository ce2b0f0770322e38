"""What the fuzzer found worth keeping, and every transcript, read once more."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.reading import check
from tests.wire.imap.transcripts import NAMES, rows

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
ROWS = [octets for name in NAMES for octets, _ in rows(name)]


class CorpusTests(SynchronousTestCase):
    def test_corpus(self) -> None:
        """Every file of the corpus is borne, and there is a corpus of bounded size."""
        self.assertTrue(50 < len(CORPUS) < 300)
        self.assertLess(sum(one.stat().st_size for one in CORPUS), 500_000)
        for one in CORPUS:
            check(one.read_bytes())

    def test_transcripts(self) -> None:
        """So is every response of the transcripts."""
        for octets in ROWS:
            check(octets)

    @given(st.sampled_from(ROWS), st.sampled_from(ROWS), st.integers(0, 400), st.integers(0, 400))
    def test_crossed(self, one: bytes, other: bytes, place: int, start: int) -> None:
        """And the beginning of one followed by the end of another."""
        check(one[:place] + other[start:])
