"""What the queue keeps of a message on its way, beside the message itself."""

from __future__ import annotations

from typing import Literal

import msgspec

from emailengine.model.shape import Record
from emailengine.store.records import pack

SUBMIT = "submit"
AFTER = "after"


class Original(Record, kw_only=True):
    """The message that was answered or forwarded, and the flags it gets once ours is sent."""

    folder: int
    uid: int
    flags: list[str]


class Mail(Record, kw_only=True):
    """
    One message of the outbox; times are seconds since 1970.

    `attempts` is how often sending is tried at most, `made` how often it was, as far as the outcome is known: an
    attempt that a stop, a crash or a lost lease cut short counts for nothing. `copy` None leaves it to the rule whether
    there is a Sent copy. `first_error` is what went wrong first.
    """

    account: str
    generation: int
    message_id: str
    sender: str
    recipients: list[str]
    subject: str | None = None
    source: Literal["smtp", "api", "test", "ui"] = "api"
    created: float
    scheduled: float
    attempts: int
    made: int = 0
    idempotency_key: str | None = None
    copy: bool | None = None
    sent_mail_path: str | None = None
    local_address: str | None = None
    original: Original | None = None
    first_error: str | None = None


class Failure(Record, kw_only=True):
    """Why attempt number `attempt`, which was made under claim number `claim`, failed: kept with the job."""

    attempt: int
    claim: int = 0
    message: str
    code: str | None = None
    reply_code: int | None = None


class After(Record, kw_only=True):
    """What is left to do for a message that was sent: a copy into a folder (`path`), or flags on another message."""

    account: str
    generation: int
    queue_id: str
    path: str | None = None
    sent: float = 0.0
    original: Original | None = None


encode = pack
_mail = msgspec.json.Decoder(Mail)
_failure = msgspec.json.Decoder(Failure)
_after = msgspec.json.Decoder(After)


def read_mail(data: bytes) -> Mail:
    return _mail.decode(data)


def read_after(data: bytes) -> After:
    return _after.decode(data)


def read_failure(error: bytes | None) -> Failure | None:
    """The failure that a job carries; None before the first, or for one that nobody can read."""
    if not error:
        return None
    try:
        return _failure.decode(error)
    except msgspec.DecodeError:
        return None


def mark_of(claim: int) -> str:
    """What is noted at a job when who claimed it under that number is about to send the final dot."""
    return f"dot:{claim}"
