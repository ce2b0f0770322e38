"""The server's end of an IMAP connection in memory: the test says what the server says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITLSTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from emailengine.imap.connection import Connection
from emailengine.imap.session import ImapTarget, Session, open_session
from emailengine.net.credentials import Credentials
from emailengine.net.tls import TlsPolicy
from emailengine.wire.imap.responses import Response

TARGET = ImapTarget(host="mail.example.com", port=143, secure=False, tls=TlsPolicy())
ANNA = Credentials(user="anna", password="secret")
MODERN = (
    "IMAP4rev1 ID ENABLE IDLE UIDPLUS ESEARCH LITERAL+ CONDSTORE QRESYNC UNSELECT LIST-EXTENDED LIST-STATUS SPECIAL-USE"
)


class Ticking(Clock):
    """A clock on which every look costs a millisecond."""

    def seconds(self) -> float:
        self.rightNow += 0.001
        return super().seconds()


@implementer(ITLSTransport)
class Peer(StringTransport):  # type: ignore[misc]  # only what a connection uses of it
    """A transport that is a scripted server."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.tls: list[object] = []
        self.closed = False
        self.pauses = 0
        connection.makeConnection(self)

    def startTLS(self, contextFactory: object) -> bool:  # type: ignore[override]
        self.tls.append(contextFactory)
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def pauseProducing(self) -> None:
        super().pauseProducing()
        self.pauses += 1

    def abortConnection(self) -> None:
        super().abortConnection()
        self.lose()

    def lose(self, reason: Exception | None = None) -> None:
        if not self.closed:
            self.closed = True
            self.connection.connectionLost(Failure(reason or ConnectionDone()))

    def say(self, *lines: str) -> None:
        """Say lines, all in one segment."""
        self.connection.dataReceived(b"".join([line.encode() + b"\r\n" for line in lines]))

    def heard(self) -> str:
        """What the client said since the last look."""
        found: bytes = self.value()
        self.clear()
        return found.decode()

    def answer(self, *exchanges: tuple[str, str]) -> None:
        """Expect each line and answer it; `.` in the answer stands for the line's tag."""
        for line, reply in exchanges:
            got = self.heard()
            tag, _, rest = got.partition(" ")
            if rest != line + "\r\n":
                raise AssertionError(f"expected {line!r}, heard {got!r}")
            self.say(*[f"{tag} {one[2:]}" if one.startswith(". ") else one for one in reply.split("\n")])


class Dialer:
    """Connects to peers; the test picks them up from `peers`."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.asked: list[dict[str, Any]] = []

    async def connect(self, build: Callable[[], Any], host: str, port: int, **options: Any) -> Any:
        connection = build()
        self.asked.append({"host": host, "port": port, **options})
        self.peers.append(Peer(connection))
        return connection


class Contexts:
    def creator(self, policy: TlsPolicy, host: str) -> Any:
        return (policy, host)


class Opening:
    """A session being opened, and what it hears."""

    def __init__(
        self, clock: Clock, target: ImapTarget = TARGET, credentials: Credentials = ANNA, **options: Any
    ) -> None:
        self.dialer = Dialer()
        self.news: list[Response] = []
        dialer: Any = self.dialer
        contexts: Any = Contexts()
        self.session: Deferred[Session] = Deferred.fromCoroutine(
            open_session(
                clock=clock,
                dialer=dialer,
                contexts=contexts,
                target=target,
                credentials=credentials,
                news=self.news.append,
                client_id=options.pop("client_id", {"name": "emailengine"}),
                **options,
            )
        )
        self.peer = self.dialer.peers[0]


def opened(clock: Clock, capabilities: str = MODERN) -> tuple[Session, Peer, list[Response]]:
    """A session that is logged in, with its peer and its news."""
    opening = Opening(clock, client_id=None)
    opening.peer.say(f"* PREAUTH [CAPABILITY {capabilities}] hello")
    if "ENABLE" in capabilities:
        heard = opening.peer.heard()
        assert heard.startswith("1 ENABLE"), heard
        opening.peer.say("1 OK enabled")
    found: list[Session] = []
    opening.session.addCallback(found.append)
    return found[0], opening.peer, opening.news
