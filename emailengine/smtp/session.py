"""A session with an SMTP server that takes messages, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime

from emailengine.errors import (
    ConnectionLost,
    InvalidInput,
    MissingExtension,
    ProtocolFault,
    SmtpRefused,
    TimedOut,
    TlsFailed,
)
from emailengine.smtp.connection import Connection
from emailengine.smtp.faults import OutcomeUnknown, RecipientsRefused, Refusal
from emailengine.smtp.target import Patience
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.smtp import (
    FINAL_DOT,
    DotStuffer,
    Dsn,
    Reply,
    assigned_message_id,
    mail_command,
    needs_utf8,
    rcpt_command,
)

_SLICE = 65_536
_BATCH = 50  # commands sent ahead of their replies: 50 replies fit into any socket's buffer


@frozen(kw_only=True)
class Submission:
    """One message for one envelope. `data` has any line ends; its dots are ours to double. Bcc is the caller's care."""

    envelope_from: str
    recipients: Sequence[str]
    data: bytes
    dsn: Dsn | None = None


@frozen(kw_only=True)
class SmtpResult:
    """
    A message the server took, for at least one recipient.

    `response` is its whole final reply, `message_id` the id it put in place of ours, if it said so.
    """

    reply_code: int
    response: str
    accepted: tuple[str, ...]
    rejected: tuple[Refusal, ...] = ()
    message_id: str | None = None
    extensions: tuple[str, ...] = ()


OnFinalDot = Callable[[], Awaitable[None]]


