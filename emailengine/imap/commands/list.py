"""LIST in all its forms, LSUB and STATUS: which folders there are, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from emailengine.imap.commands.command import Command
from emailengine.imap.target import ListedFolder
from emailengine.wire.imap import write
from emailengine.wire.imap.mailboxes import ListEntry, StatusData
from emailengine.wire.imap.responses import Response, Tagged
from emailengine.wire.imap.tokens import Piece

_SUBSCRIBED = "\\Subscribed"


def key(raw: bytes) -> bytes:
    """What makes a folder's raw name comparable: INBOX is INBOX in any case (RFC 9051 5.1)."""
    return b"INBOX" if raw.upper() == b"INBOX" else raw


class ListFolders(Command["list[ListedFolder]"]):
    """
    LIST of all that a pattern fits.

    `options` are what RETURN asks for (RFC 5258, RFC 6154), `status` are numbers that shall come along (RFC 5819);
    where both are empty it is the LIST that every server knows. `xlist` is what Gmail had before all that.
    """

    __slots__ = ("_found", "_numbers", "_options", "_pattern", "_status", "_utf8", "_xlist")
    word = "LIST"
    together = True

    def __init__(
        self,
        *,
        pattern: bytes = b"*",
        options: Sequence[str] = (),
        status: Sequence[str] = (),
        xlist: bool = False,
        utf8: bool = False,
    ) -> None:
        self._pattern = pattern
        self._options = options
        self._status = status
        self._xlist = xlist
        self._utf8 = utf8
        self._found: dict[bytes, ListEntry] = {}
        self._numbers: dict[bytes, StatusData] = {}

    def line(self) -> Sequence[Piece]:
        words: list[Piece] = [
            b"XLIST" if self._xlist else b"LIST",
            b'""',
            write.mailbox(self._pattern, utf8=self._utf8),
        ]
        options = list(self._options)
        if self._status:
            options.append(f"STATUS {write.items(self._status).decode('ascii')}")
        if options:
            words.append(f"RETURN ({' '.join(options)})".encode("ascii"))
        return write.command(*words)

    def take(self, response: Response) -> bool:
        if isinstance(response, ListEntry) and response.kind != "LSUB":
            if self._xlist and "\\Inbox" in response.flags:  # named in the user's language
                response = attrs.evolve(response, raw=b"INBOX", name="INBOX")
            name = key(response.raw)
            known = self._found.get(name)
            if known is not None:
                response = attrs.evolve(response, flags=response.flags | known.flags)
            self._found[name] = response
            return True
        if isinstance(response, StatusData) and self._status:
            self._numbers[key(response.raw)] = response
            return True
        return False

    def result(self, final: Tagged) -> list[ListedFolder]:
        listed = []
        for name, entry in self._found.items():
            numbers = self._numbers.get(name)
            listed.append(ListedFolder(entry, _SUBSCRIBED in entry.flags, numbers.values if numbers else None))
        return listed


class ListSubscribed(Command["frozenset[bytes]"]):
    """LSUB: the raw names of the subscribed folders that a pattern fits."""

    __slots__ = ("_found", "_pattern", "_utf8")
    word = "LSUB"
    together = True

    def __init__(self, *, pattern: bytes = b"*", utf8: bool = False) -> None:
        self._pattern = pattern
        self._utf8 = utf8
        self._found: set[bytes] = set()

    def line(self) -> Sequence[Piece]:
        return write.command(b"LSUB", b'""', write.mailbox(self._pattern, utf8=self._utf8))

    def take(self, response: Response) -> bool:
        if not isinstance(response, ListEntry) or response.kind != "LSUB":
            return False
        if "\\Noselect" not in response.flags:  # RFC 3501 6.3.9: then only a child of it is subscribed
            self._found.add(key(response.raw))
        return True

    def result(self, final: Tagged) -> frozenset[bytes]:
        return frozenset(self._found)


class FolderStatus(Command["dict[str, int | str]"]):
    """STATUS of one folder: values by upper-case name."""

    __slots__ = ("_items", "_path", "_utf8", "_values")
    word = "STATUS"

    def __init__(self, path: str, items: Sequence[str], *, utf8: bool = False) -> None:
        self._path = path
        self._items = items
        self._utf8 = utf8
        self._values: dict[str, int | str] = {}

    def line(self) -> Sequence[Piece]:
        return write.command(b"STATUS", write.mailbox(self._path, utf8=self._utf8), write.items(self._items))

    def take(self, response: Response) -> bool:
        # whatever spelling of the name the server answers with: no other STATUS is asked for meanwhile
        if not isinstance(response, StatusData):
            return False
        self._values.update(response.values)
        return True

    def result(self, final: Tagged) -> dict[str, int | str]:
        return self._values
