"""One SMTP connection: a line to say, a reply to wait for. The only file that knows Twisted's SMTP client.

`ESMTPClient` is kept for its type, its line receiving and its place in Twisted. Its state machine is not used: the
order of things is written as coroutines in `opening.py` and `sending.py`, which ask this class for single steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IPullProducer,
    IReactorTime,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.mail.smtp import ESMTPClient
from twisted.python.failure import Failure
from zope.interface import implementer

from emailengine.core.deadline import bounded
from emailengine.errors import ConnectionLost, EmailEngineError, ProtocolFault, TimedOut, TlsFailed
from emailengine.wire.errors import TheyBrokeProtocol, WeMisusedProtocol
from emailengine.wire.smtp import Reply, ReplyReader

_MOST_UNASKED = 4  # replies nobody asked for that are kept; a greeting, a 421
_SECONDS_WITHOUT_PROGRESS = 180.0  # RFC 5321 4.5.3.2.5


class Connection(ESMTPClient):
    """
    A connection to an SMTP server.

    One coroutine at a time uses it. A step that fails, times out or is cancelled leaves the conversation at an
    unknown place, so it ends the connection. What was said is kept nowhere, for it may be a password.
    """

    debug = False  # Twisted would keep what we say, passwords too, and put it into its exceptions
    timeout = None
    delimiter = b"\n"  # some servers end lines with LF alone
    MAX_LENGTH = 16_384

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__(b"", None, b"", logsize=1)  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._clock = clock
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._waiting: Deferred[Reply] | None = None
        self._securing: IOpenSSLClientConnectionCreator | None = None
        self._feeding: _Feeding | None = None
        self._leaving: list[Deferred[None]] = []
        self._closed = False
        self.ended: EmailEngineError | None = None
        """Why the connection is over; None while it lives."""
        self.secure = False
        """Whether TLS protects the connection."""

    # What Twisted calls

    def connectionMade(self) -> None:
        self.transport: ITCPTransport
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def lineReceived(self, line: bytes) -> None:
        if self.ended is not None:
            return
        try:
            reply = self._reader.feed(line.removesuffix(b"\r"))
        except TheyBrokeProtocol as error:
            self._end(ProtocolFault(f"The SMTP server sent {error}", code="EPROTOCOL"))
            return
        if reply is None:
            return
        if self._securing is not None:
            creator, self._securing = self._securing, None
            if reply.code == 220:
                # What came with the 220 was sent before TLS, by anybody: it must not be read as said under it.
                if self._buffer:
                    self._end(TlsFailed("The SMTP server sent more after its answer to STARTTLS", transient=False))
                    return
                ITLSTransport(self.transport).startTLS(creator)
                self.secure = True
        if self._feeding is not None and reply.code >= 400:
            self._feeding.stop(None)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(reply)
        elif len(self._replies) < _MOST_UNASKED:
            self._replies.append(reply)
        else:
            self._end(ProtocolFault("The SMTP server sends replies to nothing", code="EPROTOCOL"))

    def lineLengthExceeded(self, line: bytes) -> None:
        self._end(ProtocolFault("The SMTP server sent a line without end", code="EPROTOCOL"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closed = True
        self._over(_translated(reason))
        leaving, self._leaving = self._leaving, []
        for one in leaving:
            one.callback(None)

    def timeoutConnection(self) -> None:
        """Deadlines are with those who wait; Twisted's timer is never set."""

    # Steps

    async def reply(self, seconds: float, what: str) -> Reply:
        """
        The next reply. Raises ConnectionLost, TlsFailed, ProtocolFault or TimedOut; then the connection is over.
        """
        complete = False
        try:
            found = await bounded(self._clock, seconds, self._next(), f"The SMTP server's answer to {what}")
            complete = True
        except TimedOut as error:
            raise TimedOut(error.message, code="ETIMEDOUT") from None
        finally:
            if not complete:
                self._waiting = None
                self.abort()
        return found

    async def ask(self, line: bytes, seconds: float, what: str) -> Reply:
        """
        Say one line and wait for its reply; `what` names it in errors, where the line itself never appears.

        What the server said before it was asked is no answer: a 421 is taken as its goodbye, all else is a fault.
        """
        if self._replies and self._replies[0].code == 421:
            return self._replies.popleft()
        if self.ended is None and not self.quiet:
            self._end(ProtocolFault("The SMTP server speaks out of turn", code="EPROTOCOL"))
        self.say([line])
        return await self.reply(seconds, what)

    async def secured(self, creator: IOpenSSLClientConnectionCreator, seconds: float) -> Reply:
        """Say STARTTLS; on a 220 TLS is started before anything further is read."""
        self._securing = creator
        return await self.ask(b"STARTTLS", seconds, "STARTTLS")

    def say(self, lines: Sequence[bytes]) -> None:
        """Send lines without waiting."""
        for line in lines:
            if b"\r" in line or b"\n" in line or b"\0" in line:
                raise WeMisusedProtocol("a line break inside an SMTP command")
        if self.ended is None:
            self.transport.write(b"".join([line + b"\r\n" for line in lines]))

    async def feed(self, slices: Iterator[bytes]) -> bool:
        """
        Send octets as fast as the server takes them; False if it objected with a reply before all were sent.

        Raises TimedOut when it takes nothing for three minutes, else what `reply` raises.
        """
        if self.ended is not None:
            raise self.ended
        if self._replies:
            return False
        feeding = _Feeding(self.transport, slices, self._clock)
        self._feeding = feeding
        complete = False
        try:
            whole = await feeding.start()
            complete = True
        finally:
            self._feeding = None
            if not complete:
                self.abort()
        return whole

    def write(self, octets: bytes) -> None:
        """Send octets of a message."""
        if self.ended is not None:
            raise self.ended
        self.transport.write(octets)

    @property
    def quiet(self) -> bool:
        """Whether it lives and the server said nothing that nobody asked for."""
        return self.ended is None and not self._replies and self._reader.between and not self._buffer

    async def leave(self, seconds: float) -> None:
        """Say QUIT, close, and return when nothing is left, at the latest after `seconds`."""
        if self.ended is None and self._waiting is None:
            self.say([b"QUIT"])
            self.transport.loseConnection()
        gone = self._gone()
        try:
            await bounded(self._clock, seconds, gone)
        except TimedOut:
            self.abort()

    def abort(self) -> None:
        """End it at once."""
        if self.ended is None:
            self._end(ConnectionLost("The SMTP connection was given up", code="ECONNECTION"))

    def _gone(self) -> Deferred[None]:
        if self._closed:
            return succeed(None)
        gone: Deferred[None] = Deferred(self._leaving.remove)
        self._leaving.append(gone)
        return gone

    def _next(self) -> Deferred[Reply]:
        if self._replies:
            return succeed(self._replies.popleft())
        if self.ended is not None:
            return fail(self.ended)
        waiting: Deferred[Reply] = Deferred(lambda _: self._forget())
        self._waiting = waiting
        return waiting

    def _forget(self) -> None:
        self._waiting = None

    def _end(self, error: EmailEngineError) -> None:
        self._over(error)
        if self.transport is not None:
            self.transport.abortConnection()

    def _over(self, error: EmailEngineError) -> None:
        if self.ended is None:
            self.ended = error
        feeding, self._feeding = self._feeding, None
        if feeding is not None:
            feeding.stop(self.ended)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(self.ended)


