"""Waiting for a server that throttles us."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.patience import LONGEST, TRIES, patiently, stay_away
from emailengine.core.deadline import Deadline
from emailengine.errors import Meaning, ServerRefused


def refused(meaning: Meaning, seconds: float | None = None) -> ServerRefused:
    return ServerRefused("BAD", None, "Request is throttled", meaning=meaning, retry_after=seconds)


class PatienceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.answers: list[object] = []
        self.asked = 0

    async def work(self) -> object:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin(self, *answers: object) -> Deferred[object]:
        self.answers = list(answers)
        return Deferred.fromCoroutine(patiently(self.clock, self.work))

    def test_waits(self) -> None:
        """The command is given again when the time that the server named is over, and not before."""
        done = self.begin(refused(Meaning.THROTTLED, 20), "found")
        self.clock.advance(19.9)
        self.assertEqual(self.asked, 1)
        self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(done), "found")

    def test_gives_up(self) -> None:
        """After four tries whoever asked is told."""
        done = self.begin(*[refused(Meaning.THROTTLED) for _ in range(TRIES)])
        for _ in range(TRIES):
            self.clock.advance(LONGEST)
        self.assertIs(self.failureResultOf(done, ServerRefused).value.meaning, Meaning.THROTTLED)
        self.assertEqual(self.asked, TRIES)

    def test_other_refusals(self) -> None:
        """Any other refusal is told at once."""
        self.failureResultOf(self.begin(refused(Meaning.OTHER)), ServerRefused)

    def test_no_time_for_it(self) -> None:
        """Who has less time than the server wants is told so now, and not at the end of it."""
        self.answers = [refused(Meaning.THROTTLED, 20), refused(Meaning.THROTTLED, 60)]
        deadline = Deadline.after(self.clock, 30)
        done = Deferred.fromCoroutine(deadline.bound(patiently(self.clock, self.work, deadline.left)))
        self.clock.advance(20)
        self.assertEqual(self.failureResultOf(done, ServerRefused).value.retry_after, 60)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Cancelled while it waits, it asks no more."""
        done = self.begin(refused(Meaning.THROTTLED, 20))
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_how_long(self) -> None:
        """What the server names is believed up to five minutes; else it is longer each time."""
        self.assertEqual([stay_away(refused(Meaning.THROTTLED, at), 0) for at in (0.2, 20, 9999)], [1, 20, LONGEST])
        waits = [stay_away(refused(Meaning.UNAVAILABLE), times) for times in range(20)]
        self.assertEqual(waits, sorted(waits))
        self.assertEqual((waits[0], waits[-1]), (10, LONGEST))
