"""Background work that somebody owns, and services that start and stop in order."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast, runtime_checkable

from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from emailengine.core import metrics

log = Logger()

Work = Coroutine[Deferred[Any], Any, Any]


class Tasks:
    """
    The background coroutines of one owner.

    Nothing floats: each is kept, its failure is logged and counted, and `stop` cancels and awaits them all.
    """

    __slots__ = ("_name", "_running", "stopping")

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: set[Deferred[Any]] = set()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, work: Work) -> Deferred[None]:
        """
        Run `work` in the background; the answer fires when it is over, however it ended.

        After `stop` work is refused: it is closed without having run.
        """
        if self.stopping:
            work.close()
            ended: Deferred[None] = Deferred()
            ended.callback(None)
            return ended
        running = Deferred.fromCoroutine(work)
        over: Deferred[None] = Deferred(lambda _: running.cancel())
        self._running.add(running)

        def finish(result: object) -> None:
            self._running.discard(running)
            if isinstance(result, Failure) and not result.check(CancelledError):
                metrics.tasks_failed.labels(name).inc()
                log.failure("{owner}: {task} failed", failure=result, owner=self._name, task=name)
            if not over.called:
                over.callback(None)

        running.addBoth(finish)
        return over

    async def stop(self) -> None:
        """Cancel everything that runs and wait until it is over. Nothing can be started afterwards."""
        self.stopping = True
        for one in list(self._running):
            one.cancel()
        await self.join()

    async def join(self) -> None:
        """Wait until nothing runs any more."""
        while self._running:
            waiting = [_silent(one) for one in self._running]
            await DeferredList(waiting)


def _silent(work: Deferred[Any]) -> Deferred[None]:
    over: Deferred[None] = Deferred()

    def done(result: object) -> object:
        over.callback(None)
        return result

    work.addBoth(done)
    return over


@runtime_checkable
class Readying(Protocol):
    """A service that takes time to start."""

    async def ready(self) -> None:
        """Return once it works; raise what keeps it from working."""


class InOrder(MultiService):
    """
    Services that start one after the other and stop in reverse, each waited for.

    A child may have `async ready()`: the next child starts when it has returned. When a child cannot start,
    `on_failure` is called once with what was raised, and the children that did start are stopped in reverse. Twisted's
    own MultiService starts all at once and would close the store under those who still write to it.
    """

    def __init__(self, on_failure: Callable[[Exception], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._on_failure = on_failure
        self._begun: list[IService] = []
        self._tasks = Tasks("services")
        self._starting: Deferred[None] | None = None
        self.up = False

    def privilegedStartService(self) -> None:
        """Nothing listens before the store is up; so no child is told."""
        self.running = True

    def startService(self) -> None:
        self.running = True
        self._starting = self._tasks.start("start", self._start())

    async def _start(self) -> None:
        try:
            for child in cast("list[IService]", list(self.services)):
                self._begun.append(child)
                child.startService()
                if isinstance(child, Readying):
                    await child.ready()
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it ends the daemon
            self._on_failure(error)
            return
        self.up = True

    def stopService(self) -> Deferred[Any]:
        self.running = False
        self.up = False
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._tasks.stop()
        while self._begun:
            child = self._begun.pop()
            try:
                await maybeDeferred(child.stopService)
            except Exception:  # noqa: BLE001 - the others must still be stopped
                log.failure("{child} did not stop cleanly", child=type(child).__name__)
