"""Mailboxes (folders) as the API lists them."""

from __future__ import annotations

from typing import Literal

from emailengine.model.shape import Answer, Request

SpecialUse = Literal["\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Inbox"]


class MailboxQuery(Request, kw_only=True):
    """The query of GET /v1/account/{account}/mailboxes."""

    counters: bool = False


class MailboxStatus(Answer, kw_only=True):
    """What STATUS told just now, or why it failed."""

    messages: int | None = None
    unseen: int | None = None
    error: str | None = None


class Mailbox(Answer, kw_only=True):
    """
    One folder.

    `messages` and `uid_next` are those of the last synchronisation, False before the first one; `parent_path` is
    absent at the root.
    """

    path: str
    delimiter: str | None
    parent_path: str | None = None
    name: str
    listed: bool
    subscribed: bool
    special_use: SpecialUse | None = None
    special_use_source: Literal["user", "extension", "name"] | None = None
    no_inferiors: bool
    messages: int | bool | None = None
    uid_next: int | bool | None = None
    status: MailboxStatus | None = None


class MailboxList(Answer, kw_only=True):
    """The folders that can hold messages: those with a role first, the rest by path."""

    mailboxes: list[Mailbox]
