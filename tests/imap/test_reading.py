"""Reading messages and their parts."""

from __future__ import annotations

import tracemalloc
from typing import Any

from twisted.internet.defer import CancelledError

from emailengine.errors import MessageNotFound, ServerRefused
from emailengine.imap.session import Decoded
from emailengine.wire.imap.responses import Fetch
from emailengine.wire.imap.uidset import UidSet
from tests.imap.case import OLD, SessionCase


class FetchTests(SessionCase):
    def test_fetch(self) -> None:
        """One value a message, put together from all its responses; those of other messages are news."""
        rows = self.ask(
            self.session.fetch(UidSet.of([4, 5]), ["UID", "FLAGS", "RFC822.SIZE"]),
            (
                "UID FETCH 4:5 (UID FLAGS RFC822.SIZE)",
                "* 1 FETCH (UID 4 FLAGS (\\Seen))\n* 2 FETCH (UID 5 FLAGS () RFC822.SIZE 9)\n* 1 FETCH (RFC822.SIZE 8 UID 4)\n"
                "* 3 FETCH (UID 6 FLAGS ())\n* 3 FETCH (FLAGS (\\Seen))\n. OK",
            ),
        )
        self.assertEqual([(row.uid, row.flags, row.size) for row in rows], [(4, ("\\Seen",), 8), (5, (), 9)])
        self.assertEqual([one.seq for one in self.news if isinstance(one, Fetch)], [3, 3])

    def test_flags_nobody_asked_for(self) -> None:
        """Flags that change while contents are read are news, not an answer."""
        rows = self.ask(
            self.session.fetch(UidSet.of([4]), ["UID", "RFC822.SIZE"]),
            (
                "UID FETCH 4 (UID RFC822.SIZE)",
                "* 1 FETCH (UID 4 FLAGS (\\Seen))\n* 1 FETCH (UID 4 RFC822.SIZE 8)\n. OK",
            ),
        )
        self.assertEqual([(row.size, row.flags) for row in rows], [(8, None)])
        self.assertEqual(len(self.news), 1)

    def test_nothing(self) -> None:
        """No messages, no command."""
        self.assertEqual(self.ask(self.session.fetch(UidSet.of([]), ["UID"])), [])

    def test_changed_since(self) -> None:
        """CHANGEDSINCE where the server has CONDSTORE, else everything."""
        work = self.session.fetch(UidSet.of([1]), ["UID"], changed_since=5)
        self.ask(work, ("UID FETCH 1 (UID) (CHANGEDSINCE 5)", ". OK"))
        self.connect(OLD)
        self.ask(self.session.fetch(UidSet.of([1]), ["UID"], changed_since=5), ("UID FETCH 1 (UID)", ". OK"))

    def test_long_sets(self) -> None:
        """A set that makes too long a line goes in several commands."""
        uids = UidSet.of(range(1, 10_000, 2))
        result = self.start(self.session.fetch(uids, ["UID"]))
        rows = 0
        while line := self.peer.heard():
            self.assertLess(len(line), 8192)
            asked = UidSet.parse(line.split()[3])
            tag = line.split()[0]
            self.peer.say(*[f"* {one} FETCH (UID {one})" for one in asked], f"{tag} OK")
            rows += len(asked)
        self.assertEqual(rows, 5000)
        self.assertEqual([row.uid for row in self.successResultOf(result)], list(uids))

    def test_sequence(self) -> None:
        """By sequence numbers; the last message by a star."""
        rows = self.ask(
            self.session.fetch_sequence("2:3", ["UID"]),
            ("FETCH 2:3 (UID)", "* 2 FETCH (UID 5)\n* 9 FETCH (FLAGS ())\n* 3 FETCH (UID 6)\n. OK"),
        )
        self.assertEqual([row.uid for row in rows], [5, 6])
        self.assertEqual(len(self.news), 1)
        rows = self.ask(self.session.fetch_sequence("*", ["UID"]), ("FETCH * (UID)", "* 3 FETCH (UID 6)\n. OK"))
        self.assertEqual([row.seq for row in rows], [3])

    def part(self, said: str, *, offset: int = 0, section: str = "1") -> Any:
        return self.ask(
            self.session.fetch_part(4, section, offset=offset, size=5),
            (f"UID FETCH 4 (BODY.PEEK[{section}]<{offset}.5>)", said),
        )

    def test_part(self) -> None:
        """Octets of a part; fewer at its end and none behind it."""
        self.assertEqual(self.part("* 1 FETCH (UID 4 BODY[1]<0> {5}\nabc\n)\n. OK"), b"abc\r\n")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[1]<5> "d")\n. OK', offset=5), b"d")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[1]<10> "")\n. OK', offset=10), b"")
        self.assertEqual(self.part("* 1 FETCH (UID 4 BODY[1]<10> NIL)\n. OK", offset=10), b"")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[]<0> "x")\n. OK', section=""), b"x")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY.PEEK[1]<0> "x")\n. OK'), b"x")
        self.assertEqual(self.part('* 1 FETCH (UID 4 body[1.mime]<0> "x")\n. OK', section="1.MIME"), b"x")

    def test_part_of_a_simple_server(self) -> None:
        """A server that sends the whole part each time."""
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[1] "0123456789ab")\n. OK', offset=5), b"56789")
        self.assertEqual(self.part('* 1 FETCH (UID 4 BODY[1] "0123456789ab")\n. OK', offset=10), b"ab")

    def test_part_of_nothing(self) -> None:
        """A message that is gone; flags of it alone are no answer."""
        work = self.session.fetch_part(4, "1", offset=0, size=5)
        self.error(MessageNotFound, work, ("UID FETCH 4 (BODY.PEEK[1]<0.5>)", "* 1 FETCH (UID 4 FLAGS ())\n. OK"))
        refused = ". NO Some of the requested messages no longer exist"
        work = self.session.fetch_part(4, "1", offset=0, size=5)
        self.error(MessageNotFound, work, ("UID FETCH 4 (BODY.PEEK[1]<0.5>)", refused))
        stream = self.session.stream_part(4, "1", print)
        self.error(MessageNotFound, stream, ("UID FETCH 4 (UID BODY.PEEK[1])", refused))

    def test_offered(self) -> None:
        """Only items that the server knows are asked for; there is always one."""
        items = ["UID", "MODSEQ", "EMAILID", "PREVIEW (LAZY)", "X-GM-LABELS", "BINARY.SIZE[1]"]
        self.connect("IMAP4rev1 OBJECTID PREVIEW BINARY")
        self.ask(
            self.session.fetch(UidSet.of([1]), items),
            ("UID FETCH 1 (UID EMAILID PREVIEW (LAZY) BINARY.SIZE[1])", ". OK"),
        )
        self.connect("IMAP4rev1 X-GM-EXT-1 QRESYNC")
        self.ask(self.session.fetch_sequence("1", items), ("FETCH 1 (UID MODSEQ X-GM-LABELS)", ". OK"))
        self.connect(OLD)
        self.ask(self.session.fetch(UidSet.of([1]), ["PREVIEW"]), ("UID FETCH 1 (UID)", ". OK"))

    def test_no_modseqs(self) -> None:
        """A folder without mod-sequences is not asked for changes since one: that is an error there (RFC 7162 3.1.2)."""
        self.ask(self.session.select("x"), ('SELECT "x" (CONDSTORE)', "* OK [NOMODSEQ] x\n. OK"))
        self.ask(self.session.fetch(UidSet.of([1]), ["UID"], changed_since=5), ("UID FETCH 1 (UID)", ". OK"))

    def test_some_gone(self) -> None:
        """Messages that are gone are missing, also where the server makes an error of it."""
        rows = self.ask(
            self.session.fetch(UidSet.of([1, 2]), ["UID"]),
            ("UID FETCH 1:2 (UID)", "* 1 FETCH (UID 1)\n. NO Some of the requested messages no longer exist"),
        )
        self.assertEqual([row.uid for row in rows], [1])
        rows = self.ask(
            self.session.fetch_sequence("1:2", ["UID"]),
            ("FETCH 1:2 (UID)", "* 2 FETCH (UID 9)\n. NO Some of the requested messages no longer exist"),
        )
        self.assertEqual([row.uid for row in rows], [9])
        self.error(ServerRefused, self.session.fetch(UidSet.of([1]), ["UID"]), ("UID FETCH 1 (UID)", ". NO never"))

    def test_decoded(self) -> None:
        """A server with BINARY takes the transfer encoding off; where it cannot, or has none, the octets are as sent."""
        self.connect("IMAP4rev1 BINARY")

        def ask(section: str, *exchanges: tuple[str, str]) -> bytes:
            found: bytes = self.ask(self.session.fetch_part(4, section, offset=0, size=5, binary=True), *exchanges)
            return found

        found = ask("1", ("UID FETCH 4 (BINARY.PEEK[1]<0.5>)", "* 1 FETCH (UID 4 BINARY[1]<0> ~{3}\nabc)\n. OK"))
        self.assertEqual((found, type(found)), (b"abc", Decoded))
        plain = ("UID FETCH 4 (BODY.PEEK[1]<0.5>)", '* 1 FETCH (UID 4 BODY[1]<0> "YWJj")\n. OK')
        for refusal in ("NO [UNKNOWN-CTE] x", "BAD what"):
            found = ask("1", ("UID FETCH 4 (BINARY.PEEK[1]<0.5>)", f". {refusal}"), plain)
            self.assertEqual((found, type(found)), (b"YWJj", bytes))
        ask("1.MIME", ("UID FETCH 4 (BODY.PEEK[1.MIME]<0.5>)", '* 1 FETCH (UID 4 BODY[1.MIME]<0> "x")\n. OK'))
        self.connect(OLD)
        self.assertEqual(ask("1", plain), b"YWJj")

    def test_stream(self) -> None:
        """A part goes where it is wanted, and its length is told."""
        heard: list[bytes] = []
        count = self.ask(
            self.session.stream_part(4, "2", heard.append),
            ("UID FETCH 4 (UID BODY.PEEK[2])", "* 1 FETCH (UID 4 BODY[2] {5}\nabc\n FLAGS ())\n. OK"),
        )
        self.assertEqual((count, b"".join(heard)), (5, b"abc\r\n"))
        work = self.session.stream_part(4, "2", heard.append)
        self.error(MessageNotFound, work, ("UID FETCH 4 (UID BODY.PEEK[2])", "* 1 FETCH (UID 4 FLAGS ())\n. OK"))

    def test_stream_to_nowhere(self) -> None:
        """What the taker raises is the error, once the part is over; the session goes on."""

        def take(octets: bytes) -> None:
            raise ZeroDivisionError

        result = self.start(self.session.stream_part(4, "2", take))
        self.peer.answer(("UID FETCH 4 (UID BODY.PEEK[2])", '* 1 FETCH (UID 4 BODY[2] "x")\n. OK'))
        self.failureResultOf(result, ZeroDivisionError)
        self.ask(self.session.noop(), ("NOOP", ". OK"))

    def test_stream_cancelled(self) -> None:
        """Who gives up gets nothing more."""
        heard: list[bytes] = []
        result = self.start(self.session.stream_part(4, "2", heard.append))
        tag = self.peer.heard().split()[0]
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.peer.say('* 1 FETCH (UID 4 BODY[2] "x")', f"{tag} OK")
        self.assertEqual(heard, [])

    def test_stream_as_it_arrives(self) -> None:
        """Octets are handed on before the rest has come."""
        heard: list[bytes] = []
        result = self.start(self.session.stream_part(4, "2", heard.append))
        tag = self.peer.heard().split()[0].encode()
        receive = self.peer.connection.dataReceived
        receive(b"* 1 FETCH (UID 4 BODY[2] {6}\r\nab")
        self.assertEqual(b"".join(heard), b"ab")
        self.assertNoResult(result)
        receive(b"cd")
        self.assertEqual(b"".join(heard), b"abcd")
        receive(b"ef)\r\n%b OK done\r\n" % tag)
        self.assertEqual((b"".join(heard), self.successResultOf(result)), (b"abcdef", 6))

    def test_stream_of_many(self) -> None:
        """A hundred megabytes leave nothing behind on their way."""
        size, chunk = 100_000_000, bytes(50_000)
        count = 0

        def take(octets: bytes) -> None:
            nonlocal count
            count += len(octets)

        result = self.start(self.session.stream_part(4, "2", take))
        tag = self.peer.heard().split()[0].encode()
        receive = self.peer.connection.dataReceived
        receive(b"* 1 FETCH (UID 4 BODY[2] {%d}\r\n" % size)
        tracemalloc.start()
        try:
            for _ in range(size // len(chunk)):
                receive(chunk)
            self.assertLess(tracemalloc.get_traced_memory()[1], 500_000)
        finally:
            tracemalloc.stop()
        receive(b")\r\n%b OK done\r\n" % tag)
        self.assertEqual((self.successResultOf(result), count), (size, size))

    def test_stream_paused(self) -> None:
        """Who cannot keep up pauses; who gives up while paused leaves a session that reads."""
        result = self.start(self.session.stream_part(4, "2", lambda _: self.session.pause()))
        tag = self.peer.heard().split()[0]
        self.peer.connection.dataReceived(b"* 1 FETCH (UID 4 BODY[2] {6}\r\nab")
        self.assertEqual(self.peer.producerState, "paused")
        self.session.resume()
        self.assertEqual(self.peer.producerState, "producing")
        self.peer.connection.dataReceived(b"cd")
        self.assertEqual(self.peer.producerState, "paused")
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.peer.producerState, "producing")
        self.peer.connection.dataReceived(b"ef)\r\n")
        self.peer.say(f"{tag} OK")
        self.ask(self.session.noop(), ("NOOP", ". OK"))

    def test_stream_given_up_in_the_queue(self) -> None:
        """Who gives up before it is his turn lets nobody else's pause end."""
        first = self.start(self.session.stream_part(4, "2", lambda _: self.session.pause()))
        tag = self.peer.heard().split()[0]
        second = self.start(self.session.stream_part(5, "2", lambda _: None))
        self.peer.connection.dataReceived(b"* 1 FETCH (UID 4 BODY[2] {6}\r\nab")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.peer.producerState, "paused")
        self.session.resume()
        self.peer.connection.dataReceived(b"cdef)\r\n%b OK\r\n" % tag.encode())
        self.session.resume()
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(first), 6)
