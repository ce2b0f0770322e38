"""Attachments and sources on their way to a client: window by window, as fast as the client takes them.

One window is fetched ahead of what the client has taken, so that a slow reader costs two windows and a fast one never
waits for the mail server. A session is borrowed for each window, so that a slow reader keeps nobody from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from emailengine.accounts.account import Account
from emailengine.accounts.shaping import file_name
from emailengine.accounts.verbs.entering import enter_for_message, with_news
from emailengine.core.deadline import Deadline, bounded
from emailengine.errors import MessageNotFound
from emailengine.imap.session import Session
from emailengine.model.ids import unpack_attachment
from emailengine.wire.imap.body import Part
from emailengine.wire.imap.uidset import UidSet
from emailengine.wire.mime.decode import Decoder, IdentityStream, stream

T = TypeVar("T")

WINDOW = 256 * 1024  # octets a fetch: a few milliseconds to pass on, and few enough round trips for 10 MB
_PATIENCE = 120.0  # seconds for one window, the wait for a session included


@define
class Download:
    """
    Bytes on their way to a client.

    `size` is None where it is not known before the end. The next chunk is asked for when the client has taken those
    before it; `chunks` is closed (`aclose`) when the client is gone.
    """

    content_type: str
    chunks: AsyncIterator[bytes]
    filename: str | None = None
    size: int | None = None


@define(kw_only=True)
class Downloads:
    """Opens downloads."""

    clock: IReactorTime
    window: int = WINDOW

    async def source(self, account: Account, folder: int, uid: int, deadline: Deadline) -> Download:
        """A whole message. Raises `MessageNotFound` before the first octet, and what `Account.ask` raises."""
        await self._on_session(account, deadline, lambda session: _check(session, account, folder, uid))
        return Download("message/rfc822", self._chunks(account, folder, uid, "", IdentityStream()))

    async def attachment(self, account: Account, attachment: str, deadline: Deadline) -> Download:
        """One part, decoded. Raises as `source`."""
        folder, uid, number = unpack_attachment(attachment)
        part = await self._on_session(
            account, deadline, lambda session: _find_part(session, account, folder, uid, number)
        )
        chunks = self._chunks(account, folder, uid, number, stream(part.encoding))
        return Download(f"{part.type}/{part.subtype}", chunks, file_name(part))

    async def _on_session(self, account: Account, deadline: Deadline, work: Callable[[Session], Awaitable[T]]) -> T:
        loan = await deadline.bound(account.borrow())
        try:
            return await deadline.bound(with_news(loan.session, lambda: work(loan.session)))
        finally:
            loan.give_back()

    def _chunks(self, account: Account, folder: int, uid: int, section: str, decoder: Decoder) -> AsyncIterator[bytes]:
        return _Chunks(account, folder, uid, section, decoder, self.clock, self.window)


async def _check(session: Session, account: Account, folder: int, uid: int) -> None:
    await enter_for_message(session, account.folders, folder)
    # RFC822.SIZE is wrong on too many servers to promise it as Content-Length
    if not any(row.uid == uid for row in await session.fetch(UidSet.of([uid]), ["UID"])):
        raise MessageNotFound("No message has that id")


async def _find_part(session: Session, account: Account, folder: int, uid: int, number: str) -> Part:
    await enter_for_message(session, account.folders, folder)
    for row in await session.fetch(UidSet.of([uid]), ["UID", "BODYSTRUCTURE"]):
        if row.uid == uid and row.body is not None:
            for part in row.body.walk():
                if part.number == number and part.type != "multipart":
                    return part
    raise MessageNotFound("No attachment has that id")


@define(eq=False)
class _Chunks(AsyncIterator[bytes]):
    """The decoded content, a window at a time."""

    _account: Account
    _folder: int
    _uid: int
    _section: str
    _decoder: Decoder
    _clock: IReactorTime
    _size: int
    _offset: int = field(default=0, init=False)
    _ahead: Deferred[bytes] | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._over:
            coming = self._ahead or self._fetch()
            self._ahead = None
            window = await coming
            self._offset += len(window)
            self._over = len(window) < self._size
            if not self._over:
                self._ahead = self._fetch()
            decoded = self._decoder.feed(window)
            if self._over:
                decoded += self._decoder.finish()
            if decoded:
                return decoded
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop: nothing more is fetched."""
        self._over = True
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.addErrback(lambda _: b"")
            ahead.cancel()

    def _fetch(self) -> Deferred[bytes]:
        window = self._window(self._offset)
        return Deferred.fromCoroutine(bounded(self._clock, _PATIENCE, window, "The mail server"))

    async def _window(self, offset: int) -> bytes:
        loan = await self._account.borrow()
        try:
            await enter_for_message(loan.session, self._account.folders, self._folder)
            return await loan.session.fetch_part(self._uid, self._section, offset=offset, size=self._size)
        finally:
            loan.give_back()
