"""Services in order: one after the other up, in reverse down."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.tasks import InOrder


class Child(Service):
    """Writes down what it is told; stops when `door` opens, if it has one."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.setName(name)
        self.said = said
        self.door: Deferred[None] | None = None
        self.startup: Exception | None = None

    def privilegedStartService(self) -> None:
        self.said.append(f"{self.name} privileged")

    def startService(self) -> None:
        self.said.append(f"{self.name} starts")
        if self.startup is not None:
            raise self.startup
        super().startService()

    def stopService(self) -> Deferred[None] | None:
        self.said.append(f"{self.name} stops")
        super().stopService()
        return self.door


class Slow(Child):
    """A child that takes until `is_ready` fires."""

    def __init__(self, name: str, said: list[str]) -> None:
        super().__init__(name, said)
        self.is_ready: Deferred[None] = Deferred()

    async def ready(self) -> None:
        try:
            await self.is_ready
        except CancelledError:
            self.said.append(f"{self.name} is cancelled")
            raise
        self.said.append(f"{self.name} is ready")


class InOrderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.said: list[str] = []
        self.failures: list[Exception] = []
        self.services = InOrder(self.failures.append)
        self.store = Slow("store", self.said)
        self.accounts = Child("accounts", self.said)
        self.api = Child("api", self.said)
        for child in (self.store, self.accounts, self.api):
            child.setServiceParent(self.services)

    def start(self) -> None:
        self.services.privilegedStartService()
        self.services.startService()

    def up(self) -> None:
        self.start()
        self.store.is_ready.callback(None)
        self.said.clear()

    def test_start(self) -> None:
        """A child starts when the one before it is ready; then the whole is up."""
        self.start()
        self.assertEqual((self.said, self.services.up), (["store starts"], False))
        self.store.is_ready.callback(None)
        self.assertEqual(self.said[1:], ["store is ready", "accounts starts", "api starts"])
        self.assertTrue(self.services.up)
        self.assertEqual(self.failures, [])

    def test_stop(self) -> None:
        """Children stop in reverse, each when the one before it has stopped."""
        self.up()
        self.api.door = Deferred()
        stopped = self.services.stopService()
        self.assertEqual((self.said, self.services.up, bool(self.services.running)), (["api stops"], False, False))
        self.assertNoResult(stopped)
        self.api.door.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.said, ["api stops", "accounts stops", "store stops"])

    def test_stop_twice(self) -> None:
        """A second stop waits for the first and overtakes nothing."""
        self.up()
        self.api.door = Deferred()
        first, second = self.services.stopService(), self.services.stopService()
        self.assertEqual(self.said, ["api stops"])
        self.assertNoResult(second)
        self.api.door.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.said, ["api stops", "accounts stops", "store stops"])

    def test_stop_given_up(self) -> None:
        """Who stops waiting for the stop does not end it."""
        self.up()
        self.api.door = Deferred()
        stopped = self.services.stopService()
        stopped.cancel()
        self.failureResultOf(stopped, CancelledError)
        self.api.door.callback(None)
        self.assertEqual(self.said, ["api stops", "accounts stops", "store stops"])

    def test_child_that_fails_to_stop(self) -> None:
        """An error while one stops is logged, and the others are stopped."""
        self.check_stop_failure(ValueError("stuck"))

    def test_child_whose_stop_is_cancelled(self) -> None:
        """A child's own cancelled work is such an error too, not a cancellation of the stop."""
        self.check_stop_failure(CancelledError())

    def check_stop_failure(self, error: Exception) -> None:
        self.up()
        self.api.door = fail(error)
        self.successResultOf(self.services.stopService())
        self.assertEqual(self.said, ["api stops", "accounts stops", "store stops"])
        self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)

    def test_stop_while_getting_ready(self) -> None:
        """Stopping while a child gets ready cancels that, starts nothing more, and is no failure."""
        self.start()
        self.successResultOf(self.services.stopService())
        self.assertEqual(self.said, ["store starts", "store is cancelled", "store stops"])
        self.assertEqual((self.failures, self.services.up), ([], False))

    def test_stop_before_start(self) -> None:
        """Stopping what never started stops no child."""
        self.successResultOf(self.services.stopService())
        self.assertEqual(self.said, [])

    def test_not_ready(self) -> None:
        """A child that cannot get ready is told once, and all that began is stopped."""
        self.start()
        error = ValueError("no Redis")
        self.store.is_ready.errback(error)
        self.assertEqual(self.failures, [error])
        self.assertEqual(self.said, ["store starts", "store stops"])
        self.assertEqual((self.services.up, bool(self.services.running)), (False, False))
        self.successResultOf(self.services.stopService())
        self.assertEqual(self.said, ["store starts", "store stops"])

    def test_ready_cancelled_by_others(self) -> None:
        """A child whose getting ready is cancelled by somebody else counts as one that failed."""
        self.start()
        self.store.is_ready.cancel()
        self.assertIsInstance(self.failures[0], CancelledError)
        self.assertEqual(self.said[-1], "store stops")

    def test_start_raises(self) -> None:
        """A child that raises in startService stops those before it, in reverse, and those after never start."""
        self.accounts.startup = ValueError("no")
        self.start()
        self.store.is_ready.callback(None)
        self.assertEqual(self.failures, [self.accounts.startup])
        self.assertEqual(self.said[2:], ["accounts starts", "accounts stops", "store stops"])

    def test_first_start_raises(self) -> None:
        """The same, before anything was waited for."""
        self.store.startup = ValueError("no")
        self.start()
        self.assertEqual(self.failures, [self.store.startup])
        self.assertEqual(self.said, ["store starts", "store stops"])

    def test_failure_stops_the_whole(self) -> None:
        """`on_failure` may stop the services itself; each child is stopped once."""
        stops: list[Deferred[object]] = []
        self.services = InOrder(lambda _: stops.append(self.services.stopService()))
        for child in (self.store, self.accounts):
            child.disownServiceParent()
            child.setServiceParent(self.services)
        self.start()
        self.store.is_ready.errback(ValueError("no"))
        self.successResultOf(stops[0])
        self.assertEqual(self.said, ["store starts", "store stops"])

    def test_on_failure_raises(self) -> None:
        """An error in `on_failure` is logged and the children are stopped all the same."""

        def broken(error: Exception) -> None:
            raise KeyError("broken")

        services = InOrder(broken)
        self.store.disownServiceParent()
        self.store.setServiceParent(services)
        services.startService()
        self.store.is_ready.errback(ValueError("no"))
        self.assertEqual(self.said, ["store starts", "store stops"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_child_stops_the_whole(self) -> None:
        """A child that stops everything while it starts is the last that started."""

        class Ending(Child):
            def startService(self) -> None:
                super().startService()
                stops.append(services.stopService())

        stops: list[Deferred[object]] = []
        services = InOrder(self.failures.append)
        Ending("ending", self.said).setServiceParent(services)
        self.accounts.disownServiceParent()
        self.accounts.setServiceParent(services)
        services.startService()
        self.successResultOf(stops[0])
        self.assertEqual(self.said, ["ending starts", "ending stops"])
        self.assertEqual((self.failures, services.up), ([], False))

    def test_fails_while_stopped(self) -> None:
        """A child that answers the cancellation of its start with another error is logged, not announced."""

        class Sour(Child):
            async def ready(self) -> None:
                try:
                    await Deferred()
                except CancelledError:
                    raise ValueError("sour") from None

        services = InOrder(self.failures.append)
        Sour("sour", self.said).setServiceParent(services)
        services.startService()
        self.successResultOf(services.stopService())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((self.failures, self.said), ([], ["sour starts", "sour stops"]))

    def test_restart(self) -> None:
        """What was stopped can be started again."""
        self.up()
        self.successResultOf(self.services.stopService())
        self.said.clear()
        self.start()
        self.assertEqual(self.said, ["store starts", "store is ready", "accounts starts", "api starts"])
        self.assertTrue(self.services.up)

    def test_restart_while_stopping(self) -> None:
        """A start that comes during a stop waits for it; a stop that comes then undoes it."""
        self.up()
        self.api.door = Deferred()
        first = self.services.stopService()
        self.services.startService()
        self.assertEqual(self.said, ["api stops"])
        second = self.services.stopService()
        self.api.door.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.said, ["api stops", "accounts stops", "store stops"])

        self.api.door = None
        self.services.startService()
        self.assertTrue(self.services.up)

    def test_late_child(self) -> None:
        """A child cannot be added once the services run: it would have no place in the order."""
        self.up()
        self.assertRaises(RuntimeError, Child("late", self.said).setServiceParent, self.services)
        self.assertEqual(self.said, [])
