"""Changing a message where it is, and putting one into a folder."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from emailengine.accounts.folders import Folders
from emailengine.accounts.verbs.entering import enter_for_message
from emailengine.errors import FolderNotFound, Meaning, MessageNotFound, ServerRefused
from emailengine.imap.session import Appended, Session
from emailengine.wire.imap import search
from emailengine.wire.imap.uidset import UidSet


@frozen
class ChangeFlags:
    """
    Set flags, or add and take some away; `replace` makes the others count for nothing.

    The answer tells for each operation that was asked for whether the server did it.
    """

    folder: int
    uid: int
    add: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    replace: tuple[str, ...] | None = None
    repeatable = True

    async def run(self, session: Session, folders: Folders) -> dict[str, bool]:
        path = await enter_for_message(session, folders, self.folder)
        uids = UidSet.of([self.uid])
        if self.uid not in await session.search(search.uid(uids)):
            raise MessageNotFound("No message has that id")
        try:
            return await self._change(session, uids)
        finally:
            if path in folders.by_path:
                folders.by_path[path].hint_changed(self.uid)

    async def _change(self, session: Session, uids: UidSet) -> dict[str, bool]:
        if self.replace is not None:
            return {"set": await _store(session, uids, "", self.replace)}
        done = {}
        if self.add:
            done["add"] = await _store(session, uids, "+", self.add)
        if self.delete:
            done["delete"] = await _store(session, uids, "-", self.delete)
        return done


async def _store(session: Session, uids: UidSet, mode: Literal["", "+", "-"], flags: tuple[str, ...]) -> bool:
    try:
        await session.store(uids, mode, list(flags))
    except ServerRefused as refused:
        if refused.meaning is Meaning.THROTTLED:
            raise
        return False
    return True


@frozen
class Append:
    """Put a message into a folder, by path or role. `FolderNotFound`."""

    path: str
    data: bytes = field(repr=False)
    flags: tuple[str, ...] = ()
    internal_date: float | None = None
    repeatable = False

    async def run(self, session: Session, folders: Folders) -> Appended:
        path = folders.find(self.path).path
        try:
            return await session.append(path, self.data, list(self.flags), self.internal_date)
        except ServerRefused as refused:
            if refused.code == "TRYCREATE":
                raise FolderNotFound(f"The mail server has no folder {path!r}") from refused
            raise
