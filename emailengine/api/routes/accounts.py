"""Routes of accounts: register, list, show, change, delete, and what an account can be asked to do."""

from __future__ import annotations

from typing import Annotated, Any

from attrs import frozen
from msgspec import Meta

from emailengine.api.paths import AccountPath
from emailengine.api.routing import Call, Grant, Nothing, Route
from emailengine.api.seams import Accounts
from emailengine.model.account import AccountUpdate, Registration, State
from emailengine.model.accountview import (
    AccountDeleted,
    AccountDetail,
    AccountId,
    AccountList,
    ReconnectAnswer,
    ReconnectRequest,
    Registered,
    SyncAnswer,
    SyncRequest,
)
from emailengine.model.paging import PageQuery
from emailengine.model.shape import Request

AREA = "Account"


class AccountsQuery(PageQuery, kw_only=True):
    """The query of GET /v1/accounts."""

    state: State | None = None
    query: Annotated[str, Meta(max_length=1024, extra={"trim": True})] | None = None


class AccountQuery(Request, kw_only=True):
    """The query of GET /v1/account/{account}."""

    quota: bool = False


class DeleteQuery(Request, kw_only=True):
    """The query of DELETE /v1/account/{account}; accounts without OAuth2 have no grant to revoke."""

    revoke: bool = False


@frozen
class AccountRoutes:
    accounts: Accounts

    def table(self) -> list[Route[Any, Any, Any]]:
        one = "/v1/account/{account}"
        return [
            Route(
                method="POST",
                path="/v1/account",
                run=self.create,
                grant=Grant("write", "admin"),
                at=Nothing,
                query=Nothing,
                body=Registration,
                answer=Registered,
                about="Register an account, or change the one of that id",
                area=AREA,
            ),
            Route(
                method="GET",
                path="/v1/accounts",
                run=self.page,
                grant=Grant("read", "account"),
                at=Nothing,
                query=AccountsQuery,
                body=Nothing,
                answer=AccountList,
                about="List accounts",
                area=AREA,
            ),
            Route(
                method="GET",
                path=one,
                run=self.show,
                grant=Grant("read", "account"),
                at=AccountPath,
                query=AccountQuery,
                body=Nothing,
                answer=AccountDetail,
                about="Show an account and its state",
                area=AREA,
            ),
            Route(
                method="PUT",
                path=one,
                run=self.update,
                grant=Grant("write", "admin"),
                at=AccountPath,
                query=Nothing,
                body=AccountUpdate,
                answer=AccountId,
                about="Change an account",
                area=AREA,
            ),
            Route(
                method="DELETE",
                path=one,
                run=self.delete,
                grant=Grant("destructive", "account"),
                at=AccountPath,
                query=DeleteQuery,
                body=Nothing,
                answer=AccountDeleted,
                about="Remove an account and all that is kept of it",
                area=AREA,
            ),
            Route(
                method="PUT",
                path=one + "/reconnect",
                run=self.reconnect,
                grant=Grant("write", "account"),
                at=AccountPath,
                query=Nothing,
                body=ReconnectRequest,
                answer=ReconnectAnswer,
                about="Connect again",
                area=AREA,
            ),
            Route(
                method="PUT",
                path=one + "/sync",
                run=self.sync,
                grant=Grant("write", "account"),
                at=AccountPath,
                query=Nothing,
                body=SyncRequest,
                answer=SyncAnswer,
                about="Look at all folders now",
                area=AREA,
            ),
        ]

    async def create(self, call: Call[Nothing, Nothing, Registration]) -> Registered:
        return await self.accounts.create(call.body)

    async def page(self, call: Call[Nothing, AccountsQuery, Nothing]) -> AccountList:
        query = call.query
        return await self.accounts.page(
            query=query.query or None, state=query.state, page=query.page, page_size=query.page_size
        )

    async def show(self, call: Call[AccountPath, AccountQuery, Nothing]) -> AccountDetail:
        return await self.accounts.describe(call.at.account, quota=call.query.quota, deadline=call.deadline)

    async def update(self, call: Call[AccountPath, Nothing, AccountUpdate]) -> AccountId:
        await self.accounts.update(call.at.account, call.body)
        return AccountId(account=call.at.account)

    async def delete(self, call: Call[AccountPath, DeleteQuery, Nothing]) -> AccountDeleted:
        await self.accounts.delete(call.at.account)
        return AccountDeleted(account=call.at.account, deleted=True)

    async def reconnect(self, call: Call[AccountPath, Nothing, ReconnectRequest]) -> ReconnectAnswer:
        if call.body.reconnect:
            await self.accounts.request_reconnect(call.at.account)
        return ReconnectAnswer(reconnect=call.body.reconnect)

    async def sync(self, call: Call[AccountPath, Nothing, SyncRequest]) -> SyncAnswer:
        if call.body.sync:
            await self.accounts.request_sync(call.at.account)
        return SyncAnswer(sync=call.body.sync)
