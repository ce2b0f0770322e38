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
api_call = Counter("api_call", "Requests that were answered", ["method", "statusCode", "route"], registry=REGISTRY)
http_request = Histogram(
    "http_request_seconds",
    "Time from the head of a request to the end of its answer",
    ["route"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
    registry=REGISTRY,
)
announcements_failed = Counter(
    "announcements_failed", "Events that were told without their content, or not at all", registry=REGISTRY
)
webhooks = Counter("webhooks", "Attempts to deliver a webhook", ["status", "event"], registry=REGISTRY)
webhook_req = Histogram(
    "webhook_req",
    "Milliseconds that an attempt to deliver a webhook took",
    buckets=(5, 10, 25, 50, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000, 60000),
    registry=REGISTRY,
)
webhook_targets_away = Gauge("webhook_targets_away", "Targets of webhooks that do not answer", registry=REGISTRY)
