"""Routes for those who run the daemon: statistics, health, metrics."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from emailengine.api.routing import JSON, Call, Grant, Ignored, Nothing, Page, Route
from emailengine.api.seams import Figures
from emailengine.core.deadline import bounded
from emailengine.errors import EmailEngineError
from emailengine.model.codec import encode
from emailengine.model.stats import HealthAnswer, Stats, StatsQuery

_AREA = "Stats"

HEALTH_SECONDS = 3.0  # who asks for the health gives up soon, and a store that answers later is as good as none


@frozen
class OperationRoutes:
    figures: Figures
    registry: CollectorRegistry

    def table(self) -> list[Route[Any, Any, Any]]:
        return [
            Route(
                method="GET",
                path="/v1/stats",
                run=self.stats,
                grant=Grant("read", "diagnostics"),
                at=Nothing,
                query=StatsQuery,
                body=Nothing,
                answer=Stats,
                about="Figures of the daemon",
                area=_AREA,
            ),
            Route(
                method="GET",
                path="/health",
                run=self.health,
                grant=None,
                at=Nothing,
                query=Ignored,
                body=Nothing,
                answer=HealthAnswer,
                about="Whether the daemon does its work",
                area=_AREA,
            ),
            Route(
                method="GET",
                path="/metrics",
                run=self.metrics,
                grant=Grant("read", "diagnostics", scope="metrics"),
                at=Nothing,
                query=Ignored,
                body=Nothing,
                content_type="text/plain",
                about="Metrics for Prometheus",
                area=_AREA,
            ),
        ]

    async def stats(self, call: Call[Nothing, StatsQuery, Nothing]) -> Stats:
        return await self.figures.stats(call.query.seconds)

    async def health(self, call: Call[Nothing, Ignored, Nothing]) -> Page:
        try:
            healthy = await bounded(call.deadline.clock, HEALTH_SECONDS, self.figures.healthy())
        except EmailEngineError:
            healthy = False
        return Page(f"{JSON}; charset=utf-8", encode(HealthAnswer(success=healthy)), 200 if healthy else 500)

    async def metrics(self, call: Call[Nothing, Ignored, Nothing]) -> Page:
        return Page(CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self.registry))
