"""What a reply or a forward takes over from the message it refers to: subject, threading, recipients. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from attrs import frozen

from emailengine.wire.mime.headers import bracketed
from emailengine.wire.mime.words import Mailbox

_REPLY = re.compile(r"re:", re.IGNORECASE)
_FORWARD = re.compile(r"fwd:", re.IGNORECASE)
_IDS = re.compile(r"<[^<>\s]+>|[^<>\s,]+")
_MOST_REFERENCES: Final = 100  # a thread's first id and its latest; some mail servers refuse longer header blocks


class Action(Enum):
    """What is done with the original."""

    REPLY = "reply"
    REPLY_ALL = "reply-all"
    FORWARD = "forward"


@frozen(kw_only=True)
class Original:
    """What we need to know of the message that is answered or forwarded."""

    message_id: str | None = None
    in_reply_to: str | None = None
    references: str | None = None
    subject: str | None = None
    from_: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    to: Sequence[Mailbox] = ()
    cc: Sequence[Mailbox] = ()


@frozen
class Recipients:
    """The three address lists of a message."""

    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()


def subject(action: Action, original: str | None) -> str | None:
    """The subject with `Re: ` or `Fwd: ` before it, unless it is there already; None if the original has none."""
    text = (original or "").strip()
    if not text:
        return None
    if action is Action.FORWARD:
        return text if _FORWARD.match(text) else f"Fwd: {text}"
    return text if _REPLY.match(text) else f"Re: {text}"


def in_reply_to(action: Action, original: Original) -> str | None:
    """The In-Reply-To of the new message: the original's id, but not on a forward."""
    if action is Action.FORWARD:
        return None
    return bracketed(original.message_id or "") or None


def references(original: Original) -> tuple[str, ...]:
    """
    The References of the new message (RFC 5322 3.6.4): the original's own, then the original's id, each once.

    Without References, an In-Reply-To that holds exactly one id stands for them. Of very long threads the first and
    the latest are kept.
    """
    older = _ids(original.references)
    if not older:
        parents = _ids(original.in_reply_to)
        older = parents if len(parents) == 1 else []
    own = bracketed(original.message_id or "")
    ids = list(dict.fromkeys(one for one in older if one != own))
    if own:
        ids.append(own)
    if len(ids) > _MOST_REFERENCES:
        ids = [ids[0], *ids[1 - _MOST_REFERENCES :]]
    return tuple(ids)


def _ids(text: str | None) -> list[str]:
    found = (bracketed(one) for one in _IDS.findall(text or ""))
    return [one for one in found if one]


def recipients(
    action: Action,
    original: Original,
    *,
    own: Iterable[str] = (),
    to: Sequence[Mailbox] | None = None,
    cc: Sequence[Mailbox] = (),
    bcc: Sequence[Mailbox] = (),
) -> Recipients:
    """
    The recipients of the new message.

    `to`, `cc`, `bcc` are the caller's. A reply goes to the original's Reply-To, else From, unless the caller gave a
    `to` (an empty one counts). A reply to all adds the original's To and Cc to the caller's lists, leaves out the
    addresses in `own`, and names nobody twice. A forward adds nobody. Addresses are compared without regard to case.
    """
    if action is Action.FORWARD:
        return Recipients(tuple(to or ()), tuple(cc), tuple(bcc))
    authors = [one for one in original.reply_to if one.address] or [one for one in original.from_ if one.address]
    if action is Action.REPLY:
        return Recipients(tuple(authors if to is None else to), tuple(cc), tuple(bcc))
    seen = {address.strip().casefold() for address in own}

    def new(*lists: Iterable[Mailbox]) -> tuple[Mailbox, ...]:
        kept: list[Mailbox] = []
        for one in (mailbox for mailboxes in lists for mailbox in mailboxes):
            key = one.address.strip().casefold()
            if key and key not in seen:
                seen.add(key)
                kept.append(one)
        return tuple(kept)

    first = new(authors, original.to, to or ())
    return Recipients(first, new(original.cc, cc), new(bcc))
