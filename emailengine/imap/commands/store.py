"""STORE and EXPUNGE: flags and labels set, and messages removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from emailengine.errors import Meaning, ServerRefused
from emailengine.imap.commands.command import Plain
from emailengine.wire.imap import write
from emailengine.wire.imap.tokens import Piece


def gone(error: ServerRefused) -> bool:
    """Whether a command was only refused because some of its messages are not there any more (RFC 2180 4.1)."""
    return error.server_status == "NO" and error.meaning is Meaning.GONE


class StoreFlags(Plain):
    """
    UID STORE. The new flags come back as news, like those that others change.

    `silent` asks the server not to tell them.
    """

    __slots__ = ("_flags", "_mode", "_numbers", "_silent")
    word = "UID STORE"

    def __init__(
        self, numbers: str, mode: Literal["", "+", "-"], flags: Sequence[str], *, silent: bool = False
    ) -> None:
        self._numbers = numbers
        self._mode = mode
        self._flags = flags
        self._silent = silent

    def line(self) -> Sequence[Piece]:
        word = f"{self._mode}FLAGS{'.SILENT' if self._silent else ''}".encode("ascii")
        return write.command(b"UID STORE", write.sequence(self._numbers), word, write.flag_list(self._flags))


class MarkAgain(StoreFlags):
    r"""UID STORE that gives messages their `\Deleted` back, sent right behind EXPUNGE, not after its answer."""

    __slots__ = ()
    together = True

    def __init__(self, numbers: str) -> None:
        super().__init__(numbers, "+", ["\\Deleted"], silent=True)


class StoreLabels(Plain):
    r"""UID STORE of Gmail's labels: system ones (`\Inbox`), and users', which are named like mailboxes."""

    __slots__ = ("_labels", "_mode", "_numbers", "_utf8")
    word = "UID STORE"

    def __init__(self, numbers: str, mode: Literal["", "+", "-"], labels: Sequence[str], *, utf8: bool = False) -> None:
        self._numbers = numbers
        self._mode = mode
        self._labels = labels
        self._utf8 = utf8

    def line(self) -> Sequence[Piece]:
        labels = write.label_list(self._labels, utf8=self._utf8)
        word = f"{self._mode}X-GM-LABELS".encode("ascii")
        return write.command(b"UID STORE", write.sequence(self._numbers), word, labels)


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
    together = True  # with MarkAgain

    def line(self) -> Sequence[Piece]:
        return [b"EXPUNGE"]
