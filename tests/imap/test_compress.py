"""DEFLATE in both directions: alone, and under a connection."""

from __future__ import annotations

import os
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ProtocolFault, ServerRefused
from emailengine.imap.commands.append import Append
from emailengine.imap.commands.fetch import FetchUids
from emailengine.imap.commands.idle import Idle, Noop
from emailengine.imap.compress import PORTION, Deflate, Inflate, deflated
from emailengine.imap.connection import Connection
from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap.responses import Exists, Expunge, Response
from emailengine.wire.imap.uidset import UidSet
from emailengine.wire.imap.write import LiteralMode
from tests.imap.peer import Peer, Ticking


def inflated(inflate: Inflate, octets: bytes) -> list[bytes]:
    portions = []
    rest: bytes | None = octets
    while rest is not None:
        portion, rest = inflate.portion(rest)
        portions.append(portion)
    return portions


class Server:
    """The other end's zlib."""

    def __init__(self, wbits: int = -15) -> None:
        self._deflate = zlib.compressobj(wbits=wbits)
        self._inflate = zlib.decompressobj(-15)

    def says(self, octets: bytes) -> bytes:
        return self._deflate.compress(octets) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def hears(self, octets: bytes) -> bytes:
        heard = self._inflate.decompress(octets)
        assert not self._inflate.eof
        return heard


class DeflateTests(SynchronousTestCase):
    @given(st.lists(st.binary(max_size=2000), max_size=6))
    def test_every_write(self, writes: list[bytes]) -> None:
        """Short, long and very long writes come out in turn, each at once."""
        server = Server()
        for one in writes:
            self.assertEqual(server.hears(deflated(one)), one)
            long = Deflate()
            self.assertEqual(server.hears(long(one) + long(one * 50)), one * 51)

    def test_portions(self) -> None:
        """What comes out is cut into portions, however little it was made of; nothing is left inside."""
        for size in (1, PORTION - 1, PORTION, PORTION + 1, 5 * PORTION, 40 * PORTION + 7):
            inflate, server = Inflate(), Server()
            portions = inflated(inflate, server.says(b"a" * size))
            self.assertEqual(b"".join(portions), b"a" * size)
            self.assertLessEqual(max(map(len, portions)), PORTION)
            self.assertEqual(b"".join(inflated(inflate, server.says(b"z"))), b"z")

    def test_smaller_windows(self) -> None:
        """A server may look back less far."""
        for wbits in (-9, -12, -15):
            noise = os.urandom(30_000) * 3
            self.assertEqual(b"".join(inflated(Inflate(), Server(wbits).says(noise))), noise)

    def test_bomb(self) -> None:
        """Much that inflates out of proportion is refused, in one go or in many; once in a while it is no bomb."""
        server, inflate = Server(), Inflate(max_blank=1 << 20)
        self.assertRaises(TheyBrokeProtocol, inflated, inflate, server.says(bytes(3 << 20)))
        server, inflate = Server(), Inflate(max_blank=1 << 20)
        with self.assertRaises(TheyBrokeProtocol):
            for _ in range(100):
                inflated(inflate, server.says(bytes(100_000)))
        server, inflate = Server(), Inflate(max_blank=1 << 20)
        for _ in range(20):
            inflated(inflate, server.says(bytes(900_000)))
            inflated(inflate, server.says(os.urandom(10_000)))

    @given(st.binary(max_size=300), st.integers(0, 50))
    def test_damaged(self, octets: bytes, at: int) -> None:
        """No octets raise anything but the protocol's error, and those after the end of the stream do."""
        stream = Server().says(b"* OK hello\r\n" * 3)
        try:
            inflated(Inflate(), stream[:at] + octets + stream[at:])
        except TheyBrokeProtocol:
            pass
        ended = zlib.compress(b"* BYE\r\n", wbits=-15)
        self.assertEqual(inflated(inflate := Inflate(), ended), [b"* BYE\r\n"])
        self.assertRaises(TheyBrokeProtocol, inflate.portion, b"x")
        self.assertRaises(TheyBrokeProtocol, inflated, Inflate(), ended + b"x")


class CompressedConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connect()

    def connect(self) -> None:
        self.news: list[Response] = []
        self.connection = Connection(self.clock, "mail.example.com", self.news.append)
        self.peer = Peer(self.connection)
        self.peer.say("* OK hello")
        self.server = Server()

    def tearDown(self) -> None:
        self.peer.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def run_(self, command: Any) -> Deferred[Any]:
        done: Deferred[Any] = self.connection.run(command)
        self.addCleanup(done.addErrback, lambda _: None)
        return done

    def compress(self) -> None:
        done = self.connection.compress()
        self.assertEqual(self.peer.heard(), "1 COMPRESS DEFLATE\r\n")
        self.peer.say("1 OK go")
        self.successResultOf(done)

    def heard(self) -> bytes:
        octets = self.peer.value()
        self.peer.clear()
        return self.server.hears(octets)

    def say(self, *lines: str) -> None:
        self.connection.dataReceived(self.server.says("".join(f"{one}\r\n" for one in lines).encode()))

    @given(st.integers(1, 200), st.booleans())
    def test_pieces(self, size: int, together: bool) -> None:
        """All that follows the OK is compressed, also in the same segment, and however it is cut."""
        self.connect()
        self.connection.compress()
        command = FetchUids("1", UidSet.of([1]), ["UID", "BODY.PEEK[1]"])
        done = self.run_(command)
        self.assertEqual(self.peer.heard(), "1 COMPRESS DEFLATE\r\n")
        plain = b"* 1 EXISTS\r\n1 OK now\r\n"
        said = self.server.says(b"* 2 EXISTS\r\n\r\n* 9 EXPUNGE\r\n")
        if together:
            said = plain + said
        else:
            self.connection.dataReceived(plain)
        said += self.server.says(b"* 1 FETCH (UID 1 BODY[1] {6}\r\n") + self.server.says(b"\r\n\r\n))")
        said += self.server.says(b")\r\n2 OK\r\n")
        for at in range(0, len(said), size):
            self.connection.dataReceived(said[at : at + size])
        self.assertEqual(self.news, [Exists(1), Exists(2), Expunge(9)])
        self.assertEqual(self.successResultOf(done)[0].sections, {"BODY[1]": b"\r\n\r\n))"})
        self.assertEqual(self.heard(), b"2 UID FETCH 1 (UID BODY.PEEK[1])\r\n")

    def test_everything_said(self) -> None:
        """Commands, answers to `+`, DONE and long messages go out compressed."""
        self.compress()
        self.run_(Append("x", b"y" * 600, [], None))
        self.assertEqual(self.heard(), b'2 APPEND "x" {600}\r\n')
        self.say("+ go on")
        self.assertEqual(self.heard(), b"y" * 600 + b"\r\n")
        self.say("2 OK")
        self.run_(Idle())
        self.assertEqual(self.heard(), b"3 IDLE\r\n")
        self.say("+ idling")
        self.connection.literals = LiteralMode.PLUS
        message = os.urandom(200_000)
        self.run_(Append("x", message, [], None))
        self.assertEqual(self.heard(), b"DONE\r\n")
        self.say("3 OK")
        sent = b""
        while self.peer.producer is not None:
            self.peer.producer.resumeProducing()
            sent += self.heard()
        self.assertEqual(sent, b'4 APPEND "x" {200000+}\r\n%s\r\n' % message)

    def test_refused(self) -> None:
        """After NO nothing is compressed."""
        self.failureResultOf(self._refuse(), ServerRefused)
        self.run_(Noop())
        self.assertEqual(self.peer.heard(), "2 NOOP\r\n")

    def _refuse(self) -> Deferred[None]:
        done = self.connection.compress()
        self.peer.heard()
        self.peer.say("1 NO [COMPRESSIONACTIVE] it is")
        return done

    def test_damaged(self) -> None:
        """A damaged stream ends the connection."""
        self.compress()
        done = self.run_(Noop())
        self.connection.dataReceived(b"* 1 EXISTS\r\n")
        self.failureResultOf(done, ProtocolFault)
        self.assertTrue(self.peer.closed)

    def test_bombs(self) -> None:
        """What inflates to a line without end meets the splitter's limit, a little in each turn."""
        self.clock = Ticking()
        self.connect()
        self.compress()
        done = self.run_(Noop())
        bomb = self.server.says(b"* " + b"a" * (40 << 20))
        self.assertLess(len(bomb), 50_000)
        self.connection.dataReceived(bomb)
        self.assertNoResult(done)
        while not self.peer.closed:
            self.clock.advance(0)
        self.failureResultOf(done, ProtocolFault)
        self.assertGreater(self.peer.pauses, 40)

    def test_lost(self) -> None:
        """What had arrived before the connection ended is heard, and a bomb is not inflated to its end."""
        self.compress()
        done = self.run_(Noop())
        self.connection.pause()
        self.say("* 5 EXISTS", "2 OK")
        self.connection.dataReceived(self.server.says(b"* 6 EXISTS\r\n" * 1_000_000))
        self.peer.lose()
        self.successResultOf(done)
        self.assertEqual(self.news[0], Exists(5))
        self.assertLess(len(self.news), 100_000)
