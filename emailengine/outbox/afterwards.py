"""What follows a message that was sent: its copy in the Sent folder, the flag on the message that it answers.

Each is a job of the queue "after", so that neither keeps the other back and both survive a restart or a mailbox that
is away for a day. None of them ever sends the message again. A copy whose upload was cut off may be there twice.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emailengine.accounts.verbs.changing import Append, ChangeFlags
from emailengine.core.clock import wall
from emailengine.core.deadline import Deadline
from emailengine.core.delays import Delays
from emailengine.errors import AccountNotFound, EmailEngineError, FolderNotFound, MessageNotFound, ServerRefused
from emailengine.outbox.mail import After, Failure, encode, read_after
from emailengine.outbox.neighbours import Account, Accounts
from emailengine.outbox.verdict import Again, GiveUp, Verdict
from emailengine.outbox.workers import settle
from emailengine.store.queue import Job, Queue

log = Logger()

DELAYS = Delays(first=5.0, factor=2.0, cap=3600.0, jitter=0.2)
ATTEMPTS = 80  # about three days: mailboxes come back after a weekend
REFUSED_ATTEMPTS = 8  # of what the server itself refuses: a full mailbox may be emptied within minutes
FLAG_PATIENCE = 60.0
COPY_PATIENCE = 300.0  # large messages over slow lines


@define(kw_only=True, eq=False)
class Afterwards:
    """Does what follows: `work` is for `Workers` of the queue "after"."""

    accounts: Accounts
    queue: Queue
    clock: IReactorTime
    random: Callable[[], float]
    now: Callable[[], float] = wall

    async def work(self, job: Job) -> None:
        """Try once. Returns when the outcome is written down."""
        after = read_after(job.data)
        try:
            account = self.accounts.get(after.account)
            if account.generation == after.generation:
                await self._do(job, after, account)
        except AccountNotFound:
            pass  # with its account, all that was left to do is gone
        except EmailEngineError as error:
            await self._failed(job, after, error)
            return
        await settle(self.clock, lambda: self.queue.done(job))

    async def _do(self, job: Job, after: After, account: Account) -> None:
        if after.path is not None and job.body is not None:
            append = Append(after.path, job.body, ("\\Seen",), after.sent)
            await account.ask(append, Deadline.after(self.clock, COPY_PATIENCE), long=True)
        if after.original is not None:
            one = after.original
            change = ChangeFlags(one.folder, one.uid, add=tuple(one.flags))
            await account.ask(change, Deadline.after(self.clock, FLAG_PATIENCE))

    async def _failed(self, job: Job, after: After, error: EmailEngineError) -> None:
        verdict = judge_after(error, job.attempt, self.now(), self.random)
        what = "copy" if after.path is not None else "flag"
        log.info(
            "the {what} for message {id} failed: {reason}",
            what=what,
            id=after.queue_id,
            account=after.account,
            reason=error.message,
            again=isinstance(verdict, Again),
        )
        failure = encode(Failure(attempt=job.attempt, message=error.message, code=error.code))
        if isinstance(verdict, Again):
            at = verdict.at
            await settle(self.clock, lambda: self.queue.again(job, at, failure))
        else:
            await settle(self.clock, lambda: self.queue.fail(job, failure))


def judge_after(error: EmailEngineError, attempt: int, now: float, random: Callable[[], float]) -> Verdict:
    """What to do after attempt number `attempt` (1 for the first). Pure."""
    if isinstance(error, (FolderNotFound, MessageNotFound)):
        return GiveUp(refused=True)
    if attempt >= (REFUSED_ATTEMPTS if isinstance(error, ServerRefused) else ATTEMPTS):
        return GiveUp(refused=isinstance(error, ServerRefused))
    return Again(now + DELAYS.delay(attempt - 1, random))
