"""CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE: folders made, named and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from emailengine.imap.commands.command import Command, Plain
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import ListEntry, Response, Tagged
from emailengine.wire.imap.tokens import Piece


class _OneFolder(Plain):
    __slots__ = ("_path", "_utf8")
    word: ClassVar[str]

    def __init__(self, path: str, *, utf8: bool = False) -> None:
        self._path = path
        self._utf8 = utf8

    def line(self) -> Sequence[Piece]:
        return write.command(self.word.encode("ascii"), write.mailbox(self._path, utf8=self._utf8))


class Create(Command["str | None"]):
    """CREATE; the value is the new folder's MAILBOXID where the server tells it (RFC 8474 4.1)."""

    __slots__ = ("_path", "_utf8")
    word = "CREATE"

    def __init__(self, path: str, *, utf8: bool = False) -> None:
        self._path = path
        self._utf8 = utf8

    def line(self) -> Sequence[Piece]:
        return write.command(b"CREATE", write.mailbox(self._path, utf8=self._utf8))

    def take(self, response: Response) -> bool:
        return isinstance(response, ListEntry)  # RFC 9051 6.3.4: the name as the server keeps it

    def result(self, final: Tagged) -> str | None:
        code = final.code
        return code.text if code is not None and code.name == "MAILBOXID" else None


class Delete(_OneFolder):
    """DELETE of a folder and of all that is in it."""

    __slots__ = ()
    word = "DELETE"


class Subscribe(_OneFolder):
    __slots__ = ()
    word = "SUBSCRIBE"


class Unsubscribe(_OneFolder):
    __slots__ = ()
    word = "UNSUBSCRIBE"


class Rename(Plain):
    """RENAME of a folder, with those below it."""

    __slots__ = ("_new", "_old", "_utf8")
    word = "RENAME"

    def __init__(self, old: str, new: str, *, utf8: bool = False) -> None:
        self._old = old
        self._new = new
        self._utf8 = utf8

    def line(self) -> Sequence[Piece]:
        return write.command(
            b"RENAME", write.mailbox(self._old, utf8=self._utf8), write.mailbox(self._new, utf8=self._utf8)
        )

    def take(self, response: Response) -> bool:
        return isinstance(response, ListEntry)  # RFC 9051 6.3.6: with OLDNAME
