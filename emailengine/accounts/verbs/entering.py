"""Into the right folder: what every verb does first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from emailengine.accounts.folders import Folders
from emailengine.errors import FolderNotFound, MessageNotFound, ServerRefused
from emailengine.imap.session import Selected, Session

T = TypeVar("T")


class Verb(Protocol):
    """Something to do on a session of an account."""

    repeatable: bool  # may run again on another session after this one was lost in the middle of it

    async def run(self, session: Session, folders: Folders) -> Any:
        """Do it, and answer in model values. Raises what the API answers with."""


async def enter(session: Session, path: str) -> Selected:
    """
    Select `path`, or hear the news of it if it is selected already. `FolderNotFound`.

    The numbers of the answer are those of this moment: a session that rested hears of new and expunged messages first.
    """
    selected = session.selected
    if selected is not None and selected.path == path:
        await session.noop()
        selected = session.selected
        if selected is not None:
            return selected
    try:
        return await session.select(path)
    except ServerRefused as refused:
        if refused.code != "NONEXISTENT":
            raise  # there, but not to be opened now
        raise FolderNotFound(f"The mail server has no folder {path!r}: {refused.message}") from refused


async def with_news(session: Session, attempt: Callable[[], Awaitable[T]]) -> T:
    """
    The result of `attempt`, which is tried again once if it finds no message.

    A session that rested in a folder does not know of what came since, until it hears the news.
    """
    before = session.selected
    try:
        return await attempt()
    except MessageNotFound:
        if before is None or session.selected is not before:
            raise  # the folder was selected just now
        await session.noop()
        return await attempt()


async def enter_for_message(session: Session, folders: Folders, number: int) -> str:
    """Select the folder that a message id was made for, and answer its path. `MessageNotFound` if it is another now."""
    path, uidvalidity = await folders.resolve(number)
    selected = session.selected
    if selected is None or selected.path != path:
        try:
            selected = await session.select(path)
        except ServerRefused as refused:
            if refused.code != "NONEXISTENT" and path in folders.by_path:
                raise  # there, but not to be opened now
            raise MessageNotFound("The folder of that message is gone") from refused
    if selected.uidvalidity != uidvalidity:
        raise MessageNotFound("The folder was replaced since that id was given: its old ids are void")
    return path
