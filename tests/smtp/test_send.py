"""Sending over sessions that are kept for a while."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import Busy, ConnectionLost, SmtpRefused
from emailengine.smtp.send import Senders
from emailengine.smtp.session import SmtpResult
from tests.smtp.peer import TARGET, Contexts, Dialer, Login, Peer, give_up, quiet


class SendersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dialer = Dialer()
        self.senders = Senders(clock=self.clock, dialer=self.dialer, contexts=Contexts())

    @property
    def peer(self) -> Peer:
        return self.dialer.peers[-1]

    def send(self, **change: Any) -> Deferred[SmtpResult]:
        values: dict[str, Any] = {
            "target": TARGET,
            "credentials": None,
            "envelope_from": "a@x.example",
            "recipients": ["b@y.example"],
            "data": b"x",
            "ehlo_name": "client.example.com",
        }
        sending = Deferred.fromCoroutine(self.senders.send_message(**(values | change)))
        self.addCleanup(give_up, sending)
        return sending

    def greet(self) -> None:
        self.peer.say("220 hi")
        self.peer.say("250-mail", "250 AUTH PLAIN")

    def take(self) -> None:
        self.peer.say("250 ok")
        self.peer.say("250 ok")
        self.peer.say("354 go")
        self.peer.say("250 taken")

    def send_one(self, **change: Any) -> None:
        sending = self.send(**change)
        self.greet()
        if change.get("credentials"):
            self.peer.say("235 ok")
        self.take()
        self.successResultOf(sending)
        self.peer.heard()

    def send_reusing(self) -> None:
        count = len(self.dialer.peers)
        sending = self.send()
        self.assertEqual(self.peer.heard(), b"RSET\r\n")
        self.peer.say("250 ok")
        self.take()
        self.successResultOf(sending)
        self.assertEqual(len(self.dialer.peers), count)
        self.peer.heard()

    def test_reuse(self) -> None:
        """A session that rested takes the next message after RSET."""
        self.send_one()
        self.clock.advance(9)
        self.send_reusing()
        self.clock.advance(9)
        self.send_reusing()

    def test_idle(self) -> None:
        """After ten seconds it is closed, and nothing is left."""
        self.send_one()
        self.clock.advance(11)
        self.assertTrue(self.peer.closed)
        self.assertTrue(self.peer.heard().endswith(b"QUIT\r\n"))
        self.assertTrue(quiet(self.clock))

    def test_not_shared(self) -> None:
        """Another policy, host, user, secret or name never gets the same session."""
        self.send_one(credentials=Login("jo", "a"))
        for change in (
            {"credentials": Login("jo", "b")},
            {"credentials": Login("ann", "a")},
            {"credentials": None},
            {"credentials": Login("jo", access_token="a")},
            {"credentials": Login("jo", "a"), "ehlo_name": "other"},
            {"credentials": Login("jo", "a"), "target": evolve(TARGET, tls="other policy")},
            {"credentials": Login("jo", "a"), "target": evolve(TARGET, starttls="never")},
            {"credentials": Login("jo", "a"), "target": evolve(TARGET, local_address="192.0.2.1")},
        ):
            count = len(self.dialer.peers)
            self.send(**change)
            self.assertEqual(len(self.dialer.peers), count + 1, repr(change))

    def test_dead_session(self) -> None:
        """One that died, or says goodbye, while it rested is replaced without anybody noticing."""
        for farewell in (None, "421 bye", "lost at reset"):
            self.dialer.peers.clear()
            self.send_one()
            if farewell is None:
                self.peer.lose()
            elif farewell.startswith("421"):
                self.peer.say(farewell)
            sending = self.send()
            if farewell == "lost at reset":
                self.peer.lose()
            self.assertEqual(len(self.dialer.peers), 2)
            self.greet()
            self.take()
            self.successResultOf(sending)
            self.clock.advance(20)

    def test_two_at_once(self) -> None:
        """A busy session is not shared; both rest afterwards."""
        first, second = self.send(), self.send()
        for peer in list(self.dialer.peers):
            peer.say("220 hi")
            for reply in ("250 mail", "250 ok", "250 ok", "354 go", "250 taken"):
                peer.say(reply)
        self.successResultOf(first)
        self.successResultOf(second)
        self.send()
        self.send()
        self.assertEqual(len(self.dialer.peers), 2)

    def test_limits(self) -> None:
        """A session ends after its number of messages, and after its age."""
        self.senders.most_messages = 2
        self.send_one()
        self.send_reusing()
        self.assertTrue(self.peer.closed)
        self.senders.oldest = 5
        self.send_one()
        self.clock.advance(6)
        self.send_reusing()
        self.assertTrue(self.peer.closed)
        self.assertTrue(quiet(self.clock))

    def test_refused_message(self) -> None:
        """A refusal leaves the session for the next message; a lost one is forgotten."""
        sending = self.send()
        self.greet()
        self.peer.say("550 no")
        self.failureResultOf(sending, SmtpRefused)
        self.peer.heard()
        self.send_reusing()
        sending = self.send()
        self.peer.say("250 ok")
        self.peer.lose()
        self.failureResultOf(sending, ConnectionLost)
        self.assertTrue(quiet(self.clock))

    def test_check(self) -> None:
        """A check opens, logs in, and leaves."""
        checking = Deferred.fromCoroutine(
            self.senders.check(target=TARGET, credentials=Login("jo", "a"), ehlo_name="x.example")
        )
        self.greet()
        self.peer.say("235 ok")
        self.assertEqual(self.successResultOf(checking), ("AUTH",))
        self.assertTrue(self.peer.closed)
        self.assertTrue(quiet(self.clock))

    def test_stop(self) -> None:
        """Stopping closes what rests, cuts off what is on its way, and refuses what comes."""
        self.send_one()
        resting = self.peer
        sending = self.send(ehlo_name="other")
        self.greet()
        self.successResultOf(Deferred.fromCoroutine(self.senders.stop()))
        self.failureResultOf(sending, ConnectionLost)
        self.assertTrue(resting.closed and self.peer.closed)
        self.failureResultOf(self.send(), Busy)
        self.assertTrue(quiet(self.clock))

    def test_no_secrets(self) -> None:
        """The repr of the senders shows no password."""
        self.send_one(credentials=Login("jo", "geheim"))
        self.assertNotIn("geheim", repr(self.senders))
