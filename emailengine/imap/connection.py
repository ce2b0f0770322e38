"""One IMAP connection: commands go out in turn, each response is read when it comes. Knows Twisted's IMAP client.

`IMAP4Client` is kept for its type, its TLS and its place in Twisted. Its wire layer is not used: it collects everything
a command brings and parses it when the command ends, drops long lines, and believes what was said before TLS.

Each response is parsed once and offered to the commands that run; what none of them takes is news.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IReactorTime,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.mail.imap4 import IMAP4Client
from twisted.python.failure import Failure

from emailengine.errors import ConnectionLost, EmailEngineError, InvalidInput, ProtocolFault, TlsFailed
from emailengine.imap.commands.auth import StartTls
from emailengine.imap.commands.command import Command, farewell
from emailengine.imap.commands.idle import DONE, Idle
from emailengine.imap.compress import Compress, Deflate, deflated
from emailengine.imap.feeding import Feeding
from emailengine.imap.intake import Intake
from emailengine.imap.wirelog import Lines, WireLog
from emailengine.net.tls import translate
from emailengine.wire.errors import TheyBrokeProtocol, WeMisusedProtocol
from emailengine.wire.imap.responses import Continuation, Fetch, Response, Status, Tagged, parse
from emailengine.wire.imap.splitter import Sink
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.write import LiteralMode, render

log = Logger()
T = TypeVar("T")

SILENCE: Final = 60.0
"""Seconds without an octet, while a command runs, after which the connection is given up."""

_AT_ONCE: Final = 65_536
"""Octets of a command that are handed to the transport in one piece."""
_PARTING: Final = 5.0
"""Seconds that a server has to close the connection after its BYE."""


@define(eq=False)
class _Job:
    command: Command[Any]
    pieces: Sequence[Piece] = field(repr=False)
    done: Deferred[Any] = field(init=False, repr=False)
    tag: bytes = b""
    bursts: list[list[bytes]] = field(factory=list, repr=False)
    """What waits for the server's leave to send it."""
    wanted: bool = True
    fault: TheyBrokeProtocol | None = None


class _While:
    """A sink, as long as somebody waits for the command it is of."""

    __slots__ = ("_job", "_sink")

    def __init__(self, job: _Job, sink: Sink) -> None:
        self._job = job
        self._sink = sink

    def __call__(self, octets: bytes) -> None:
        if self._job.wanted:
            self._sink(octets)


