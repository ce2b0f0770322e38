"""Names into addresses: literals, the hosts file, DNS, and what is kept of it."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import TimeoutError
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSServerError
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectFailed
from emailengine.net.resolver import NameResolver, ResolvConf, parse_hosts, parse_resolv


class _Receiver:
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.complete = False

    def resolutionBegan(self, resolution: Any) -> None:
        self.resolution = resolution

    def addressResolved(self, address: Any) -> None:
        self.told.append((address.host, address.port))

    def resolutionComplete(self) -> None:
        self.complete = True


def answer(kind: int, *texts: str, ttl: int = 60) -> Deferred[Any]:
    records = []
    for text in texts:
        payload: Any = dns.Record_A(text) if kind == dns.A else dns.Record_AAAA(text)
        records.append(dns.RRHeader(b"x", kind, dns.IN, ttl, payload))
    return succeed((records, [], []))


class ResolverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.hosts = self.directory / "hosts"
        self.resolv = self.directory / "resolv.conf"
        self.asked: list[tuple[str, int]] = []
        self.zone: dict[tuple[str, int], Any] = {}
        self.resolver = NameResolver(self.clock, hosts=str(self.hosts), resolv=str(self.resolv), ask=self.ask)

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def ask(self, name: str, kind: int) -> Deferred[Any]:
        self.asked.append((name, kind))
        found = self.zone.get((name, kind))
        if found is None:
            return fail(DNSNameError())
        if isinstance(found, Exception):
            return fail(found)
        if isinstance(found, Deferred):
            return found
        return answer(kind, *found)

    def look_up(self, name: str) -> Deferred[Any]:
        found: Deferred[Any] = Deferred.fromCoroutine(self.resolver.look_up(name))
        return found.addCallback(lambda addresses: [str(one) for one in addresses])

    def resolve(self, receiver: Any, name: str, port: int) -> Any:
        return self.resolver.resolveHostName(receiver, name, port)

    def write(self, path: Path, text: str) -> None:
        path.write_text(text)
        os.utime(path, ns=(0, len(text)))
        self.clock.advance(1)

    def test_without_dns(self) -> None:
        """Addresses, `localhost` and the names of the hosts file need no server."""
        self.write(self.hosts, "10.0.0.7 mail.example.com mail # ours\nfe80::7%eth0 MAIL.example.com\n")
        for name, addresses in (
            ("192.0.2.1", ["192.0.2.1"]),
            ("[2001:db8::1]", ["2001:db8::1"]),
            ("localhost", ["127.0.0.1", "::1"]),
            ("x.LOCALHOST.", ["127.0.0.1", "::1"]),
            ("Mail.example.com", ["10.0.0.7", "fe80::7"]),
            ("mail", ["10.0.0.7"]),
        ):
            self.assertEqual(self.successResultOf(self.look_up(name)), addresses, name)
        self.assertEqual(self.asked, [])

    def test_hosts_changes(self) -> None:
        """The hosts file is read again when it changed, and is empty when it is gone."""
        self.write(self.hosts, "10.0.0.7 mail.example\n")
        self.assertEqual(self.successResultOf(self.look_up("mail.example")), ["10.0.0.7"])
        self.write(self.hosts, "10.0.0.88 mail.example\n")
        self.assertEqual(self.successResultOf(self.look_up("mail.example")), ["10.0.0.88"])
        self.hosts.unlink()
        self.clock.advance(1)
        self.failureResultOf(self.look_up("mail.example"), ConnectFailed)

    def test_both_families(self) -> None:
        """IPv6 and IPv4 take turns, IPv6 first."""
        self.zone["a.example", dns.A] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        self.zone["a.example", dns.AAAA] = ["2001:db8::1"]
        self.assertEqual(
            self.successResultOf(self.look_up("a.example")), ["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]
        )

    def test_slow_family(self) -> None:
        """When IPv4 is known, IPv6 is waited for a moment only; without IPv4 it is waited for."""
        self.zone["a.example", dns.A] = ["192.0.2.1"]
        self.zone["a.example", dns.AAAA] = Deferred()
        found = self.look_up("a.example")
        self.assertNoResult(found)
        self.clock.advance(0.4)
        self.assertEqual(self.successResultOf(found), ["192.0.2.1"])
        late: Deferred[Any] = Deferred()
        self.zone["b.example", dns.AAAA] = late
        found = self.look_up("b.example")
        self.clock.advance(3)
        self.assertNoResult(found)
        answer(dns.AAAA, "2001:db8::2").chainDeferred(late)
        self.assertEqual(self.successResultOf(found), ["2001:db8::2"])

    def test_kept(self) -> None:
        """Answers are kept for as long as they say, at most five minutes; that a name is nowhere, for seconds."""
        self.zone["a.example", dns.A] = ["192.0.2.1"]
        self.successResultOf(self.look_up("a.example"))
        self.asked.clear()
        self.clock.advance(4)
        self.successResultOf(self.look_up("A.example"))
        self.assertEqual(self.asked, [])
        self.clock.advance(400)
        self.successResultOf(self.look_up("a.example"))
        self.assertEqual(len(self.asked), 2)
        self.failureResultOf(self.look_up("b.example"), ConnectFailed)
        self.zone["b.example", dns.A] = ["192.0.2.9"]
        self.failureResultOf(self.look_up("b.example"), ConnectFailed)
        self.clock.advance(6)
        self.assertEqual(self.successResultOf(self.look_up("b.example")), ["192.0.2.9"])

    def test_nowhere_and_nobody(self) -> None:
        """A name that is nowhere is ENOTFOUND; when no server could tell it is EAI_AGAIN, and is not kept."""
        error = self.failureResultOf(self.look_up("a.example"), ConnectFailed).value
        self.assertEqual((error.code, error.transient), ("ENOTFOUND", False))
        for trouble in (TimeoutError(), DNSServerError()):
            self.zone["b.example", dns.A] = trouble
            error = self.failureResultOf(self.look_up("b.example"), ConnectFailed).value
            self.assertEqual((error.code, error.transient), ("EAI_AGAIN", True))
        self.zone["b.example", dns.A] = ["192.0.2.1"]
        self.assertEqual(self.successResultOf(self.look_up("b.example")), ["192.0.2.1"])

    def test_search_list(self) -> None:
        """Short names are tried with the search list first, others last, and names with a final dot never."""
        self.write(self.resolv, "nameserver 192.0.2.53\nsearch one.example two.example\n")
        self.zone["mail.two.example", dns.A] = ["192.0.2.1"]
        self.assertEqual(self.successResultOf(self.look_up("mail")), ["192.0.2.1"])
        self.assertEqual([name for name, kind in self.asked if kind == dns.A], ["mail.one.example", "mail.two.example"])
        self.asked.clear()
        self.failureResultOf(self.look_up("a.b"), ConnectFailed)
        self.assertEqual(
            [name for name, kind in self.asked if kind == dns.A], ["a.b", "a.b.one.example", "a.b.two.example"]
        )
        self.asked.clear()
        self.failureResultOf(self.look_up("c."), ConnectFailed)
        self.assertEqual([name for name, kind in self.asked if kind == dns.A], ["c"])

    def test_receiver(self) -> None:
        """A receiver hears of addresses with its port, and then of the end; that nobody knew is told."""
        self.zone["a.example", dns.A] = ["192.0.2.1"]
        receiver = _Receiver()
        self.resolve(receiver, "a.example", 993)
        self.assertEqual((receiver.told, receiver.complete), ([("192.0.2.1", 993)], True))
        self.zone["b.example", dns.A] = DNSServerError()
        receiver = _Receiver()
        self.resolve(receiver, "b.example", 993)
        self.assertEqual((receiver.told, receiver.complete, receiver.resolution.temporary), ([], True, True))

    def test_cancel(self) -> None:
        """A question that is cancelled is complete, and leaves no timer."""
        self.zone["a.example", dns.A] = Deferred()
        receiver = _Receiver()
        self.resolve(receiver, "a.example", 993).cancel()
        self.assertTrue(receiver.complete)


class FileTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        """Lines that cannot be read are passed over."""
        found = parse_hosts("# x\n127.0.0.1 localhost a\nnonsense b\n::1 localhost # c\n\n10.0.0.1\n")
        self.assertEqual(
            found, {"localhost": [ip_address("127.0.0.1"), ip_address("::1")], "a": [ip_address("127.0.0.1")]}
        )

    def test_resolv(self) -> None:
        """Servers, search list and ndots; without servers the local one is asked."""
        text = "# c\nnameserver 192.0.2.1\nnameserver x\nnameserver 2001:db8::1\ndomain a.example\noptions ndots:5 rotate\nsearch B.example. .\n"
        self.assertEqual(parse_resolv(text), ResolvConf(("192.0.2.1", "2001:db8::1"), ("b.example",), 5))
        self.assertEqual(parse_resolv(""), ResolvConf(("127.0.0.1",), (), 1))
