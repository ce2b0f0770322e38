"""Long loops in slices."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.turns import Turns, pause


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = Turns(self.clock, budget=0.005)

    def breathe(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.turns.breathe())

    def test_within_budget(self) -> None:
        """While the budget lasts nothing is scheduled."""
        self.clock.advance(0.004)
        self.successResultOf(self.breathe())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_used_up(self) -> None:
        """Once the budget is used up the reactor runs before the loop goes on, with a new budget."""
        self.clock.advance(0.005)
        breath = self.breathe()
        self.assertNoResult(breath)
        self.clock.advance(0)
        self.successResultOf(breath)
        self.clock.advance(0.004)
        self.successResultOf(self.breathe())

    def test_time_of_others(self) -> None:
        """The new budget begins when the loop goes on, whatever others did meanwhile."""
        self.clock.advance(0.005)
        breath = self.breathe()
        self.clock.advance(1.0)
        self.successResultOf(breath)
        self.successResultOf(self.breathe())

    def test_loop(self) -> None:
        """A loop of ten seconds in steps of one lets the reactor run when the budget is used up."""
        done: list[int] = []
        turns_of_four = Turns(self.clock, budget=4.0)

        async def loop() -> None:
            for number in range(10):
                # what one step costs: nobody else runs meanwhile
                self.clock.rightNow += 1.0
                done.append(number)
                await turns_of_four.breathe()

        running = Deferred.fromCoroutine(loop())
        self.assertEqual(done, [0, 1, 2, 3])
        self.clock.advance(0)
        self.successResultOf(running)
        self.assertEqual(done, list(range(10)))

    def test_cancelled(self) -> None:
        """A loop can be cancelled while it breathes, and leaves no timer."""
        self.clock.advance(0.005)
        breath = self.breathe()
        breath.cancel()
        self.failureResultOf(breath, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PauseTests(SynchronousTestCase):
    def test_pause(self) -> None:
        """A pause is over after its seconds."""
        clock = Clock()
        waiting = pause(clock, 3)
        clock.advance(2.9)
        self.assertNoResult(waiting)
        clock.advance(0.1)
        self.assertIsNone(self.successResultOf(waiting))

    def test_cancelled(self) -> None:
        """A cancelled pause takes its timer away."""
        clock = Clock()
        waiting = pause(clock, 3)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(clock.getDelayedCalls(), [])
