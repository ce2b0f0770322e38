"""COPY and MOVE (RFC 6851): messages into another folder, and which UIDs they have there (RFC 4315)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from attrs import field, frozen

from emailengine.imap.commands.command import Command
from emailengine.wire.imap import write
from emailengine.wire.imap.codes import Code
from emailengine.wire.imap.responses import Response, Status, Tagged
from emailengine.wire.imap.tokens import Piece


@frozen
class Moved:
    """
    Where messages are now: the target's UIDVALIDITY, and the new UID of each by its old one.

    `uidvalidity` is None where the server did not say; messages that were not there are missing in `uids`.
    """

    uidvalidity: int | None = None
    uids: Mapping[int, int] = field(factory=dict)


class CopyUids(Command[Moved]):
    """UID COPY. COPYUID comes with the tagged OK, or in an untagged one."""

    __slots__ = ("_codes", "_numbers", "_path", "_utf8")
    word: ClassVar[str] = "UID COPY"

    def __init__(self, numbers: str, path: str, *, utf8: bool = False) -> None:
        self._numbers = numbers
        self._path = path
        self._utf8 = utf8
        self._codes: list[Code] = []

    def line(self) -> Sequence[Piece]:
        mailbox = write.mailbox(self._path, utf8=self._utf8)
        return write.command(self.word.encode("ascii"), write.sequence(self._numbers), mailbox)

    def take(self, response: Response) -> bool:
        if not isinstance(response, Status) or response.code is None or response.code.name != "COPYUID":
            return False
        self._codes.append(response.code)
        return True

    def result(self, final: Tagged) -> Moved:
        codes = self._codes if final.code is None else [*self._codes, final.code]
        told = [one.copy_uid for one in codes]
        return joined([Moved(one[0], dict(one[1])) for one in told if one is not None])


class MoveUids(CopyUids):
    """UID MOVE. What leaves the folder is news, EXPUNGE or VANISHED."""

    __slots__ = ()
    word = "UID MOVE"


def joined(parts: Iterable[Moved]) -> Moved:
    """What several answers tell of one target."""
    validity: int | None = None
    uids: dict[int, int] = {}
    for one in parts:
        if validity is not None and one.uidvalidity not in (None, validity):
            uids = {}  # the target was made anew meanwhile: what was told before names nothing
        validity = validity if one.uidvalidity is None else one.uidvalidity
        uids.update(one.uids)
    return Moved(validity, uids)