@define(kw_only=True, eq=False)
class Session:
    """
    An open session. `deliver` may be called again when it returned, or raised while `usable` stays true.

    Not for two callers at once.
    """

    connection: Connection
    extensions: dict[str, str]
    """What the server offered after TLS; keyword in capitals, arguments."""
    host: str
    clock: IReactorTime
    patience: Patience
    messages: int = 0
    """Messages tried so far."""
    _spoilt: bool = False

    @property
    def usable(self) -> bool:
        return not self._spoilt and self.connection.quiet

    async def reset(self) -> bool:
        """Say RSET between messages; whether the server is still with us."""
        try:
            reply = await self.connection.ask(b"RSET", self.patience.reset, "RSET")
        except (ConnectionLost, TlsFailed, ProtocolFault, TimedOut):
            return False
        return reply.positive

    async def leave(self, seconds: float = 3.0) -> None:
        """Say goodbye and return when the connection is gone."""
        await self.connection.leave(seconds)

    async def deliver(self, submission: Submission, on_final_dot: OnFinalDot | None = None) -> SmtpResult:
        """
        Hand over one message.

        `on_final_dot` is awaited when all but the final dot is sent: from its return on the message may be accepted,
        whatever we hear of it. If it raises, the message is not sent and the connection ends.

        Raises, before the final dot: InvalidInput or MissingExtension (nothing was sent), SmtpRefused,
        RecipientsRefused (nobody was accepted), ConnectionLost, TlsFailed, ProtocolFault, TimedOut. After it:
        SmtpRefused, or OutcomeUnknown when no reply came.
        """
        mail, rcpts, utf8_missing = self._commands(submission)
        if utf8_missing:
            raise MissingExtension("The SMTP server cannot send to or from addresses outside ASCII")
        self.messages += 1
        finished = False
        try:
            accepted, rejected = await self._envelope(submission, mail, rcpts)
            reply = await self._content(submission.data, on_final_dot)
            finished = True
        except SmtpRefused as error:
            # Before DATA was granted a refusal leaves the conversation in order; RSET clears what was said.
            finished = error.reply_code != 421 and self.connection.quiet
            raise
        finally:
            self._spoilt = self._spoilt or not finished
        return SmtpResult(
            reply_code=reply.code,
            response=reply.text,
            accepted=tuple(accepted),
            rejected=tuple(rejected),
            message_id=assigned_message_id(self.host, reply),
            extensions=tuple(self.extensions),
        )

    def _commands(self, submission: Submission) -> tuple[bytes, list[bytes], bool]:
        recipients = list(dict.fromkeys(submission.recipients))
        if not recipients:
            raise InvalidInput("The message has no recipients", code="EENVELOPE")
        if "" in recipients:
            raise InvalidInput("A recipient's address is empty", code="EENVELOPE")
        wide = any(needs_utf8(one) for one in (submission.envelope_from, *recipients))
        eight_bit = not submission.data.isascii()
        try:
            mail = mail_command(
                submission.envelope_from,
                self.extensions,
                size=len(submission.data),
                eight_bit=eight_bit,
                utf8=wide or (eight_bit and not _header(submission.data).isascii()),
                dsn=submission.dsn,
            )
            rcpts = [rcpt_command(one, self.extensions, dsn=submission.dsn) for one in recipients]
        except WeMisusedProtocol as error:
            raise InvalidInput(str(error), code="EENVELOPE") from None
        return mail, rcpts, wide and "SMTPUTF8" not in self.extensions

    async def _envelope(
        self, submission: Submission, mail: bytes, rcpts: Sequence[bytes]
    ) -> tuple[list[str], list[Refusal]]:
        answers = await self._ask_all([mail, *rcpts])
        sender = answers[0]
        if not sender.positive:
            raise SmtpRefused(sender.code, sender.text, command="MAIL FROM")
        accepted: list[str] = []
        rejected: list[Refusal] = []
        for recipient, reply in zip(dict.fromkeys(submission.recipients), answers[1:], strict=True):
            if reply.code == 421:
                raise SmtpRefused(reply.code, reply.text, command="RCPT TO")
            if reply.positive:
                accepted.append(recipient)
            else:
                rejected.append(Refusal(recipient, reply.code, reply.text))
        if not accepted:
            raise RecipientsRefused(rejected)
        return accepted, rejected

    async def _ask_all(self, lines: Sequence[bytes]) -> list[Reply]:
        """
        The replies to MAIL and RCPT commands, sent ahead of each other where the server allows (RFC 2920).

        After a refused MAIL, or a 421, nothing further is asked and the replies end there or with the batch.
        """
        seconds = self.patience.envelope
        batch = _BATCH if "PIPELINING" in self.extensions else 1
        answers: list[Reply] = []
        for start in range(0, len(lines), batch):
            ahead = lines[start : start + batch]
            self.connection.say(ahead)
            for line in ahead:
                what = "MAIL FROM" if line is lines[0] else "RCPT TO"
                reply = await self.connection.reply(seconds, what)
                answers.append(reply)
                if reply.code == 421:
                    raise SmtpRefused(reply.code, reply.text, command=what)
            if not answers[0].positive:
                break
        return answers

    async def _content(self, data: bytes, on_final_dot: OnFinalDot | None) -> Reply:
        connection, patience = self.connection, self.patience
        reply = await connection.ask(b"DATA", patience.envelope, "DATA")
        if reply.code != 354:
            if reply.code < 400:
                connection.abort()
                raise ProtocolFault(f"The SMTP server answered DATA with {reply.text}", code="EPROTOCOL")
            raise SmtpRefused(reply.code, reply.text, command="DATA", code="EMESSAGE")
        complete = False
        try:
            stuffer = DotStuffer()
            whole = await connection.feed(_stuffed(data, stuffer))
            if whole and on_final_dot is not None:
                await on_final_dot()
            if not whole or not connection.quiet:
                early = await connection.reply(patience.envelope, "the message")
                raise SmtpRefused(early.code, early.text, command="DATA", code="EMESSAGE")
            connection.write(stuffer.end_text() + FINAL_DOT)
            complete = True
        finally:
            if not complete:
                connection.abort()  # what was sent so far must never become a message
        try:
            reply = await connection.reply(patience.final, "the message")
        except (ConnectionLost, TlsFailed, ProtocolFault, TimedOut) as error:
            raise OutcomeUnknown(f"The message was sent, but not confirmed: {error.message}") from error
        if not reply.positive:
            raise SmtpRefused(reply.code, reply.text, command="DATA", code="EMESSAGE")
        return reply


def _stuffed(data: bytes, stuffer: DotStuffer) -> Iterator[bytes]:
    for at in range(0, len(data), _SLICE):
        yield stuffer.feed(data[at : at + _SLICE])


def _header(data: bytes) -> bytes:
    """The header block of a message, for a look at its octets."""
    ends = [at for at in (data.find(b"\r\n\r\n"), data.find(b"\n\n")) if at >= 0]
    return data[: min(ends)] if ends else data
