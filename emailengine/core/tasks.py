"""Background work that somebody owns, and services that start and stop in order.

What Twisted leaves to us: a coroutine that is cancelled while it runs (it called something that stops its owner) does
not notice, and goes on for ever. `Tasks` cancels it at its next wait instead.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any, Protocol, cast, runtime_checkable

from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from emailengine.core import metrics
from emailengine.core.gates import Gate

log = Logger()

Work = Coroutine[Deferred[Any], Any, Any]


class Tasks:
    """
    The background coroutines of one owner.

    Nothing floats: each is kept, its failure is logged and counted, and `stop` cancels and awaits them all.
    """

    __slots__ = ("_joining", "_name", "_running", "stopping")

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: dict[_Task, None] = {}
        self._joining: list[Deferred[None]] = []
        self.stopping = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, work: Work) -> Deferred[None]:
        """
        Run `work` in the background; the answer fires when it is over, however it ended.

        Cancelling the answer cancels the work, and whoever awaits the answer. After `stop` work is refused: it is
        closed without having run.
        """
        if self.stopping:
            work.close()
            return succeed(None)
        task = _Task(work)
        abandoned = False

        def abandon(answer: Deferred[None]) -> None:
            nonlocal abandoned
            abandoned = True
            # one who cancels and looks no further leaves nothing unhandled; one who awaits has seen it before this
            answer.addErrback(_cancelled)
            task.cancel()

        over: Deferred[None] = Deferred(abandon)

        def finish(result: object) -> None:
            del self._running[task]
            if isinstance(result, Failure) and not result.check(CancelledError):
                metrics.tasks_failed.labels(name).inc()
                log.failure("{owner}: {task} failed", failure=result, owner=self._name, task=name)
            if not abandoned:
                over.callback(None)
            if not self._running:
                joining, self._joining = self._joining, []
                for one in joining:
                    if not one.called:
                        one.callback(None)

        # before its first step, so that a stop() called in there knows of it
        self._running[task] = None
        task.run().addBoth(finish)
        return over

    async def stop(self) -> None:
        """
        Cancel everything that runs and wait until it is over. Nothing can be started afterwards.

        Each task is cancelled once, so that a second `stop` does not cut short what the first one made it tidy up. A
        task that stops its own owner is cancelled at its next wait, be it the wait for this very call.
        """
        if not self.stopping:
            self.stopping = True
            for one in list(self._running):
                one.cancel()
        await self.join()

    async def join(self) -> None:
        """Wait until nothing runs any more. Cancelling ends the wait, not the work."""
        while self._running:
            turn: Deferred[None] = Deferred()
            self._joining.append(turn)
            try:
                await turn
            finally:
                if turn in self._joining:
                    self._joining.remove(turn)


class _Task:
    """A coroutine that can be cancelled at any moment, also while it runs."""

    __slots__ = ("_cancel_next", "_inside", "_result", "_work")

    def __init__(self, work: Work) -> None:
        self._work = work
        self._inside = False
        self._cancel_next = False
        self._result: Deferred[Any] | None = None

    def run(self) -> Deferred[Any]:
        self._result = Deferred.fromCoroutine(self._steps())
        return self._result

    def cancel(self) -> None:
        if self._inside or self._result is None:
            self._cancel_next = True
        else:
            self._result.cancel()

    def _steps(self) -> Generator[Deferred[Any], Any, Any]:
        work = self._work
        value: Any = None
        error: BaseException | None = None
        while True:
            self._inside = True
            try:
                awaited = work.send(value) if error is None else work.throw(error)
            except StopIteration as end:
                return end.value
            finally:
                self._inside = False
                error = None
            if self._cancel_next:
                self._cancel_next = False
                awaited.cancel()
            try:
                value = yield awaited
            except GeneratorExit:
                work.close()
                raise
            except BaseException as thrown:  # noqa: BLE001 - it goes on into the work
                value, error = None, thrown


async def together(work: Iterable[Work]) -> list[Any]:
    """
    The results of several coroutines that run side by side, in their order.

    The first failure is raised once all have ended; cancelling ends them all.
    """
    running = [Deferred.fromCoroutine(one) for one in work]
    try:
        results = await DeferredList(running, consumeErrors=True)
    except CancelledError:
        for one in running:
            one.cancel()
        raise
    for succeeded, value in results:
        if not succeeded:
            cast("Failure", value).raiseException()
    return [value for _, value in results]


def _cancelled(failure: Failure) -> None:
    failure.trap(CancelledError)


@runtime_checkable
class Readying(Protocol):
    """A service that takes time to start."""

    async def ready(self) -> None:
        """Return once it works; raise what keeps it from working."""


class InOrder(MultiService):
    """
    Services that start one after the other and stop in reverse, each waited for.

    A child may have `async ready()`: the next child starts when it has returned. When a child cannot start,
    `on_failure` is called once with what was raised, and all that began, that child too, are stopped in reverse.
    Stopping while a child gets ready cancels its `ready` and is no failure. Children are added before the start.
    Twisted's own MultiService starts all at once and would close the store under those who still write to it.
    """

    def __init__(self, on_failure: Callable[[Exception], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._on_failure = on_failure
        self._begun: list[IService] = []
        self._starting = Tasks("services")
        self._stopping = Tasks("services")
        self._order = Gate(1)
        self.up = False

    def addService(self, service: IService) -> None:
        if self.running:
            raise RuntimeError("Services are added before they start: a late one would have no place in the order")
        super().addService(service)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Nothing listens before the store is up; so no child is told."""
        self.running = True

    def startService(self) -> None:
        self.running = True
        self._starting = Tasks("services")
        self._starting.start("start", self._start(self._starting))

    async def _start(self, start: Tasks) -> None:
        await self._stopping.join()
        try:
            for child in cast("list[IService]", list(self.services)):
                if start.stopping:  # a child, or one told of it, has stopped us meanwhile
                    return
                self._begun.append(child)
                child.startService()
                if isinstance(child, Readying) and not start.stopping:
                    await child.ready()
            self.up = not start.stopping
        except Exception as error:  # whatever it was, it ends the daemon
            if isinstance(error, CancelledError) and start.stopping:
                raise
            if start.stopping:
                log.failure("a service failed to start while it was being stopped")
                return
            try:
                self._on_failure(error)
            finally:
                self._stop()

    def stopService(self) -> Deferred[Any]:
        """Fires when every child has stopped. Cancelling the answer ends the wait, not the stopping."""
        self._stop()
        return Deferred.fromCoroutine(self._stopping.join())

    def _stop(self) -> None:
        self.running = False
        self.up = False
        self._stopping.start("stop", self._unwind(self._starting))

    async def _unwind(self, start: Tasks) -> None:
        await start.stop()
        async with self._order:  # a second call to stop must not overtake the child that the first one waits for
            while self._begun:
                child = self._begun.pop()
                try:
                    await maybeDeferred(child.stopService)
                except Exception:  # noqa: BLE001 - the others must still be stopped; nobody can cancel this work
                    log.failure("{child} did not stop cleanly", child=type(child).__name__)