class Connection(IMAP4Client):
    """
    A connection to an IMAP server.

    `news` is called with every response that no command takes, at the moment it is read; `wire_log` is told every line.
    """

    timeout = 0  # deadlines are with those who wait

    def __init__(
        self, clock: IReactorTime, host: str, news: Callable[[Response], None], *, wire_log: WireLog | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._clock = clock
        self._host = host
        self._news = news
        self._lines = None if wire_log is None else Lines(wire_log)
        self._intake = Intake(clock, self._read, self._break, self._choose)
        self._queue: list[_Job] = []
        self._running: list[_Job] = []
        self._feeding: Feeding | None = None
        self._asked = False
        self._tags = 0
        self._heard = self.heard_at = clock.seconds()
        self._timer: IDelayedCall | None = None
        self._greeting: Deferred[Status] = Deferred(lambda _: None)
        self._greeted = False
        self._securing: IOpenSSLClientConnectionCreator | None = None
        self._farewell: Status | None = None
        self._closed = False
        self._leaving: list[Deferred[None]] = []
        self.silence = SILENCE
        """Seconds without an octet, while a command runs, after which the connection is given up."""
        self.literals = LiteralMode.SYNCHRONIZING
        """How the server takes literals."""
        self.utf8 = False
        """Whether the names of mailboxes are UTF-8: after ENABLE UTF8=ACCEPT or IMAP4rev2."""
        self.ended: EmailEngineError | None = None
        """Why the connection is over; None while it lives."""
        self.lost: Callable[[], None] | None = None
        """Called once when it is over."""

    # What Twisted calls

    def connectionMade(self) -> None:
        self.transport: ITCPTransport
        self._intake.transport = self.transport
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._tell(f"connected to {self._host}")

    def dataReceived(self, data: bytes) -> None:
        if self.ended is not None:
            return
        self._heard = self.heard_at = self._clock.seconds()
        self._intake.take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closed = True
        try:
            self._intake.end()
        finally:  # whatever a listener raised
            self._over(self._translated(reason))
            leaving, self._leaving = self._leaving, []
            for one in leaving:
                one.callback(None)

    def timeoutConnection(self) -> None:
        """Deadlines are with those who wait; Twisted's timer is never set."""

    def sendCommand(self, cmd: object) -> Deferred[Any]:
        """The base class's own commands are out of reach."""
        raise NotImplementedError

    # What is said

    def greeting(self) -> Deferred[Status]:
        """The server's greeting. To be asked for once."""
        return self._greeting if self._greeted or self.ended is None else fail(self._again())

    def run(self, command: Command[T]) -> Deferred[T]:
        """
        Send a command when it is its turn; its value, or the error it makes of NO and BAD.

        InvalidInput where a value in it cannot be said, and why the connection ended, if it does. Cancelled before it
        is sent, it never will be; cancelled after, its answer is thrown away when it comes. IDLE is ended by the next
        command.
        """
        if self.ended is not None:
            return fail(self._again())
        try:
            job = _Job(command, command.line())
        except WeMisusedProtocol as error:
            return fail(InvalidInput(f"The mail server cannot be asked for this: {error}"))
        job.done = Deferred(lambda _: self._forget(job))
        self._queue.append(job)
        self._push()
        return job.done

    def secure(self, creator: IOpenSSLClientConnectionCreator) -> Deferred[None]:
        """
        Say STARTTLS; on OK TLS is started before anything further is read.

        TlsFailed if the server refuses, or has said anything after its OK: that came before TLS, from anybody.
        """
        self._securing = creator
        return self.run(StartTls())

    def compress(self) -> Deferred[None]:
        """Say COMPRESS DEFLATE; from its OK on both directions are compressed. ServerRefused if it is not wanted."""
        return self.run(Compress())

    def pause(self) -> None:
        """
        Read nothing further until `resume`. What is being read now goes on for some kilobytes at most.

        Nothing is lost, and silence does not count. Paused once more it is still paused once.
        """
        self._intake.pause()

    def resume(self) -> None:
        """Read on."""
        self._heard = self._clock.seconds()
        self._intake.resume()

    def end_idle(self) -> None:
        """Say DONE if IDLE runs, as soon as the server has let it begin."""
        for job in self._running:
            if isinstance(job.command, Idle) and not job.command.ending:
                job.command.ending = True
                if job.command.resting:
                    job.command.resting = False
                    self._answer(job, DONE)
                self._watch()

    def check(self) -> None:
        """Raise why it is over, if it is."""
        if self.ended is not None:
            raise self._again()

    def abort(self, why: str) -> None:
        """End it at once."""
        self._end(ConnectionLost(f"The connection to {self._host} was given up: {why}"))

    def gone(self) -> Deferred[None]:
        """Fires when nothing of it is left."""
        if self._closed:
            return succeed(None)
        gone: Deferred[None] = Deferred(self._leaving.remove)
        self._leaving.append(gone)
        return gone

    def _forget(self, job: _Job) -> None:
        job.wanted = False
        if job in self._queue:
            self._queue.remove(job)

    def _push(self) -> None:
        """Send what may be sent now."""
        while self._queue and self.ended is None and self._feeding is None:
            if self._running and not self._may_join(self._queue[0]):
                self.end_idle()
                return
            job = self._queue.pop(0)
            self._tags += 1
            job.tag = b"%d" % self._tags
            job.bursts.extend(render(job.tag, job.pieces, self.literals))
            if self._lines is not None:
                self._lines.said(job.tag, job.command, job.pieces)
            job.pieces = ()
            self._running.append(job)
            self._intake.line_by_line = job.command.alone_on_its_line
            job.command.sent()
            self._say(job.bursts.pop(0))
            self._watch()

    def _may_join(self, job: _Job) -> bool:
        return job.command.together and all(one.command.together and not one.bursts for one in self._running)

    def _say(self, chunks: Sequence[bytes]) -> None:
        self._heard = self._clock.seconds()
        compressed = self._intake.compressed
        if sum(map(len, chunks)) <= _AT_ONCE:
            octets = b"".join(chunks)
            self.transport.write(deflated(octets) if compressed else octets)
            return
        self._feeding = Feeding(self.transport, chunks, _AT_ONCE, self._fed, Deflate() if compressed else None)
        self._feeding.start()

    def _answer(self, job: _Job, answer: bytes) -> None:
        if self._lines is not None:
            self._lines.answered(job.command, answer)
        self._say([answer + b"\r\n"])

    def _fed(self, over: bool) -> None:
        """The transport took something of a long command."""
        self._heard = self._clock.seconds()
        if over:
            self._feeding = None
            if not self._running:  # it was refused before the server had all of it
                self._rest()
            if self._asked:
                self._asked = False
                self._go_on(b"")
            self._push()

    # What is heard

    def _read(self, pieces: Sequence[Piece]) -> None:
        if self._lines is not None:
            self._lines.heard(pieces, secret=any(job.command.secret for job in self._running))
        try:
            response = parse(pieces, utf8=self.utf8)
        except TheyBrokeProtocol as fault:
            self._note(fault)
        else:
            self._hear(response)

    def _choose(self, pieces: Sequence[Piece], size: int) -> Sink | None:
        """Where a literal goes that begins now."""
        for job in self._running:
            sink = job.command.sink(pieces, size)
            if sink is not None:
                return _While(job, sink)
        return None

    def _hear(self, response: Response) -> None:
        kind = type(response)
        if kind is not Fetch:
            if not self._greeted and kind is not Status:
                self._break(TheyBrokeProtocol("the greeting is missing"))
                return
            if isinstance(response, Tagged):
                self._finish(response)
                return
            if isinstance(response, Continuation):
                self._go_on(response.text)
                return
            if isinstance(response, Status):
                if response.status == "BYE":
                    self._part(response)
                if not self._greeted:
                    self._greeted = True
                    if not self._greeting.called:  # else whoever waited has given up
                        self._greeting.callback(response)
                    return
        for job in self._running:
            if job.command.take(response):
                return
        self._news(response)

    def _go_on(self, challenge: bytes) -> None:
        if self._feeding is not None:  # it is eager: the transport has not told us yet that all of it is gone
            self._asked = True
            return
        for job in self._running:
            if job.bursts:
                self._say(job.bursts.pop(0))
                return
        for job in self._running:
            said = job.command.answer(challenge)
            if said is not None:
                self._answer(job, said)
            elif isinstance(job.command, Idle) and job.command.resting:
                self._rest()
            return

    def _finish(self, final: Tagged) -> None:
        job = next((one for one in self._running if one.tag == final.tag), None)
        if job is None:
            log.warn("{host} answers a command that nobody gave", host=self._host)
            return
        self._running.remove(job)
        job.bursts.clear()
        self._intake.line_by_line = False
        if not self._running and self._feeding is None:
            self._rest()
        if final.status == "OK":
            if isinstance(job.command, StartTls) and not self._start_tls(job):
                return
            if isinstance(job.command, Compress):
                self._intake.inflate()
                self._tell("DEFLATE started")
        if job.wanted:
            job.wanted = False
            self._resolve(job, final)
        self._push()

    def _resolve(self, job: _Job, final: Tagged) -> None:
        if final.status != "OK":
            job.done.errback(job.command.refused(final))
        elif job.fault is not None:
            job.done.errback(
                ProtocolFault(f"The mail server's answer to {job.command.word} cannot be read: {job.fault}")
            )
        else:
            try:
                value = job.command.result(final)
            except Exception as error:  # noqa: BLE001 - whoever waits shall hear of it
                job.done.errback(error)
            else:
                job.done.callback(value)

    def _start_tls(self, job: _Job) -> bool:
        if self._intake.waiting or self._securing is None:
            self._running.append(job)
            self._end(TlsFailed("The mail server sent more after its answer to STARTTLS", transient=False))
            return False
        ITLSTransport(self.transport).startTLS(self._securing)
        self._securing = None
        self._tell("TLS started")
        return True

    def _note(self, fault: TheyBrokeProtocol) -> None:
        """A response that cannot be read fails the command that runs; the connection is still sound."""
        log.warn("{host} sent what cannot be read: {fault}", host=self._host, fault=fault.what)
        if not self._greeted:
            self._break(fault)
        for job in self._running:
            job.fault = job.fault or fault

    # The end

    def _watch(self) -> None:
        """Give the connection up when it is silent for too long."""
        if self._timer is None:
            self._timer = self._clock.callLater(self.silence, self._look)

    def _part(self, said: Status) -> None:
        """The server says that it closes the connection; some then do not."""
        self._farewell = said
        self.silence = min(self.silence, _PARTING)
        self._unwatch()
        self._watch()

    def _rest(self) -> None:
        """Nothing is waited for but news: silence is normal."""
        if self._farewell is None:
            self._unwatch()

    def _unwatch(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        if self._intake.held:
            self._heard = self._clock.seconds()
        left = self.silence - (self._clock.seconds() - self._heard)
        if left <= 0 and self._farewell is not None:
            self._end(farewell(self._farewell, f"{self._host} ended the session"))
        elif left <= 0:
            self._end(ConnectionLost(f"{self._host} has not answered for {self.silence:g} seconds"))
        else:
            self._timer = self._clock.callLater(left, self._look)

    def _break(self, fault: TheyBrokeProtocol) -> None:
        self._end(ProtocolFault(f"{self._host} does not speak IMAP: {fault}"))

    def _end(self, error: EmailEngineError) -> None:
        self._over(error)
        if self.transport is not None and not self._closed:
            self.transport.abortConnection()

    def _over(self, error: EmailEngineError) -> None:
        if self.ended is not None:
            return
        self.ended = error
        self._tell(error.message)
        self._unwatch()
        self._intake.close()
        feeding, self._feeding = self._feeding, None
        if feeding is not None:
            feeding.stop()
        jobs = [*self._running, *self._queue]
        self._running.clear()
        self._queue.clear()
        lost, self.lost = self.lost, None
        if not self._greeting.called:
            self._greeting.errback(self._again())
            self._greeting.addErrback(lambda _: None)  # perhaps nobody asked
        for job in jobs:
            if job.wanted:
                job.wanted = False
                job.done.errback(self._again())
        if lost is not None:
            lost()

    def _tell(self, event: str) -> None:
        if self._lines is not None:
            self._lines.event(event)

    def _again(self) -> EmailEngineError:
        """Why it is over, as an exception of its own: each is raised in another place."""
        assert self.ended is not None
        return copy.copy(self.ended)

    def _translated(self, reason: Failure) -> EmailEngineError:
        if not isinstance(reason.value, ConnectionClosed):
            return translate(reason, self._host)
        if self._farewell is not None:
            return farewell(self._farewell, f"{self._host} closed the connection")
        return ConnectionLost(translate(reason, self._host).message)
