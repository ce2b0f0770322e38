"""LIST in all its forms, LSUB and STATUS: which folders there are, and what is in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

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
    LIST of everything.

    `extended` asks for subscriptions and special uses in the same command (RFC 5258, RFC 6154) and, with `status`, for
    the folders' numbers (RFC 5819). `xlist` is what Gmail had before that.
    """

    __slots__ = ("_capabilities", "_extended", "_found", "_numbers", "_status", "_xlist")
    word = "LIST"
    together = True

    def __init__(
        self, *, capabilities: Collection[str], extended: bool, status: Sequence[str], xlist: bool = False
    ) -> None:
        self._capabilities = capabilities
        self._extended = extended
        self._status = status
        self._xlist = xlist
        self._found: dict[bytes, ListEntry] = {}
        self._numbers: dict[bytes, StatusData] = {}

    def line(self) -> Sequence[Piece]:
        if not self._extended:
            return [b'XLIST "" "*"' if self._xlist else b'LIST "" "*"']
        options = ["SUBSCRIBED"]
        if "SPECIAL-USE" in self._capabilities:
            options.append("SPECIAL-USE")
        if "CHILDREN" in self._capabilities:
            options.append("CHILDREN")
        if self._status and "LIST-STATUS" in self._capabilities:
            options.append(f"STATUS {write.items(self._status).decode('ascii')}")
        return [f'LIST "" "*" RETURN ({" ".join(options)})'.encode("ascii")]

    def take(self, response: Response) -> bool:
        if isinstance(response, ListEntry) and response.kind != "LSUB":
            name = key(response.raw)
            known = self._found.get(name)
            if known is not None:
                response = attrs.evolve(response, flags=response.flags | known.flags)
            self._found[name] = response
            return True
        if isinstance(response, StatusData) and self._extended and self._status:
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
    """LSUB: the raw names of the subscribed folders."""

    __slots__ = ("_found",)
    word = "LSUB"
    together = True

    def __init__(self) -> None:
        self._found: set[bytes] = set()

    def line(self) -> Sequence[Piece]:
        return [b'LSUB "" "*"']

    def take(self, response: Response) -> bool:
        if not isinstance(response, ListEntry) or response.kind != "LSUB":
            return False
        if "\\Noselect" not in response.flags:  # RFC 3501 6.3.9: then only a child of it is subscribed
            self._found.add(key(response.raw))
        return True

    def result(self, final: Tagged) -> frozenset[bytes]:
        return frozenset(self._found)


class FolderStatus(Command["dict[str, int]"]):
    """STATUS of one folder: numbers by upper-case name."""

    __slots__ = ("_items", "_mailbox", "_values")
    word = "STATUS"

    def __init__(self, path: str, items: Sequence[str]) -> None:
        self._mailbox = write.mailbox(path)
        self._items = items
        self._values: dict[str, int] = {}

    def line(self) -> Sequence[Piece]:
        return write.command(b"STATUS", self._mailbox, write.items(self._items))

    def take(self, response: Response) -> bool:
        # whatever spelling of the name the server answers with: no other STATUS is asked for meanwhile
        if not isinstance(response, StatusData):
            return False
        self._values.update({name: value for name, value in response.values.items() if isinstance(value, int)})
        return True

    def result(self, final: Tagged) -> dict[str, int]:
        return self._values
