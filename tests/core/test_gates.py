"""Gates: the limit, the order, and that no place is lost."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.gates import Gate, KeyedGate


class Visitors:
    """People at one or more gates: who is inside, who has ever got in, in which order."""

    def __init__(self, enter: Callable[[str], Gate | object]) -> None:
        self._enter = enter
        self.inside: dict[int, str] = {}
        self.came: list[int] = []
        self.ended: dict[int, object] = {}
        self._leave: dict[int, Deferred[None]] = {}
        self._visits: dict[int, Deferred[None]] = {}

    def come(self, key: str = "") -> int:
        number = len(self._visits)
        self._leave[number] = Deferred()
        # known before it runs: whoever is served later runs inside another's leaving
        visit = self._visits[number] = Deferred.fromCoroutine(self._visit(number, key))
        visit.addBoth(lambda result: self.ended.update({number: result}))
        return number

    async def _visit(self, number: int, key: str) -> None:
        async with self._enter(key):  # type: ignore[attr-defined]
            self.came.append(number)
            self.inside[number] = key
            try:
                await self._leave[number]
            finally:
                del self.inside[number]

    def leave(self, number: int) -> None:
        self._leave[number].callback(None)

    def cancel(self, number: int) -> None:
        self._visits[number].cancel()

    @property
    def waiting(self) -> list[int]:
        return [one for one in self._visits if one not in self.ended and one not in self.inside]


class GateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gate = Gate(1)
        self.visitors = Visitors(lambda _: self.gate)

    def test_enter_at_once(self) -> None:
        """A free place is taken without waiting."""
        first = self.visitors.come()
        self.assertEqual(list(self.visitors.inside), [first])
        self.assertEqual((self.gate.free, self.gate.waiting), (0, 0))

    def test_limit(self) -> None:
        """Whoever finds no free place waits until one leaves."""
        first, second = self.visitors.come(), self.visitors.come()
        self.assertEqual((list(self.visitors.inside), self.gate.waiting), ([first], 1))
        self.visitors.leave(first)
        self.assertEqual((list(self.visitors.inside), self.gate.waiting), ([second], 0))

    def test_order(self) -> None:
        """Places are given in the order of arrival."""
        everybody = [self.visitors.come() for _ in range(5)]
        for one in everybody:
            self.visitors.leave(one)
        self.assertEqual(self.visitors.came, everybody)
        self.assertEqual(self.gate.free, 1)

    def test_cancelled_waiter(self) -> None:
        """A cancelled waiter gets CancelledError, leaves the queue and takes no place."""
        first, second, third = (self.visitors.come() for _ in range(3))
        self.visitors.cancel(second)
        self.assertIsInstance(getattr(self.visitors.ended[second], "value", None), CancelledError)
        self.visitors.leave(first)
        self.assertEqual(self.visitors.came, [first, third])
        self.visitors.leave(third)
        self.assertEqual((self.gate.free, self.gate.waiting), (1, 0))

    def test_cancelled_holder(self) -> None:
        """A holder who is cancelled gives the place to the next."""
        first, second = self.visitors.come(), self.visitors.come()
        self.visitors.cancel(first)
        self.assertEqual(list(self.visitors.inside), [second])

    def test_failing_holder(self) -> None:
        """A holder's error gives the place back and goes on to the holder."""

        async def fail() -> None:
            async with self.gate:
                raise ValueError("inside")

        self.failureResultOf(Deferred.fromCoroutine(fail()), ValueError)
        self.assertEqual(self.gate.free, 1)

    def test_many_short_visits(self) -> None:
        """Thousands who leave the moment they are let in are served without deepening the stack."""
        served = []

        async def pass_through(number: int) -> None:
            async with self.gate:
                served.append(number)

        first = self.visitors.come()
        visits = [Deferred.fromCoroutine(pass_through(number)) for number in range(5000)]
        self.visitors.leave(first)
        self.assertEqual(served, list(range(5000)))
        for visit in visits:
            self.successResultOf(visit)
        self.assertEqual(self.gate.free, 1)

    def test_newcomer_does_not_overtake(self) -> None:
        """Somebody who comes while the next is being served stands behind those who wait."""
        order: list[str] = []

        async def visit(name: str, then: str | None = None) -> None:
            async with self.gate:
                order.append(name)
                if then is not None:
                    Deferred.fromCoroutine(visit(then))

        first = self.visitors.come()
        Deferred.fromCoroutine(visit("second", then="late"))
        Deferred.fromCoroutine(visit("third"))
        self.visitors.leave(first)
        self.assertEqual(order, ["second", "third", "late"])

    def test_served_cancels_next(self) -> None:
        """One who is served may cancel another who still waits; the place goes to the one after."""

        async def cancel(number: int) -> None:
            async with self.gate:
                self.visitors.cancel(number)

        first = self.visitors.come()
        Deferred.fromCoroutine(cancel(1))
        second, third = self.visitors.come(), self.visitors.come()
        self.visitors.leave(first)
        self.assertIn(second, self.visitors.ended)
        self.assertEqual(list(self.visitors.inside), [third])

    def test_no_place(self) -> None:
        """A gate that nobody could ever pass is refused."""
        self.assertRaises(ValueError, Gate, 0)

    @given(
        limit=st.integers(1, 4),
        moves=st.lists(st.tuples(st.sampled_from(["come", "leave", "cancel"]), st.integers(0, 30)), max_size=60),
    )
    def test_random_visits(self, limit: int, moves: list[tuple[str, int]]) -> None:
        """Never more than the limit inside, nobody waits beside a free place, the order holds, no place is lost."""
        gate = Gate(limit)
        visitors = Visitors(lambda _: gate)
        for move, chosen in moves:
            here = sorted([*visitors.inside, *visitors.waiting])
            if move == "come":
                visitors.come()
            elif move == "leave" and visitors.inside:
                visitors.leave(list(visitors.inside)[chosen % len(visitors.inside)])
            elif move == "cancel" and here:
                visitors.cancel(here[chosen % len(here)])
            self.assertLessEqual(len(visitors.inside), limit)
            self.assertEqual(gate.free, limit - len(visitors.inside))
            self.assertEqual(gate.waiting, len(visitors.waiting))
            self.assertFalse(gate.free and gate.waiting)
            self.assertEqual(visitors.came, sorted(visitors.came))
        while visitors.inside:
            visitors.leave(next(iter(visitors.inside)))
        self.assertEqual((gate.free, gate.waiting), (limit, 0))


class KeyedGateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gate = KeyedGate(2, 1)
        self.visitors = Visitors(self.gate.of)

    def test_per_key(self) -> None:
        """One key cannot take more than its share, and does not keep others out."""
        first, second, other = self.visitors.come("a"), self.visitors.come("a"), self.visitors.come("b")
        self.assertEqual(list(self.visitors.inside), [first, other])
        self.visitors.leave(first)
        self.assertEqual(list(self.visitors.inside), [other, second])

    def test_whole(self) -> None:
        """The limit over all keys holds."""
        first, _, third = (self.visitors.come(key) for key in "abc")
        self.assertEqual(len(self.visitors.inside), 2)
        self.visitors.leave(first)
        self.assertIn(third, self.visitors.inside)

    def test_cancelled_between(self) -> None:
        """Who is cancelled while waiting for the whole gives the key's place back."""
        first, second, third = (self.visitors.come(key) for key in "abc")
        self.visitors.cancel(third)
        self.visitors.leave(first)
        self.visitors.leave(second)
        fourth = self.visitors.come("c")
        self.assertEqual(list(self.visitors.inside), [fourth])

    def test_next_is_done_at_once(self) -> None:
        """The last of a key may be done while the one before is still leaving."""

        async def pass_through() -> None:
            async with self.gate.of("a"):
                pass

        first = self.visitors.come("a")
        after = [Deferred.fromCoroutine(pass_through()) for _ in range(3)]
        self.visitors.leave(first)
        self.assertIsNone(self.visitors.ended[first])
        for one in after:
            self.successResultOf(one)

    def test_idle_keys_are_forgotten(self) -> None:
        """Keys that nobody uses take no memory."""
        for number in range(50):
            self.visitors.leave(self.visitors.come(f"host{number}"))
        self.assertEqual(self.gate.keys, 0)

    def test_no_place(self) -> None:
        """Limits that nobody could pass are refused."""
        self.assertRaises(ValueError, KeyedGate, 0, 1)
        self.assertRaises(ValueError, KeyedGate, 1, 0)

    @given(
        limit=st.integers(1, 4),
        per_key=st.integers(1, 3),
        moves=st.lists(
            st.tuples(st.sampled_from(["come", "leave", "cancel"]), st.integers(0, 30), st.sampled_from("abc")),
            max_size=60,
        ),
    )
    def test_random_visits(self, limit: int, per_key: int, moves: list[tuple[str, int, str]]) -> None:
        """Both limits hold, each key keeps its order, and in the end every place is free again."""
        gate = KeyedGate(limit, per_key)
        visitors = Visitors(gate.of)
        keys: dict[int, str] = {}
        for move, chosen, key in moves:
            here = sorted([*visitors.inside, *visitors.waiting])
            if move == "come":
                keys[visitors.come(key)] = key
            elif move == "leave" and visitors.inside:
                visitors.leave(list(visitors.inside)[chosen % len(visitors.inside)])
            elif move == "cancel" and here:
                visitors.cancel(here[chosen % len(here)])
            self.assertLessEqual(len(visitors.inside), limit)
            for one in "abc":
                self.assertLessEqual(list(visitors.inside.values()).count(one), per_key)
                came = [number for number in visitors.came if keys.get(number, key) == one]
                self.assertEqual(came, sorted(came))
        while visitors.inside:
            visitors.leave(next(iter(visitors.inside)))
        self.assertEqual(visitors.waiting, [])
        self.assertEqual(gate.keys, 0)
        for number in range(limit):
            visitors.come(f"new{number}")
        self.assertEqual(len(visitors.inside), limit)
