"""The parts below the API, as far as its tests need them: they note what they are asked and answer what they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred

from emailengine.api.seams import Download
from emailengine.core.deadline import Deadline
from emailengine.model.account import AccountSettings, AccountUpdate, Registration, State
from emailengine.model.accountview import AccountDetail, AccountList, Live, Registered, shown
from emailengine.model.mailbox import MailboxList
from emailengine.model.message import (
    MessageDetail,
    MessageList,
    MessageUpdate,
    MessageUpdated,
    Text,
    TextInfo,
    TextType,
)
from emailengine.model.stats import Connections, Stats
from emailengine.model.submission import (
    OutboxPage,
    Progress,
    QueuedEnvelope,
    QueueEntry,
    SubmitRequest,
    SubmitResponse,
)
from emailengine.model.token import TokenRecord

T = TypeVar("T")

DATE = "2024-05-06T07:08:09.000Z"


class Asked:
    """Notes calls. `say[name]` is what a call gives instead: a value, an error to raise, or a Deferred to wait for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.say: dict[str, Any] = {}
        self.cancelled: list[str] = []

    async def told(self, name: str, usual: T, **values: Any) -> T:
        self.calls.append((name, values))
        answer: Any = self.say.get(name, usual)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Deferred):
            try:
                return cast("T", await answer)
            except CancelledError:
                self.cancelled.append(name)
                raise
        return cast("T", answer)


class SomeAccounts(Asked):
    async def create(self, sent: Registration) -> Registered:
        return await self.told("create", Registered(account=sent.account or "made", state="new"), sent=sent)

    async def update(self, account: str, sent: AccountUpdate) -> None:
        await self.told("update", None, account=account, sent=sent)

    async def delete(self, account: str) -> None:
        await self.told("delete", None, account=account)

    async def describe(self, account: str, *, quota: bool, deadline: Deadline) -> AccountDetail:
        usual = shown(AccountSettings(account=account), Live())
        return await self.told("describe", usual, account=account, quota=quota, deadline=deadline)

    async def page(self, *, query: str | None, state: State | None, page: int, page_size: int) -> AccountList:
        usual = AccountList(total=0, page=page, pages=0, query=query or False, state=state or "*", accounts=[])
        return await self.told("page", usual, query=query, state=state, page=page, page_size=page_size)

    async def request_reconnect(self, account: str) -> None:
        await self.told("request_reconnect", None, account=account)

    async def request_sync(self, account: str) -> None:
        await self.told("request_sync", None, account=account)


class SomeMailing(Asked):
    async def list_mailboxes(self, account: str, *, counters: bool, deadline: Deadline) -> MailboxList:
        return await self.told("list_mailboxes", MailboxList(mailboxes=[]), account=account, counters=counters)

    async def list_messages(
        self, account: str, path: str, *, page: int, page_size: int, deadline: Deadline
    ) -> MessageList:
        usual = MessageList(total=0, page=page, pages=1, next_page_cursor=None, prev_page_cursor=None, messages=[])
        return await self.told(
            "list_messages", usual, account=account, path=path, page=page, page_size=page_size, deadline=deadline
        )

    async def read_message(
        self,
        account: str,
        message: str,
        *,
        text_type: TextType | None,
        max_bytes: int | None,
        mark_as_seen: bool,
        deadline: Deadline,
    ) -> MessageDetail:
        usual = MessageDetail(id=message, uid=1, path="INBOX", flags=[], text=TextInfo(id="t", encoded_size={}))
        return await self.told(
            "read_message",
            usual,
            account=account,
            message=message,
            text_type=text_type,
            max_bytes=max_bytes,
            mark_as_seen=mark_as_seen,
        )

    async def read_text(
        self, account: str, text: str, *, text_type: TextType, max_bytes: int | None, deadline: Deadline
    ) -> Text:
        usual = Text(plain="hello", has_more=False)
        return await self.told("read_text", usual, account=account, text=text, text_type=text_type, max_bytes=max_bytes)

    async def update_message(
        self, account: str, message: str, change: MessageUpdate, *, deadline: Deadline
    ) -> MessageUpdated:
        return await self.told("update_message", MessageUpdated(), account=account, message=message, change=change)

    async def open_source(self, account: str, message: str, *, deadline: Deadline) -> Download:
        usual = Download("message/rfc822", Chunks([b"Subject: x\r\n", b"\r\nhello\r\n"]))
        return await self.told("open_source", usual, account=account, message=message)

    async def open_attachment(self, account: str, attachment: str, *, deadline: Deadline) -> Download:
        usual = Download("image/png", Chunks([b"abc", b"", b"def"]), "bild.png", 6)
        return await self.told("open_attachment", usual, account=account, attachment=attachment)


