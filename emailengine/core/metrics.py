"""Every counter and gauge of the daemon, declared once. Label sets are closed; no account names as labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

tasks_failed = Counter("tasks_failed", "Background tasks that ended in an error", ["name"], registry=REGISTRY)
reactor_lag = Histogram(
    "reactor_lag_seconds",
    "How late a timer of the reactor fired",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    registry=REGISTRY,
)
imap_connections = Gauge("imap_connections", "Accounts by state", ["status"], registry=REGISTRY)
events = Counter("events", "Events that were announced", ["event"], registry=REGISTRY)
