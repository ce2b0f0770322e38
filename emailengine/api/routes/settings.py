"""Routes of the settings that can be changed while the daemon runs."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from emailengine.api.routing import Call, Grant, Nothing, Route
from emailengine.api.seams import SettingsStore
from emailengine.model.event import EVENTS
from emailengine.model.settings import (
    KEYS,
    MASKED,
    Settings,
    SettingsAnswer,
    SettingsQuery,
    SettingsUpdated,
    asked,
    changes,
    shown,
)

_AREA = "Settings"


@frozen
class SettingsRoutes:
    settings: SettingsStore

    def table(self) -> list[Route[Any, Any, Any]]:
        return [
            Route(
                method="GET",
                path="/v1/settings",
                run=self.show,
                grant=Grant("read", "admin"),
                at=Nothing,
                query=SettingsQuery,
                body=Nothing,
                answer=SettingsAnswer,
                about="Show the settings that are asked for",
                area=_AREA,
            ),
            Route(
                method="POST",
                path="/v1/settings",
                run=self.write,
                grant=Grant("write", "admin"),
                at=Nothing,
                query=Nothing,
                body=Settings,
                answer=SettingsUpdated,
                about="Change settings",
                area=_AREA,
            ),
        ]

    async def show(self, call: Call[Nothing, Any, Nothing]) -> dict[str, Any]:
        names = asked(call.query)
        stored = await self.settings.read([name for name in names if name in KEYS])
        answer: dict[str, Any] = {name: shown(name, stored.get(name)) for name in names}
        if call.query.event_types:
            answer["eventTypes"] = EVENTS
        return answer

    async def write(self, call: Call[Nothing, Nothing, Settings]) -> SettingsUpdated:
        wanted = changes(call.body, await self.settings.read(list(MASKED)))
        await self.settings.write(wanted)
        return SettingsUpdated(updated=list(wanted))
