"""New messages kept for the webhooks that are about to go out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.fresh import MESSAGES, OCTETS, FreshMessage, FreshMessages
from emailengine.accounts.shaping import Leaves
from emailengine.wire.imap.fetch import Fetched


def message(uid: int, size: int) -> FreshMessage:
    return FreshMessage(Fetched(1, uid=uid), Leaves(), {"BODY[1]": b"x" * size, "BODY[2]": None})


class FreshTests(SynchronousTestCase):
    def test_handed_out_once(self) -> None:
        """A message is given to whoever asks first, by folder and UID."""
        fresh = FreshMessages()
        one = message(5, 10)
        fresh.keep(1, one)
        self.assertIsNone(fresh.take(2, 5))
        self.assertIs(fresh.take(1, 5), one)
        self.assertIsNone(fresh.take(1, 5))
        self.assertEqual((len(fresh), fresh.room), (0, OCTETS))

    def test_newer_replaces(self) -> None:
        """The same message again replaces itself, and is not counted twice."""
        fresh = FreshMessages()
        fresh.keep(1, message(5, 10))
        newer = message(5, 20)
        fresh.keep(1, newer)
        self.assertEqual((len(fresh), fresh.room), (1, OCTETS - 20))
        self.assertIs(fresh.take(1, 5), newer)

    def test_too_large(self) -> None:
        """A message that is larger than all the room is not kept, and takes the others with it."""
        fresh = FreshMessages()
        fresh.keep(1, message(4, 10))
        fresh.keep(1, message(5, OCTETS + 1))
        self.assertEqual((len(fresh), fresh.room), (0, OCTETS))

    @given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, OCTETS // 4), st.booleans()), max_size=100))
    def test_bounds(self, steps: list[tuple[int, int, bool]]) -> None:
        """Whatever comes and goes, number and octets are bounded, counted right, and the newest are there."""
        fresh = FreshMessages()
        order: dict[int, int] = {}
        for uid, size, take in steps:
            if take:
                there = fresh.take(1, uid)
                self.assertEqual(there is not None, uid in order)
                order.pop(uid, None)
            else:
                fresh.keep(1, message(uid, size))
                order.pop(uid, None)
                order[uid] = size
                while len(order) > MESSAGES or sum(order.values()) > OCTETS:
                    del order[next(iter(order))]
            self.assertEqual((len(fresh), fresh.room), (len(order), OCTETS - sum(order.values())))
