"""Identifiers."""

from __future__ import annotations

import re
import uuid

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core import ids

FACTS = st.lists(st.text() | st.integers() | st.none(), max_size=5)


class RandomIdTests(SynchronousTestCase):
    def test_account_id(self) -> None:
        """An account id is 21 URL-safe characters and a new one each time."""
        made = {ids.new_account_id() for _ in range(200)}
        self.assertEqual(len(made), 200)
        for one in made:
            self.assertRegex(one, r"\A[A-Za-z0-9_-]{21}\Z")

    def test_token(self) -> None:
        """A token is 64 hexadecimal digits and a new one each time."""
        self.assertRegex(ids.token(), r"\A[0-9a-f]{64}\Z")
        self.assertNotEqual(ids.token(), ids.token())

    def test_message_id(self) -> None:
        """A Message-ID stands in angle brackets and ends with the domain (RFC 5322 3.6.4)."""
        made = ids.message_id("example.com")
        found = re.fullmatch(r"<([^@<>\s]+)@example\.com>", made)
        assert found is not None
        self.assertEqual(str(uuid.UUID(found[1])), found[1])
        self.assertNotEqual(made, ids.message_id("example.com"))


class QueueIdTests(SynchronousTestCase):
    def test_form(self) -> None:
        """A queue id is 19 hexadecimal digits that begin with the time in milliseconds."""
        made = ids.queue_id(0x18F2A3B4C5D)
        self.assertRegex(made, r"\A18f2a3b4c5d[0-9a-f]{8}\Z")
        self.assertNotEqual(made, ids.queue_id(0x18F2A3B4C5D))

    @given(times=st.lists(st.integers(0, 2**44 - 1), min_size=2, max_size=2, unique=True))
    def test_sorts_by_time(self, times: list[int]) -> None:
        """Ids of different milliseconds sort like the times."""
        first, second = sorted(times)
        self.assertLess(ids.queue_id(first), ids.queue_id(second))
        self.assertEqual(len(ids.queue_id(first)), 19)


class EventIdTests(SynchronousTestCase):
    def test_same_on_any_machine(self) -> None:
        """The same facts give the same id in every version: receivers recognise a repeated event by it."""
        self.assertEqual(ids.event_id("account", 3, "messageNew"), "92a5daaa-e01b-87ef-9022-14ce8e0889fa")

    def test_form(self) -> None:
        """It is a UUID of the version that is free for such use (RFC 9562 5.8)."""
        made = uuid.UUID(ids.event_id("account", 1))
        self.assertEqual((made.version, made.variant), (8, uuid.RFC_4122))

    def test_boundaries(self) -> None:
        """Facts do not run into each other, whatever is in them."""
        self.assertEqual(len({ids.event_id(*facts) for facts in (("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""))}), 4)
        self.assertNotEqual(ids.event_id("a\x1fb"), ids.event_id("a", "b"))

    def test_any_text(self) -> None:
        """Folder names of undecodable bytes and half characters of JSON are facts like others."""
        self.assertNotEqual(ids.event_id("\udcff"), ids.event_id("\ud83d"))

    @given(one=FACTS, other=FACTS)
    def test_different_facts(self, one: list[object], other: list[object]) -> None:
        """Facts that read differently give different ids, equal ones equal ids."""
        assume([str(fact) for fact in one] != [str(fact) for fact in other])
        self.assertNotEqual(ids.event_id(*one), ids.event_id(*other))
        self.assertEqual(ids.event_id(*one), ids.event_id(*one))
