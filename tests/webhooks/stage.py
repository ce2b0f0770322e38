"""What the tests of announcing and delivering share: accounts that are no more than their answers, and the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from emailengine.accounts.fresh import FreshMessages
from emailengine.accounts.verbs.entering import Verb
from emailengine.accounts.verbs.reading import ReadMessage
from emailengine.core.deadline import Deadline
from emailengine.core.secrets import SecretUnreadable
from emailengine.errors import AccountNotFound, AccountUnavailable
from emailengine.model.account import AccountSettings
from emailengine.model.event import EventName, Say
from emailengine.model.ids import pack_message
from emailengine.model.message import MessageDetail, TextInfo
from emailengine.store.queue import Job, Queue
from emailengine.store.say import SayStore
from tests.redis_server import RedisCase

CLOCK: Any = reactor

CONNECTED = "connected"


class Actor:
    """An account that answers what `read` says."""

    def __init__(self, name: str) -> None:
        self.state = CONNECTED
        self.generation = 1
        self.settings = AccountSettings(account=name)
        self.fresh = FreshMessages()
        self.asked: list[int] = []
        self.read: Callable[[ReadMessage], MessageDetail | Deferred[MessageDetail]] = found

    async def ask(self, verb: Verb, deadline: Deadline, *, long: bool = False) -> Any:
        assert isinstance(verb, ReadMessage)
        self.asked.append(verb.uid)
        if self.state != CONNECTED:
            raise AccountUnavailable("not connected")
        answer = self.read(verb)
        return await answer if isinstance(answer, Deferred) else answer


def found(verb: ReadMessage) -> MessageDetail:
    """A message with a subject and, if asked for, a text."""
    text = TextInfo(id="t", encoded_size={"plain": 5})
    if verb.text is not None:
        text.plain, text.has_more = "hello"[: verb.text.limit], False
    return MessageDetail(
        id=pack_message(verb.folder, verb.uid),
        uid=verb.uid,
        path="INBOX",
        flags=[],
        subject=f"Number {verb.uid}",
        text=text,
        special_use="\\Inbox",
        message_special_use="\\Inbox",
    )


class Everybody:
    """All accounts of a test; those of `gone` are not there."""

    def __init__(self) -> None:
        self.by_name: dict[str, Actor] = {}
        self.gone: set[str] = set()

    def get(self, account: str) -> Actor:
        if account in self.gone:
            raise AccountNotFound("No such account")
        return self.by_name.setdefault(account, Actor(account))


class Chosen:
    """Settings by their names on the wire."""

    def __init__(self, **chosen: Any) -> None:
        self.chosen: dict[str, Any] = {
            "webhooksEnabled": True,
            "webhookEvents": ["*"],
            "webhooks": "http://127.0.0.1:9/",
            "serviceSecret": "secret",
        } | chosen
        self.sealed: set[str] = set()

    def value(self, name: str, default: Any = None) -> Any:
        if name in self.sealed:
            raise SecretUnreadable(f"The setting {name} cannot be used")
        found = self.chosen.get(name)
        return default if found is None else found


class StoreCase(RedisCase):
    """A test with the streams and the queue in Redis."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        ready = super().setUp()
        self.say = SayStore(redis=self.redis, keys=self.keys)
        self.queue = Queue(redis=self.redis, keys=self.keys, name="notify", ordered=True)
        self.everybody = Everybody()
        self.settings = Chosen()
        return ready

    async def jobs(self) -> list[tuple[str, dict[str, Any]]]:
        """What is in the queue, in the order in which it is claimed: event and body."""
        found = []
        while isinstance(job := await self.queue.claim(lease=60, per_group=1000), Job):
            body = msgspec.json.decode(job.body or b"null")
            found.append((body["event"], body))
            await self.queue.done(job)
        return found


def message(event: EventName, uid: int, **more: Any) -> Say:
    return Say(
        event_id=f"{event}-{uid}",
        event=event,
        date="2026-03-04T09:15:02.114Z",
        path="INBOX",
        special_use="\\Inbox",
        folder=3,
        uid_validity=7,
        uid=uid,
        **more,
    )


def event(name: EventName, number: int = 0, **data: Any) -> Say:
    return Say(event_id=f"{name}-{number}", event=name, date="2026-03-04T09:15:02.114Z", data=data)


async def until(look: Callable[[], Any], what: str, seconds: float = 5.0) -> None:
    """Return once `look` is true."""
    end = CLOCK.seconds() + seconds
    while not look():
        if CLOCK.seconds() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await turn()


def turn() -> Deferred[None]:
    """One turn of the reactor."""
    later: Deferred[None] = Deferred()
    CLOCK.callLater(0.002, later.callback, None)
    return later
