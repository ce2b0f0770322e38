"""A selected mailbox as one connection sees it: its sequence numbers, and what it was not told yet."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from tests.integration.imap.server.store import Mailbox, Message
from tests.integration.imap.server.syntax import told


def flags_of(message: Message) -> bytes:
    return b"FLAGS (" + " ".join(sorted(message.flags)).encode() + b")"


@define(eq=False)
class View:
    mailbox: Mailbox
    read_only: bool
    condstore: bool = False
    qresync: bool = False
    messages: list[Message] = field(factory=list)
    """In the order of the sequence numbers that the client knows."""
    known: dict[int, int] = field(factory=dict)
    """UID -> the mod-sequence that the client was told."""
    _seen: int = 0

    def __attrs_post_init__(self) -> None:
        self.messages = list(self.mailbox.messages)
        self.known = {one.uid: one.modseq for one in self.messages}
        self._seen = self.mailbox.modseq

    def numbers(self) -> range:
        return range(1, len(self.messages) + 1)

    def flags(self, seq: int, message: Message, *, uid: bool) -> bytes:
        """A FETCH response about flags; from now on the client knows them."""
        self.known[message.uid] = message.modseq
        parts = [b"UID %d" % message.uid] if uid or self.qresync else []
        parts.append(flags_of(message))
        if self.condstore:
            parts.append(b"MODSEQ (%d)" % message.modseq)
        return b"* %d FETCH (%s)" % (seq, b" ".join(parts))

    def news(self, *, expunges: bool) -> list[bytes]:
        """What the client has to be told; without `expunges` no sequence number may change (RFC 3501 7.4.1)."""
        if self._seen == self.mailbox.modseq:
            return []
        lines: list[bytes] = []
        behind = False
        gone = [(seq, one) for seq, one in enumerate(self.messages, 1) if one.gone]
        if gone and expunges:
            if self.qresync:
                lines.append(b"* VANISHED " + told(one.uid for _, one in gone))
            else:
                lines += [b"* %d EXPUNGE" % seq for seq, _ in reversed(gone)]
            self.messages = [one for one in self.messages if not one.gone]
        elif gone:
            behind = True
        for seq, one in enumerate(self.messages, 1):
            if not one.gone and self.known[one.uid] != one.modseq:
                lines.append(self.flags(seq, one, uid=False))
        last = max(self.known, default=0)
        fresh = [one for one in self.mailbox.messages if one.uid > last]
        if fresh:
            self.messages += fresh
            self.known.update({one.uid: one.modseq for one in fresh})
            lines.append(b"* %d EXISTS" % len(self.messages))
            lines.append(b"* 0 RECENT")
        if not behind:
            self._seen = self.mailbox.modseq
        return lines

    def since(self, modseq: int, uids: set[int] | None) -> list[bytes]:
        """QRESYNC: what vanished and what changed after a mod-sequence, among all or some UIDs."""
        vanished = {uid for at, uid in self.mailbox.vanished if at > modseq and (uids is None or uid in uids)}
        lines = [b"* VANISHED (EARLIER) " + told(vanished)] if vanished else []
        for seq, one in enumerate(self.messages, 1):
            if one.modseq > modseq and (uids is None or one.uid in uids):
                lines.append(self.flags(seq, one, uid=True))
        return lines

    def pick(self, named: set[int], *, uid: bool) -> list[tuple[int, Message]]:
        """The messages of a set of numbers or UIDs, with their numbers."""
        return [(seq, one) for seq, one in enumerate(self.messages, 1) if (one.uid if uid else seq) in named]


def messages_of(picked: Sequence[tuple[int, Message]]) -> list[Message]:
    return [one for _, one in picked]
