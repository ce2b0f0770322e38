"""One job of the outbox: hand the message over, judge what came of it, and write that down in one step.

With the message's success its event and its follow-up jobs are written, with each failure its events. Between the
server's last word and that step a crash costs a second delivery with the same Message-ID: the mark that is made before
the final dot shows it at the next attempt.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from attrs import define
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from emailengine.core.clock import wall
from emailengine.errors import (
    AccountNotFound,
    Busy,
    EmailEngineError,
    NotFound,
    Outdated,
    StoreRefused,
    StoreUnavailable,
)
from emailengine.outbox import telling
from emailengine.outbox.mail import AFTER, After, Failure, Mail, encode, mark_of, read_failure, read_mail
from emailengine.outbox.neighbours import Account, Accounts, Sender, Settings, SmtpStatuses
from emailengine.outbox.route import common_proxy, copy_path, ehlo_name, smtp_login, smtp_target, source, wants_copy
from emailengine.outbox.verdict import Again, describe, judge
from emailengine.outbox.workers import settle
from emailengine.smtp.session import SmtpResult
from emailengine.store.queue import Job, NewJob, Queue
from emailengine.wire.mime.compose import strip_bcc

log = Logger()

FAILED_KEPT = 500  # given up, for the outbox page


@define(kw_only=True, eq=False)
class Sending:
    """
    Sends messages: `work` is for `Workers` of the queue "submit".

    `said` is told of each account that has something to announce. An account's settings are those of the moment.
    """

    accounts: Accounts
    queue: Queue
    after: Queue
    statuses: SmtpStatuses
    settings: Settings
    senders: Sender
    clock: IReactorTime
    random: Callable[[], float]
    hostname: str
    said: Callable[[str], None]
    now: Callable[[], float] = wall

    async def work(self, job: Job) -> None:
        """Try once. Returns when the outcome is written down."""
        mail = read_mail(job.data)
        try:
            account = self.accounts.get(mail.account)
        except AccountNotFound:
            account = None
        if account is None or account.generation != mail.generation or job.body is None:
            log.info("message {id} is dropped: its account is gone", id=job.id, account=mail.account)
            await settle(self.clock, lambda: self.queue.done(job))
            return
        self._look_at_mark(job, mail)
        try:
            result = await self._send(job, mail, account)
        except CancelledError:
            log.info("message {id} was cut short", id=job.id, account=mail.account)
            raise
        except Outdated:
            return  # the job is somebody else's by now, and nothing was sent
        except EmailEngineError as error:
            await self._failed(job, mail, account, error)
        else:
            await self._sent(job, mail, account, result)

    def _look_at_mark(self, job: Job, mail: Mail) -> None:
        """Say so when an earlier attempt sent the final dot and nobody wrote down what came of it."""
        if job.mark is None:
            return
        failure = read_failure(job.error)
        if failure is not None and job.mark == mark_of(failure.claim or failure.attempt):
            return  # that attempt's outcome is known
        log.warn(
            "message {id} may be delivered twice: an earlier attempt was cut off after its final dot",
            id=job.id,
            account=mail.account,
            message_id=mail.message_id,
            attempt=mail.made + 1,
        )

    async def _send(self, job: Job, mail: Mail, account: Account) -> SmtpResult:
        settings = account.settings
        ignore = bool(self.settings.value("ignoreMailCertErrors", False))

        async def about_to_end() -> None:
            if not await self.queue.mark(job, mark_of(job.attempt)):
                raise Outdated("The message is being sent by another worker")

        assert job.body is not None
        return await self.senders.send_message(
            target=smtp_target(
                settings,
                ignore_certificates=ignore,
                proxy=common_proxy(self.settings),
                local_address=source(self.settings, "smtpStrategy", mail.account, self.random, mail.local_address),
            ),
            credentials=smtp_login(settings),
            envelope_from=mail.sender,
            recipients=mail.recipients,
            data=without_bcc(job.body),
            ehlo_name=ehlo_name(settings, self.settings, self.hostname),
            on_final_dot=about_to_end,
        )

    async def _sent(self, job: Job, mail: Mail, account: Account, result: SmtpResult) -> None:
        now = self.now()
        say = telling.sent(mail, job.id, mail.made + 1, now, result)
        puts = self._follow_ups(job, mail, account, now)
        keep = int(self.settings.value("queueKeep", 0) or 0)
        record = encode(mail) if keep else b""
        ours = await settle(
            self.clock,
            lambda: self.queue.done(job, puts=puts, says=[(mail.account, say)], keep=keep, record=record),
        )
        if ours:
            log.info("message {id} was sent: {response}", id=job.id, account=mail.account, response=result.response)
            if puts:
                self.after.woken.raise_()
            self.said(mail.account)
        await self._note(mail.account, telling.status_ok(result, now))

    def _follow_ups(self, job: Job, mail: Mail, account: Account, now: float) -> list[NewJob]:
        """What is to be done once the message is sent, each a job of its own."""
        settings = account.settings
        host = (settings.imap.host if settings.imap is not None else None) or ""
        puts: list[NewJob] = []

        def put(name: str, after: After, body: bytes | None = None) -> None:
            puts.append(
                NewJob(
                    queue=AFTER,
                    lane=mail.account,
                    id=f"{job.id}-{name}",
                    group=host.lower(),
                    at=None,
                    data=encode(after),
                    body=body,
                    body_id=job.id if body is not None else None,
                )
            )

        if wants_copy(mail, settings, gmail=account.folders.gmail):
            after = After(account=mail.account, generation=mail.generation, queue_id=job.id)
            put("copy", msgspec.structs.replace(after, path=copy_path(mail), sent=now), job.body)
        if mail.original is not None and host:
            put(
                "flags",
                After(account=mail.account, generation=mail.generation, queue_id=job.id, original=mail.original),
            )
        return puts

    async def _failed(self, job: Job, mail: Mail, account: Account, error: EmailEngineError) -> None:
        now = self.now()
        fault = describe(error)
        attempt = mail.made + 1
        verdict = judge(error, attempt, mail.attempts, now, self.random)
        log.info(
            "message {id} was not sent: {reason}",
            id=job.id,
            account=mail.account,
            reason=fault.message,
            attempt=attempt,
            again=isinstance(verdict, Again),
        )
        mail = msgspec.structs.replace(mail, made=attempt, first_error=mail.first_error or fault.message)
        failure = encode(
            Failure(
                attempt=attempt,
                claim=job.attempt,
                message=fault.message,
                code=fault.code,
                reply_code=fault.reply_code,
            )
        )
        # an attempt that failed on our side of the wire says nothing of the server
        reached = not isinstance(error, (NotFound, Busy, StoreUnavailable, StoreRefused))
        says = []
        if reached:
            says.append((mail.account, telling.delivery_error(mail, job.id, attempt, now, fault, verdict)))
        if isinstance(verdict, Again):
            at = verdict.at
            ours = await settle(self.clock, lambda: self.queue.again(job, at, failure, data=encode(mail), says=says))
        else:
            says.append((mail.account, telling.failed(mail, job.id, attempt, now)))
            ours = await settle(self.clock, lambda: self.queue.fail(job, failure, says=says, keep=FAILED_KEPT))
        if ours and says:
            self.said(mail.account)
        if reached:
            await self._note(mail.account, telling.status_error(fault, now))

    async def _note(self, account: str, status: dict[str, object]) -> None:
        """How the last delivery ended is only shown, and worth no second try."""
        try:
            await self.statuses.set_smtp_status(account, status)
        except EmailEngineError as error:
            log.warn("the SMTP status was not stored: {reason}", account=account, reason=error.message)


def without_bcc(message: bytes) -> bytes:
    """A stored message as it goes out. One without a Bcc is not copied: it may be large."""
    end = message.find(b"\r\n\r\n")
    if end < 0:
        return strip_bcc(message)
    head = message[: end + 2]
    stripped = strip_bcc(head)
    return message if stripped == head else b"".join((stripped, memoryview(message)[end + 2 :]))
