"""Sessions with a real Dovecot: TLS and STARTTLS, every method, IDLE, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from emailengine.errors import (
    AuthenticationRefused,
    ConnectFailed,
    ConnectionLost,
    EmailEngineError,
    MessageNotFound,
    ServerRefused,
    TimedOut,
    TlsFailed,
)
from emailengine.imap.session import ImapTarget, Session, open_session
from emailengine.net import resolver
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.wire.imap import search
from emailengine.wire.imap.responses import Exists, Expunge, Fetch, Response, Vanished
from emailengine.wire.imap.uidset import MAX_UID, UidSet
from tests.integration.certificates import Authority
from tests.integration.dovecot import BINARY, Dovecot
from tests.integration.processes import free_port

pytestmark = pytest.mark.skipif(not Path(BINARY).exists(), reason="needs Dovecot (package dovecot-imapd)")

ANNA = Credentials(user="anna", password="secret")
BODY = b"Subject: hello\r\nFrom: Bob <bob@example.com>\r\nContent-Type: text/plain\r\n\r\nfirst line\r\nsecond line\r\n"


@pytest.fixture(scope="class")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One server with a good certificate for the whole class."""
    directory = tmp_path_factory.mktemp("dovecot")
    authority = Authority(directory)
    pair = authority.server()
    server = Dovecot(
        directory, certificate=pair.certificate, key=pair.key, users={f"u{n}": "secret" for n in range(30)}
    )
    request.cls.authority, request.cls.dovecot, request.cls.directory = authority, server, directory
    request.cls.users = iter(sorted(server.users))
    yield
    server.stop()


class Client(TestCase):
    """Opens sessions, and ends them when the test is over."""

    authority: Authority
    dovecot: Dovecot
    directory: Path

    def setUp(self) -> None:
        self.reactor: Any = cast("Any", reactor)
        before = self.reactor.nameResolver
        resolver.install(self.reactor)
        self.addCleanup(self.reactor.installNameResolver, before)
        contexts = Contexts()
        self.options: dict[str, Any] = {
            "clock": self.reactor,
            "dialer": Dialer(reactor=self.reactor, contexts=contexts),
            "contexts": contexts,
        }
        self.news: list[Response] = []

    def target(self, **changes: Any) -> ImapTarget:
        usual = ImapTarget(host="localhost", port=self.dovecot.port, secure=True, tls=TlsPolicy(ca=self.authority.ca))
        return evolve(usual, **changes)

    async def open(self, credentials: Credentials, *, timeout: float = 10.0, **changes: Any) -> Session:
        session = await open_session(
            target=self.target(**changes),
            credentials=credentials,
            news=self.news.append,
            client_id={"name": "test"},
            timeout=timeout,
            **self.options,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(session.logout()))
        return session

    async def error(self, kind: type[EmailEngineError], work: Any) -> Any:
        try:
            await work
        except kind as error:
            return error
        raise AssertionError(f"no {kind.__name__}")

    async def until(self, look: Callable[[], Any], what: str) -> None:
        """Wait for news; they have five seconds."""
        for _ in range(250):
            if look():
                return
            await deferLater(self.reactor, 0.02)
        raise AssertionError(f"{what} within 5 s: {self.news}")


