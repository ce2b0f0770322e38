"""SEARCH, as ranges where the server can say them (RFC 4731)."""

from __future__ import annotations

from collections.abc import Sequence

from emailengine.imap.commands.command import Command
from emailengine.wire.imap import search, write
from emailengine.wire.imap.responses import ESearch, Response, Search, Tagged
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import EMPTY, UidSet


class SearchUids(Command[UidSet]):
    """UID SEARCH by a criterion of `wire.imap.search`."""

    __slots__ = ("_criterion", "_esearch", "_found")
    word = "UID SEARCH"

    def __init__(self, criterion: Sequence[Piece], *, esearch: bool) -> None:
        self._criterion = criterion
        self._esearch = esearch
        self._found = EMPTY

    def line(self) -> Sequence[Piece]:
        words = b"UID SEARCH RETURN (ALL)" if self._esearch else b"UID SEARCH"
        charset = search.charset(self._criterion)
        return write.command(words, *([charset] if charset else []), self._criterion)

    def take(self, response: Response) -> bool:
        if isinstance(response, ESearch):
            found = response.all or EMPTY
        elif isinstance(response, Search):
            found = UidSet.of(response.uids)
        else:
            return False
        self._found = self._found | found
        return True

    def result(self, final: Tagged) -> UidSet:
        return self._found
