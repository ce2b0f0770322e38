"""Between a client and a server: takes words out of the server's capability lists, and hears what the client says.

The server still understands what it no longer offers. So a client that uses it unoffered succeeds, and only the relay
notices: `unoffered` names each such command.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

_LITERAL = re.compile(rb"~?\{(\d+)(\+?)\}\r\n\Z")
_LIST = re.compile(rb"(\* CAPABILITY |\[CAPABILITY )([^\]\r\n]*)", re.IGNORECASE)
_ALIKE = (("PARTIAL", "CONTEXT=SEARCH"), ("CONTEXT=SEARCH", "PARTIAL"), ("LITERAL+", "LITERAL-"))
"""Where the first is offered, what the second names may be said, too."""
_MINUS = 4096  # RFC 7888 5
_OVER = re.compile(rb"(\S+) (OK|NO|BAD)", re.IGNORECASE)

USES: dict[str, str] = {
    "BINARY": r"^(UID )?FETCH .*\bBINARY\b|~\{",
    "COMPRESS=DEFLATE": r"^COMPRESS\b",
    "CONDSTORE": r"\((?:CHANGED|UNCHANGED)SINCE|\(CONDSTORE\)|^STATUS .*HIGHESTMODSEQ|FETCH .*\bMODSEQ\b|SEARCH.* MODSEQ"
    r"|^ENABLE.* CONDSTORE|^LIST .*HIGHESTMODSEQ",
    "CONTEXT=SEARCH": r"RETURN \(.*\b(PARTIAL|UPDATE)\b",
    "ENABLE": r"^ENABLE\b",
    "ESEARCH": r"SEARCH RETURN\b",
    "ID": r"^ID\b",
    "IDLE": r"^IDLE\b",
    "IMAP4REV2": r"^ENABLE.* IMAP4REV2",
    "LIST-EXTENDED": r"^LIST \(|^LIST .* RETURN \((?!SPECIAL-USE\))",
    "LIST-STATUS": r"^LIST .*RETURN .*\bSTATUS \(",
    "LITERAL+": r"\{\d+\+\}",
    "LITERAL-": r"\{\d+\+\}",
    "MOVE": r"^(UID )?MOVE\b",
    "NAMESPACE": r"^NAMESPACE\b",
    "OBJECTID": r"\bMAILBOXID\b|\bEMAILID\b|\bTHREADID\b",
    "PARTIAL": r"RETURN \(.*\bPARTIAL\b",
    "PREVIEW": r"FETCH .*\bPREVIEW\b",
    "QRESYNC": r"^(SELECT|EXAMINE) .*\(QRESYNC\b|\bVANISHED\b|^ENABLE.* QRESYNC",
    "QUOTA": r"^(GET|SET)QUOTA",
    "SASL-IR": r"^AUTHENTICATE \S+ \S",
    "SEARCHRES": r"RETURN \(.*\bSAVE\b|^(UID |FETCH|STORE|COPY|MOVE).* \$(?![^ )])",
    "SORT": r"^(UID )?SORT\b",
    "SPECIAL-USE": r"^LIST .*\bSPECIAL-USE\b|^CREATE .*\(USE\b",
    "STATUS=SIZE": r"^(STATUS|LIST) .*\(.*\bSIZE\b",
    "UIDPLUS": r"^UID EXPUNGE\b",
    "UNSELECT": r"^UNSELECT\b",
    "UTF8=ACCEPT": r"^ENABLE.* UTF8=ACCEPT",
    "WITHIN": r"\b(YOUNGER|OLDER) \d",
    "X-GM-EXT-1": r"\bX-GM-",
    "XLIST": r"^XLIST\b",
}
"""How to tell by a command, strings left out, that it needs an extension."""

_USES = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in USES.items()}
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')

IMPLIED: dict[str, frozenset[str]] = {
    "CONTEXT=SEARCH": frozenset(("ESEARCH",)),
    "LIST-STATUS": frozenset(("LIST-EXTENDED",)),
    "PARTIAL": frozenset(("ESEARCH",)),
    "QRESYNC": frozenset(("CONDSTORE",)),  # RFC 7162 3.2.3
    "SEARCHRES": frozenset(("ESEARCH",)),
    "IMAP4REV2": frozenset(
        (
            *("BINARY", "ENABLE", "ESEARCH", "IDLE", "LIST-EXTENDED", "LIST-STATUS", "LITERAL-", "MOVE", "NAMESPACE"),
            *("SASL-IR", "SEARCHRES", "SPECIAL-USE", "STATUS=SIZE", "UIDPLUS", "UNSELECT"),
        )
    ),
}
"""What a server with an extension offers along with it."""


@define(eq=False)
class Relay:
    """Listens on `port`, and passes all on to `target` but the capabilities in `without` (upper case)."""

    without: frozenset[str]
    target: int
    _reactor: Any
    unoffered: list[str] = field(factory=list)
    said: list[str] = field(factory=list)
    """The wire's text of all connections, both ways, long lines cut."""
    legs: set[Protocol] = field(factory=set)
    _port: IListeningPort | None = None
    _emptied: Deferred[None] | None = None

    @property
    def port(self) -> int:
        assert self._port is not None
        return int(self._port.getHost().port)  # type: ignore[attr-defined]  # of TCP

    def start(self) -> None:
        relay = self

        class Legs(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> Protocol:
                return _Client(relay, len(relay.said))

        self._port = self._reactor.listenTCP(0, Legs(), interface="127.0.0.1")

    async def stop(self) -> None:
        """Returns when no connection is left; whoever uses one has to end it."""
        port, self._port = self._port, None
        if port is not None and (closed := port.stopListening()) is not None:
            await closed
        if self.legs:
            self._emptied = Deferred()
            await self._emptied

    def gone(self, leg: Protocol) -> None:
        self.legs.discard(leg)
        if not self.legs and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def hear(self, command: str, offered: Collection[str]) -> None:
        bare = _STRING.sub('""', command)
        sizes = [int(one) for one in re.findall(r"\{(\d+)\+\}", bare)]
        allowed = set(offered)
        for one, other in _ALIKE:
            if one in offered:
                allowed.add(other)
        if "LITERAL-" in offered and max(sizes, default=0) <= _MINUS:
            allowed.add("LITERAL+")
        for name, use in _USES.items():
            if name not in allowed and use.search(bare):
                self.unoffered.append(f"{name}: {command}")


class _Leg(Protocol):
    """One side of a connection, cut into lines and literals."""

    def __init__(self, relay: Relay, name: str) -> None:
        self.relay = relay
        self.transparent = False
        self._name = name
        self._buffer = b""
        self._literal = 0

    def connectionMade(self) -> None:
        self.relay.legs.add(self)
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]  # of TCP

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.relay.gone(self)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer and not self.transparent:
            if self._literal:
                part, self._buffer = self._buffer[: self._literal], self._buffer[self._literal :]
                self._literal -= len(part)
                self.send(part)
                continue
            end = self._buffer.find(b"\n")
            if end < 0:
                return
            line, self._buffer = self._buffer[: end + 1], self._buffer[end + 1 :]
            literal = _LITERAL.search(line)
            if literal is not None:
                self._literal = int(literal[1])
            self.send(self.line(line, literal))
        rest, self._buffer = self._buffer, b""
        if rest:
            self.send(rest)

    def line(self, line: bytes, literal: re.Match[bytes] | None) -> bytes:
        """What to pass on of a line; `literal` is what it ends with."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def note(self, line: bytes) -> None:
        self.relay.said.append(f"{self._name}: {line[:300].decode('utf-8', 'replace').rstrip()}")


class _Client(_Leg):
    """To the client."""

    def __init__(self, relay: Relay, number: int) -> None:
        super().__init__(relay, f"{number} C")
        self.offered: set[str] = set()
        self.compressing: bytes | None = None
        """The tag of its COMPRESS."""
        self._command = b""
        self._asked = False
        self._there: _Server | None = None
        self._early: list[bytes] = []
        self._lost = False

    def connectionMade(self) -> None:
        super().connectionMade()
        endpoint = TCP4ClientEndpoint(self.relay._reactor, "127.0.0.1", self.relay.target)
        there = _Server(self.relay, self, f"{self._name.split()[0]} S")
        connectProtocol(endpoint, there).addCallbacks(self._up, lambda _: self.close())

    def _up(self, there: _Server) -> None:
        self._there = there
        if self._lost:
            there.close()
        for data in self._early:
            self.send(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        if self._there is not None:
            self._there.close()
        super().connectionLost(reason)

    def send(self, data: bytes) -> None:
        if self._there is None:
            self._early.append(data)
        elif self._there.transport is not None:
            self._there.transport.write(data)

    def line(self, line: bytes, literal: re.Match[bytes] | None) -> bytes:
        self.note(line)
        self._command += line.rstrip(b"\r\n") + b" "
        self._asked = literal is not None and not literal[2]
        if literal is None:
            tag, _, command = self._command[:-1].decode("utf-8", "replace").partition(" ")
            self._command = b""
            if command.upper().startswith("COMPRESS"):
                self.compressing = tag.encode()
            self.relay.hear(command, self.offered)
        return line

    def refused(self, tag: bytes) -> None:
        """A command was answered NO or BAD: the literal that it asked for will not come."""
        if self._asked and self._command.startswith(tag + b" "):
            self._literal, self._command, self._asked = 0, b"", False


class _Server(_Leg):
    """To the server."""

    def __init__(self, relay: Relay, client: _Client, name: str) -> None:
        super().__init__(relay, name)
        self._client = client

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._client.close()
        super().connectionLost(reason)

    def send(self, data: bytes) -> None:
        if self._client.transport is not None:
            self._client.transport.write(data)

    def line(self, line: bytes, literal: re.Match[bytes] | None) -> bytes:
        line = _LIST.sub(self._filtered, line)
        self.note(line)
        over = _OVER.match(line)
        if over is not None and line[:1] not in b"*+":
            if over[2].upper() != b"OK":
                self._client.refused(over[1])
            elif self._client.compressing == over[1]:
                self.transparent = self._client.transparent = True
        return line

    def _filtered(self, match: re.Match[bytes]) -> bytes:
        words = [(one, one.decode("ascii", "replace").upper()) for one in match[2].split()]
        kept = [(one, name) for one, name in words if name not in self.relay.without]
        offered = {name for _, name in kept}
        for name in list(offered):
            offered |= IMPLIED.get(name, frozenset())
        self._client.offered = offered
        return match[1] + b" ".join([one for one, _ in kept])
