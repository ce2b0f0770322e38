"""One connection: turns, order, silence, cancellation, IDLE, long commands, and servers that misbehave."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectionLost, InvalidInput, ProtocolFault, ServerRefused
from emailengine.imap.commands.append import Append
from emailengine.imap.commands.auth import Capabilities, Identify, Namespaces
from emailengine.imap.commands.fetch import FetchUids
from emailengine.imap.commands.idle import Idle, Noop
from emailengine.imap.commands.list import FolderStatus
from emailengine.imap.commands.store import StoreFlags
from emailengine.imap.connection import SILENCE, Connection
from emailengine.wire.imap.responses import Exists, Expunge, Fetch, Response, Tagged
from emailengine.wire.imap.uidset import UidSet
from emailengine.wire.imap.write import LiteralMode
from tests.imap.peer import Peer, Ticking


def fetch(last: int = 100) -> FetchUids:
    return FetchUids(f"1:{last}", UidSet.of_range(1, last), ["UID", "FLAGS"])


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.connect()

    def connect(self) -> None:
        self.news: list[Response] = []
        self.connection = Connection(self.clock, "mail.example.com", self.news.append)
        self.peer = Peer(self.connection)
        self.peer.say("* OK hello")

        self.addCleanup(self.end, self.peer, self.clock)

    def end(self, peer: Peer, clock: Clock) -> None:
        peer.lose()
        self.assertEqual(clock.getDelayedCalls(), [])

    def run_(self, command: Any) -> Deferred[Any]:
        done: Deferred[Any] = self.connection.run(command)
        self.addCleanup(done.addErrback, lambda _: None)
        return done

    # turns

    def test_one_by_one(self) -> None:
        """Commands go out one after the other; those that cannot be confused go together."""
        first, second = self.run_(Noop()), self.run_(Noop())
        self.assertEqual(self.peer.heard(), "1 NOOP\r\n")
        self.peer.say("1 OK")
        self.assertEqual(self.peer.heard(), "2 NOOP\r\n")
        self.successResultOf(first)
        self.assertNoResult(second)
        self.peer.say("2 ok done")
        self.successResultOf(second)

    def test_refused(self) -> None:
        """NO and BAD are different errors with the server's code and text; the next command goes on."""
        for n, (status, code) in enumerate((("NO", "TRYCREATE"), ("BAD", None)), 1):
            done = self.run_(Noop())
            self.peer.say(f"{n} {status}{f' [{code}]' if code else ''} because")
            error = self.failureResultOf(done, ServerRefused).value
            self.assertEqual((error.server_status, error.code, error.message), (status, code, "because"))

    def test_impossible(self) -> None:
        """A value that cannot be said sends nothing."""
        self.failureResultOf(self.run_(StoreFlags("1", "+", ["a b"])), InvalidInput)
        self.assertEqual(self.peer.heard(), "")

    def test_order(self) -> None:
        """Everything is heard in the order it came, before the end of the command it came with."""
        done = self.run_(fetch())
        heard: list[str] = []
        done.addCallback(lambda rows: heard.append(f"{len(rows)} rows, {len(self.news)} news"))
        self.peer.say("* 3 EXISTS", "* 1 FETCH (UID 5 FLAGS ())", "* 2 EXPUNGE", "1 OK", "* 4 EXISTS")
        self.assertEqual(heard, ["1 rows, 2 news"])
        self.assertEqual(self.news, [Exists(3), Expunge(2), Exists(4)])

    def test_news_with_refusal(self) -> None:
        """What a command brings that ends in NO is heard as well."""
        done = self.run_(Noop())
        self.peer.say("* 3 EXISTS", "1 NO")
        self.failureResultOf(done, ServerRefused)
        self.assertEqual(self.news, [Exists(3)])

    @given(st.lists(st.integers(1, 60), max_size=30))
    def test_pieces(self, cuts: list[int]) -> None:
        """However the octets are cut, the same is heard."""
        self.connect()
        octets = (
            b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 BODY[1] {7}\r\na\r\nb c) FLAGS ())\r\n"
            b"* 7 EXISTS\r\n1 OK [X] done {3}\r\n* 8 EXISTS\r\n"
        )
        command = FetchUids("1:2", UidSet.of_range(1, 2), ["UID", "FLAGS", "BODY.PEEK[1]"])
        done = self.run_(command)
        at = 0
        for size in (*cuts, len(octets)):
            self.connection.dataReceived(octets[at : at + size])
            at += size
        rows = self.successResultOf(done)
        self.assertEqual(
            [(row.uid, row.flags, dict(row.sections)) for row in rows],
            [
                (1, ("\\Seen",), {}),
                (2, (), {"BODY[1]": b"a\r\nb c)"}),
            ],
        )
        self.assertEqual(self.news, [Exists(7), Exists(8)])

    # slices

    def test_slices(self) -> None:
        """A read with much work is cut: the transport pauses, the reactor runs, and the order is kept."""
        self.clock = Ticking()
        self.connect()
        done = self.run_(fetch(500))
        self.peer.say(*[f"* {n} FETCH (UID {n} FLAGS ())" for n in range(1, 501)], "1 OK", "* 500 EXISTS")
        self.assertNoResult(done)
        self.assertEqual(self.peer.producerState, "paused")
        self.connection.dataReceived(b"* 501 EXISTS\r\n")  # what TLS had decrypted already
        while self.peer.producerState == "paused":
            self.clock.advance(0)
        self.assertGreater(self.peer.pauses, 2)
        self.assertEqual([row.uid for row in self.successResultOf(done)], list(range(1, 501)))
        self.assertEqual(self.news, [Exists(500), Exists(501)])

    def test_lost_in_a_slice(self) -> None:
        """What had arrived before the connection ended is heard."""
        self.clock = Ticking()
        self.connect()
        done = self.run_(fetch(500))
        self.peer.say(*[f"* {n} FETCH (UID {n} FLAGS ())" for n in range(1, 501)], "1 OK")
        self.peer.lose()
        self.assertEqual(len(self.successResultOf(done)), 500)

    # cancellation

    def test_cancelled_before(self) -> None:
        """Cancelled while it waits, a command is never sent."""
        first, second, third = self.run_(Noop()), self.run_(fetch()), self.run_(Noop())
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.peer.say("1 OK")
        self.assertEqual(self.peer.heard(), "1 NOOP\r\n2 NOOP\r\n")
        self.peer.say("2 OK")
        self.successResultOf(first)
        self.successResultOf(third)

    def test_cancelled_after(self) -> None:
        """Cancelled after it was sent, its answer is thrown away, and belongs to no other command."""
        first, second = self.run_(fetch()), self.run_(fetch())
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        self.peer.say("* 1 FETCH (UID 1 FLAGS ())", "1 OK", "* 2 FETCH (UID 2 FLAGS ())", "2 OK")
        self.assertEqual([row.uid for row in self.successResultOf(second)], [2])

    def test_cancelled_refused(self) -> None:
        """Nor does its refusal disturb anybody."""
        first = self.run_(Noop())
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.peer.say("1 NO")
        self.assertIsNone(self.connection.ended)

    # silence and the end

    def test_silence(self) -> None:
        """Only silence while a command runs ends the connection; each octet counts as a sign of life."""
        self.clock.advance(SILENCE * 10)
        done = self.run_(Noop())
        for _ in range(5):
            self.clock.advance(SILENCE - 1)
            self.connection.dataReceived(b"*")
        self.assertNoResult(done)
        self.clock.advance(SILENCE)
        self.failureResultOf(done, ConnectionLost)
        self.assertTrue(self.peer.closed)

    def test_lost(self) -> None:
        """The end fails every command, running or waiting, once, and later ones at once; one call tells of it."""
        calls: list[str] = []
        self.connection.lost = lambda: calls.append("lost")
        waiting = [self.run_(Noop()) for _ in range(3)]
        waiting[0].addErrback(lambda _: calls.append(str(self.failureResultOf(self.run_(Noop())))))
        self.peer.say("* BYE shutting down")
        self.peer.lose()
        errors = [self.failureResultOf(one, ConnectionLost).value for one in waiting[1:]]
        self.assertIn("shutting down", str(errors[0]))
        self.assertIsNot(errors[0], errors[1])
        self.failureResultOf(self.run_(Noop()), ConnectionLost)
        self.assertEqual(len(calls), 2)
        self.assertIn("lost", calls)
        self.successResultOf(self.connection.gone())

    def test_garbage(self) -> None:
        """An answer nobody can read fails the command and nothing else; without framing the connection ends."""
        done = self.run_(FolderStatus("x", ["MESSAGES"]))
        self.peer.say("* STATUS x", "1 OK")
        self.failureResultOf(done, ProtocolFault)
        done = self.run_(Noop())
        self.peer.say("99 OK nobody asked", "+ go on", "* FROBNICATE (1 2", "2 OK")
        self.failureResultOf(done, ProtocolFault)
        self.assertIsNone(self.connection.ended)
        done = self.run_(Noop())
        self.peer.say("* 1 FETCH (BODY[] {99999999999}")
        self.peer.say("x")
        self.failureResultOf(done, ProtocolFault)
        self.assertTrue(self.peer.closed)

    def test_no_greeting(self) -> None:
        """Whoever does not begin with a greeting speaks something else, and is not waited for."""
        for said in ("220 mail ESMTP", "+OK POP3 ready", "* CAPABILITY IMAP4rev1", "1 OK", "HTTP/1.1 400 Bad", "* x"):
            connection = Connection(self.clock, "mail.example.com", self.news.append)
            peer = Peer(connection)
            peer.say(said)
            self.failureResultOf(connection.greeting(), ProtocolFault)
            self.assertTrue(peer.closed)
        self.assertEqual(self.news, [])

    def test_farewell(self) -> None:
        """A server that says BYE and stays has a few seconds, also while nothing runs or IDLE does."""
        for command in (None, Noop(), Idle()):
            self.connect()
            done = None if command is None else self.run_(command)
            self.peer.say("+ go on", "* BYE [UNAVAILABLE] back soon")
            self.clock.advance(5)
            self.assertTrue(self.peer.closed)
            error = self.connection.ended
            assert isinstance(error, ConnectionLost)
            self.assertEqual(error.code, "UNAVAILABLE")
            self.assertIn("back soon", error.message)
            if done is not None:
                self.failureResultOf(done, ConnectionLost)

    def test_unexpected_continuation(self) -> None:
        """A `+` that nobody waits for is passed over, with text or bare."""
        self.peer.say("+", "+ ")
        done = self.run_(Noop())
        self.peer.say("+", "+ what?", "1 OK")
        self.successResultOf(done)
        self.assertEqual(self.peer.heard(), "1 NOOP\r\n")

    def test_together(self) -> None:
        """Commands that went out together are answered in any order, and one that fails fails alone."""
        commands = [self.run_(command) for command in (Capabilities(), Identify({}), Namespaces())]
        self.assertEqual(self.peer.heard(), "1 CAPABILITY\r\n2 ID NIL\r\n3 NAMESPACE\r\n")
        last = self.run_(Noop())
        self.peer.say('* ID ("name" "x")', "3 NO not here", "* CAPABILITY A B", "2 OK", "1 OK")
        self.assertEqual(self.successResultOf(commands[0]), frozenset("AB"))
        self.assertEqual(self.successResultOf(commands[1]), {"name": "x"})
        self.failureResultOf(commands[2], ServerRefused)
        self.assertEqual(self.peer.heard(), "4 NOOP\r\n")
        self.assertNoResult(last)

    @given(st.integers(0, 200), st.booleans(), st.booleans())
    def test_lost_anywhere(self, at: int, gave_up: bool, paused: bool) -> None:
        """Whenever the connection ends, every command has exactly one result, and its waiters may ask for more."""
        self.connect()
        results: list[list[object]] = []

        def run(command: Any, *, again: bool) -> None:
            mine: list[object] = []
            results.append(mine)
            done: Deferred[Any] = self.connection.run(command)
            done.addBoth(mine.append)
            if again:
                done.addBoth(lambda _: run(Noop(), again=False))

        for command in (Capabilities(), Namespaces(), Idle(), Append("x", b"1234", [], None), fetch(), Noop()):
            run(command, again=True)
        said = (
            b"* CAPABILITY A\r\n2 OK\r\n1 OK\r\n+ idling\r\n* 1 EXISTS\r\n3 OK\r\n+ go on\r\n"
            b"4 NO\r\n* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (UID 2 FLAGS {1}\r\nx)\r\n5 OK\r\n6 OK\r\n"
        )
        self.connection.dataReceived(said[: at // 2])
        if paused:
            self.connection.pause()
        self.connection.dataReceived(said[at // 2 : at])
        if gave_up:
            self.connection.abort("enough")
        else:
            self.peer.lose()
        self.assertEqual([len(one) for one in results], [1] * 12)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_faulty_command(self) -> None:
        """A command that cannot make its value fails, instead of leaving its waiter alone."""

        class Faulty(Noop):
            def result(self, final: Tagged) -> None:
                raise KeyError(final.text)

        done = self.run_(Faulty())
        self.peer.say("1 OK")
        self.failureResultOf(done, KeyError)
        self.assertIsNone(self.connection.ended)

    def test_old_ways(self) -> None:
        """The commands of Twisted's client are out of reach."""
        self.assertRaises(NotImplementedError, self.connection.noop)

    # IDLE

    def idle(self) -> tuple[Idle, Deferred[Any]]:
        command = Idle()
        done = self.run_(command)
        self.assertEqual(self.peer.heard(), "1 IDLE\r\n")
        return command, done

    def test_idle(self) -> None:
        """In IDLE everything is news, and silence is no fault; DONE ends it."""
        command, done = self.idle()
        self.assertNoResult(command.started)
        self.peer.say("+ idling")
        self.successResultOf(command.started)
        self.clock.advance(SILENCE * 20)
        self.peer.say("* 1 EXISTS", "* 1 FETCH (FLAGS ())", "+ still idling")
        self.assertEqual([type(one) for one in self.news], [Exists, Fetch])
        self.connection.end_idle()
        self.connection.end_idle()
        self.assertEqual(self.peer.heard(), "DONE\r\n")
        self.assertNoResult(done)
        self.peer.say("* 2 EXISTS", "1 OK")
        self.successResultOf(done)
        self.assertEqual(len(self.news), 3)

    def test_idle_ended_by_a_command(self) -> None:
        """The next command ends IDLE, also before the server has agreed to it, and waits for its end."""
        for early in (False, True):
            self.clock = Clock()
            self.connect()
            command, _ = self.idle()
            if not early:
                self.peer.say("+ idling")
            self.run_(Noop())
            if early:
                self.assertEqual(self.peer.heard(), "")
                self.peer.say("+ idling")
            self.successResultOf(command.started)
            self.assertEqual(self.peer.heard(), "DONE\r\n")
            self.peer.say("1 OK")
            self.assertEqual(self.peer.heard(), "2 NOOP\r\n")

    def test_idle_without_end(self) -> None:
        """A server that does not answer DONE is given up."""
        self.idle()
        self.peer.say("+ idling")
        noop = self.run_(Noop())
        self.clock.advance(SILENCE)
        self.failureResultOf(noop, ConnectionLost)

    # literals

    def test_literal_refused(self) -> None:
        """When the server says NO instead of asking for a literal, the rest is not sent."""
        done = self.run_(Append("x", b"message", [], None))
        self.assertEqual(self.peer.heard(), '1 APPEND "x" {7}\r\n')
        following = self.run_(Noop())
        self.peer.say("1 NO [TRYCREATE] no")
        self.assertEqual(self.failureResultOf(done, ServerRefused).value.code, "TRYCREATE")
        self.assertEqual(self.peer.heard(), "2 NOOP\r\n")
        self.assertNoResult(following)

    def test_long_literal(self) -> None:
        """A large message goes out as the transport takes it, and its progress is no silence."""
        self.connection.literals = LiteralMode.PLUS
        data = b"0123456789abcdef" * 20_000
        done = self.run_(Append("x", data, [], None))
        following = self.run_(Noop())
        sent = b""
        while self.peer.producer is not None:
            self.clock.advance(SILENCE - 1)
            self.peer.producer.resumeProducing()
            self.assertLessEqual(len(self.peer.value()), 65_536)
            sent += self.peer.value()
            self.peer.clear()
        self.assertEqual(sent, b'1 APPEND "x" {%d+}\r\n%s\r\n' % (len(data), data))
        self.peer.say("1 OK [APPENDUID 7 8] done")
        self.assertEqual(self.successResultOf(done).uid, 8)
        self.assertEqual(self.peer.heard(), "2 NOOP\r\n")
        self.assertNoResult(following)

    def test_long_literal_refused(self) -> None:
        """A message that is refused while it goes out is sent to its end before anything else is said."""
        self.connection.literals = LiteralMode.PLUS
        done = self.run_(Append("x", b"x" * 200_000, [], None))
        producer: Any = self.peer.producer
        producer.resumeProducing()
        self.peer.say("1 NO too large")
        self.failureResultOf(done, ServerRefused)
        self.peer.clear()
        self.run_(Noop())
        while self.peer.producer is not None:
            producer.resumeProducing()
        self.assertTrue(self.peer.value().endswith(b"x\r\n2 NOOP\r\n"))

    def test_long_literal_refused_and_not_taken(self) -> None:
        """A server that refuses a message and does not take the rest of it is silent; one that does may be, then."""
        self.connection.literals = LiteralMode.PLUS
        for takes_it in (True, False):
            done = self.run_(Append("x", b"x" * 200_000, [], None))
            self.peer.say(f"{2 - takes_it} NO too large")
            self.failureResultOf(done, ServerRefused)
            while takes_it and self.peer.producer is not None:
                self.peer.producer.resumeProducing()
            self.clock.advance(SILENCE)
            self.assertEqual(self.peer.closed, not takes_it)

    def test_eager_continuation(self) -> None:
        """A `+` that comes before the transport has told that the line is out is kept until then."""
        done = self.run_(Append("x" * 70_000, b"message", [], None))
        self.peer.say("+ go on")
        while self.peer.producer is not None:
            self.peer.say("+ go on")
            self.peer.producer.resumeProducing()
        self.assertTrue(self.peer.value().endswith(b"xxx {7}\r\nmessage\r\n"))
        self.peer.say("1 OK")
        self.successResultOf(done)

    def test_lost_while_sending(self) -> None:
        """A connection that ends while a message goes out fails its command."""
        self.connection.literals = LiteralMode.PLUS
        done = self.run_(Append("x", b"x" * 200_000, [], None))
        self.peer.lose()
        self.failureResultOf(done, ConnectionLost)


class StringTransportTests(SynchronousTestCase):
    def test_bare_transport(self) -> None:
        """A transport that is no TCP connection will do."""
        connection = Connection(Clock(), "x", lambda response: None)
        connection.makeConnection(StringTransport())
        connection.dataReceived(b"* OK\r\n")
        self.assertEqual(self.successResultOf(connection.greeting()).status, "OK")
