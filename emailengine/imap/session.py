"""A session with an IMAP server: what an account talks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime

from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.wire.imap.responses import Fetched, ListEntry, Response
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import UidSet


@frozen(kw_only=True)
class ImapTarget:
    host: str
    port: int
    secure: bool
    tls: TlsPolicy
    starttls: Literal["auto", "required", "never"] = "auto"
    proxy: str | None = None
    local_address: str | None = None


@define
class Selected:
    path: str
    uidvalidity: int
    exists: int
    uidnext: int | None
    modseq: int | None
    read_only: bool
    permanent_flags: frozenset[str] | None


@frozen
class Appended:
    path: str
    uidvalidity: int | None
    uid: int | None


@frozen
class ListedFolder:
    entry: ListEntry
    subscribed: bool
    status: Mapping[str, int | str] | None


async def open_session(
    *,
    clock: IReactorTime,
    dialer: Dialer,
    contexts: Contexts,
    target: ImapTarget,
    credentials: Credentials,
    news: Callable[[Response], None],
    client_id: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Session:
    raise NotImplementedError


@define(kw_only=True, eq=False)
class Session:
    capabilities: frozenset[str]
    selected: Selected | None = field(default=None, init=False)

    @property
    def alive(self) -> bool:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

    def abort(self, why: str) -> None:
        raise NotImplementedError

    async def logout(self) -> None:
        raise NotImplementedError

    async def noop(self) -> None:
        raise NotImplementedError

    async def idle_start(self) -> None:
        raise NotImplementedError

    async def idle_stop(self) -> None:
        raise NotImplementedError

    async def list_folders(self, status: Sequence[str] = ()) -> list[ListedFolder]:
        raise NotImplementedError

    async def select(self, path: str, *, read_only: bool = False) -> Selected:
        raise NotImplementedError

    async def unselect(self) -> None:
        raise NotImplementedError

    async def status(self, path: str, items: Sequence[str]) -> dict[str, int]:
        raise NotImplementedError

    async def fetch(self, uids: UidSet, items: Sequence[str], *, changed_since: int | None = None) -> list[Fetched]:
        raise NotImplementedError

    async def fetch_sequence(self, numbers: str, items: Sequence[str]) -> list[Fetched]:
        raise NotImplementedError

    async def fetch_part(self, uid: int, section: str, *, offset: int, size: int) -> bytes:
        raise NotImplementedError

    async def search(self, criterion: Sequence[Piece]) -> UidSet:
        raise NotImplementedError

    async def store(self, uids: UidSet, mode: Literal["", "+", "-"], flags: Sequence[str]) -> None:
        raise NotImplementedError

    async def append(self, path: str, data: bytes, flags: Sequence[str], internal_date: float | None) -> Appended:
        raise NotImplementedError

    async def expunge(self, uids: UidSet) -> None:
        raise NotImplementedError
