"""The wall clock."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.clock import wall


class WallTests(SynchronousTestCase):
    def test_epoch(self) -> None:
        """It reads seconds since the epoch."""
        before = time.time()
        read = wall()
        self.assertTrue(before <= read <= time.time())