def _translated(reason: Failure) -> EmailEngineError:
    error = reason.value
    if isinstance(error, EmailEngineError):
        return error  # whoever judged the certificate says why
    if isinstance(error, VerificationError | CertificateError):
        return TlsFailed("The certificate of the SMTP server is not valid for its name")
    if isinstance(error, SSL.Error):
        texts = [one[-1] for one in error.args[0]] if error.args and isinstance(error.args[0], list) else []
        return TlsFailed(f"TLS with the SMTP server failed: {', '.join(texts) or 'the connection ended'}")
    if isinstance(error, ConnectionDone):
        return ConnectionLost("The SMTP server closed the connection", code="ECONNECTION")
    return ConnectionLost(f"The connection to the SMTP server was lost: {error}", code="ECONNECTION")


@implementer(IPullProducer)
class _Feeding:
    """Hands slices to the transport whenever it wants more, and watches that it does."""

    def __init__(self, transport: ITCPTransport, slices: Iterator[bytes], clock: IReactorTime) -> None:
        self._transport = IConsumer(transport)
        self._slices = slices
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._over = False
        self._done: Deferred[bool] = Deferred(self._cancel)

    def start(self) -> Deferred[bool]:
        self._timer = self._clock.callLater(_SECONDS_WITHOUT_PROGRESS, self._expire)
        self._transport.registerProducer(self, False)
        return self._done

    def resumeProducing(self) -> None:
        if self._over:
            return
        if self._timer is not None:
            self._timer.reset(_SECONDS_WITHOUT_PROGRESS)
        for octets in self._slices:
            if octets:
                self._transport.write(octets)
                return
        self._finish()
        self._done.callback(True)

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows and says why."""

    def stop(self, error: EmailEngineError | None) -> None:
        """End before all was sent: with an error, or because the server replied."""
        if self._over:
            return
        self._finish()
        if error is None:
            self._done.callback(False)
        else:
            self._done.errback(error)

    def _expire(self) -> None:
        self._timer = None
        self.stop(TimedOut("The SMTP server takes no more of the message", code="ETIMEDOUT"))

    def _cancel(self, _: object) -> None:
        self._finish()

    def _finish(self) -> None:
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._transport.unregisterProducer()
