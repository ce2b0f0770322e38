"""Routes of folders."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from emailengine.api.paths import AccountPath
from emailengine.api.routing import Call, Grant, Nothing, Route
from emailengine.api.seams import Mailing
from emailengine.model.mailbox import MailboxList, MailboxQuery


@frozen
class MailboxRoutes:
    mailing: Mailing

    def table(self) -> list[Route[Any, Any, Any]]:
        return [
            Route(
                method="GET",
                path="/v1/account/{account}/mailboxes",
                run=self.list_mailboxes,
                grant=Grant("read", "mailbox"),
                at=AccountPath,
                query=MailboxQuery,
                body=Nothing,
                answer=MailboxList,
                about="List folders",
                area="Mailbox",
            )
        ]

    async def list_mailboxes(self, call: Call[AccountPath, MailboxQuery, Nothing]) -> MailboxList:
        return await self.mailing.list_mailboxes(call.at.account, counters=call.query.counters, deadline=call.deadline)
