"""Jobs in lanes: nothing is lost, a lane is worked by one at a time, a group by so many.

Two kinds of lane. In an *ordered* queue a lane is first in, first out, and due when its head is: a head that must be
tried again keeps its place and holds the lane. In a *due* queue the job that is due first goes first: one that is to
be tried again, or later, holds nobody back.

A lane waits from the moment on that its next job is due or that it was last worked on, whichever is later, and the
lane that has waited longest goes next: many jobs in one lane do not keep the others waiting. A group is what shares a
limit (the host that the work goes to); while it is at its limit, its lanes cost the others nothing.

Who claims a job holds it until the lease ends, by the clock of Redis. Every claim raises the job's attempt number;
whoever comes with an old one has lost the job and changes nothing. A lease that ends gives the job to the next claim.

In Redis, for each queue: `groups` (group -> since when its first lane waits), `ready:<group>` (lane -> since when),
`at` (lane -> the group it waits in), `held` (lane -> job at work), `busy` (job -> end of its lease), `load` (group ->
lanes at work), `due` (job not at work -> when it is due), `lane:<lane>` (its jobs), `job:<id>`; `body:<id>` is shared
by all queues. All of these go with the last job. `past` (given up, so many and for a week, with their jobs) and `done`
(finished, so many and for a day) end by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

from attrs import define, evolve, field, frozen

from emailengine.core.flag import Flag
from emailengine.model.event import Say
from emailengine.store.keys import Keys, octets, text_of
from emailengine.store.records import pack
from emailengine.store.redis import Argument, Redis

ORDERED = frozenset(("notify",))
"""The queues whose lanes keep their order; in all others the job that is due first goes first."""

LARGE = 65_536
"""Bytes of bodies above which a call goes over the connection for large ones."""

State = Literal["delayed", "waiting", "active", "failed"]


@frozen
class NewJob:
    """
    A job to be put.

    `at`: not before. Jobs with the same `body_id`, of whatever queue, share the body that the first one brought; it is
    stored once and goes with the last of them.
    """

    queue: str
    lane: str
    id: str
    group: str
    at: float | None
    data: bytes
    body: bytes | None = field(default=None, repr=False)
    body_id: str | None = None


@frozen
class Job:
    """
    A job as it was when it was read.

    `attempt` is the number of times it was claimed, `mark` what a worker noted last, of this attempt or an earlier
    one. `body` comes with a claim only.
    """

    id: str
    lane: str
    group: str
    attempt: int
    created: float
    due: float
    data: bytes
    body: bytes | None = field(default=None, repr=False)
    mark: str | None = None
    error: bytes | None = None
    progress: bytes | None = None
    body_id: str | None = None


@frozen
class Wait:
    """Nothing can be worked on for so many seconds, unless `woken` is raised; None: until then."""

    seconds: float | None


@frozen
class Idempotent:
    """What is to be answered for `ttl` seconds to whoever comes with the same key. `key` is a name in Redis."""

    key: bytes
    answer: bytes
    ttl: float


@frozen
class Put:
    """Whether the job is new; the stored answer where the idempotency key was known, and nothing was put."""

    added: bool
    answer: bytes | None


@frozen
class Listed:
    """A job and what becomes of it. "delayed" is not due yet, "waiting" is, "failed" was given up."""

    job: Job
    state: State


@define(kw_only=True, eq=False)
class Queue:
    """
    One queue. All methods raise what `Redis` raises, and repeating them does no harm.

    `keep`, `mark`, `done`, `again`, `fail` say whether the job was still ours; if not, they changed nothing. Their
    answer can be lost: then the repetition says no.
    """

    _redis: Redis
    _keys: Keys
    name: str
    ordered: bool
    woken: Flag = field(factory=Flag, init=False)

    def __attrs_post_init__(self) -> None:
        if self.name in ORDERED and not self.ordered:
            raise ValueError(f"the queue {self.name} is an ordered one")

    def wake(self) -> None:
        """Say that there may be something to do: somebody else put a job."""
        self.woken.raise_()

    # putting

    async def put(self, job: NewJob, *, once: Idempotent | None = None) -> Put:
        """
        Add a job; no effect if there is one of that id, waiting, at work or given up.

        A job that is finished is forgotten: whoever may put it twice needs `once`, or must do so in the same step as
        something that happens only once, as `done` and `SayStore.announce` do.
        """
        idem: list[Argument] = [b"", b"", 0] if once is None else [once.key, once.answer, millis(once.ttl)]
        puts = pack_puts([job], self)
        added, answer = await self._redis.script(
            "put_job", [], [self._keys.prefix, *idem, *puts], big=len(job.body or b"") > LARGE
        )
        if added:
            self.woken.raise_()
        return Put(bool(added), answer)

    async def answered(self, key: bytes) -> bytes | None:
        """What `put` would answer to that idempotency key; None for one that is not known."""
        answer: bytes | None = await self._redis.call("GET", key)
        return answer

    # working

    async def claim(self, *, lease: float, per_group: int) -> Job | Wait:
        """
        Take the job whose turn it is for `lease` seconds, of a group with fewer than `per_group` at work.

        All who claim from a queue say the same `per_group`: a group that one of them finds at its limit is looked at
        again when work on one of its jobs ends.

        `Wait` says when there may be one. When the answer is lost the job comes back after its lease.
        """
        kind, *rest = await self._script("claim_job", millis(lease), per_group)
        if kind == b"wait":
            return Wait(None if rest[0] is None else rest[0] / 1000)
        job = _job(rest[:-1])
        body = rest[-1]
        if body is None and job.body_id is not None:
            body = await self._redis.large("HGET", self._keys.body(job.body_id), "body")
        return evolve(job, body=body)

    async def keep(self, job: Job, lease: float) -> bool:
        """Hold the job for so many seconds from now on."""
        return bool(await self._script("keep_job", octets(job.id), job.attempt, millis(lease)))

    async def mark(self, job: Job, mark: str, progress: bytes | None = None) -> bool:
        """
        Note how far the work is, for the next attempt and for the pages.

        No also when the lease has ended although nobody else has the job yet: what is noted must not be done then.
        """
        further = [] if progress is None else [progress]
        return bool(await self._script("mark_job", octets(job.id), job.attempt, octets(mark), *further))

    async def done(
        self,
        job: Job,
        *,
        puts: Sequence[NewJob] = (),
        says: Sequence[tuple[str, Say]] = (),
        keep: int = 0,
        record: bytes = b"",
    ) -> bool:
        """Finish the job, put those that follow and say what is to be announced, in one step."""
        packed = pack_puts(puts, self, job)
        ours = await self._script(
            "finish_job", octets(job.id), job.attempt, keep, record, *packed, *_pairs(says), big=_size(packed) > LARGE
        )
        return self._freed(ours)

    async def again(
        self,
        job: Job,
        at: float,
        error: bytes,
        *,
        data: bytes | None = None,
        says: Sequence[tuple[str, Say]] = (),
    ) -> bool:
        """
        Have the job tried again, not before `at`; an empty `error` is none.

        In an ordered queue it holds its lane until then, and those behind it spend no attempt.
        """
        replaced: list[Argument] = [0, b""] if data is None else [1, data]
        ours = await self._script("retry_job", octets(job.id), job.attempt, millis(at), error, *replaced, *_pairs(says))
        return self._freed(ours)

    async def fail(self, job: Job, error: bytes, *, says: Sequence[tuple[str, Say]] = (), keep: int = 0) -> bool:
        """Give the job up. Its body goes; of those given up the last `keep` are still found, for a week."""
        return self._freed(await self._script("fail_job", octets(job.id), job.attempt, error, keep, *_pairs(says)))

    async def cancel(self, id: str) -> Job | None:
        """
        Remove a job, also one that was given up; None if there is none, or it is at work and marked.

        Who works on it without having marked it has lost it.
        """
        found = await self._script("cancel_job", octets(id))
        if found is None:
            return None
        self.woken.raise_()
        return _job(found)

    # looking

    async def find(self, id: str) -> Listed | None:
        """A job that is not finished."""
        found = await self._script("find_job", octets(id))
        return None if found is None else _listed(found)

    async def page(self, page: int, page_size: int) -> tuple[int, list[Listed]]:
        """
        How many jobs are not finished, and a page of them, counted from 0.

        First those delayed, then waiting, each in the order they are due; then active and failed, in the order they
        were claimed and given up.
        """
        total, *found = await self._script("page_jobs", page * page_size, page_size)
        return int(total), [_listed(one) for one in found]

    async def counts(self) -> dict[str, int]:
        """How many jobs are active, delayed and waiting, and their total."""
        active, delayed, waiting = await self._script("count_jobs")
        return {"active": active, "delayed": delayed, "waiting": waiting, "total": active + delayed + waiting}

    async def finished(self, count: int) -> list[bytes]:
        """The last records that `done` kept, newest first."""
        found = await self._redis.call("XREVRANGE", self._keys.queue("done", self.name), "+", "-", "COUNT", count)
        return [fields[1] for _, fields in found]

    def _freed(self, ours: Any) -> bool:
        if ours:
            self.woken.raise_()
        return bool(ours)

    async def _script(self, name: str, *arguments: Argument, big: bool = False) -> Any:
        head: list[Argument] = [self._keys.prefix, self.name, int(self.ordered)]
        return await self._redis.script(name, [], [*head, *arguments], big=big)


def millis(seconds: float) -> int:
    """A time as it lies in Redis."""
    return round(seconds * 1000)


def pack_puts(jobs: Sequence[NewJob], own: Queue | None = None, held: Job | None = None) -> list[Argument]:
    """Jobs as `_put.lua` takes them, each body once; none for the one that the job at work holds already."""
    bodies: dict[str, bytes] = {}
    packed: list[Argument] = []
    for job in jobs:
        ordered = own.ordered if own is not None and own.name == job.queue else job.queue in ORDERED
        body_id = ""
        if job.body is not None:
            body_id = job.body_id or f"{job.queue}:{job.id}"
            if held is None or held.body_id != body_id:
                bodies.setdefault(body_id, job.body)
        packed += [
            job.queue,
            int(ordered),
            octets(job.lane),
            octets(job.id),
            octets(job.group),
            b"" if job.at is None else millis(job.at),
            job.data,
            octets(body_id),
        ]
    shared: list[Argument] = [part for body_id, body in bodies.items() for part in (octets(body_id), body)]
    return [len(bodies), *shared, len(jobs), *packed]


def _size(arguments: Sequence[Argument]) -> int:
    return sum(len(one) for one in arguments if isinstance(one, bytes))


def _pairs(says: Sequence[tuple[str, Say]]) -> list[Argument]:
    return [part for account, say in says for part in (octets(account), pack(say))]


def _job(fields: Sequence[Any]) -> Job:
    """A job out of what `_queue.lua: described` gives."""
    id_, lane, group, attempt, created, due, data, mark, error, progress, body_id = fields
    return Job(
        id=text_of(id_),
        lane=text_of(lane),
        group=text_of(group),
        attempt=int(attempt),
        created=int(created) / 1000,
        due=int(due) / 1000,
        data=data,
        mark=None if mark is None else text_of(mark),
        error=error,
        progress=progress,
        body_id=None if body_id is None else text_of(body_id),
    )


def _listed(fields: Sequence[Any]) -> Listed:
    state, *job = fields
    return Listed(_job(job), cast(State, state.decode()))
