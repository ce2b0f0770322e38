"""What arrives on a connection, in turns: octets become responses, and nobody is held up by how many there are.

A read that brings more than a few milliseconds of work is cut: the rest waits in order, the transport is paused, and
the reactor runs. So it is when a consumer asks for a pause. Octets wait as they came, so what a few of them inflate to
takes no room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from emailengine.imap.compress import Inflate
from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap.splitter import Choose, Splitter
from emailengine.wire.imap.tokens import Piece

_TURN: Final = 0.004
"""Seconds of reading before the reactor runs again."""
_LOOK_AFTER: Final = 16
"""Responses between two looks at the clock."""
_LAST: Final = 1 << 20
"""Octets that are still inflated when the connection is gone already."""


class Intake:
    """
    Gives each response to `read`, and the fault to `broken` if it is not known any more where one ends.

    `choose` is asked where literals go. It is over when `close` or `end` was called, which `read` may do.
    """

    __slots__ = (
        "_arrived",
        "_broken",
        "_clock",
        "_held",
        "_inbox",
        "_inflate",
        "_last",
        "_over",
        "_read",
        "_splitter",
        "_turn",
        "line_by_line",
        "transport",
    )

    def __init__(
        self,
        clock: IReactorTime,
        read: Callable[[list[Piece]], None],
        broken: Callable[[TheyBrokeProtocol], None],
        choose: Choose,
    ) -> None:
        self._clock = clock
        self._read = read
        self._broken = broken
        self._arrived: deque[bytes] = deque()
        self._inflate: Inflate | None = None
        self._splitter = Splitter()
        self._splitter.expect_sink(choose)
        self._inbox: deque[list[Piece]] = deque()
        self._turn: IDelayedCall | None = None
        self._held = False
        self._over = False
        self._last: int | None = None
        self.transport: Any = None
        """What is paused, once it is known."""
        self.line_by_line = False
        """Whether a line may be the last before octets of another kind: none is split before the one before is read."""

    @property
    def held(self) -> bool:
        """Whether a consumer has asked for a pause."""
        return self._held

    @property
    def waiting(self) -> bool:
        """Whether anything has arrived that is not read yet."""
        return bool(self._arrived or self._inbox or self._splitter.pending)

    @property
    def compressed(self) -> bool:
        return self._inflate is not None

    def inflate(self) -> None:
        """What is not read yet, and all that follows, is compressed."""
        self._inflate = Inflate()

    def take(self, data: bytes) -> None:
        """Octets have arrived."""
        self._arrived.append(data)
        if self._turn is None and not self._held:
            self._go(self._clock.seconds() + _TURN)

    def pause(self) -> None:
        """Read nothing further; what is being split now goes to its sinks yet."""
        if not self._held and not self._over:
            self._held = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on; not before the caller has returned."""
        if not self._held or self._over:
            return
        self._held = False
        if self._turn is not None:
            return
        if self._inbox or self._arrived:
            self._turn = self._clock.callLater(0, self._go_on)
        else:
            self.transport.resumeProducing()

    def end(self) -> None:
        """The connection is gone: read what there is, whoever wants a pause."""
        self._held = False
        self._last = _LAST
        self._unset()
        self._go(float("inf"))
        self.close()

    def close(self) -> None:
        """Read nothing any more."""
        self._over = True
        self._unset()
        self._arrived.clear()
        self._inbox.clear()
        self._inflate = None

    def _unset(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and turn.active():
            turn.cancel()

    def _go(self, until: float) -> None:
        inbox = self._inbox
        n = 0
        while not self._over and not self._held:
            if inbox:
                self._read(inbox.popleft())
                n += 1
                if n % _LOOK_AFTER:
                    continue
            elif not self._split():
                return
            if self._clock.seconds() >= until and (inbox or self._arrived):
                self.transport.pauseProducing()
                if self._turn is None:  # who paused and went on in `read` has set one
                    self._turn = self._clock.callLater(0, self._go_on)
                return

    def _go_on(self) -> None:
        self._turn = None
        try:
            self._go(self._clock.seconds() + _TURN)
        except Exception:
            self.transport.abortConnection()  # as the transport does where it calls us itself
            raise
        if self._turn is None and not self._held and not self._over:
            self.transport.resumeProducing()

    def _split(self) -> bool:
        """Split some of what has arrived into responses; False if there is nothing, or no way to read it."""
        arrived = self._arrived
        try:
            if self._splitter.broken is not None:
                raise self._splitter.broken
            if not arrived:
                return False
            data = arrived.popleft()
            if self._inflate is not None:
                data, rest = self._inflate.portion(data)
                if rest is not None:
                    arrived.appendleft(rest)
                if self._last is not None:
                    self._last -= len(data)
                    if self._last < 0:
                        return False
            elif self.line_by_line:
                lines = data.splitlines(keepends=True)
                data = lines[0] if lines else data
                arrived.extendleft(reversed(lines[1:]))
            self._inbox.extend(self._splitter.feed(data))
        except TheyBrokeProtocol as fault:
            self._broken(fault)
            return False
        return True