@pytest.mark.usefixtures("servers")
class SessionTests(Client):
    users: Any

    def setUp(self) -> None:
        super().setUp()
        self.user = next(type(self).users)
        self.login = Credentials(user=self.user, password="secret")

    async def selected(self, count: int = 0) -> Session:
        session = await self.open(self.login)
        for _ in range(count):
            await session.append("INBOX", BODY, [], None)
        await session.select("INBOX")
        return session

    async def test_login(self) -> None:
        """Over TLS by name and by address, and with STARTTLS."""
        ways: list[dict[str, Any]] = [
            {},
            {"host": "127.0.0.1"},
            {"secure": False, "port": self.dovecot.plain_port, "starttls": "required"},
        ]
        for way in ways:
            session = await self.open(self.login, **way)
            self.assertLessEqual({"IDLE", "UIDPLUS", "CONDSTORE"}, session.capabilities)
            self.assertEqual(session.server.get("name"), "Dovecot")
            await session.noop()
        self.assertIsNone(getattr(self.reactor, "threadpool", None), "names were resolved in threads")

    async def test_refused(self) -> None:
        """A wrong password is refused by the server itself."""
        error = await self.error(AuthenticationRefused, self.open(Credentials(user=self.user, password="wrong")))
        self.assertEqual(error.code, "AUTHENTICATIONFAILED")

    async def test_not_reached(self) -> None:
        """Nobody listens there; it is no IMAP over TLS; the authority is unknown."""
        error = await self.error(ConnectFailed, self.open(ANNA, port=free_port()))
        self.assertEqual(error.code, "ECONNREFUSED")
        error = await self.error(TlsFailed, self.open(ANNA, port=self.dovecot.plain_port))
        self.assertEqual(error.code, "ERR_SSL_WRONG_VERSION_NUMBER")
        await self.error(TimedOut, self.open(ANNA, secure=False, timeout=0.5))
        for way in ({}, {"secure": False, "port": self.dovecot.plain_port}):
            error = await self.error(TlsFailed, self.open(ANNA, tls=TlsPolicy(), **way))
            self.assertEqual(error.code, "UNABLE_TO_VERIFY_LEAF_SIGNATURE")

    async def test_folders(self) -> None:
        """Folders with their special uses, subscriptions and numbers; odd names stay usable."""
        self.dovecot.deliver(self.user, BODY, "Archiv/Entwürfe & Ideen")
        session = await self.open(self.login)
        listed = {one.entry.name: one for one in await session.list_folders(["MESSAGES", "UIDVALIDITY"])}
        self.assertLessEqual({"INBOX", "Sent", "Drafts", "Trash", "Junk", "Archiv/Entwürfe & Ideen"}, set(listed))
        self.assertIn("\\Sent", listed["Sent"].entry.flags)
        self.assertTrue(listed["Sent"].subscribed)
        status = listed["Archiv/Entwürfe & Ideen"].status
        assert status is not None
        self.assertEqual(status["MESSAGES"], 1)
        self.assertEqual(await session.status("Archiv/Entwürfe & Ideen", ["MESSAGES"]), {"MESSAGES": 1})
        selected = await session.select("Archiv/Entwürfe & Ideen")
        self.assertEqual((selected.exists, selected.uidvalidity), (1, status["UIDVALIDITY"]))
        error = await self.error(ServerRefused, session.select("nowhere"))
        self.assertEqual(error.server_status, "NO")
        self.assertIsNone(session.selected)

    async def test_messages(self) -> None:
        """Append, fetch, search, parts, flags, expunge."""
        session = await self.selected()
        appended = await session.append("INBOX", BODY, ["\\Seen", "$Mine"], 1_700_000_000.0)
        await session.append("INBOX", BODY.replace(b"hello", "grüße".encode()), [], None)
        await session.noop()
        selected = session.selected
        assert selected is not None
        self.assertEqual((appended.uidvalidity, appended.uid, selected.exists), (selected.uidvalidity, 1, 2))
        everything = UidSet.of_range(1, MAX_UID)
        rows = await session.fetch(
            everything, ["UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE"]
        )
        self.assertEqual([row.uid for row in rows], [1, 2])
        self.assertLessEqual({"\\Seen", "$Mine"}, set(rows[0].flags or ()))
        self.assertEqual((rows[0].internal_date, rows[0].size), (1_700_000_000.0, len(BODY)))
        assert rows[0].envelope is not None
        assert rows[0].body is not None
        self.assertEqual((rows[0].envelope.subject, rows[0].body.type), (b"hello", "text"))
        self.assertEqual([row.uid for row in await session.fetch_sequence("*", ["UID"])], [2])
        self.assertEqual(str(await session.search(search.flag("\\Seen"))), "1")
        self.assertEqual(str(await session.search(search.text("grüße"))), "2")
        self.assertEqual(await session.fetch_part(1, "", offset=0, size=10**6), BODY)
        self.assertEqual(await session.fetch_part(1, "1", offset=6, size=4), b"line")
        self.assertEqual(await session.fetch_part(1, "1", offset=1000, size=4), b"")
        await self.error(MessageNotFound, session.fetch_part(99, "", offset=0, size=1))
        self.news.clear()
        await session.store(UidSet.of([1, 2]), "+", ["\\Flagged"])
        self.assertEqual(len([one for one in self.news if isinstance(one, Fetch)]), 2)
        await session.store(UidSet.of([1, 2]), "+", ["\\Deleted"])
        await session.expunge(UidSet.of([1]))
        self.assertEqual(selected.exists, 1)
        self.assertTrue(any(isinstance(one, Vanished | Expunge) for one in self.news))
        self.assertEqual(str(await session.search(search.EVERY)), "2")
        error = await self.error(ServerRefused, session.append("nowhere", BODY, [], None))
        self.assertEqual(error.code, "TRYCREATE")

    async def test_changed_since(self) -> None:
        """Only what changed after a mod-sequence."""
        session = await self.selected(3)
        modseq = session.selected.modseq if session.selected else None
        assert modseq is not None
        await session.store(UidSet.of([2]), "+", ["\\Seen"])
        rows = await session.fetch(UidSet.of_range(1, 3), ["UID", "FLAGS"], changed_since=modseq)
        self.assertEqual([row.uid for row in rows], [2])

    async def test_idle(self) -> None:
        """News come while IDLE runs; the next command ends it and works."""
        session = await self.selected(1)
        other = await self.selected()
        await session.idle_start()
        self.news.clear()
        self.dovecot.deliver(self.user, BODY)
        await self.until(lambda: Exists(2) in self.news, "EXISTS")
        assert session.selected is not None
        self.assertEqual(session.selected.exists, 2)
        await other.store(UidSet.of([1]), "+", ["\\Deleted"])
        await other.expunge(UidSet.of([1]))
        await self.until(lambda: session.selected and session.selected.exists == 1, "VANISHED")
        self.assertEqual(await session.status("Sent", ["MESSAGES"]), {"MESSAGES": 0})
        await session.idle_start()
        await session.idle_stop()
        await session.idle_stop()
        self.assertTrue(session.alive)

    async def test_read_only_and_unselect(self) -> None:
        """A folder opened read-only takes no flags; leaving a folder removes nothing."""
        session = await self.selected(1)
        await session.store(UidSet.of([1]), "+", ["\\Deleted"])
        await session.unselect()
        self.assertEqual(await session.status("INBOX", ["MESSAGES"]), {"MESSAGES": 1})
        self.assertTrue((await session.select("INBOX", read_only=True)).read_only)
        await session.store(UidSet.of([1]), "-", ["\\Deleted"])
        row = (await session.fetch(UidSet.of([1]), ["FLAGS", "UID"]))[0]
        self.assertIn("\\Deleted", row.flags or ())

    async def test_large(self) -> None:
        """A large message up and down, and many messages, are the same on the other side."""
        session = await self.selected()
        large = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 4 * 30_000 + b"\r\n"
        await session.append("INBOX", large, [], None)
        self.assertEqual(await session.fetch_part(1, "", offset=0, size=len(large) + 1), large)
        self.dovecot.fill(self.user, [BODY] * 3000, folder="Many")
        await session.select("Many")
        rows = await session.fetch(UidSet.of_range(1, MAX_UID), ["UID", "FLAGS"])
        self.assertEqual([row.uid for row in rows], list(range(1, 3001)))

    async def test_side_by_side(self) -> None:
        """Calls made at once all get their own answers."""
        session = await self.selected(3)
        calls = [Deferred.fromCoroutine(session.fetch_part(1 + n % 3, "", offset=n, size=5)) for n in range(20)]
        calls[5].cancel()
        calls[5].addErrback(lambda _: None)
        for n, call in enumerate(calls):
            if n != 5:
                self.assertEqual(await call, BODY[n : n + 5])

    async def test_lost(self) -> None:
        """When the server cuts the connection in IDLE, that is told, and the session says why."""
        lost: list[bool] = []
        session = await self.selected()
        session.on_lost(lambda: lost.append(True))
        await session.idle_start()
        self.dovecot.kick(self.user)
        await self.until(lambda: lost, "the loss")
        await self.error(ConnectionLost, session.idle_stop())
        self.assertFalse(session.alive)


class CertificateTests(Client):
    def setUp(self) -> None:
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.authority = Authority(self.directory)

    async def test_certificates(self) -> None:
        """Expired, self-signed and foreign certificates are refused before a secret is sent, unless that is allowed."""
        for options, code in (
            ({"expired": True}, "CERT_HAS_EXPIRED"),
            ({"self_signed": True}, "DEPTH_ZERO_SELF_SIGNED_CERT"),
            ({"names": ("mail.example.com",)}, "ERR_TLS_CERT_ALTNAME_INVALID"),
        ):
            options_: Any = options
            pair = self.authority.server(**options_)
            self.dovecot = Dovecot(self.directory, certificate=pair.certificate, key=pair.key)
            try:
                for way in ({}, {"secure": False, "port": self.dovecot.plain_port}):
                    error = await self.error(TlsFailed, self.open(ANNA, **way))
                    self.assertEqual(error.code, code)
                await (await self.open(ANNA, tls=TlsPolicy(verify=False))).logout()
            finally:
                self.dovecot.stop()
        self.assertLessEqual((self.directory / "dovecot.log").read_text().count("Login: user=<anna>"), 3)
