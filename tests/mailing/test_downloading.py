"""Attachments and sources, window by window."""

from __future__ import annotations

import base64
from typing import cast

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.account import Account
from emailengine.accounts.folders import Folders
from emailengine.accounts.lane import Loan
from emailengine.core.deadline import Deadline
from emailengine.errors import ConnectionLost, MessageNotFound, TimedOut
from emailengine.imap.session import Session
from emailengine.imap.target import Selected
from emailengine.mailing.downloading import Download, Downloads
from emailengine.model.ids import pack_attachment
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.responses import Fetch
from emailengine.wire.imap.uidset import UidSet
from tests.wire.imap.transcripts import read_one

STRUCTURE = (
    b'(("text" "plain" NIL NIL NIL "7bit" 5 1)'
    b'("application" "pdf" NIL NIL NIL "base64" 900 NIL ("attachment" ("filename" "a.pdf")) NIL NIL) "mixed")'
)


@define
class OneMessage:
    """A session in whose folder INBOX, UIDVALIDITY 7, is one message with UID 5."""

    content: dict[str, bytes]
    selected: Selected | None = None
    uidvalidity: int = 7
    asked: list[tuple[str, int]] = field(factory=list)
    held: list[Deferred[None]] | None = None
    gone: bool = False
    lost: bool = False

    async def select(self, path: str) -> Selected:
        self.selected = Selected(path, self.uidvalidity, 1, 6, None, False, None)
        return self.selected

    async def noop(self) -> None:
        pass

    async def fetch(self, uids: UidSet, items: list[str]) -> list[Fetched]:
        if 5 not in uids or self.gone:
            return []
        told = read_one(b"* 1 FETCH (UID 5 BODYSTRUCTURE " + STRUCTURE + b")")
        assert isinstance(told, Fetch)
        return [told]

    async def fetch_part(self, uid: int, section: str, *, offset: int, size: int) -> bytes:
        self.asked.append((section, offset))
        if self.held is not None:
            turn: Deferred[None] = Deferred()
            self.held.append(turn)
            await turn
        if self.lost:
            raise ConnectionLost("cut")
        if self.gone or uid != 5:
            raise MessageNotFound("gone")
        return self.content[section][offset : offset + size]


class Numbers:
    async def number(self, path: str, uidvalidity: int) -> int:
        return 1

    async def resolve(self, number: int) -> tuple[str, int] | None:
        return ("INBOX", 7) if number == 1 else None


@define
class Borrowed:
    """The part of an account that downloads use."""

    session: OneMessage
    folders: Folders = field(factory=lambda: Folders(Numbers()))
    out: int = 0

    async def borrow(self) -> Loan:
        self.out += 1
        loan = Loan(cast(Session, self.session))
        loan.returned.addCallback(lambda _: setattr(self, "out", self.out - 1))
        return loan


class DownloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.use({"": b"0123456789" * 5, "2": base64.encodebytes(b"PDF" * 30)})

    def use(self, content: dict[str, bytes]) -> None:
        self.session = OneMessage(content)
        self.account = Borrowed(self.session)

    def deadline(self) -> Deadline:
        return Deadline.after(self.clock, 10.0)

    def source(self, folder: int = 1, uid: int = 5, window: int = 16) -> Deferred[Download]:
        downloads = Downloads(clock=self.clock, window=window)
        account = cast(Account, self.account)
        return Deferred.fromCoroutine(downloads.source(account, folder, uid, self.deadline()))

    def attachment(self, id_: str, window: int = 16) -> Deferred[Download]:
        downloads = Downloads(clock=self.clock, window=window)
        return Deferred.fromCoroutine(downloads.attachment(cast(Account, self.account), id_, self.deadline()))

    def all_of(self, download: Download) -> list[bytes]:
        async def read() -> list[bytes]:
            return [chunk async for chunk in download.chunks]

        return self.successResultOf(Deferred.fromCoroutine(read()))

    def next_of(self, download: Download) -> Deferred[bytes]:
        async def read() -> bytes:
            return await anext(download.chunks)

        return Deferred.fromCoroutine(read())

    def close(self, download: Download) -> None:
        async def close() -> None:
            await download.chunks.aclose()  # type: ignore[attr-defined]

        self.successResultOf(Deferred.fromCoroutine(close()))

    @given(st.integers(0, 70), st.integers(1, 40))
    def test_whole(self, size: int, window: int) -> None:
        """Whatever the size and the window, the source comes whole, in order, and every session is given back."""
        raw = bytes(range(size))
        self.use({"": raw})
        download = self.successResultOf(self.source(window=window))
        self.assertEqual((download.content_type, download.filename, download.size), ("message/rfc822", None, None))
        chunks = self.all_of(download)
        self.assertEqual(b"".join(chunks), raw)
        self.assertTrue(all(chunks))
        self.assertEqual(self.account.out, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(st.binary(max_size=100), st.integers(1, 40))
    def test_decoded(self, raw: bytes, window: int) -> None:
        """An attachment is decoded, wherever the windows cut its encoding, and bears its type and name."""
        self.use({"2": base64.encodebytes(raw)})
        download = self.successResultOf(self.attachment(pack_attachment(1, 5, "2"), window))
        self.assertEqual((download.content_type, download.filename), ("application/pdf", "a.pdf"))
        self.assertEqual(b"".join(self.all_of(download)), raw)

    def test_one_window_ahead(self) -> None:
        """One window is fetched while the client takes the one before it, and not more."""
        download = self.successResultOf(self.source())
        self.assertEqual(self.session.asked, [])
        self.successResultOf(self.next_of(download))
        self.assertEqual(self.session.asked, [("", 0), ("", 16)])
        self.successResultOf(self.next_of(download))
        self.assertEqual(self.session.asked, [("", 0), ("", 16), ("", 32)])
        self.close(download)

    def test_not_there(self) -> None:
        """What is not there is told before the first octet."""
        self.failureResultOf(self.source(uid=6), MessageNotFound)
        self.failureResultOf(self.source(folder=2), MessageNotFound)
        for part in ("3", "2.1"):
            self.failureResultOf(self.attachment(pack_attachment(1, 5, part)), MessageNotFound)
        self.failureResultOf(self.attachment("nonsense"), MessageNotFound)
        self.session.uidvalidity = 8
        self.session.selected = None
        self.failureResultOf(self.source(), MessageNotFound)
        self.assertEqual(self.account.out, 0)

    def test_gone_on_the_way(self) -> None:
        """A message that goes, or a connection that is lost, on the way ends the download with that error."""
        for attribute, error in (("gone", MessageNotFound), ("lost", ConnectionLost)):
            self.use({"": b"x" * 100})
            download = self.successResultOf(self.source())
            self.successResultOf(self.next_of(download))
            setattr(self.session, attribute, True)
            self.successResultOf(self.next_of(download))  # was fetched ahead
            self.failureResultOf(self.next_of(download), error)
            self.close(download)
            self.assertEqual(self.account.out, 0)

    def test_client_gone(self) -> None:
        """When the client is gone, the window that was fetched ahead is dropped and nothing more is asked for."""
        self.session.held = []
        download = self.successResultOf(self.source())
        first = self.next_of(download)
        self.session.held[0].callback(None)
        self.assertEqual(self.successResultOf(first), b"0123456789012345")
        self.assertEqual(self.account.out, 1)
        self.close(download)
        self.assertEqual(self.account.out, 0)
        self.assertEqual(len(self.session.asked), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.failureResultOf(self.next_of(download), StopAsyncIteration)

    def test_cancelled(self) -> None:
        """A reader that is cancelled while it waits gives the session back."""
        self.session.held = []
        download = self.successResultOf(self.source())
        first = self.next_of(download)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.account.out, 0)
        self.close(download)

    def test_silent_server(self) -> None:
        """A window that does not come is given up after a while."""
        self.session.held = []
        download = self.successResultOf(self.source())
        first = self.next_of(download)
        self.clock.advance(119)
        self.assertNoResult(first)
        self.clock.advance(2)
        self.failureResultOf(first, TimedOut)
        self.assertEqual(self.account.out, 0)
