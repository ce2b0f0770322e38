"""Fair limits: so many at a time, first come first served, cancellable."""

from __future__ import annotations

from collections import deque
from types import TracebackType

from twisted.internet.defer import CancelledError, Deferred


class Gate:
    """Lets `limit` holders in at a time: `async with gate: ...`. Hold it for one step, never while waiting for more."""

    __slots__ = ("_queue", "_serving", "free", "limit")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("A gate without a place would never open")
        self.limit = limit
        self.free = limit
        self._serving = False
        self._queue: deque[Deferred[None]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def acquire(self) -> None:
        """Wait for a place. A cancelled waiter leaves the queue without having taken one."""
        if self.free > 0 and not self._queue:
            self.free -= 1
            return
        turn: Deferred[None] = Deferred(self._leave)
        self._queue.append(turn)
        await turn

    def release(self) -> None:
        """Give the place to whoever waits longest."""
        self.free += 1
        if self._serving:
            # whoever is served may be done before callback() returns: the loop below goes on, and the stack stays flat
            return
        self._serving = True
        try:
            while self.free > 0 and self._queue:
                self.free -= 1
                self._queue.popleft().callback(None)
        finally:
            self._serving = False

    def _leave(self, turn: Deferred[None]) -> None:
        if turn in self._queue:
            self._queue.remove(turn)
            turn.errback(CancelledError())

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class KeyedGate:
    """`limit` holders in all and `per_key` for each key: `async with gate.of(host): ...`."""

    __slots__ = ("_gates", "_per_key", "_whole")

    def __init__(self, limit: int, per_key: int) -> None:
        if per_key < 1:
            raise ValueError("A gate without a place would never open")
        self._whole = Gate(limit)
        self._per_key = per_key
        self._gates: dict[str, Gate] = {}

    @property
    def keys(self) -> int:
        """How many keys are in use."""
        return len(self._gates)

    def of(self, key: str) -> _KeyedPlace:
        return _KeyedPlace(self, key)

    async def _enter(self, key: str) -> None:
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(self._per_key)
        await gate.acquire()
        try:
            await self._whole.acquire()
        except BaseException:
            self._exit_key(key)
            raise

    def _exit(self, key: str) -> None:
        self._whole.release()
        self._exit_key(key)

    def _exit_key(self, key: str) -> None:
        gate = self._gates[key]
        gate.release()
        # release() may have run those who waited to their end, who were here before us; and may be about to serve more
        if gate.free == gate.limit and not gate.waiting and self._gates.get(key) is gate:
            del self._gates[key]


class _KeyedPlace:
    __slots__ = ("_gate", "_key")

    def __init__(self, gate: KeyedGate, key: str) -> None:
        self._gate = gate
        self._key = key

    async def __aenter__(self) -> None:
        await self._gate._enter(self._key)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate._exit(self._key)
