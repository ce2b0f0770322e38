"""A proxy on loopback that speaks SOCKS 4, 4a, 5 and CONNECT, and leads to ports of this machine only.

`proxy.py PORT LOGIN` is one as a process: it prints the hosts and ports that it is asked for.
"""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet import ssl
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.integration.certificates import Pair


class _Beyond(Protocol):
    def __init__(self, front: _Front) -> None:
        self._front = front

    def connectionMade(self) -> None:
        self._front.reached(self)

    def dataReceived(self, data: bytes) -> None:
        self._front.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._front.transport.loseConnection()


class _Front(Protocol):
    transport: Any

    def __init__(self, proxy: ProxyServer) -> None:
        self._proxy = proxy
        self._buffer = b""
        self._beyond: _Beyond | None = None
        self._grant: bytes | None = b""
        self._step = self._first

    def dataReceived(self, data: bytes) -> None:
        if self._beyond is not None:
            self._beyond.transport.write(data)  # type: ignore[union-attr]
            return
        self._buffer += data
        while self._step() and self._buffer:
            pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._proxy.open -= 1
        if self._beyond is not None:
            self._beyond.transport.loseConnection()  # type: ignore[union-attr]

    def connectionMade(self) -> None:
        self._proxy.open += 1

    def _say(self, octets: bytes) -> None:
        if not self._proxy.slowly:
            self.transport.write(octets)
            return
        for n in range(len(octets)):  # each in a segment of its own
            self._proxy.reactor.callLater(0.002 * (n + 1), self.transport.write, octets[n : n + 1])

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _first(self) -> bool:
        if self._proxy.silent:
            return False
        self._step = {5: self._socks5, 4: self._socks4}.get(self._buffer[0], self._connect)
        return True

    def _socks5(self) -> bool:
        size = 2 + self._buffer[1] if len(self._buffer) > 1 else 2
        if len(self._buffer) < size:
            return False
        ways = self._take(size)[2:]
        if self._proxy.login is None:
            self._say(b"\x05\x00")
            self._step = self._socks5_request
        elif 2 in ways:
            self._say(b"\x05\x02")
            self._step = self._socks5_login
        else:
            self._say(b"\x05\xff")
        return True

    def _socks5_login(self) -> bool:
        found = re.match(rb"\x01(.)", self._buffer, re.DOTALL)
        if found is None or len(self._buffer) < 3 + found[1][0]:
            return False
        user = self._buffer[2 : 2 + found[1][0]]
        size = self._buffer[2 + len(user)]
        if len(self._buffer) < 3 + len(user) + size:
            return False
        taken = self._take(3 + len(user) + size)
        fine = (user + b":" + taken[3 + len(user) :]).decode() == self._proxy.login
        self._say(b"\x01" + (b"\x00" if fine else b"\x01"))
        self._step = self._socks5_request
        return fine

    def _socks5_request(self) -> bool:
        if len(self._buffer) < 7:
            return False
        assert self._buffer[:3] == b"\x05\x01\x00"
        if self._buffer[3] == 3:
            host = self._buffer[5 : 5 + self._buffer[4]].decode()
            size = 5 + len(host) + 2
        else:
            host = ".".join(map(str, self._buffer[4:8]))
            size = 10
        if len(self._buffer) < size:
            return False
        port = int.from_bytes(self._take(size)[-2:], "big")
        return self._lead(host, port, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00", b"\x05\x05\x00\x01" + bytes(6))

    def _socks4(self) -> bool:
        found = re.match(rb"\x04\x01(..)(.{4})([^\0]*)\0", self._buffer, re.DOTALL)
        if found is None:
            return False
        host, size = ".".join(map(str, found[2])), found.end()
        if found[2].startswith(b"\0\0\0"):
            end = self._buffer.find(b"\0", size)
            if end < 0:
                return False
            host, size = self._buffer[size:end].decode(), end + 1
        self._take(size)
        refusal = b"\x00\x5b" + bytes(6)
        if (found[3].decode() or None) != self._proxy.login:
            self._say(refusal)
            return False
        return self._lead(host, int.from_bytes(found[1], "big"), b"\x00\x5a" + bytes(6), refusal)

    def _connect(self) -> bool:
        if b"\r\n\r\n" not in self._buffer:
            return False
        head = self._take(self._buffer.index(b"\r\n\r\n") + 4)
        found = re.match(rb"CONNECT (\S+):(\d+) HTTP/1.1\r\n", head)
        assert found is not None, head
        login = self._proxy.login
        if login is not None and b"Proxy-Authorization: Basic " + b64encode(login.encode()) + b"\r\n" not in head:
            self._say(b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n")
            return False
        grant = b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"
        return self._lead(found[1].decode(), int(found[2]), grant, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

    def _lead(self, host: str, port: int, grant: bytes, refusal: bytes) -> bool:
        self._proxy.asked.append((host, port))
        self._proxy.told(host, port)
        if self._proxy.to is None:
            self._say(refusal)
            self.transport.loseConnection()
            return False
        self._grant = grant
        factory = Factory.forProtocol(lambda: _Beyond(self))
        factory.noisy = False
        TCP4ClientEndpoint(self._proxy.reactor, "127.0.0.1", self._proxy.to or port).connect(factory)
        return False

    def reached(self, beyond: _Beyond) -> None:
        self._beyond = beyond
        if not self._proxy.together:
            assert self._grant is not None
            self._say(self._grant)
            self._grant = b""

    def write(self, data: bytes) -> None:
        """What the server says; the first of it in one segment with our answer, if that is wanted."""
        assert self._grant is not None
        data, self._grant = self._grant + data, b""
        self.transport.write(data)


@define(eq=False)
class ProxyServer:
    """
    `to`: the port everybody is led to, None refuses all, 0 leads to the port that is asked for. `login`: what is demanded. `together`: the answer waits for
    the server's first octets. `slowly`: an octet at a time. `asked`: hosts and ports. `open`: connections.
    """

    reactor: Any
    to: int | None = None
    login: str | None = None
    together: bool = False
    slowly: bool = False
    silent: bool = False
    asked: list[tuple[str, int]] = field(factory=list)
    open: int = 0
    told: Callable[[str, int], None] = lambda host, port: None
    _port: IListeningPort | None = None

    def start(self, pair: Pair | None = None, port: int = 0) -> ProxyServer:
        """Listen, with TLS where there is a certificate."""
        factory = Factory.forProtocol(lambda: _Front(self))
        factory.noisy = False
        if pair is None:
            self._port = self.reactor.listenTCP(port, factory, interface="127.0.0.1")
        else:
            context = ssl.DefaultOpenSSLContextFactory(str(pair.key), str(pair.certificate))
            self._port = self.reactor.listenSSL(port, factory, context, interface="127.0.0.1")
        return self

    @property
    def port(self) -> int:
        assert self._port is not None
        return int(self._port.getHost().port)  # type: ignore[attr-defined]  # of TCP

    def stop(self) -> Any:
        assert self._port is not None
        return self._port.stopListening()


def main() -> None:
    from twisted.internet import reactor

    running: Any = reactor
    told = lambda host, port: print(f"{host}:{port}", flush=True)  # noqa: E731
    ProxyServer(running, 0, login=sys.argv[2], told=told).start(port=int(sys.argv[1]))
    running.run()


if __name__ == "__main__":
    main()
