"""Sessions with a scripted server, for the tests of how they come about and of what their methods say and hear."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import EmailEngineError
from emailengine.imap.connection import Connection
from emailengine.imap.hearing import Ears
from emailengine.imap.opening import literal_mode
from emailengine.imap.session import Selected, Session
from emailengine.wire.imap.responses import Namespace, Response
from tests.imap.peer import MODERN, Opening, Peer

OLD = "IMAP4rev1 IDLE"
SELECTED = (
    "* FLAGS (\\Seen)\n* 3 EXISTS\n* 0 RECENT\n* OK [UNSEEN 1] x\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 12] x\n"
    "* OK [HIGHESTMODSEQ 99] x\n* OK [PERMANENTFLAGS (\\Seen \\*)] x\n. OK [READ-WRITE] done"
)


class OpeningCase(SynchronousTestCase):
    """For tests of how a session comes about, or does not."""

    def setUp(self) -> None:
        self.clock = Clock()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def failed(self, opening: Opening, kind: type[EmailEngineError]) -> EmailEngineError:
        """The error it ended in, the connection being closed and the secret in no error."""
        error: EmailEngineError = self.failureResultOf(opening.session, kind).value
        self.assertTrue(opening.peer.closed)
        self.assertNotIn("secret", str(error))
        return error


class SessionCase(SynchronousTestCase):
    capabilities = MODERN

    def setUp(self) -> None:
        self.clock = Clock()
        self.connect(self.capabilities)

    def connect(
        self, capabilities: str, *, enabled: str = "", namespaces: Namespace | None = None, utf8: bool = False
    ) -> None:
        """Another session, with a server that offers this; its first tag is 1."""
        self.news: list[Response] = []
        ears = Ears(self.news.append)
        offered = frozenset(capabilities.upper().split())
        connection = Connection(self.clock, "mail.example.com", ears.hear)
        connection.literals = literal_mode(offered)
        connection.utf8 = utf8
        self.peer = Peer(connection)
        self.peer.say("* PREAUTH hello")
        self.session = Session(
            clock=self.clock,
            connection=connection,
            ears=ears,
            capabilities=offered,
            enabled=frozenset(enabled.split()),
            namespaces=namespaces,
        )

    def tearDown(self) -> None:
        self.session.abort("over")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def start(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        return Deferred.fromCoroutine(work)

    def ask(self, work: Coroutine[Any, Any, Any], *exchanges: tuple[str, str]) -> Any:
        """The result of a method, the peer answering."""
        result = self.start(work)
        self.peer.answer(*exchanges)
        self.assertEqual(self.peer.heard(), "")
        return self.successResultOf(result)

    def error(self, kind: type[EmailEngineError], work: Coroutine[Any, Any, Any], *exchanges: tuple[str, str]) -> Any:
        result = self.start(work)
        self.peer.answer(*exchanges)
        self.assertEqual(self.peer.heard(), "")
        return self.failureResultOf(result, kind).value

    def select(self) -> Selected:
        condstore = " (CONDSTORE)" if "CONDSTORE" in self.session.capabilities else ""
        found: Selected = self.ask(self.session.select("INBOX"), (f'SELECT "INBOX"{condstore}', SELECTED))
        return found
