"""Taking mail in: a request becomes a message, once, and the message a job of the queue.

All that can be wrong with a request is said here, before anything is kept. What is stored is the message as it will be
in the Sent folder, Bcc included; sending takes that out.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import msgspec
from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from emailengine.accounts.verbs.reading import ReadMessage
from emailengine.core.clock import wall
from emailengine.core.deadline import Deadline
from emailengine.core.gates import Gate
from emailengine.core.ids import queue_id
from emailengine.core.turns import Turns
from emailengine.errors import EmailEngineError, MessageNotFound, NotFound, TimedOut, TooLarge
from emailengine.model import codec
from emailengine.model.dates import iso
from emailengine.model.ids import unpack_message
from emailengine.model.message import MessageDetail
from emailengine.model.paging import page_count
from emailengine.model.submission import (
    TEXT_LIMIT,
    Idempotency,
    OutboxPage,
    QueueEntry,
    Reference,
    ReferenceResult,
    SubmitRequest,
    SubmitResponse,
    SubmittedAttachment,
)
from emailengine.outbox.embedding import embed_images
from emailengine.outbox.letter import Circumstances, Letter, Quoted, original_of, write
from emailengine.outbox.mail import SUBMIT, Mail, Original, encode
from emailengine.outbox.neighbours import Account, Accounts, Attachments, Settings
from emailengine.outbox.octets import decode_base64, encode_base64
from emailengine.outbox.pages import entry_of
from emailengine.outbox.raw import rewrite
from emailengine.outbox.verdict import ATTEMPTS
from emailengine.store.keys import Keys
from emailengine.store.queue import Idempotent, NewJob, Queue
from emailengine.wire.mime.compose import Attachment
from emailengine.wire.mime.headers import bracketed
from emailengine.wire.mime.reply import Action

REMEMBERED = 86400.0  # seconds that an Idempotency-Key is known
LARGEST = 50 * 1024 * 1024  # octets of what a message takes from other messages, as for a request's body
_LARGE = 4 * 1024 * 1024  # octets of attachments from which on messages are written one at a time

_answers = msgspec.json.Decoder(SubmitResponse)


@define
class _Found:
    """What became of a request's reference."""

    result: ReferenceResult
    quoted: Quoted | None = None
    original: Original | None = None


