"""The server itself: a port of the loopback address."""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from tests.integration.imap.server import folders, login, mail  # noqa: F401  # they register their commands
from tests.integration.imap.server.protocol import Client, Settings, words

EVERYTHING = words(
    "AUTH=PLAIN BINARY CHILDREN COMPRESS=DEFLATE CONDSTORE ENABLE ESEARCH ID IDLE IMAP4REV2 LIST-EXTENDED LIST-STATUS"
    " LITERAL+ MOVE NAMESPACE OBJECTID PARTIAL PREVIEW QRESYNC QUOTA SASL-IR SEARCHRES SORT SPECIAL-USE STATUS=SIZE"
    " UIDPLUS UNSELECT UTF8=ACCEPT WITHIN X-GM-EXT-1 XLIST"
)
"""Every extension that it knows."""


@define
class InProcessServer:
    """Listens from `start` on; `stop` is to be awaited."""

    settings: Settings
    _reactor: Any
    _port: IListeningPort | None = None

    @property
    def port(self) -> int:
        assert self._port is not None
        return int(self._port.getHost().port)  # type: ignore[attr-defined]  # of TCP

    def start(self) -> None:
        settings, reactor = self.settings, self._reactor

        class Clients(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> Client:
                return Client(settings, reactor)

        self._port = reactor.listenTCP(0, Clients(), interface="127.0.0.1")

    async def stop(self) -> None:
        port, self._port = self._port, None
        if port is not None and (closed := port.stopListening()) is not None:
            await closed
