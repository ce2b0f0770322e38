"""NOOP and IDLE (RFC 2177): hearing of news, asked once or waiting for them."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from emailengine.imap.commands.command import Plain
from emailengine.wire.imap.responses import Tagged
from emailengine.wire.imap.tokens import Piece

DONE = b"DONE"


class Noop(Plain):
    __slots__ = ()
    word = "NOOP"

    def line(self) -> Sequence[Piece]:
        return [b"NOOP"]


class Idle(Plain):
    """
    Takes no response: all are news. It lasts until the connection says DONE for it.

    `started` fires when the server has answered `+`, or fails with what ended it before.
    """

    __slots__ = ("agreed", "begun", "ending", "resting", "started")
    word = "IDLE"

    def __init__(self) -> None:
        self.started: Deferred[None] = Deferred(lambda _: None)
        self.begun = False
        """It was sent."""
        self.agreed = False
        """The server answered `+`."""
        self.resting = False
        """The server waits with us: silence is normal now."""
        self.ending = False
        """DONE was said, or will be as soon as it may."""

    def line(self) -> Sequence[Piece]:
        return [b"IDLE"]

    def sent(self) -> None:
        self.begun = True

    def answer(self, challenge: bytes) -> bytes | None:
        if self.agreed:
            return None
        self.agreed = True
        late = self.ending  # whoever waits for `started` may end it at once, and says DONE then
        self.resting = not late
        if not self.started.called:
            self.started.callback(None)
        return DONE if late else None

    def result(self, final: Tagged) -> None:
        self.resting = False
        if not self.started.called:
            self.started.callback(None)

    def failed(self, failure: Failure) -> None:
        """It ended in an error; one that was taken back before it was sent has ended as well as begun."""
        self.resting = False
        if self.started.called:
            return
        if failure.check(CancelledError):
            self.started.callback(None)
        else:
            self.started.errback(failure)