@define(kw_only=True, eq=False)
class Outbox:
    """Mail on its way out, as the API sees it. `hostname` names us where no domain of the sender can."""

    accounts: Accounts
    attachments: Attachments
    queue: Queue
    keys: Keys
    settings: Settings
    clock: IReactorTime
    hostname: str
    most: int = TEXT_LIMIT
    now: Callable[[], float] = wall
    _large: Gate = field(factory=lambda: Gate(1), init=False)

    async def accept(
        self, account: str, sent: SubmitRequest, *, idempotency_key: str | None, deadline: Deadline
    ) -> SubmitResponse:
        """
        Compose a message and queue it. A key that was seen within a day gives its first answer again.

        A dry run queues nothing, and is not remembered under its key. Raises `AccountNotFound`; `NotFound` with code
        SMTPUnavailable for an account that cannot send, with ReferenceNotFound for a message or attachment that is
        not there; `MessageNotFound` for a reference that is another message; `InvalidInput`.
        """
        actor = self.accounts.get(account)
        if actor.settings.smtp is None or actor.settings.smtp.host is None:
            raise NotFound("The account has no SMTP server to send through", code="SMTPUnavailable")
        _check_sizes(sent, self.most)
        once = self._key(account, idempotency_key) if idempotency_key and not sent.dry_run else None
        if once is not None:
            known = await self.queue.answered(once)
            if known is not None:
                return _repeated(known, idempotency_key)
        found = await self._look_up(actor, sent.reference, deadline) if sent.reference is not None else None
        around = Circumstances(
            settings=actor.settings,
            now=self.now(),
            hostname=self.hostname,
            quoted=found.quoted if found is not None else None,
        )
        letter, message = await self._composed(account, sent, around, deadline)
        if sent.dry_run:
            return SubmitResponse(
                response="Dry run",
                message_id=letter.message_id,
                reference=found.result if found is not None else None,
                preview=await encode_base64(message, Turns(self.clock)),
            )
        mail = Mail(
            account=account,
            generation=actor.generation,
            message_id=letter.message_id,
            sender=letter.sender,
            recipients=letter.recipients,
            subject=letter.subject,
            created=around.now,
            scheduled=letter.scheduled,
            attempts=letter.attempts or int(self.settings.value("deliveryAttempts", 0) or ATTEMPTS),
            idempotency_key=idempotency_key or None,
            copy=sent.copy,
            local_address=sent.local_address,
            sent_mail_path=sent.sent_mail_path or None,
            original=found.original if found is not None else None,
        )
        answer = SubmitResponse(
            response="Queued for delivery",
            message_id=letter.message_id,
            queue_id=queue_id(int(letter.scheduled * 1000)),
            send_at=iso(letter.scheduled),
            reference=found.result if found is not None else None,
        )
        return await self._put(mail, answer, message, actor.settings.smtp.host, idempotency_key, once)

    async def page(self, page: int, page_size: int) -> OutboxPage:
        """A part of the queue, over all accounts."""
        total, listed = await self.queue.page(page, page_size)
        return OutboxPage(
            total=total, page=page, pages=page_count(total, page_size), messages=[entry_of(one) for one in listed]
        )

    async def entry(self, queue_id: str) -> QueueEntry:
        """One message of the queue. `NotFound`."""
        listed = await self.queue.find(queue_id)
        if listed is None:
            raise NotFound("No message of the outbox has that id")
        return entry_of(listed)

    async def cancel(self, queue_id: str) -> bool:
        """Take a message out of the queue; False if it is not there, or is being sent this very moment."""
        return await self.queue.cancel(queue_id) is not None

    async def forget(self, account: str, *, page_size: int = 200) -> int:
        """Take all mail of an account that was deleted out of the queue, but for what is being sent; how many."""
        page = gone = 0
        while True:
            _, listed = await self.queue.page(page, page_size)
            theirs = [one.job.id for one in listed if one.job.lane == account]
            removed = sum([await self.queue.cancel(id) is not None for id in theirs])
            gone += removed
            if len(listed) < page_size:
                return gone
            if not removed:
                page += 1  # else others have moved up into this page

    # composing

    async def _composed(
        self, account: str, sent: SubmitRequest, around: Circumstances, deadline: Deadline
    ) -> tuple[Letter, bytes]:
        turns = Turns(self.clock)
        if sent.raw is not None:
            octets = await decode_base64(sent.raw, turns)
            if octets is None:
                raise codec.fault("raw", "must be base64")
            letter, size = rewrite(octets, sent, around), len(octets)
        else:
            attachments = await self._attached(account, sent.attachments or (), turns, deadline)
            html = sent.html
            if html:
                html, pictures = embed_images(html)
                sent = msgspec.structs.replace(sent, html=html)
                attachments += pictures
                await turns.breathe()
            letter = write(sent, around, attachments)
            size = sum(len(one.content) for one in attachments)
        if size < _LARGE:
            return letter, await _joined(letter, turns)
        async with self._large:
            return letter, await _joined(letter, turns)

    async def _attached(
        self, account: str, attachments: Sequence[SubmittedAttachment], turns: Turns, deadline: Deadline
    ) -> list[Attachment]:
        """The attachments with their content, in order."""
        parts: list[Attachment] = []
        left = LARGEST
        for place, one in enumerate(attachments):
            if one.reference:
                part = await self._fetched(account, one, left, deadline)
                left -= len(part.content)
            else:
                octets = await decode_base64(one.content or "", turns)
                if octets is None:
                    raise codec.fault(f"attachments[{place}].content", "must be base64")
                part = Attachment(
                    content=octets,
                    content_type=one.content_type or "application/octet-stream",
                    filename=one.filename,
                    disposition=one.content_disposition,
                    cid=one.cid,
                )
            parts.append(part)
        return parts

    async def _fetched(self, account: str, wanted: SubmittedAttachment, most: int, deadline: Deadline) -> Attachment:
        """An attachment of a stored message of the same account; what the request says of it counts first."""
        try:
            opened = await self.attachments.open_attachment(account, wanted.reference or "", deadline=deadline)
            octets = await deadline.bound(_read(opened.chunks, most))
        except MessageNotFound:
            raise NotFound("A referenced attachment is not there (any more)", code="ReferenceNotFound") from None
        return Attachment(
            content=octets,
            content_type=wanted.content_type or opened.content_type,
            filename=wanted.filename or opened.filename,
            disposition=wanted.content_disposition,
            cid=wanted.cid,
        )

    async def _look_up(self, actor: Account, reference: Reference, deadline: Deadline) -> _Found:
        """The referenced message. Without it, what the request says about that: an error, or a message without it."""
        try:
            folder, uid = unpack_message(reference.message)
            detail: MessageDetail = await actor.ask(ReadMessage(folder, uid, None, self.clock), deadline)
        except TimedOut:
            raise
        except EmailEngineError as error:
            missing = isinstance(error, MessageNotFound)
            if reference.ignore_missing and (missing or error.transient):
                return _Found(ReferenceResult(message=reference.message, success=False, error=error.message))
            if missing:
                raise NotFound("The referenced message is not there (any more)", code="ReferenceNotFound") from None
            raise
        if reference.message_id and bracketed(reference.message_id) != bracketed(detail.message_id or ""):
            raise MessageNotFound("The referenced message has another Message-ID")
        action = Action(reference.action)
        flags = ["\\Answered", "$Forwarded"] if action is Action.FORWARD else ["\\Answered"]
        flagged = any(flag in detail.flags for flag in flags)
        return _Found(
            ReferenceResult(message=reference.message, success=True),
            Quoted(action, original_of(detail)),
            None if flagged else Original(folder=folder, uid=uid, flags=flags),
        )

    # queueing

    def _key(self, account: str, idempotency_key: str) -> bytes:
        digest = hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()
        return self.keys.idempotency(digest, account)

    async def _put(
        self, mail: Mail, answer: SubmitResponse, message: bytes, host: str, key: str | None, once: bytes | None
    ) -> SubmitResponse:
        assert answer.queue_id is not None
        job = NewJob(
            queue=SUBMIT,
            lane=mail.account,
            id=answer.queue_id,
            group=host.lower(),
            at=mail.scheduled if mail.scheduled > mail.created else None,
            data=encode(mail),
            body=message,
            body_id=answer.queue_id,
        )
        if once is None or key is None:
            await self.queue.put(job)
            return answer
        put = await self.queue.put(job, once=Idempotent(once, encode(answer), REMEMBERED))
        if put.answer is not None:
            return _repeated(put.answer, key)
        return msgspec.structs.replace(answer, idempotency=Idempotency(key=key, status="MISS"))


