"""Figures of the daemon, and its health."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from emailengine.model.shape import Answer, Request


class StatsQuery(Request, kw_only=True):
    """The query of GET /v1/stats: how far back `counters` reach."""

    seconds: Annotated[int, Meta(ge=0, le=604800)] = 3600


class RedisWarning(Answer, kw_only=True):
    """Something about Redis that the operator should change."""

    key: str
    title: str
    color: str
    details: list[str]


class QueueCounts(Answer, kw_only=True):
    """The jobs of one queue."""

    active: int
    delayed: int
    waiting: int
    paused: int
    total: int
    is_paused: bool


class Connections(Answer, kw_only=True):
    """Accounts by state."""

    init: int
    connected: int
    connecting: int
    syncing: int
    authentication_error: int
    connect_error: int
    unset: int
    disconnected: int
    paused: int
    unassigned: int = 0


class Stats(Answer, kw_only=True):
    """
    The daemon's figures. `redis_ping` is in nanoseconds.

    `queues` are named notify and submit; `counters` are named `events:messageNew`, `webhooks:success` and the like.
    """

    version: str
    accounts: int
    redis: str
    redis_software: str
    redis_cluster: bool
    redis_warnings: list[RedisWarning]
    redis_ping: float
    queues: dict[str, QueueCounts]
    connections: Connections
    counters: dict[str, int]


class HealthAnswer(Answer, kw_only=True):
    """Whether the daemon does its work."""

    success: bool
