"""What the queue keeps of a delivery, beside the body of its request."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from emailengine.model.account import HeaderField
from emailengine.model.event import EventName
from emailengine.model.shape import Record
from emailengine.webhooks.targets import DEFAULT, Own, Place

QUEUE = "notify"


class Delivery(Record, kw_only=True):
    """
    One event on its way to one target, which is looked up in the settings each time.

    `url` and `headers` are what the account itself said when the event was announced, for when it is gone. `attempts`
    were made already.
    """

    account: str
    event: EventName
    event_id: str
    target: str = DEFAULT
    place: Place = "elsewhere"
    url: str | None = None
    headers: list[HeaderField] = msgspec.field(default_factory=list)
    attempts: int = 0

    @property
    def own(self) -> Own:
        return Own(self.url, tuple(self.headers))


encode: Callable[[Delivery], bytes] = msgspec.json.Encoder().encode
decode: Callable[[bytes], Delivery] = msgspec.json.Decoder(Delivery).decode


def lane(target: str, account: str) -> str:
    """The lane of an account's deliveries to one target: they keep their order."""
    return f"{target}:{account}"
