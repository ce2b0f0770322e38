"""Events: how they are handed over inside the daemon, and how webhooks tell them."""

from __future__ import annotations

from typing import Any, Literal, get_args

from msgspec import field

from emailengine.model.shape import Answer, Record

EventName = Literal[
    "messageNew",
    "messageDeleted",
    "messageUpdated",
    "messageMissing",
    "messageSent",
    "messageDeliveryError",
    "messageFailed",
    "messageBounce",
    "messageComplaint",
    "mailboxReset",
    "mailboxDeleted",
    "mailboxNew",
    "authenticationError",
    "authenticationSuccess",
    "connectError",
    "accountAdded",
    "accountInitialized",
    "accountDeleted",
    "trackOpen",
    "trackClick",
    "listUnsubscribe",
    "listSubscribe",
    "exportCompleted",
    "exportFailed",
]
EVENTS: tuple[EventName, ...] = get_args(EventName)
"""All names that a subscription may hold, whether or not this version announces them."""


class Say(Record, kw_only=True):
    """
    An event that has happened and is still to be announced.

    It is written in the same step as the state it tells of. `event_id` is made once, here. `folder`, `uid_validity`
    and `uid` say which message is meant; `data` holds what is known already, and the announcer reads the rest.
    `generation` is the account's: what one that was deleted has said is not read from another of the same id.
    """

    event_id: str
    event: EventName
    date: str
    path: str | None = None
    special_use: str | None = None
    folder: int | None = None
    uid_validity: int | None = None
    uid: int | None = None
    generation: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


class WebhookBody(Answer, kw_only=True):
    """The JSON of a webhook request, in this order. `service_url` is null where none is set."""

    service_url: str | None
    account: str | None
    date: str
    path: str | None = None
    special_use: str | None = None
    event: str
    data: Any
