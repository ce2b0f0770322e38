"""The declared metrics."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.metrics import MetricWrapperBase
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core import metrics


class MetricsTests(SynchronousTestCase):
    def declared(self) -> dict[str, MetricWrapperBase]:
        return {name: one for name, one in vars(metrics).items() if isinstance(one, MetricWrapperBase)}

    def test_all_are_shown(self) -> None:
        """Every declared metric is in our own registry, with a text that says what it counts."""
        shown = {one.name: one for one in metrics.REGISTRY.collect()}
        for name, one in self.declared().items():
            described = next(iter(one.describe()))
            self.assertIn(described.name, shown, name)
            self.assertTrue(described.documentation, name)

    def test_nothing_else(self) -> None:
        """The registry shows nothing that libraries declare."""
        self.assertNotIn(b"python_info", generate_latest(metrics.REGISTRY))
        self.assertEqual(len(list(metrics.REGISTRY.collect())), len(self.declared()))

    def test_no_account_in_labels(self) -> None:
        """No metric has a label that grows with the number of accounts."""
        for name, one in self.declared().items():
            self.assertFalse({"account", "user", "email", "path", "host"} & set(one._labelnames), name)
