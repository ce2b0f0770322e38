"""What follows a message that was sent."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.verbs.changing import Append, ChangeFlags
from emailengine.errors import (
    AccountUnavailable,
    Busy,
    EmailEngineError,
    FolderNotFound,
    MessageNotFound,
    ServerRefused,
    TimedOut,
)
from emailengine.outbox.afterwards import ATTEMPTS, REFUSED_ATTEMPTS, Afterwards, judge_after
from emailengine.outbox.mail import AFTER, After, Original, encode, read_failure
from emailengine.outbox.verdict import Again, GiveUp
from emailengine.store.queue import Job, NewJob, Queue
from tests.outbox.company import Ann, Roster
from tests.redis_server import RedisCase

NOW = 1_700_000_000.0


class JudgeTests(SynchronousTestCase):
    def test_table(self) -> None:
        """A folder or a message that is gone ends it, the server's refusal after some attempts, silence after days."""
        away, full = AccountUnavailable("away"), ServerRefused("NO", "OVERQUOTA", "full")
        for error, attempt, expected in [
            (FolderNotFound("gone"), 1, GiveUp(refused=True)),
            (MessageNotFound("gone"), 1, GiveUp(refused=True)),
            (full, 1, Again(NOW + 5)),
            (full, REFUSED_ATTEMPTS, GiveUp(refused=True)),
            (away, REFUSED_ATTEMPTS, Again(NOW + 640)),
            (away, ATTEMPTS - 1, Again(NOW + 3600)),
            (away, ATTEMPTS, GiveUp(refused=False)),
            (Busy("many"), 1, Again(NOW + 5)),
            (TimedOut("late"), 3, Again(NOW + 20)),
        ]:
            self.assertEqual(judge_after(error, attempt, NOW, lambda: 0.0), expected, (error, attempt))


class AfterwardsTests(RedisCase):
    def setUp(self) -> Any:
        ready = super().setUp()
        self.ann = Ann()
        self.roster = Roster(self.ann)
        self.queue = Queue(redis=self.redis, keys=self.keys, name=AFTER, ordered=False)
        self.afterwards = Afterwards(
            accounts=self.roster, queue=self.queue, clock=reactor, random=lambda: 0.0, now=lambda: NOW
        )
        return ready

    async def attempt(self, after: After | None = None, body: bytes | None = None) -> None:
        if after is not None:
            await self.queue.put(
                NewJob(queue=AFTER, lane="ann", id="j", group="h", at=None, data=encode(after), body=body)
            )
        job = await self.queue.claim(lease=60, per_group=8)
        assert isinstance(job, Job), job
        await self.afterwards.work(job)

    async def test_copy(self) -> None:
        """The message is uploaded as it is stored, seen, with the moment it was sent."""
        await self.attempt(After(account="ann", generation=1, queue_id="q", path="\\Sent", sent=NOW), b"message")
        (verb,) = self.ann.asked
        self.assertEqual(verb, Append("\\Sent", b"message", ("\\Seen",), NOW))
        self.assertEqual(await self.all_keys(), [])

    async def test_flags(self) -> None:
        """The message that was answered gets its flags."""
        original = Original(folder=3, uid=8, flags=["\\Answered", "$Forwarded"])
        await self.attempt(After(account="ann", generation=1, queue_id="q", original=original))
        (verb,) = self.ann.asked
        self.assertEqual(verb, ChangeFlags(3, 8, add=("\\Answered", "$Forwarded")))
        self.assertEqual(await self.all_keys(), [])

    async def test_again(self) -> None:
        """What fails for now is tried again with the same message, what fails for good is forgotten."""
        errors: list[EmailEngineError] = [AccountUnavailable("away"), FolderNotFound("gone")]

        def answer(verb: object) -> None:
            raise errors.pop(0)

        self.ann.answer = answer
        await self.attempt(After(account="ann", generation=1, queue_id="q", path="x"), b"message")
        listed = await self.queue.find("j")
        assert listed is not None
        failure = read_failure(listed.job.error)
        assert failure is not None
        self.assertEqual((failure.message, listed.job.due), ("away", NOW + 5))
        await self.attempt()
        self.assertEqual([getattr(verb, "data", None) for verb in self.ann.asked], [b"message", b"message"])
        self.assertEqual(await self.all_keys(), [])

    async def test_account_gone(self) -> None:
        """Nothing is done for an account that is gone, or in one that only has its name."""
        for ann in (None, Ann(generation=2)):
            self.roster.ann = ann
            await self.attempt(After(account="ann", generation=1, queue_id="q", path="x"), b"message")
            self.assertEqual(([] if ann is None else ann.asked, await self.all_keys()), ([], []))
