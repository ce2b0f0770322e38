"""Jobs of the queue as the API lists them. Pure."""

from __future__ import annotations

from typing import Literal

from emailengine.model.dates import iso
from emailengine.model.submission import Progress, QueuedEnvelope, QueueEntry, QueueError
from emailengine.outbox.mail import mark_of, read_failure, read_mail
from emailengine.store.queue import Listed


def entry_of(listed: Listed) -> QueueEntry:
    """One message of the outbox."""
    job = listed.job
    mail = read_mail(job.data)
    failure = read_failure(job.error)
    made = attempts_made(listed)
    due: str | bool = iso(job.due if made else mail.scheduled)
    if listed.state == "failed":
        due = False
    return QueueEntry(
        queue_id=job.id,
        account=mail.account,
        source=mail.source,
        message_id=mail.message_id,
        envelope=QueuedEnvelope(from_=mail.sender, to=mail.recipients),
        subject=mail.subject,
        idempotency_key=mail.idempotency_key,
        local_address=mail.local_address,
        created=iso(mail.created),
        scheduled=iso(mail.scheduled),
        next_attempt=due,
        attempts_made=made,
        attempts=mail.attempts,
        progress=Progress(
            status=_status(listed),
            error=None
            if failure is None
            else QueueError(message=failure.message, code=failure.code, status_code=failure.reply_code),
        ),
    )


def attempts_made(listed: Listed) -> int:
    """How many attempts are over."""
    failure = read_failure(listed.job.error)
    return failure.attempt if failure is not None else 0


def _status(listed: Listed) -> Literal["queued", "processing", "smtp-starting", "error"]:
    job = listed.job
    if listed.state == "active":
        return "smtp-starting" if job.mark == mark_of(job.attempt) else "processing"
    return "error" if job.error else "queued"
