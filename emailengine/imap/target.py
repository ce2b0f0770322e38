"""Where a mailbox is, and what a session tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import define, field, frozen

from emailengine.net.tls import TlsPolicy
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.mailboxes import ListEntry
from emailengine.wire.imap.uidset import UidSet


@frozen(kw_only=True)
class ImapTarget:
    """
    A mail server and the way to it.

    `secure` is TLS from the first octet. Else STARTTLS is used when it is offered (`auto`), must be (`required`), or
    is not used at all (`never`). `tls` is the policy for both. `rev2` is whether IMAP4rev2 may be switched on where it
    is offered: some servers offer it and then do not speak it. `compress` is whether DEFLATE may be.
    """

    host: str
    port: int
    secure: bool
    tls: TlsPolicy
    starttls: Literal["auto", "required", "never"] = "auto"
    proxy: str | None = field(default=None, repr=False)  # a URL that may hold a password
    local_address: str | None = None
    rev2: bool = True
    compress: bool = True


@define
class Selected:
    """
    The selected folder, as SELECT told it; `exists` follows what the server tells since.

    `modseq` is None where the folder has no mod-sequences, `permanent_flags` and `mailbox_id` (RFC 8474) where the
    server did not say. `vanished` and `changed` are what QRESYNC told of the time since what was known; `vanished` is
    None where it told nothing: everything may have changed.
    """

    path: str
    uidvalidity: int
    exists: int
    uidnext: int | None
    modseq: int | None
    read_only: bool
    permanent_flags: frozenset[str] | None
    mailbox_id: str | None = None
    vanished: UidSet | None = None
    changed: list[Fetched] = field(factory=list)


@frozen
class Appended:
    """Where an uploaded message is; the numbers only from servers with UIDPLUS."""

    path: str
    uidvalidity: int | None
    uid: int | None


@frozen
class ListedFolder:
    """A folder of LIST; `status` is what was asked for of it, None where that did not come along."""

    entry: ListEntry
    subscribed: bool
    status: Mapping[str, int | str] | None
