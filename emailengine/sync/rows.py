"""What the index keeps of a message: its UID and its flags, 256 UIDs to a block.

A block starts with the format's version byte (1). Then come runs of neighbouring UIDs with the same flags, in order:

    head    varint: the gap to the UID after the previous run (at first: to the block's first UID), doubled, plus one if
            more than one message follows
    length  varint, only then: messages in the run, minus two
    flags   varint: the id of the flag set in the folder's table

One message alone takes two bytes, a run of equal ones three. Varints have seven bits a byte, lowest first, the high bit
set on all but the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field

BLOCK = 256
VERSION = 1

Flags = tuple[str, ...]
"""A flag set: sorted, without \\Recent."""


class UnknownFormat(ValueError):
    """A stored block is of a version that this code does not know, or damaged."""


def block_of(uid: int) -> int:
    """The number of the block that a UID lies in."""
    return uid >> 8


def flag_set(flags: Iterable[str]) -> Flags:
    """Flags in the form that is stored and compared. \\Recent belongs to the session and is left out."""
    return tuple(sorted({flag for flag in flags if flag != "\\Recent"}))


@define
class FlagTable:
    """The flag sets of a folder by id. Ids are given in order and never taken back."""

    sets: list[Flags] = field(factory=list)
    _ids: dict[Flags, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ids = {one: number for number, one in enumerate(self.sets)}

    def id_of(self, flags: Flags) -> int:
        """The id of a flag set, a new one if it was not seen yet."""
        known = self._ids.get(flags)
        if known is None:
            known = self._ids[flags] = len(self.sets)
            self.sets.append(flags)
        return known


def encode_block(block: int, rows: Mapping[int, Flags], table: FlagTable) -> bytes:
    """Pack the rows (UID -> flags) of one block; no rows give no bytes."""
    if not rows:
        return b""
    out = bytearray((VERSION,))
    following = block << 8
    run_start = run_length = run_flags = -1
    for uid in sorted(rows):
        flags = table.id_of(rows[uid])
        if run_length > 0 and uid == run_start + run_length and flags == run_flags:
            run_length += 1
            continue
        if run_length > 0:
            _put_run(out, run_start - following, run_length, run_flags)
            following = run_start + run_length
        run_start, run_length, run_flags = uid, 1, flags
    _put_run(out, run_start - following, run_length, run_flags)
    return bytes(out)


def _put_run(out: bytearray, gap: int, length: int, flags: int) -> None:
    _put(out, gap << 1 | (length > 1))
    if length > 1:
        _put(out, length - 2)
    _put(out, flags)


def _put(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def decode_block(block: int, packed: bytes, table: FlagTable) -> dict[int, Flags]:
    """The rows of one block, UID -> flags, in order. `UnknownFormat` for what `encode_block` did not make."""
    if not packed:
        return {}
    if packed[0] != VERSION:
        raise UnknownFormat(f"index block of version {packed[0]}, this program reads {VERSION}")
    rows: dict[int, Flags] = {}
    uid = block << 8
    end = uid + BLOCK
    sets = table.sets
    try:
        at = 1
        while at < len(packed):
            head, at = _get(packed, at)
            length = 1
            if head & 1:
                length, at = _get(packed, at)
                length += 2
            flags, at = _get(packed, at)
            uid += head >> 1
            if uid + length > end:
                raise UnknownFormat("an index block holds UIDs of another")
            one = sets[flags]
            for member in range(uid, uid + length):
                rows[member] = one
            uid += length
    except IndexError:
        raise UnknownFormat("an index block is damaged") from None
    return rows


def _get(packed: bytes, at: int) -> tuple[int, int]:
    byte = packed[at]
    if byte < 128:
        return byte, at + 1
    number, shift = byte & 127, 7
    while True:
        at += 1
        byte = packed[at]
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at + 1
        shift += 7
