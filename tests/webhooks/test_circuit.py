"""Targets that fail: who may try, and how much may wait."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.webhooks.circuit import LANES, Backlog, Circuits, Go, PutOff

URL = "http://a.example/"


class CircuitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.circuits = Circuits(self.clock.seconds, lambda: 0.0)

    def fail_lanes(self, count: int) -> None:
        for number in range(count):
            self.circuits.failed(URL, f"lane {number}", Go())

    def test_one_lane(self) -> None:
        """One lane that fails again and again holds up no other: it may be its message."""
        for _ in range(20):
            self.circuits.failed(URL, "lane", Go())
        self.assertEqual(self.circuits.permit(URL), Go())

    def test_opens(self) -> None:
        """After several lanes in a row nobody goes before the interval is over, and those put off come apart."""
        self.fail_lanes(LANES)
        self.assertEqual(self.circuits.open, 1)
        first, second = self.circuits.permit(URL), self.circuits.permit(URL)
        assert isinstance(first, PutOff)
        assert isinstance(second, PutOff)
        self.assertTrue(5.0 < first.delay < second.delay < 5.2, (first, second))
        self.assertEqual(self.circuits.permit("http://b.example/"), Go())

    def test_one_probe(self) -> None:
        """After the interval one goes; each failure makes the next interval longer, up to a minute."""
        self.fail_lanes(LANES)
        intervals = []
        for _ in range(7):
            began = self.clock.seconds()
            while not isinstance(go := self.circuits.permit(URL), Go):
                self.clock.advance(0.5)
            intervals.append(self.clock.seconds() - began)
            self.assertTrue(go.probe)
            self.assertIsInstance(self.circuits.permit(URL), PutOff)
            self.circuits.failed(URL, "lane", go)
        self.assertEqual(intervals, [5, 10, 20, 40, 60, 60, 60])

    def test_success_closes(self) -> None:
        """One success and all may go again; failures are counted anew and nothing is kept."""
        self.fail_lanes(LANES)
        self.clock.advance(5)
        go = self.circuits.permit(URL)
        assert isinstance(go, Go)
        self.circuits.succeeded(URL)
        self.assertEqual((self.circuits.permit(URL), len(self.circuits), self.circuits.open), (Go(), 0, 0))
        self.fail_lanes(LANES - 1)
        self.circuits.succeeded(URL)
        self.fail_lanes(LANES - 1)
        self.assertEqual(self.circuits.permit(URL), Go())

    def test_probe_without_result(self) -> None:
        """A probe that was cut short leaves its place to the next; stragglers of before change nothing."""
        self.fail_lanes(LANES)
        self.clock.advance(5)
        go = self.circuits.permit(URL)
        assert isinstance(go, Go)
        self.fail_lanes(10)
        self.circuits.untried(URL, Go())
        self.assertIsInstance(self.circuits.permit(URL), PutOff)
        self.circuits.untried(URL, go)
        self.assertEqual(self.circuits.permit(URL), Go(probe=True))


class BacklogTests(SynchronousTestCase):
    def test_room(self) -> None:
        """At the limit the next waits until half of them are gone; other places are not concerned."""
        backlog = Backlog(limit=4)
        for _ in range(4):
            backlog.put("a")
        self.assertTrue(backlog.full("a"))
        waiting = Deferred.fromCoroutine(backlog.room("a"))
        self.successResultOf(Deferred.fromCoroutine(backlog.room("b")))
        backlog.taken("a")
        self.assertNoResult(waiting)
        backlog.taken("a")
        self.successResultOf(waiting)
        self.assertFalse(backlog.full("a"))

    def test_jobs_of_before(self) -> None:
        """Jobs that another process put are no debt."""
        backlog = Backlog(limit=2)
        for _ in range(5):
            backlog.taken("a")
        backlog.put("a")
        self.assertFalse(backlog.full("a"))
        backlog.put("a")
        self.assertTrue(backlog.full("a"))
