"""APPEND: a message into a folder."""

from __future__ import annotations

from collections.abc import Sequence

from emailengine.imap.commands.command import Command
from emailengine.imap.target import Appended
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import Tagged
from emailengine.wire.imap.tokens import Literal, Piece


class Append(Command[Appended]):
    """
    APPEND. The value tells where the message is, where the server does (RFC 4315).

    `utf8`: names are UTF-8. `utf8_headers`: after ENABLE UTF8=ACCEPT a message with 8-bit headers goes in the form that
    was made for it (RFC 6855 4). `binary`: one that holds NUL goes as octets of any kind (RFC 3516 4.4).
    """

    __slots__ = ("_binary", "_data", "_date", "_flags", "_path", "_utf8", "_utf8_headers")
    word = "APPEND"

    def __init__(
        self,
        path: str,
        data: bytes,
        flags: Sequence[str],
        internal_date: float | None,
        *,
        utf8: bool = False,
        utf8_headers: bool = False,
        binary: bool = False,
    ) -> None:
        self._path = path
        self._data = data
        self._flags = flags
        self._date = internal_date
        self._utf8 = utf8
        self._utf8_headers = utf8_headers
        self._binary = binary

    def line(self) -> Sequence[Piece]:
        parts: list[Piece] = [b"APPEND", write.mailbox(self._path, utf8=self._utf8)]
        if self._flags:
            parts.append(write.flag_list(self._flags))
        if self._date is not None:
            parts.append(write.date_time(self._date))
        if self._utf8_headers or self._binary:
            return write.command(*parts, write.message(self._data, utf8=self._utf8_headers))
        return write.command(*parts, Literal(self._data))

    def result(self, final: Tagged) -> Appended:
        told = final.code.append_uid if final.code is not None else None
        if told is None:
            return Appended(self._path, None, None)
        return Appended(self._path, told[0], told[1].first)
