"""Series of delays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.delays import Delays


class DelaysTests(SynchronousTestCase):
    def test_series(self) -> None:
        """Each delay is `factor` times the one before, up to the cap."""
        delays = Delays(first=2.0, factor=2.0, cap=10.0, jitter=0.0)
        self.assertEqual([delays.delay(attempt, lambda: 0.9) for attempt in range(5)], [2.0, 4.0, 8.0, 10.0, 10.0])

    def test_jitter(self) -> None:
        """Chance takes away at most the part called jitter, and never adds."""
        delays = Delays(first=10.0, factor=2.0, cap=100.0, jitter=0.2)
        self.assertEqual(delays.delay(0, lambda: 0.0), 10.0)
        self.assertAlmostEqual(delays.delay(0, lambda: 0.5), 9.0)
        self.assertGreater(delays.delay(0, lambda: 0.999999), 8.0)

    def test_any_number_of_attempts(self) -> None:
        """No number of attempts is too large, whatever the factor."""
        for factor in (1.5, 2.0, 1e6, 2):
            delays = Delays(first=0.5, factor=factor, cap=600.0, jitter=0.0)
            self.assertEqual(delays.delay(10**6, lambda: 0.0), 600.0)

    def test_small_factor_reaches_the_cap(self) -> None:
        """A series that grows slowly gets to its cap too."""
        self.assertEqual(Delays(first=1.0, factor=1.05, cap=3600.0, jitter=0.0).delay(500, lambda: 0.0), 3600.0)

    def test_constant(self) -> None:
        """A factor of one is the same delay for ever."""
        self.assertEqual(Delays(first=5.0, factor=1.0, cap=60.0, jitter=0.0).delay(10**6, lambda: 0.0), 5.0)

    @given(
        first=st.floats(0.1, 60.0),
        factor=st.floats(1.0, 10.0),
        cap=st.floats(60.0, 86400.0),
        jitter=st.floats(0.0, 1.0),
        attempt=st.integers(0, 5000),
        chance=st.floats(0.0, 1.0, exclude_max=True),
    )
    def test_bounds(self, first: float, factor: float, cap: float, jitter: float, attempt: int, chance: float) -> None:
        """A delay is never negative nor above the cap, and without chance the series never falls."""
        delays = Delays(first, factor, cap, jitter)
        delay = delays.delay(attempt, lambda: chance)
        self.assertTrue(0.0 <= delay <= cap)
        self.assertLessEqual(delays.delay(attempt, lambda: 0.0), delays.delay(attempt + 1, lambda: 0.0))
