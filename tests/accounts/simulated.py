"""A mailbox in memory and a session with it: the part of `imap.session.Session` that a pass over a folder uses.

`tests/integration/accounts/test_simulated.py` holds it against a real server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from attrs import define, field

from emailengine.errors import ConnectionLost, ServerRefused
from emailengine.imap.session import Selected
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import UidSet


@define
class Message:
    flags: tuple[str, ...]
    arrived: float
    modseq: int


@define
class Mailbox:
    """What the server holds. `condstore` False: it does not tell MODSEQ."""

    uidvalidity: int = 7
    uidnext: int = 1
    modseq: int = 1
    condstore: bool = True
    messages: dict[int, Message] = field(factory=dict)

    def deliver(self, arrived: float, flags: tuple[str, ...] = (), *, gap: int = 0) -> int:
        uid = self.uidnext + gap
        self.uidnext = uid + 1
        self.modseq += 1
        self.messages[uid] = Message(flags, arrived, self.modseq)
        return uid

    def set_flags(self, uid: int, flags: tuple[str, ...]) -> None:
        self.modseq += 1
        self.messages[uid] = Message(flags, self.messages[uid].arrived, self.modseq)

    def expunge(self, uid: int) -> None:
        self.modseq += 1
        del self.messages[uid]

    def replace(self) -> None:
        """Another mailbox under the same name, with the same messages under new UIDs."""
        old = [self.messages[uid] for uid in sorted(self.messages)]
        self.uidvalidity += 1
        self.uidnext = 1
        self.messages = {}
        for one in old:
            self.deliver(one.arrived, one.flags)


class Session:
    """A session with the mailbox `INBOX`. `fuse`: calls that still work before the connection is lost."""

    capabilities = frozenset({"IDLE", "CONDSTORE", "ESEARCH"})

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.selected: Selected | None = None
        self.fuse: int | None = None
        self.unreadable: set[int] = set()  # UIDs of messages whose content the server cannot show
        self.broken: dict[int, Exception] = {}  # what a command ends with that asks for that message at all
        self.closed: Exception | None = None  # why the folder does not open
        self.calls: list[str] = []

    def check(self) -> None:
        """It lives."""

    def hear(self) -> None:
        """Take over how many messages there are, as EXISTS and EXPUNGE would tell."""
        if self.selected is not None:
            self.selected.exists = len(self.mailbox.messages)

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise ConnectionLost("cut")

    async def select(self, path: str, *, read_only: bool = False) -> Selected:
        self._called("select")
        if self.closed is not None:
            self.selected = None
            raise self.closed
        box = self.mailbox
        self.selected = Selected(
            path=path,
            uidvalidity=box.uidvalidity,
            exists=len(box.messages),
            uidnext=box.uidnext,
            modseq=box.modseq if box.condstore else None,
            read_only=read_only,
            permanent_flags=None,
        )
        return self.selected

    async def search(self, criterion: Sequence[Piece]) -> UidSet:
        self._called("search")
        text = b"".join(piece for piece in criterion if isinstance(piece, bytes)).decode()
        found = UidSet.of(self.mailbox.messages)
        uids = re.search(r"UID ([0-9:,]+)", text)
        if uids is not None:
            found = found & UidSet.parse(uids[1])
        since = re.search(r"SINCE (\S+)", text)
        if since is not None:
            day = datetime.strptime(since[1], "%d-%b-%Y").replace(tzinfo=UTC).timestamp()
            found = UidSet.of(uid for uid in found if self.mailbox.messages[uid].arrived >= day)
        return found

    async def fetch(self, uids: UidSet, items: Sequence[str], *, changed_since: int | None = None) -> list[Fetched]:
        self._called("fetch")
        if "ENVELOPE" in items and any(uid in uids for uid in self.unreadable):
            raise ServerRefused("NO", "SERVERBUG", "cannot read it")
        self._break(uid for uid in self.mailbox.messages if uid in uids)
        return [
            self._row(seq, uid, items)
            for seq, uid in enumerate(sorted(self.mailbox.messages), 1)
            if uid in uids and (changed_since is None or self.mailbox.messages[uid].modseq > changed_since)
        ]

    async def fetch_sequence(self, numbers: str, items: Sequence[str]) -> list[Fetched]:
        self._called("fetch_sequence")
        rows = list(enumerate(sorted(self.mailbox.messages), 1))
        if numbers == "*":
            wanted = UidSet.of([len(rows)] if rows else [])
        else:
            wanted = UidSet.parse(numbers)
        self._break(uid for seq, uid in rows if seq in wanted)
        return [self._row(seq, uid, items) for seq, uid in rows if seq in wanted]

    def _break(self, uids: Iterable[int]) -> None:
        for uid in uids:
            if uid in self.broken:
                raise self.broken[uid]

    def _row(self, seq: int, uid: int, items: Sequence[str]) -> Fetched:
        one = self.mailbox.messages[uid]
        return Fetched(
            seq,
            uid=uid,
            flags=one.flags if "FLAGS" in items else None,
            modseq=one.modseq if self.mailbox.condstore else None,
            internal_date=one.arrived if "INTERNALDATE" in items else None,
        )
