"""Sessions for tests of those who hand them around: they are open or not, and do nothing."""

from __future__ import annotations

from typing import cast

from attrs import define, field

from emailengine.imap.session import Session


@define(eq=False)
class Idle:
    alive: bool = True
    ended: list[str] = field(factory=list)

    def abort(self, why: str) -> None:
        self.alive = False
        self.ended.append(why)

    async def logout(self) -> None:
        self.alive = False
        self.ended.append("logout")


def session() -> tuple[Session, Idle]:
    """One thing as two types: what is handed around, and what can be asked."""
    idle = Idle()
    return cast(Session, idle), idle
