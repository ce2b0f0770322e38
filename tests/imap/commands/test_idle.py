"""IDLE as a value."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.imap.commands.idle import DONE, Idle


class IdleTests(SynchronousTestCase):
    def test_ended_before_it_began(self) -> None:
        """DONE that could not be said before the server's `+` is said with it."""
        idle = Idle()
        idle.sent()
        idle.ending = True
        self.assertEqual(idle.answer(b"idling"), DONE)
        self.assertFalse(idle.resting)
        self.successResultOf(idle.started)

    def test_ended_as_it_begins(self) -> None:
        """Whoever waited for the beginning and ends it there has said DONE; it is not said twice."""
        idle = Idle()
        idle.sent()

        def end(_: None) -> None:
            self.assertTrue(idle.resting)
            idle.ending = True
            idle.resting = False

        idle.started.addCallback(end)
        self.assertIsNone(idle.answer(b"idling"))
        self.assertFalse(idle.resting)

    def test_rests(self) -> None:
        """Else the server waits with us, and a second `+` means nothing."""
        idle = Idle()
        self.assertIsNone(idle.answer(b"idling"))
        self.assertTrue(idle.resting)
        self.assertIsNone(idle.answer(b"idling"))
