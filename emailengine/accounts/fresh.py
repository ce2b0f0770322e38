"""New messages whose content was fetched along with the news of them, kept for the webhook that is about to go out.

Only a shortcut: what is not (or no longer) here is read from the server again. Small, and small for each account.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import define

from emailengine.accounts.shaping import Leaves
from emailengine.wire.imap.fetch import Fetched

MESSAGES = 64
OCTETS = 512 * 1024  # of one account, text counted as sent


@define
class FreshMessage:
    """What FETCH told of a message; `sections` holds its header and the parts of its text, as sent."""

    seen: Fetched
    leaves: Leaves
    sections: dict[str, bytes | None]

    @property
    def octets(self) -> int:
        return sum(len(data) for data in self.sections.values() if data)


class FreshMessages:
    """The newest messages of one account by folder number and UID; each is handed out once."""

    __slots__ = ("_held", "_octets")

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[int, int], FreshMessage] = OrderedDict()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def room(self) -> int:
        """How many octets still fit."""
        return OCTETS - self._octets

    def keep(self, folder: int, message: FreshMessage) -> None:
        """Keep a message; the oldest go when there is no room."""
        assert message.seen.uid is not None
        self.take(folder, message.seen.uid)
        self._held[folder, message.seen.uid] = message
        self._octets += message.octets
        while self._held and (len(self._held) > MESSAGES or self._octets > OCTETS):
            _, oldest = self._held.popitem(last=False)
            self._octets -= oldest.octets

    def take(self, folder: int, uid: int) -> FreshMessage | None:
        """The message, which is forgotten here."""
        found = self._held.pop((folder, uid), None)
        if found is not None:
            self._octets -= found.octets
        return found
