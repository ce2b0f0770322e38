"""The simulated mailbox of the sync tests answers as a real server does."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from emailengine.imap.session import ImapTarget, Session, open_session
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.wire.imap import search
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.uidset import MAX_UID, UidSet
from tests.accounts.simulated import Mailbox
from tests.accounts.simulated import Session as SimulatedSession
from tests.integration.certificates import Authority
from tests.integration.dovecot import Dovecot

LETTER = b"From: bo@example.net\r\nSubject: a letter\r\n\r\nHello\r\n"


def rows(found: list[Fetched]) -> list[Any]:
    flags = [None if row.flags is None else set(row.flags) - {"\\Recent"} for row in found]
    return [
        (row.seq, row.uid, one, None if row.internal_date is None else int(row.internal_date))
        for row, one in zip(found, flags, strict=True)
    ]


class SimulatedTests(TestCase):
    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        self.directory = Path(tempfile.mkdtemp(prefix="ee-simulated-"))
        self.addCleanup(shutil.rmtree, self.directory)
        authority = Authority(self.directory)
        pair = authority.server()
        self.server = Dovecot(self.directory, certificate=pair.certificate, key=pair.key, users={"anna": "secret"})
        self.addCleanup(self.server.stop)
        self.ca = authority.ca
        return Deferred.fromCoroutine(self._begin())

    async def _begin(self) -> None:
        self.arrived = int(time.time()) - 86400 * 3
        self.server.fill("anna", [LETTER] * 5, arrived=self.arrived)
        self.server.fill("anna", [LETTER] * 3, flags="", arrived=self.arrived + 86400 * 2)
        self.real = await self.open()
        self.box = Mailbox()
        for n in range(5):
            self.box.deliver(self.arrived + n, ("\\Seen",))
        for n in range(3):
            self.box.deliver(self.arrived + 86400 * 2 + n)
        self.simulated = SimulatedSession(self.box)

    async def open(self) -> Session:
        contexts = Contexts()
        session = await open_session(
            clock=reactor,
            dialer=Dialer(reactor=reactor, contexts=contexts),
            contexts=contexts,
            target=ImapTarget(host="localhost", port=self.server.port, secure=True, tls=TlsPolicy(ca=self.ca)),
            credentials=Credentials(user="anna", password="secret"),
            news=lambda response: None,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(session.logout()))
        return session

    async def both(self, ask: Any) -> None:
        """Both answer alike."""
        self.assertEqual(await ask(self.simulated), await ask(self.real))

    async def test_select(self) -> None:
        """SELECT tells the number of messages and the next UID, and whether MODSEQ is known."""

        async def ask(session: Any) -> Any:
            told = await session.select("INBOX")
            return told.path, told.exists, told.uidnext, told.modseq is not None, told.read_only

        await self.both(ask)

    async def test_search(self) -> None:
        """UID SEARCH by UIDs, by day, by both, and past the end."""
        for criterion in (
            search.uid("1:4"),
            search.uid(f"3:{MAX_UID}"),
            search.uid("50:60"),
            search.all_of([search.uid("1:100"), search.since(self.arrived + 86400 * 1.5)]),
        ):

            async def ask(session: Any, criterion: Any = criterion) -> Any:
                await session.select("INBOX")
                return list(await session.search(criterion))

            await self.both(ask)

    async def test_fetch(self) -> None:
        """FETCH by UIDs and by numbers, flags and dates."""

        async def by_uid(session: Any) -> Any:
            await session.select("INBOX")
            return rows(await session.fetch(UidSet.of([2, 4, 7, 99]), ["UID", "FLAGS", "INTERNALDATE"]))

        async def to_the_end(session: Any) -> Any:
            return rows(await session.fetch(UidSet.of_range(7, MAX_UID), ["UID", "FLAGS"]))

        async def past_the_end(session: Any) -> Any:
            return rows(await session.fetch(UidSet.of_range(9, MAX_UID), ["UID", "FLAGS"]))

        async def by_number(session: Any) -> Any:
            return rows(await session.fetch_sequence("1,3:4", ["UID", "FLAGS"]))

        async def last(session: Any) -> Any:
            return rows(await session.fetch_sequence("*", ["UID"]))

        for ask in (by_uid, to_the_end, past_the_end, by_number, last):
            await self.both(ask)

    async def test_changed_since(self) -> None:
        """CHANGEDSINCE finds what changed, and nothing else."""
        await self.simulated.select("INBOX")
        before = (await self.real.select("INBOX")).modseq
        self.assertIsNotNone(before)
        simulated_before = self.box.modseq
        self.box.set_flags(4, ("\\Flagged", "\\Seen"))
        other = await self.open()
        await other.select("INBOX")
        await other.store(UidSet.of([4]), "+", ["\\Flagged"])
        await self.real.noop()
        span = UidSet.of_range(1, 8)
        self.assertEqual(
            rows(await self.simulated.fetch(span, ["UID", "FLAGS"], changed_since=simulated_before)),
            rows(await self.real.fetch(span, ["UID", "FLAGS"], changed_since=before)),
        )
        self.assertEqual(await self.simulated.fetch(span, ["UID", "FLAGS"], changed_since=self.box.modseq), [])
