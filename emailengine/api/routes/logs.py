"""The route of protocol logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from attrs import frozen

from emailengine.api.paths import AccountPath
from emailengine.api.routing import Call, Grant, Nothing, Page, Route
from emailengine.api.seams import Download, Logs

_TEXT = "text/plain"


@frozen
class LogRoutes:
    logs: Logs

    def table(self) -> list[Route[Any, Any, Any]]:
        return [
            Route(
                method="GET",
                path="/v1/logs/{account}",
                run=self.show,
                grant=Grant("read", "logs"),
                at=AccountPath,
                query=Nothing,
                body=Nothing,
                content_type=_TEXT,
                about="Download an account's protocol log: a JSON object for each line",
                area="Logs",
            )
        ]

    async def show(self, call: Call[AccountPath, Nothing, Nothing]) -> Download | Page:
        account = call.at.account
        chunks = self.logs.read(account)
        async for first in chunks:
            return Download(_TEXT, _all(first, chunks), f"logs.{account}.txt")
        return Page(f"{_TEXT}; charset=utf-8", f"No logs found for {account}".encode("utf-8", "replace"))


async def _all(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in others:
        yield chunk
