"""The JSON of a webhook: its envelope, and what the settings let through of a new message. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from attrs import frozen

from emailengine.accounts.verbs.reading import TextWish
from emailengine.model import codec
from emailengine.model.event import EventName, Say, WebhookBody
from emailengine.model.ids import pack_message
from emailengine.model.message import MessageDetail

TEXT_SIZE = 2097152  # characters of each kind of text where the settings do not say

_TAIL = ("bounces", "isAutoReply")


@frozen
class ContentPolicy:
    """What of a new message is told. `headers` None: none of them; with `*` all."""

    text: bool
    text_size: int | None
    headers: frozenset[str] | None

    @property
    def wish(self) -> TextWish | None:
        """The text to fetch for it."""
        return TextWish(limit=self.text_size) if self.text else None


def content_policy(value: Callable[..., Any]) -> ContentPolicy:
    """The policy in the settings, read through their `value`. A size of 0 is no limit."""
    size = value("notifyTextSize", TEXT_SIZE)
    names = frozenset(name.lower() for name in value("notifyHeaders", None) or ())
    return ContentPolicy(bool(value("notifyText", True)), int(size) if size else None, names or None)


def new_message(detail: MessageDetail, policy: ContentPolicy, seems_new: bool | None) -> dict[str, Any]:
    """
    The `data` of messageNew.

    `seems_new` None: nobody has looked whether the message was here before, so all but sent mail seems new.
    """
    told: dict[str, Any] = msgspec.to_builtins(detail)
    headers = told.pop("headers", None)
    text = told.get("text")
    if text is not None and not policy.text:
        told["text"] = text = {name: text[name] for name in ("id", "encodedSize")}
    roles = {name: told.pop(name) for name in ("specialUse", "messageSpecialUse") if name in told}
    tail = {name: told.pop(name) for name in _TAIL if name in told}
    told.pop("text", None)
    if headers is not None and policy.headers is not None:
        told["headers"] = (
            headers
            if "*" in policy.headers
            else {name: values for name, values in headers.items() if name in policy.headers}
        )
    if text is not None:
        told["text"] = text
    if seems_new is None:
        seems_new = detail.special_use != "\\Sent" and "\\Sent" not in (detail.labels or ())
    return told | roles | {"seemsLikeNew": seems_new} | tail


def bare_message(say: Say) -> dict[str, Any]:
    """The `data` of messageNew for a message whose content nobody can read: what is known without it."""
    told: dict[str, Any] = {"id": _id(say), "uid": say.uid, "path": say.path, "flags": []}
    if say.special_use is not None:
        told["specialUse"] = say.special_use
    return told | {"seemsLikeNew": say.special_use != "\\Sent"}


def missing_message(say: Say, delays: Sequence[float]) -> dict[str, Any]:
    """The `data` of messageMissing, in place of messageNew: it was there when it was indexed, and is gone."""
    return {"id": _id(say), "uid": say.uid} | missing(delays)


def missing(delays: Sequence[float]) -> dict[str, int]:
    """How often a message was looked for again, after these delays."""
    return {"missingRetries": len(delays), "missingDelay": round(1000 * sum(delays))}


def _id(say: Say) -> str:
    return pack_message(say.folder or 0, say.uid or 0)


def body(account: str, say: Say, event: EventName, data: Any, service_url: str | None) -> bytes:
    """The request's body, compact and in the order of `WebhookBody`. `special_use` goes with a folder only."""
    whole = WebhookBody(
        service_url=service_url or None,
        account=account,
        date=say.date,
        path=say.path,
        special_use=say.special_use if say.path is not None else None,
        event=event,
        data=data,
    )
    try:
        return codec.encode(whole)
    except UnicodeEncodeError:
        # half a surrogate pair, out of a mail server's mouth: JSON in UTF-8 has no form for it
        return codec.encode(_mended(msgspec.to_builtins(whole)))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mended(key): _mended(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_mended(one) for one in value]
    return value
