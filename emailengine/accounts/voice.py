"""The events of an account itself: what it says when its state changes."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from emailengine.accounts.folders import Folder
from emailengine.accounts.says import folder_data
from emailengine.core.clock import wall
from emailengine.core.ids import event_id
from emailengine.model.dates import iso
from emailengine.model.event import EventName, Say


@define(eq=False)
class Voice:
    """Makes the events of one account, in one life of its actor: `owner` is the number under which that writes."""

    account: str
    generation: int
    owner: int = 0
    _count: int = field(default=0, init=False)

    def event(self, event: EventName, data: dict[str, Any]) -> Say:
        """An event that is another each time it happens."""
        return self.once(event, data, self.origin())

    def once(self, event: EventName, data: dict[str, Any], occasion: str) -> Say:
        """An event that is the same each time it is told of the same occasion."""
        return Say(
            event_id=event_id(self.account, self.generation, event, occasion),
            event=event,
            date=iso(wall()),
            generation=self.generation,
            data=data,
        )

    def folder_gone(self, folder: Folder) -> Say:
        """A folder is no longer listed."""
        return Say(
            event_id=event_id(self.account, self.generation, "mailboxDeleted", folder.path, self.origin()),
            event="mailboxDeleted",
            date=iso(wall()),
            generation=self.generation,
            path=folder.path,
            special_use=folder.special_use,
            data=folder_data(folder),
        )

    def origin(self) -> str:
        """A name that this account never gave before."""
        self._count += 1
        return f"{self.owner}.{self._count}"
