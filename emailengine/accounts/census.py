"""How many accounts are in each state, counted as they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from emailengine.core import metrics


class Census:
    """The accounts of this daemon by state."""

    def __init__(self) -> None:
        self._states: Counter[str] = Counter()

    def moved(self, account: str, before: str, now: str) -> None:
        """An account changed its state; the empty text stands for "not there"."""
        for state, by in ((before, -1), (now, 1)):
            if state:
                self._states[state] += by
                metrics.imap_connections.labels(state).set(self._states[state])

    @property
    def states(self) -> Mapping[str, int]:
        """State -> accounts in it."""
        return {state: count for state, count in self._states.items() if count}
