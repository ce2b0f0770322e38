"""STORE and EXPUNGE: flags set and messages removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from emailengine.imap.commands.command import Plain
from emailengine.wire.imap import write
from emailengine.wire.imap.tokens import Piece


class StoreFlags(Plain):
    """UID STORE. The new flags come back as news, like those that others change."""

    __slots__ = ("_flags", "_mode", "_numbers")
    word = "UID STORE"

    def __init__(self, numbers: str, mode: Literal["", "+", "-"], flags: Sequence[str]) -> None:
        self._numbers = numbers
        self._mode = mode
        self._flags = flags

    def line(self) -> Sequence[Piece]:
        word = f"{self._mode}FLAGS".encode("ascii")
        return write.command(b"UID STORE", write.sequence(self._numbers), word, write.flag_list(self._flags))


class ExpungeUids(Plain):
    r"""UID EXPUNGE of messages that are marked `\Deleted` (RFC 4315)."""

    __slots__ = ("_numbers",)
    word = "UID EXPUNGE"

    def __init__(self, numbers: str) -> None:
        self._numbers = numbers

    def line(self) -> Sequence[Piece]:
        return write.command(b"UID EXPUNGE", write.sequence(self._numbers))


class ExpungeAll(Plain):
    r"""EXPUNGE of everything that is marked `\Deleted`."""

    __slots__ = ()
    word = "EXPUNGE"

    def line(self) -> Sequence[Piece]:
        return [b"EXPUNGE"]
