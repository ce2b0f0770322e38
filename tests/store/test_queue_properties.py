"""The queue against a model, with crashes anywhere, on a real Redis."""

from __future__ import annotations

from typing import Any, cast

from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from emailengine.store.keys import Keys
from emailengine.store.queue import Job, NewJob, Queue, Wait
from tests.store.direct import Direct, run

FAR = 4_000_000_000.0
LANES = st.sampled_from(["a", "b:é", "c/*", "d"])
GROUPS = st.sampled_from(["g", "h"])


@define(eq=False)
class Known:
    """What the model knows of a job."""

    id: str
    lane: str
    group: str
    later: bool
    body: bytes | None
    turn: int  # the order of dues: every step comes after the one before
    attempts: int = 0
    error: bytes | None = None
    mark: str | None = None


@define(eq=False)
class Model:
    """Queues as they should be."""

    ordered: bool
    lanes: dict[str, list[Known]] = field(factory=dict)
    held: dict[str, Known] = field(factory=dict)
    since: dict[str, int] = field(factory=dict)
    failed: list[Known] = field(factory=list)

    def head(self, lane: str) -> Known | None:
        """The job of a lane that may be worked on now."""
        jobs = self.lanes.get(lane, [])
        if lane in self.held or not jobs:
            return None
        if self.ordered:
            return None if jobs[0].later else jobs[0]
        ready = [one for one in jobs if not one.later]
        return min(ready, key=lambda one: one.turn) if ready else None

    def look(self, step: int) -> None:
        """Lanes that can be worked on wait from now on, unless they do so already."""
        for lane in {*self.lanes, *self.since}:
            if self.head(lane) is None:
                self.since.pop(lane, None)
            else:
                self.since.setdefault(lane, step)

    def load(self, group: str) -> int:
        return sum(one.group == group for one in self.held.values())

    def next(self, limit: int) -> Known | None:
        """The job whose turn it is."""
        fitting = [
            (self.since[lane], job)
            for lane in self.lanes
            if (job := self.head(lane)) is not None and self.load(job.group) < limit
        ]
        return min(fitting, key=lambda one: one[0])[1] if fitting else None

    def remove(self, job: Known) -> None:
        self.lanes[job.lane].remove(job)
        if not self.lanes[job.lane]:
            del self.lanes[job.lane]

    def all(self) -> list[Known]:
        return [job for jobs in self.lanes.values() for job in jobs]


