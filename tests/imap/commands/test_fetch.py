"""FETCH with values alone: a part whose octets go elsewhere as they arrive."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import MessageNotFound
from emailengine.imap.commands.fetch import FetchSequence, FetchUids, StreamPart
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap.responses import Tagged, parse
from emailengine.wire.imap.splitter import Splitter
from emailengine.wire.imap.uidset import UidSet

DONE = Tagged(b"1", "OK", None, "done")


def stream(said: bytes, *, cut: int = 10_000, section: str = "1") -> tuple[StreamPart, bytes]:
    """What a command makes of this, and what was written, the octets coming `cut` at a time."""
    heard: list[bytes] = []
    command = StreamPart(4, section, heard.append)
    splitter = Splitter()
    splitter.expect_sink(command.sink)
    for at in range(0, len(said), cut):
        for pieces in splitter.feed(said[at : at + cut]):
            command.take(parse(pieces))
    return command, b"".join(heard)


class RowTests(SynchronousTestCase):
    def test_nil(self) -> None:
        """A message of which there is nothing to tell is there; flags that changed meanwhile are not its answer."""
        command = FetchUids("4", UidSet.of([4]), ["UID", "PREVIEW"])
        self.assertTrue(command.take(parse([b"* 1 FETCH (UID 4 PREVIEW NIL)"])))
        self.assertFalse(command.take(parse([b"* 1 FETCH (UID 4 FLAGS (\\Seen))"])))
        self.assertFalse(command.take(parse([b"* 1 FETCH (UID 4 MODSEQ (7))"])))
        self.assertEqual([row.uid for row in command.result(DONE)], [4])


class StreamTests(SynchronousTestCase):
    @given(st.binary(max_size=60), st.integers(1, 40))
    def test_octets(self, octets: bytes, cut: int) -> None:
        """All octets of the part arrive once, in order, however they are cut."""
        said = b"* 1 FETCH (FLAGS (\\Seen) UID 4 BODY[1] {%d}\r\n%b)\r\n" % (len(octets), octets)
        command, heard = stream(said, cut=cut)
        self.assertEqual((heard, command.result(DONE)), (octets, len(octets)))

    def test_forms(self) -> None:
        """However a server says it: the UID behind, a string, NIL, an origin, another spelling, twice."""
        for said, octets in (
            (b"* 1 FETCH (BODY[1] {3}\r\nabc UID 4)\r\n", b"abc"),
            (b'* 1 FETCH (UID 4 BODY[1] "abc")\r\n', b"abc"),
            (b"* 1 FETCH (UID 4 BODY[1] NIL)\r\n", b""),
            (b"* 1 FETCH (UID 4 body[1]<0> {3}\r\nabc)\r\n", b"abc"),
            (b"* 1 FETCH (UID 4 BODY.PEEK[1] {3}\r\nabc)\r\n", b"abc"),
            (b"* 1 FETCH (UID 4 BODY[1] {0}\r\n)\r\n", b""),
            (b"* 1 FETCH (UID 4 BODY[1] {3}\r\nabc)\r\n* 1 FETCH (UID 4 BODY[1] {3}\r\nabc)\r\n", b"abc"),
            (b"* 1 FETCH (UID 4 FLAGS ())\r\n* 1 FETCH (UID 4 BODY[1] {3}\r\nabc)\r\n", b"abc"),
        ):
            command, heard = stream(said)
            self.assertEqual((heard, command.result(DONE)), (octets, len(octets)), said)

    def test_of_others(self) -> None:
        """Literals of other messages and of other things are not the part."""
        for said in (
            b"* 1 FETCH (UID 5 BODY[1] {3}\r\nabc)\r\n",
            b"* 1 FETCH (UID 4 ENVELOPE (NIL {3}\r\nabc NIL NIL NIL NIL NIL NIL NIL NIL))\r\n",
            b"* LIST () NIL {3}\r\nabc\r\n",
        ):
            command, heard = stream(said)
            self.assertEqual(heard, b"", said)
            self.assertRaises(MessageNotFound, command.result, DONE)

    def test_memory(self) -> None:
        """A part of a hundred megabytes leaves nothing behind on its way."""
        size, chunk = 100_000_000, bytes(50_000)
        count = 0

        def write(octets: bytes) -> None:
            nonlocal count
            count += len(octets)

        command = StreamPart(4, "1", write)
        splitter = Splitter()
        splitter.expect_sink(command.sink)
        splitter.feed(b"* 1 FETCH (UID 4 BODY[1] {%d}\r\n" % size)
        tracemalloc.start()
        try:
            for _ in range(size // len(chunk)):
                splitter.feed(chunk)
            self.assertLess(tracemalloc.get_traced_memory()[1], 300_000)
        finally:
            tracemalloc.stop()
        for pieces in splitter.feed(b")\r\n"):
            command.take(parse(pieces))
        self.assertEqual((count, command.result(DONE)), (size, size))

    def test_section_is_no_syntax(self) -> None:
        """A section, an item or a set that would be more than itself is not said."""
        for section in ("1] UID BODY[", "1\r\n2 NOOP", "1)"):
            self.assertRaises(WeMisusedProtocol, StreamPart(4, section, print).line)
        for numbers in ("1 (UID)\r\n", "", "1,", "a"):
            self.assertRaises(WeMisusedProtocol, FetchSequence(numbers, ["UID"]).line)
        self.assertEqual(StreamPart(4, "", print).line(), [b"UID FETCH 4 (UID BODY.PEEK[])"])
        self.assertEqual(str(UidSet.of([4])), "4")
