"""Packed index rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.sync.rows import FlagTable, UnknownFormat, block_of, decode_block, encode_block, flag_set

FLAGS = st.lists(st.sampled_from(["\\Seen", "\\Flagged", "\\Answered", "$Junk", "x"]), max_size=3).map(flag_set)


class BlockTests(SynchronousTestCase):
    @given(st.integers(0, (1 << 24) - 1), st.dictionaries(st.integers(0, 255), FLAGS))
    def test_round_trip(self, block: int, offsets: dict[int, tuple[str, ...]]) -> None:
        """What was packed is read back, whatever the UIDs and flags."""
        rows = {(block << 8) + offset: flags for offset, flags in offsets.items()}
        table = FlagTable()
        packed = encode_block(block, rows, table)
        self.assertEqual(decode_block(block, packed, FlagTable(list(table.sets))), rows)

    def test_run(self) -> None:
        """A full block of equal flags takes five bytes."""
        rows = dict.fromkeys(range(256, 512), ("\\Seen",))
        self.assertEqual(len(encode_block(1, rows, FlagTable())), 5)

    def test_alternating(self) -> None:
        """A block whose flags change with every message takes two bytes a message, and one for the version."""
        rows = {uid: (("\\Seen",) if uid % 2 else ()) for uid in range(256, 512)}
        self.assertEqual(len(encode_block(1, rows, FlagTable())), 1 + 2 * 256)

    def test_nothing(self) -> None:
        """No rows are no bytes, so that the field can be deleted."""
        self.assertEqual(encode_block(7, {}, FlagTable()), b"")
        self.assertEqual(decode_block(7, b"", FlagTable()), {})

    def test_other_version(self) -> None:
        """A block of another version is refused, never guessed at."""
        self.assertRaises(UnknownFormat, decode_block, 0, b"\x02\x00\x00", FlagTable([()]))

    @given(st.binary(max_size=40))
    def test_damaged(self, packed: bytes) -> None:
        """Any bytes give rows of this block or UnknownFormat."""
        try:
            rows = decode_block(3, b"\x01" + packed, FlagTable([(), ("\\Seen",)]))
        except UnknownFormat:
            return
        self.assertTrue(all(block_of(uid) == 3 for uid in rows))
