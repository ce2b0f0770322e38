"""The events of a mailbox, as they are handed over: what is known when the change is written. Pure.

An event's id is made with it and stored with it, never computed again. It holds the commit that the event belongs to,
and who made it: a folder that goes and comes back begins to count its commits anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from emailengine.accounts.folders import Folder
from emailengine.core.ids import event_id
from emailengine.model.event import EventName, Say
from emailengine.model.ids import pack_message
from emailengine.sync.diff import FlagChange


@frozen
class Teller:
    """
    Tells what happened in one folder of one account, in one commit.

    `origin` names the life of the account's actor, and which of its looks at folders this is. `date` is ISO 8601.
    """

    account: str
    generation: int
    origin: str
    folder: Folder
    number: int
    uidvalidity: int
    commit: int
    date: str

    def messages_new(self, uids: Iterable[int]) -> list[Say]:
        """Their content is read when they are announced."""
        return [self._message("messageNew", uid, {}) for uid in uids]

    def messages_gone(self, uids: Iterable[int]) -> list[Say]:
        return [
            self._message("messageDeleted", uid, {"id": pack_message(self.number, uid), "uid": uid}) for uid in uids
        ]

    def flags_changed(self, changes: Iterable[FlagChange]) -> list[Say]:
        says = []
        for one in changes:
            flags: dict[str, Any] = {}
            if one.added:
                flags["added"] = list(one.added)
            if one.deleted:
                flags["deleted"] = list(one.deleted)
            flags["value"] = list(one.value)
            data = {"id": pack_message(self.number, one.uid), "uid": one.uid, "changes": {"flags": flags}}
            says.append(self._message("messageUpdated", one.uid, data))
        return says

    def folder_new(self) -> Say:
        return self._folder("mailboxNew", {"uidValidity": str(self.uidvalidity)})

    def folder_reset(self, previous: int) -> Say:
        """The folder has another UIDVALIDITY than before: its messages were indexed anew, in silence."""
        told = {"uidValidity": str(self.uidvalidity), "reason": "uidValidityChange", "prevUidValidity": str(previous)}
        return self._folder("mailboxReset", told)

    def _message(self, event: EventName, uid: int, data: dict[str, Any]) -> Say:
        return Say(
            event_id=self._id(event, uid),
            event=event,
            date=self.date,
            generation=self.generation,
            path=self.folder.path,
            special_use=self.folder.special_use,
            folder=self.number,
            uid_validity=self.uidvalidity,
            uid=uid,
            data=data,
        )

    def _id(self, event: EventName, uid: int | None) -> str:
        facts = (self.origin, self.number, self.uidvalidity, self.commit, event, uid)
        return event_id(self.account, self.generation, *facts)

    def _folder(self, event: EventName, data: dict[str, Any]) -> Say:
        return Say(
            event_id=self._id(event, None),
            event=event,
            date=self.date,
            generation=self.generation,
            path=self.folder.path,
            special_use=self.folder.special_use,
            data=folder_data(self.folder) | data,
        )


def folder_data(folder: Folder) -> dict[str, Any]:
    """What every folder event tells of it."""
    name = folder.path.rsplit(folder.delimiter, 1)[-1] if folder.delimiter else folder.path
    return {"path": folder.path, "name": name, "specialUse": folder.special_use or False}
