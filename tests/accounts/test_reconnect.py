"""When to dial again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.reconnect import STAYED, Outcome, Reconnect
from emailengine.errors import AuthenticationRefused, ConnectionLost, Meaning, NotNow


def never() -> float:
    return 0.0


def half() -> float:
    return 0.5


class ReconnectTests(SynchronousTestCase):
    def delays(self, policy: Reconnect, outcome: Outcome, times: int, lived: float = 1.0) -> list[float]:
        return [round(policy.next_delay(outcome, lived, never), 2) for _ in range(times)]

    def test_series(self) -> None:
        """Each kind of ending has its own series, and its own end."""
        self.assertEqual(self.delays(Reconnect(), Outcome.FAILED, 11)[:4], [2, 4, 8, 16])
        self.assertEqual(self.delays(Reconnect(), Outcome.FAILED, 11)[-1], 600)
        self.assertEqual(self.delays(Reconnect(), Outcome.LOST, 3), [2, 3, 4.5])
        self.assertEqual(self.delays(Reconnect(), Outcome.LOST, 20)[-1], 30)
        self.assertEqual(self.delays(Reconnect(), Outcome.REFUSED, 3), [10, 30, 90])
        self.assertEqual(self.delays(Reconnect(), Outcome.REFUSED, 20)[-1], 4 * 3600)

    def test_accepts_and_drops(self) -> None:
        """A server that accepts and drops at once is not dialled in a tight circle, however often it accepts."""
        policy = Reconnect()
        self.assertEqual(self.delays(policy, Outcome.LOST, 30, lived=STAYED - 1)[-1], 30)

    def test_stayed(self) -> None:
        """A connection that stayed is made again within a second, and what was before it is forgotten."""
        policy = Reconnect()
        self.delays(policy, Outcome.FAILED, 8)
        self.assertEqual(policy.next_delay(Outcome.LOST, STAYED, half), 0.5)
        self.assertEqual(self.delays(policy, Outcome.FAILED, 1), [2])

    def test_mixed(self) -> None:
        """A young session that was lost does not forgive the failures before it, nor they the losses."""
        policy = Reconnect()
        self.delays(policy, Outcome.FAILED, 5)
        self.assertEqual(self.delays(policy, Outcome.LOST, 1), [15.19])
        self.assertEqual(self.delays(policy, Outcome.FAILED, 1), [2 * 2**6])

    def test_refused_is_apart(self) -> None:
        """Refused credentials begin their own series, and so does what follows them."""
        policy = Reconnect()
        self.delays(policy, Outcome.FAILED, 5)
        self.assertEqual(self.delays(policy, Outcome.REFUSED, 2), [10, 30])
        self.assertEqual(self.delays(policy, Outcome.FAILED, 1), [2])

    def test_reset(self) -> None:
        """After a change the next try is a first one."""
        policy = Reconnect()
        self.delays(policy, Outcome.REFUSED, 5)
        policy.reset()
        self.assertEqual(self.delays(policy, Outcome.REFUSED, 1), [10])

    def test_jitter(self) -> None:
        """Chance only takes off, so that the caps hold."""
        self.assertEqual(Reconnect().next_delay(Outcome.FAILED, 0.0, half), 1.8)

    def test_what_the_server_asks_for(self) -> None:
        """A server that names a time is left alone for it, however short our own delay would be."""
        policy = Reconnect()
        for meaning in (Meaning.LIMIT, Meaning.THROTTLED, Meaning.UNAVAILABLE):
            for seconds in (5.0, 900.0):
                told = NotNow("later", meaning=meaning, retry_after=seconds)
                delay = Reconnect().next_delay(Outcome.FAILED, 0.0, half, told)
                self.assertEqual(delay, seconds + 0.5)
        told = NotNow("later", retry_after=900.0)
        self.assertEqual(policy.next_delay(Outcome.FAILED, 0.0, half, told), 900.0)
        said = ConnectionLost("bye", retry_after=60.0)
        self.assertEqual(policy.next_delay(Outcome.LOST, STAYED, half, said), 60.5)
        self.assertLess(policy.next_delay(Outcome.FAILED, 0.0, half), 60.0)

    def test_an_instant_again_and_again(self) -> None:
        """A server that names no time worth the word each time is not dialled at its pace for ever."""
        policy, told = Reconnect(), NotNow("slow down", meaning=Meaning.THROTTLED, retry_after=0.1)
        delays = [policy.next_delay(Outcome.FAILED, 0.0, never, told) for _ in range(10)]
        self.assertEqual((delays[:3], delays[-1]), ([2, 4, 8], 600))

    def test_reasons(self) -> None:
        """What a server says for its reason has the time that such a thing takes, also after a session that stayed."""
        for meaning, first, longest in (
            (Meaning.LIMIT, 30, 1800),
            (Meaning.THROTTLED, 60, 3600),
            (Meaning.UNAVAILABLE, 10, 600),
            (Meaning.IN_USE, 15, 300),
        ):
            policy, told = Reconnect(), NotNow("not now", meaning=meaning)
            delays = [policy.next_delay(Outcome.FAILED, 0.0, never, told) for _ in range(20)]
            self.assertEqual((delays[0], delays[1], delays[-1]), (first, 2 * first, longest))
            ended = ConnectionLost("bye", meaning=meaning)
            self.assertEqual(policy.next_delay(Outcome.LOST, STAYED, never, ended), first)

    def test_reasons_are_apart(self) -> None:
        """Neither a reason nor a plain failure between them makes the other's next delay a first one."""
        policy, told = Reconnect(), NotNow("too many", meaning=Meaning.LIMIT)
        self.assertEqual([policy.next_delay(Outcome.FAILED, 0.0, never, told) for _ in range(2)], [30, 60])
        self.assertEqual(self.delays(policy, Outcome.FAILED, 2), [2, 4])
        self.assertEqual(policy.next_delay(Outcome.FAILED, 0.0, never, told), 120)
        self.assertEqual(self.delays(policy, Outcome.FAILED, 1), [8])

    def test_refused_for_hours(self) -> None:
        """Refused credentials are tried a dozen times on the first day and less afterwards, whatever else the server says with it."""
        policy, said = Reconnect(), AuthenticationRefused("no", meaning=Meaning.CREDENTIALS)
        delays = [policy.next_delay(Outcome.REFUSED, 0.0, never, said) for _ in range(40)]
        day = next(n for n in range(40) if sum(delays[:n]) > 86_400)
        self.assertLessEqual(day, 14)
        self.assertEqual(delays[-1], 4 * 3600)
