"""APPEND: a message into a folder."""

from __future__ import annotations

from collections.abc import Sequence

from emailengine.imap.commands.command import Command
from emailengine.imap.target import Appended
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import Tagged
from emailengine.wire.imap.tokens import Literal, Piece


class Append(Command[Appended]):
    __slots__ = ("_data", "_date", "_flags", "_path")
    word = "APPEND"

    def __init__(self, path: str, data: bytes, flags: Sequence[str], internal_date: float | None) -> None:
        self._path = path
        self._data = data
        self._flags = flags
        self._date = internal_date

    def line(self) -> Sequence[Piece]:
        parts: list[Piece] = [b"APPEND", write.mailbox(self._path)]
        if self._flags:
            parts.append(write.flag_list(self._flags))
        if self._date is not None:
            parts.append(write.date_time(self._date))
        return write.command(*parts, Literal(self._data))

    def result(self, final: Tagged) -> Appended:
        told = final.code.append_uid if final.code is not None else None
        if told is None:
            return Appended(self._path, None, None)
        return Appended(self._path, told[0], told[1].first)
