"""Which flags a client may ask for."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import InvalidInput
from emailengine.model.codec import read
from emailengine.model.message import MessageUpdate
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap import write


def faults(body: Any) -> list[str]:
    """The names of what is refused."""
    try:
        read(body, MessageUpdate)
    except InvalidInput as error:
        return [one["message"].split('"')[1] for one in error.extra["fields"]]
    return []


class MessageUpdateTests(SynchronousTestCase):
    def test_flags(self) -> None:
        """Each flag that cannot be said in IMAP is named; labels may be any text."""
        good = ["\\Seen", "$Forwarded", "NonJunk", "a/b.c:d"]
        self.assertEqual(faults({"flags": {"add": good, "delete": "\\Flagged", "set": []}}), [])
        bad = ["a b", "a(b", "a)b", 'a"b', "a\\b", "\\\\Seen", "\\", "a\r\nb", "a\x00", "\x7f", "a{1}", "a*", "%", "ä"]
        for one in bad:
            self.assertEqual(faults({"flags": {"add": ["\\Seen", one]}}), ["flags.add[1]"], one)
        named = ["flags.add[0]", "flags.delete[0]", "flags.set[1]"]
        self.assertEqual(faults({"flags": {"add": "a b", "delete": ["("], "set": ["x", ")"]}}), named)
        self.assertEqual(faults({"labels": {"add": ["To do (soon)", "ä"]}}), [])

    @given(st.text("\\aZ0$]*%{}()\"' \t\r\n\x00é~", min_size=1, max_size=6))
    @example("a\n")
    def test_what_can_be_said(self, flag: str) -> None:
        """What is let through is what can be written, no more and no less."""
        try:
            write.flag(flag)
            said = True
        except WeMisusedProtocol:
            said = False
        self.assertEqual(faults({"flags": {"set": [flag]}}) == [], said)