def _repeated(stored: bytes, key: str | None) -> SubmitResponse:
    return msgspec.structs.replace(_answers.decode(stored), idempotency=Idempotency(key=key or "", status="HIT"))


def _check_sizes(sent: SubmitRequest, most: int) -> None:
    """`InvalidInput` for texts and attachments of more than `most` characters as sent."""
    texts = [(name, getattr(sent, name)) for name in ("raw", "text", "html")]
    texts += [(f"attachments[{place}].content", one.content) for place, one in enumerate(sent.attachments or ())]
    faults = [
        fault.extra["fields"][0]
        for name, text in texts
        if text is not None and len(text) > most
        for fault in [codec.fault(name, f"must have at most {most} characters (api.maxSize)")]
    ]
    if faults:
        raise codec.invalid(faults)


async def _joined(letter: Letter, turns: Turns) -> bytes:
    pieces: list[bytes] = []
    for piece in letter.pieces:
        pieces.append(piece)
        await turns.breathe()
    return b"".join(pieces)


async def _read(chunks: AsyncGenerator[bytes, None], most: int) -> bytes:
    """All chunks; `TooLarge` beyond `most` octets."""
    pieces: list[bytes] = []
    async with aclosing(chunks):
        async for chunk in chunks:
            pieces.append(chunk)
            most -= len(chunk)
            if most < 0:
                raise TooLarge("The referenced attachments are larger than a message may be")
    return b"".join(pieces)
