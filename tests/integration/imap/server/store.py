"""Mailboxes in memory: messages with flags and mod-sequences, and who looks at them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cached_property

from attrs import define, field

from tests.integration.imap.server.messages import Entity, read
from tests.integration.imap.server.syntax import No

_numbers = itertools.count(1)


@define(eq=False, slots=False)
class Message:
    uid: int
    data: bytes
    flags: set[str]
    arrived: float
    modseq: int
    email_id: str
    labels: set[str] = field(factory=set)
    gone: bool = False

    @cached_property
    def entity(self) -> Entity:
        return read(self.data)


@define(eq=False)
class Mailbox:
    name: str
    uidvalidity: int = field(factory=lambda: 1_000 + next(_numbers))
    uidnext: int = 1
    modseq: int = 1
    messages: list[Message] = field(factory=list)
    vanished: list[tuple[int, int]] = field(factory=list)
    """(mod-sequence, UID) of what was removed."""
    special_use: str | None = None
    watchers: list[Callable[[], None]] = field(factory=list)

    @property
    def mailbox_id(self) -> str:
        return f"F{self.uidvalidity}"

    def add(
        self,
        data: bytes,
        flags: set[str],
        arrived: float,
        *,
        email_id: str | None = None,
        labels: set[str] | None = None,
    ) -> Message:
        self.modseq += 1
        told = email_id or f"M{next(_numbers)}"
        message = Message(self.uidnext, data, set(flags), arrived, self.modseq, told, set(labels or ()))
        self.uidnext += 1
        self.messages.append(message)
        self.changed()
        return message

    def touch(self, message: Message) -> None:
        """Its flags have changed."""
        self.modseq += 1
        message.modseq = self.modseq
        self.changed()

    def remove(self, messages: list[Message]) -> None:
        if not messages:
            return
        self.modseq += 1
        for one in messages:
            one.gone = True
            self.vanished.append((self.modseq, one.uid))
        self.messages = [one for one in self.messages if not one.gone]
        self.changed()

    def changed(self) -> None:
        for tell in list(self.watchers):
            tell()


@define
class Account:
    """
    One user's mailboxes.

    With a `prefix` such as `INBOX.` all mailboxes but INBOX have to begin with it.
    """

    delimiter: str
    prefix: str = ""
    mailboxes: dict[str, Mailbox] = field(factory=dict)
    subscribed: set[str] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.mailboxes["INBOX"] = Mailbox("INBOX")
        for name in ("Drafts", "Sent", "Trash", "Junk"):
            path = self.prefix + name
            self.mailboxes[path] = Mailbox(path, special_use=f"\\{name}")
            self.subscribed.add(path)

    def key(self, name: str) -> str:
        return "INBOX" if name.upper() == "INBOX" else name

    def find(self, name: str, *, code: str = "[NONEXISTENT] ") -> Mailbox:
        mailbox = self.mailboxes.get(self.key(name))
        if mailbox is None:
            raise No(f"{code}no such mailbox")
        return mailbox

    def children(self, name: str) -> list[str]:
        return [one for one in self.mailboxes if one.startswith(name + self.delimiter)]

    def create(self, name: str) -> Mailbox:
        name = self.key(name.removesuffix(self.delimiter))
        if name in self.mailboxes:
            raise No("[ALREADYEXISTS] it is there")
        if not name.startswith(self.prefix) or not all(name.split(self.delimiter)):
            raise No("[CANNOT] no mailbox can have this name here")
        above = name.rpartition(self.delimiter)[0]
        if above and above not in self.mailboxes:
            self.create(above)
        mailbox = self.mailboxes[name] = Mailbox(name)
        return mailbox

    def delete(self, name: str) -> None:
        mailbox = self.find(name)
        if mailbox.name == "INBOX" or self.children(mailbox.name):
            raise No("[CANNOT] not this one")
        del self.mailboxes[mailbox.name]

    def rename(self, old: str, new: str) -> None:
        mailbox = self.find(old)
        new = self.key(new)
        if new in self.mailboxes:
            raise No("[ALREADYEXISTS] it is there")
        if mailbox.name == "INBOX":  # RFC 3501 6.3.5: its messages move, and it stays
            target = self.create(new)
            for one in list(mailbox.messages):
                target.add(one.data, one.flags, one.arrived)
            mailbox.remove(list(mailbox.messages))
            return
        above = new.rpartition(self.delimiter)[0]
        if above and above not in self.mailboxes:
            self.create(above)
        if not new.startswith(self.prefix):
            raise No("[CANNOT] no mailbox can have this name here")
        start = len(mailbox.name)
        for name in [mailbox.name, *self.children(mailbox.name)]:
            moved = self.mailboxes.pop(name)
            moved.name = new + name[start:]
            self.mailboxes[moved.name] = moved
