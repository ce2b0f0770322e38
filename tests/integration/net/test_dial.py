"""Dialling for real: families, the address we come from, and no thread for any of it."""

from __future__ import annotations

import socket
import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from emailengine.core.deadline import Deadline
from emailengine.errors import ConnectFailed
from emailengine.net.dial import Dialer
from emailengine.net.resolver import NameResolver
from emailengine.net.tls import Contexts

clock: Any = reactor


class _Resolving:
    """The reactor, with our resolver: nothing of the test's reactor is changed."""

    def __init__(self, hosts: str) -> None:
        self.nameResolver = NameResolver(clock, hosts=hosts, resolv="/nonexistent")

    def __getattr__(self, name: str) -> Any:
        return getattr(clock, name)


class DialTests(TestCase):
    def setUp(self) -> None:
        hosts = self.mktemp()
        with open(hosts, "w") as file:
            file.write("::1 both.example\n127.0.0.1 both.example\n")
        self.dialer = Dialer(reactor=_Resolving(hosts), contexts=Contexts())
        self.came: list[str] = []

    def listen(self, interface: str) -> int:
        def heard(address: Any) -> Protocol:
            self.came.append(address.host)
            return Protocol()

        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = heard  # type: ignore[method-assign, assignment]
        port = clock.listenTCP(0, factory, interface=interface)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def connect(self, host: str, port: int, local: str | None = None) -> None:
        deadline = Deadline.after(clock, 5)
        made = await self.dialer.connect(Protocol, host, port, tls=None, deadline=deadline, local_address=local)
        transport: Any = made.transport
        for _ in range(100):
            if self.came:
                break
            await deferLater(clock, 0.01)
        transport.abortConnection()
        await deferLater(clock, 0.01)

    async def test_families(self) -> None:
        """A server that is there in one family only is found in that one, and no thread was needed."""
        threads = threading.active_count()
        await self.connect("both.example", self.listen("127.0.0.1"))
        await self.connect("both.example", self.listen("::1"))
        self.assertEqual(self.came[:1] + self.came[-1:], ["127.0.0.1", "::1"])
        self.assertEqual(threading.active_count(), threads)

    async def test_source(self) -> None:
        """The connection comes from the address that was asked for; one that is not ours is an error that says so."""
        port = self.listen("127.0.0.1")
        await self.connect("both.example", port, "127.0.0.77")
        self.assertEqual(self.came, ["127.0.0.77"])
        with self.assertRaises(ConnectFailed) as raised:
            await self.connect("both.example", port, "192.0.2.55")
        self.assertEqual(raised.exception.code, "EADDRNOTAVAIL")

    async def test_keep_alive(self) -> None:
        """The kernel asks after a minute whether the other side of a silent connection is still there."""
        deadline = Deadline.after(clock, 5)
        made = await self.dialer.connect(Protocol, "127.0.0.1", self.listen("127.0.0.1"), tls=None, deadline=deadline)
        transport: Any = made.transport
        try:
            handle: socket.socket = transport.getHandle()
            self.assertTrue(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            self.assertEqual(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), 60)
        finally:
            transport.abortConnection()
