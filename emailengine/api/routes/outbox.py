"""Routes of sending: submit a message, and look at what is on its way out."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from emailengine.api.paths import AccountPath, QueuePath
from emailengine.api.routing import Call, Grant, Nothing, Route
from emailengine.api.seams import Outbox
from emailengine.model.paging import PageQuery
from emailengine.model.submission import (
    Cancelled,
    OutboxPage,
    QueueEntry,
    SubmitQuery,
    SubmitRequest,
    SubmitResponse,
)


@frozen
class OutboxRoutes:
    outbox: Outbox

    def table(self) -> list[Route[Any, Any, Any]]:
        one = "/v1/outbox/{queueId}"
        return [
            Route(
                method="POST",
                path="/v1/account/{account}/submit",
                run=self.submit,
                grant=Grant("send", "submit"),
                at=AccountPath,
                query=SubmitQuery,
                body=SubmitRequest,
                answer=SubmitResponse,
                about="Send a message",
                area="Submit",
                large=True,
                once=True,
            ),
            Route(
                method="GET",
                path="/v1/outbox",
                run=self.page,
                grant=Grant("read", "outbox"),
                at=Nothing,
                query=PageQuery,
                body=Nothing,
                answer=OutboxPage,
                about="List messages on their way out",
                area="Outbox",
            ),
            Route(
                method="GET",
                path=one,
                run=self.show,
                grant=Grant("read", "outbox"),
                at=QueuePath,
                query=Nothing,
                body=Nothing,
                answer=QueueEntry,
                about="Show a message on its way out",
                area="Outbox",
            ),
            Route(
                method="DELETE",
                path=one,
                run=self.cancel,
                grant=Grant("destructive", "outbox"),
                at=QueuePath,
                query=Nothing,
                body=Nothing,
                answer=Cancelled,
                about="Take a message out of the queue",
                area="Outbox",
            ),
        ]

    async def submit(self, call: Call[AccountPath, SubmitQuery, SubmitRequest]) -> SubmitResponse:
        return await self.outbox.accept(
            call.at.account, call.body, idempotency_key=call.idempotency_key, deadline=call.deadline
        )

    async def page(self, call: Call[Nothing, PageQuery, Nothing]) -> OutboxPage:
        return await self.outbox.page(call.query.page, call.query.page_size)

    async def show(self, call: Call[QueuePath, Nothing, Nothing]) -> QueueEntry:
        return await self.outbox.entry(call.at.queue_id)

    async def cancel(self, call: Call[QueuePath, Nothing, Nothing]) -> Cancelled:
        return Cancelled(deleted=await self.outbox.cancel(call.at.queue_id))