class Chunks:
    """Chunks of a download: `taken` of them were asked for; one that is an error is raised."""

    def __init__(self, chunks: Sequence[bytes | Exception | Deferred[bytes]]) -> None:
        self._left = list(chunks)
        self.taken = 0
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        self.taken += 1
        one = self._left.pop(0)
        if isinstance(one, Exception):
            raise one
        return await one if isinstance(one, Deferred) else one

    async def aclose(self) -> None:
        self.closed += 1


class SomeLogs:
    """Logs by account, in chunks."""

    def __init__(self) -> None:
        self.chunks: dict[str, list[bytes]] = {}

    def read(self, account: str) -> AsyncIterator[bytes]:
        return Chunks(self.chunks.get(account, []))


class SomeOutbox(Asked):
    async def accept(
        self, account: str, sent: SubmitRequest, *, idempotency_key: str | None, deadline: Deadline
    ) -> SubmitResponse:
        usual = SubmitResponse(response="Queued for delivery", message_id="<a@b>", queue_id="q", send_at=DATE)
        return await self.told("accept", usual, account=account, sent=sent, key=idempotency_key)

    async def page(self, page: int, page_size: int) -> OutboxPage:
        usual = OutboxPage(total=0, page=page, pages=0, messages=[])
        return await self.told("page", usual, page=page, page_size=page_size)

    async def entry(self, queue_id: str) -> QueueEntry:
        usual = QueueEntry(
            queue_id=queue_id,
            account="a",
            source="api",
            message_id="<a@b>",
            envelope=QueuedEnvelope(from_="a@b.example", to=["c@d.example"]),
            created=DATE,
            scheduled=DATE,
            next_attempt=DATE,
            attempts_made=0,
            attempts=10,
            progress=Progress(status="queued"),
        )
        return await self.told("entry", usual, queue_id=queue_id)

    async def cancel(self, queue_id: str) -> bool:
        return await self.told("cancel", True, queue_id=queue_id)


class SomeSettings(Asked):
    def __init__(self, stored: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.stored: dict[str, Any] = dict(stored or {})

    async def read(self, keys: Sequence[str]) -> Mapping[str, Any]:
        return {key: self.stored[key] for key in keys if key in self.stored}

    async def write(self, changes: Mapping[str, Any]) -> None:
        await self.told("write", None, changes=dict(changes))
        self.stored.update(changes)


class SomeTokens(Asked):
    """Tokens by id; `wait` is what a look-up waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, TokenRecord] = {}
        self.wait: Deferred[None] | None = None

    async def find(self, token_id: str) -> TokenRecord | None:
        if self.wait is not None:
            await self.wait
        return self.records.get(token_id)

    async def any(self) -> bool:
        return bool(self.records)


class SomeFigures(Asked):
    async def stats(self, seconds: int) -> Stats:
        usual = Stats(
            version="1",
            accounts=0,
            redis="7.0.0",
            redis_software="redis",
            redis_cluster=False,
            redis_warnings=[],
            redis_ping=1.0,
            queues={},
            connections=Connections(
                init=0,
                connected=0,
                connecting=0,
                syncing=0,
                authentication_error=0,
                connect_error=0,
                unset=0,
                disconnected=0,
                paused=0,
            ),
            counters={},
        )
        return await self.told("stats", usual, seconds=seconds)

    async def healthy(self) -> bool:
        return await self.told("healthy", True)
