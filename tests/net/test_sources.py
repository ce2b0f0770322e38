"""Which address connections are made from."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from emailengine.net.sources import source_address

MANY = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3")


class SourceTests(SynchronousTestCase):
    def test_few(self) -> None:
        """Without addresses the system chooses; a single one is taken whatever the strategy; IPv6 ones do not count."""
        for strategy in ("default", "dedicated", "random"):
            self.assertIsNone(source_address((), strategy, "a", lambda: 0.5))
            self.assertIsNone(source_address(("2001:db8::1",), strategy, "a", lambda: 0.5))
            self.assertEqual(source_address(MANY[1:3], strategy, "a", lambda: 0.5), "192.0.2.2")

    def test_strategies(self) -> None:
        """Of several the system takes one, or chance does."""
        self.assertIsNone(source_address(MANY, "default", "a", lambda: 0.5))
        self.assertEqual(
            [source_address(MANY, "random", "a", lambda n=n: n) for n in (0.0, 0.5, 0.999)],  # type: ignore[misc]
            ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        )

    def test_dedicated(self) -> None:
        """An account keeps its address while that is there; the accounts are spread over all."""
        accounts = [f"account {n}" for n in range(300)]
        before = {one: source_address(MANY, "dedicated", one, lambda: 0.0) for one in accounts}
        self.assertTrue(
            all(70 <= count <= 130 for count in Counter(before.values()).values()), Counter(before.values())
        )
        for one in accounts:
            after = source_address(MANY[1:][::-1], "dedicated", one, lambda: 0.0)
            self.assertTrue(after == before[one] or before[one] == "192.0.2.1")
