"""Literals that flow, pauses of their consumers, and turns: under a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectionLost
from emailengine.imap.commands.command import Plain
from emailengine.imap.commands.idle import Noop
from emailengine.imap.connection import SILENCE, Connection
from emailengine.wire.imap.responses import Exists, Fetch, Response
from emailengine.wire.imap.tokens import Literal, Piece
from tests.imap.peer import Peer, Ticking


class Flow(Plain):
    """Takes every literal as it arrives."""

    word = "FLOW"

    def __init__(self, write: Callable[[bytes], None], smallest: int = 0) -> None:
        self.write = write
        self.smallest = smallest
        self.asked: list[tuple[Sequence[Piece], int]] = []

    def line(self) -> Sequence[Piece]:
        return [b"FLOW"]

    def sink(self, pieces: Sequence[Piece], size: int) -> Callable[[bytes], None] | None:
        self.asked.append((list(pieces), size))
        return self.write if size >= self.smallest else None


class IntakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connect(Clock())

    def connect(self, clock: Clock) -> None:
        self.clock = clock
        self.news: list[Response] = []
        self.connection = Connection(self.clock, "mail.example.com", self.news.append)
        self.peer = Peer(self.connection)
        self.peer.say("* OK hello")

    def tearDown(self) -> None:
        self.peer.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def run_(self, command: Any) -> Deferred[Any]:
        done: Deferred[Any] = self.connection.run(command)
        self.addCleanup(done.addErrback, lambda _: None)
        return done

    def test_sink(self) -> None:
        """A literal goes to the running command as it arrives, one that it does not want stays in its response."""
        got: list[bytes] = []
        command = Flow(got.append, smallest=5)
        self.connection.dataReceived(b"* 1 FETCH (BODY[1] {9}\r\nunwanted ")  # before it runs
        done = self.run_(command)
        self.connection.dataReceived(b")\r\n* 2 FETCH (UID 7 BODY[1] {2}\r\nno BODY[2] {8}\r\nyes")
        self.assertEqual(got, [b"yes"])
        self.connection.dataReceived(b", yes UID 7)\r\n* 3 EXISTS\r\n1 OK\r\n")
        self.connection.dataReceived(b"* 4 FETCH (BODY[1] {9}\r\nunwanted )\r\n")
        self.assertEqual(b"".join(got), b"yes, yes")
        self.assertEqual([size for _, size in command.asked], [2, 8])
        self.assertEqual(command.asked[1][0], [b"* 2 FETCH (UID 7 BODY[1] ", Literal(b"no"), b" BODY[2] "])
        self.successResultOf(done)
        sections = [dict(one.sections) for one in self.news if isinstance(one, Fetch)]
        self.assertEqual(
            sections, [{"BODY[1]": b"unwanted "}, {"BODY[1]": b"no", "BODY[2]": b""}, {"BODY[1]": b"unwanted "}]
        )

    def test_cancelled(self) -> None:
        """Once its command is cancelled nothing flows any more, and the connection stays usable."""
        got: list[bytes] = []
        done = self.run_(Flow(got.append))
        self.connection.dataReceived(b"* 1 FETCH (BODY[1] {6}\r\nabc")
        done.cancel()
        self.connection.dataReceived(b"def BODY[2] {1}\r\nx)\r\n1 OK\r\n")
        self.assertEqual(got, [b"abc"])
        noop = self.run_(Noop())
        self.peer.say("2 OK")
        self.successResultOf(noop)

    @given(st.lists(st.sampled_from(["take", "pause", "resume", "turn"]), max_size=60), st.integers(1, 50), st.data())
    def test_pauses(self, steps: list[str], size: int, data: Any) -> None:
        """Whoever pauses whenever, in between or in the midst of the octets: nothing is lost and the order is kept."""
        self.connect(Ticking() if data.draw(st.booleans()) else Clock())
        content = bytes(range(256)) * 2
        said = b"".join(
            [
                b"* %d FETCH (BODY[1] {%d}\r\n%s UID %d)\r\n* %d EXISTS\r\n" % (n, len(content), content, n, n)
                for n in (1, 2, 3)
            ]
        )
        said += b"1 OK\r\n"
        got: list[bytes] = []
        stop_at = data.draw(st.sets(st.integers(0, 60), max_size=5))

        def write(octets: bytes) -> None:
            if len(got) in stop_at:
                self.connection.pause()
            got.append(octets)

        done = self.run_(Flow(write))
        at = 0
        for step in steps:
            if step == "take":
                self.connection.dataReceived(said[at : at + size])
                at += size
            elif step == "turn":
                self.clock.advance(0)
            else:
                heard = len(self.news)
                getattr(self.connection, step)()
                self.assertEqual(len(self.news), heard)
        stop_at.clear()
        self.connection.resume()
        for start in range(at, len(said), size):
            self.connection.dataReceived(said[start : start + size])
        while not done.called:
            self.clock.advance(0)
        self.assertEqual(b"".join(got), content * 3)
        self.assertEqual([one.n for one in self.news if isinstance(one, Exists)], [1, 2, 3])
        self.assertEqual(len(self.news), 6)
        self.clock.advance(0)
        self.assertNotEqual(self.peer.producerState, "paused")

    def test_pause(self) -> None:
        """A pause reaches the transport, lasts over turns and TLS's leftovers, and its silence is no fault."""
        done = self.run_(Noop())
        self.connection.pause()
        self.connection.pause()
        self.assertEqual(self.peer.producerState, "paused")
        self.peer.say("* 1 EXISTS", "1 OK")
        self.clock.advance(SILENCE * 3)
        self.assertEqual(self.news, [])
        self.assertNoResult(done)
        self.connection.resume()
        self.assertNoResult(done)
        self.clock.advance(0)
        self.successResultOf(done)
        self.assertEqual(self.peer.producerState, "producing")
        self.connection.resume()
        done = self.run_(Noop())
        self.connection.pause()
        self.connection.resume()
        self.clock.advance(SILENCE - 1)
        self.assertNoResult(done)
        self.clock.advance(1)
        self.failureResultOf(done, ConnectionLost)

    def test_pause_in_a_turn(self) -> None:
        """A pause that begins while a turn is awaited outlasts it."""
        self.connect(Ticking())
        self.peer.say(*[f"* {n} EXISTS" for n in range(500)])
        self.assertEqual(self.peer.producerState, "paused")
        heard = len(self.news)
        self.connection.pause()
        self.clock.advance(0)
        self.assertEqual((self.peer.producerState, len(self.news)), ("paused", heard))
        self.connection.resume()
        while len(self.news) < 500:
            self.clock.advance(0)
        self.assertEqual(self.peer.producerState, "producing")

    def test_pauses_within_a_turn(self) -> None:
        """Who pauses and goes on again while reading leaves one turn to come, not one more each time."""
        self.connect(Ticking())

        def hear(response: Response) -> None:
            self.news.append(response)
            self.connection.pause()
            self.connection.resume()

        self.connection._news = hear
        self.peer.say(*[f"* {n} EXISTS" for n in range(500)])
        while len(self.news) < 500:
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
            self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual(self.peer.producerState, "producing")

    def test_faulty_listener(self) -> None:
        """A listener that raises, in a turn or when the connection is lost, leaves nobody waiting."""

        def fail(response: Response) -> None:
            self.news.append(response)
            if len(self.news) > 100:
                raise ZeroDivisionError

        for in_a_turn in (True, False):
            self.connect(Ticking())
            self.connection._news = fail
            done, gone = self.connection.run(Noop()), self.connection.gone()
            self.peer.say(*[f"* {n} EXISTS" for n in range(500)])
            with self.assertRaises(ZeroDivisionError):
                while in_a_turn:
                    self.clock.advance(0)
                self.peer.lose()
            self.failureResultOf(done, ConnectionLost)
            self.successResultOf(gone)
            self.assertTrue(self.peer.closed)

    def test_lost_while_paused(self) -> None:
        """A connection that is lost gives all that had arrived to a consumer that had paused, and is over."""
        got: list[bytes] = []
        done = self.run_(Flow(got.append))
        self.connection.pause()
        self.connection.dataReceived(b"* 1 FETCH (BODY[1] {9}\r\nabc")
        self.peer.lose()
        self.assertEqual(got, [b"abc"])
        self.failureResultOf(done, ConnectionLost)
        self.connection.resume()
        self.connection.pause()