class QueueMachine(RuleBasedStateMachine):
    """Workers that put, work, fail, crash and come too late."""

    ordered = True

    def __init__(self) -> None:
        super().__init__()
        self.redis = Direct()
        self.queue = Queue(
            redis=cast(Any, self.redis), keys=Keys(self.redis.prefix.decode()), name="q", ordered=self.ordered
        )
        self.model = Model(self.ordered)
        self.limit = 1
        self.step = 0
        self.number = 0
        self.jobs: list[Job] = []  # at work
        self.lost: list[Job] = []

    @initialize(limit=st.integers(1, 3))
    def begin(self, limit: int) -> None:
        self.limit = limit
        assert self.redis.keys() == []

    def tick(self) -> int:
        self.step += 1
        return self.step

    def known(self, job: Job) -> Known:
        return self.model.held[job.lane]

    # rules

    @rule(
        lane=LANES, group=GROUPS, later=st.booleans(), body=st.sampled_from([None, b"", b"x", b"y"]), old=st.booleans()
    )
    def put(self, lane: str, group: str, later: bool, body: bytes | None, old: bool) -> None:
        step = self.tick()
        existing = [one.id for one in self.model.all() + self.model.failed]
        known = old and bool(existing)
        if not known:
            self.number += 1
        id = existing[-1] if known else f"j{self.number:05}"
        new = NewJob(
            "q",
            lane,
            id,
            group,
            FAR + step if later else None,
            b"data",
            body,
            None if body is None else f"b{body.decode()}",
        )
        put = run(self.queue.put(new))
        assert put.added is not known
        if put.added:
            self.model.lanes.setdefault(lane, []).append(Known(id, lane, group, later, body, step))
            self.model.look(step)

    @rule()
    def claim(self) -> None:
        expected = self.model.next(self.limit)
        got = run(self.queue.claim(lease=1000, per_group=self.limit))
        if expected is None:
            assert isinstance(got, Wait), got
            if self.model.held:
                assert got.seconds is not None
                assert got.seconds <= 1000
            return
        assert isinstance(got, Job), (got, expected)
        assert got.id == expected.id
        expected.attempts += 1
        assert (got.lane, got.group, got.attempt) == (expected.lane, expected.group, expected.attempts)
        assert (got.body, got.error, got.mark) == (expected.body, expected.error, expected.mark)
        self.model.held[got.lane] = expected
        self.model.since.pop(got.lane, None)
        self.jobs.append(got)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        step = self.tick()
        assert run(self.queue.done(job))
        self.model.remove(self.free(job))
        self.model.look(step)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), later=st.booleans(), error=st.sampled_from([b"", b"e"]))
    def again(self, data: st.DataObject, later: bool, error: bytes) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        step = self.tick()
        at = FAR + step if later else float(step)  # long ago: after all others that were tried again, before new ones
        assert run(self.queue.again(job, at, error))
        known = self.free(job)
        known.later, known.error, known.turn = later, error or None, step if later else step - 1_000_000
        self.model.look(step)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), keep=st.integers(0, 2))
    def fail(self, data: st.DataObject, keep: int) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        step = self.tick()
        assert run(self.queue.fail(job, b"final", keep=keep))
        known = self.free(job)
        self.model.remove(known)
        self.model.failed = [*self.model.failed, known][-keep:] if keep else []
        self.model.look(step)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """The worker goes, and the lease ends."""
        job = data.draw(st.sampled_from(self.jobs))
        assert run(self.queue.keep(job, -1))
        assert not run(self.queue.mark(job, "too late"))
        step = self.tick()
        self.free(job)
        assert run(self.queue.cancel("nobody")) is None  # gives back what has ended, as any claim does
        self.model.look(step)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        assert run(self.queue.keep(data.draw(st.sampled_from(self.jobs)), data.draw(st.integers(500, 1000))))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def mark(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        assert run(self.queue.mark(job, f"m{job.attempt}"))
        self.known(job).mark = f"m{job.attempt}"

    @precondition(lambda self: self.model.all() + self.model.failed)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(self.model.all() + self.model.failed))
        step = self.tick()
        got = run(self.queue.cancel(known.id))
        held = self.model.held.get(known.lane) is known
        if held and known.mark == f"m{known.attempts}":
            assert got is None
            return
        assert got is not None
        assert got.id == known.id
        if known in self.model.failed:
            self.model.failed.remove(known)
            return
        if held:
            self.free(next(one for one in self.jobs if one.id == known.id))
        self.model.remove(known)
        self.model.look(step)

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def too_late(self, data: st.DataObject) -> None:
        """Nobody can do anything to a job that he has lost."""
        job = data.draw(st.sampled_from(self.lost))
        assert not run(self.queue.done(job, puts=[NewJob("q", "z", "never", "g", None, b"")], keep=9, record=b"r"))
        assert not run(self.queue.again(job, 0, b"late"))
        assert not run(self.queue.fail(job, b"late", keep=9))
        assert not run(self.queue.keep(job, 9))
        assert not run(self.queue.mark(job, "late"))

    @rule()
    def look(self) -> None:
        model = self.model
        held = list(model.held.values())
        waiting = [one for one in model.all() if not one.later and one not in held]
        delayed = [one for one in model.all() if one.later and one not in held]
        counts = {"active": len(held), "delayed": len(delayed), "waiting": len(waiting)}
        assert run(self.queue.counts()) == {**counts, "total": sum(counts.values())}
        total, listed = run(self.queue.page(0, 100))
        assert total == len(listed) == sum(counts.values()) + len(model.failed)
        assert listed == [one for page in range(total) for one in run(self.queue.page(page, 1))[1]]
        for one in listed:
            assert run(self.queue.find(one.job.id)) == one
        found = {
            state: [one.job.id for one in listed if one.state == state] for state in ("delayed", "active", "failed")
        }
        assert found["delayed"] == [one.id for one in sorted(delayed, key=lambda one: one.turn)]
        assert found["active"] == [one.id for one in self.jobs]
        assert found["failed"] == [one.id for one in model.failed]
        order = ["delayed", "waiting", "active", "failed"]
        assert [order.index(one.state) for one in listed] == sorted(order.index(one.state) for one in listed)

    def free(self, job: Job) -> Known:
        self.jobs.remove(job)
        self.lost.append(job)
        return self.model.held.pop(job.lane)

    def teardown(self) -> None:
        """Work on everything until nothing is left: also of keys."""
        for job in [*self.jobs]:
            assert run(self.queue.done(job))
            self.model.remove(self.free(job))
        for known in [one for one in self.model.all() if one.later] + self.model.failed:
            assert run(self.queue.cancel(known.id)) is not None
        left = {one.id for one in self.model.all() if not one.later}
        while isinstance(got := run(self.queue.claim(lease=9, per_group=self.limit)), Job):
            left.remove(got.id)
            assert run(self.queue.done(got))
        assert got == Wait(None)
        assert left == set()
        assert self.redis.keys() == []
        self.redis.close()


class DueMachine(QueueMachine):
    """The same for a queue whose lanes keep no order."""

    ordered = False


_SETTINGS = settings(max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck))


OrderedQueueTests = QueueMachine.TestCase
OrderedQueueTests.settings = _SETTINGS
DueQueueTests = DueMachine.TestCase
DueQueueTests.settings = _SETTINGS
