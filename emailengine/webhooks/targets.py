"""Who is to be told of an event: the settings and the account's own, turned into targets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec
from attrs import frozen

from emailengine.model.account import AccountSettings, HeaderField
from emailengine.model.event import Say

DEFAULT = "default"
"""The name of the target that the settings, or the account's own, name."""

ALL = "*"

_HEADERS = list[HeaderField]


class Settings(Protocol):
    """The settings as they are now, by their names on the wire."""

    def value(self, name: str, default: Any = None) -> Any:
        """The value, or `default` where none is set. `SecretUnreadable` for one sealed with another secret."""


@frozen
class Policy:
    """What the settings say about targets."""

    enabled: bool
    url: str | None
    events: frozenset[str]
    headers: tuple[HeaderField, ...]
    inbox_only: bool

    def subscribes(self, event: str) -> bool:
        return event in self.events or ALL in self.events


@frozen
class Own:
    """What an account says about its targets; `url` takes the place of the URL in the settings."""

    url: str | None = None
    headers: tuple[HeaderField, ...] = ()


NOTHING_OWN = Own()
"""What an account says that is not there (any more)."""


@frozen
class Target:
    """Where to deliver. `headers` are the custom ones, those that win last."""

    name: str
    url: str
    headers: tuple[HeaderField, ...]


Place = Literal["inbox", "elsewhere", "unknown"]


def policy_of(value: Callable[..., Any]) -> Policy:
    """The policy in the settings, read through their `value`."""
    return Policy(
        enabled=bool(value("webhooksEnabled", False)),
        url=value("webhooks", None) or None,
        events=frozenset(value("webhookEvents", None) or ()),
        headers=headers_of(value("webhooksCustomHeaders", None)),
        inbox_only=bool(value("inboxNewOnly", False)),
    )


def subscribes(value: Callable[..., Any], event: str) -> bool:
    """Whether the settings want webhooks of an event at all; no secret is read for it."""
    names = value("webhookEvents", None) or ()
    return bool(value("webhooksEnabled", False)) and (event in names or ALL in names)


def headers_of(stored: Any) -> tuple[HeaderField, ...]:
    """Custom headers as the settings keep them."""
    return tuple(msgspec.convert(stored, _HEADERS, from_attributes=True)) if stored else ()


def own_of(settings: AccountSettings) -> Own:
    return Own(settings.webhooks or None, tuple(settings.webhooks_custom_headers))


def targets(policy: Policy, own: Own, event: str, place: Place) -> list[Target]:
    """
    The targets of an event, in the order in which the gates are checked.

    `place` is where a new message is; as long as that is unknown it counts as wanted.
    """
    if not policy.enabled:
        return []
    url = own.url or policy.url
    if url is None or not policy.subscribes(event):
        return []
    if event == "messageNew" and policy.inbox_only and place == "elsewhere":
        return []
    return [Target(DEFAULT, url, policy.headers + own.headers)]


def place_of(say: Say) -> Place:
    """Where a message is, by its folder alone: at Gmail a label may put one of All Mail into the inbox."""
    if say.path == "INBOX" or say.special_use == "\\Inbox":
        return "inbox"
    return "unknown" if say.special_use == "\\All" else "elsewhere"


def place_in(say: Say, message_special_use: str | None, labels: Sequence[str] | None) -> Place:
    """Where a message is, once its content is known."""
    if place_of(say) == "inbox" or message_special_use == "\\Inbox" or "\\Inbox" in (labels or ()):
        return "inbox"
    return "elsewhere"
