"""GETQUOTAROOT: how much of its storage a mailbox uses (RFC 9208)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from emailengine.imap.commands.command import Command
from emailengine.wire.imap import write
from emailengine.wire.imap.responses import Quota, QuotaRoot, Response, Tagged
from emailengine.wire.imap.tokens import Piece

_UNIT = 1024  # RFC 9208 5.1: STORAGE counts in units of 1024 octets


@frozen
class Storage:
    """Octets in use, and how many there may be."""

    used: int
    limit: int


class GetQuotaRoot(Command[Storage | None]):
    """The storage of the root that a folder counts against; None where none is limited."""

    __slots__ = ("_path", "_quotas", "_utf8")
    word = "GETQUOTAROOT"

    def __init__(self, path: str, *, utf8: bool = False) -> None:
        self._path = path
        self._utf8 = utf8
        self._quotas: list[Quota] = []

    def line(self) -> Sequence[Piece]:
        return write.command(b"GETQUOTAROOT", write.mailbox(self._path, utf8=self._utf8))

    def take(self, response: Response) -> bool:
        if isinstance(response, Quota):
            self._quotas.append(response)
            return True
        return isinstance(response, QuotaRoot)

    def result(self, final: Tagged) -> Storage | None:
        for quota in self._quotas:
            if "STORAGE" in quota.resources:
                used, limit = quota.resources["STORAGE"]
                return Storage(used * _UNIT, limit * _UNIT)
        return None
