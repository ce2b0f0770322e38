"""One message: its detail, its text."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from emailengine.accounts.folders import Folders
from emailengine.accounts.shaping import ENTRY_ITEMS, Leaves, Texts, shape_detail, sort_leaves
from emailengine.accounts.verbs.entering import enter_for_message
from emailengine.accounts.verbs.listing import id_items
from emailengine.core.turns import Turns
from emailengine.errors import MessageNotFound
from emailengine.imap.session import Session
from emailengine.model.message import MessageDetail
from emailengine.wire.imap.body import Part
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.uidset import UidSet
from emailengine.wire.mime.decode import decode_text_steps

PLAIN = "plain"
HTML = "html"

_LONGEST = 10 * 1024 * 1024  # octets of one text part; what lies beyond is `hasMore`


@frozen
class TextWish:
    """Which text is wanted (`plain`, `html`), and at most how many characters of each kind; None: no limit."""

    kinds: tuple[str, ...] = (PLAIN, HTML)
    limit: int | None = None


@frozen
class ReadMessage:
    """A message's detail; with `text` its text too; `mark_seen` sets \\Seen first."""

    folder: int
    uid: int
    text: TextWish | None
    clock: IReactorTime
    mark_seen: bool = False
    repeatable = True

    async def run(self, session: Session, folders: Folders) -> MessageDetail:
        path = await enter_for_message(session, folders, self.folder)
        if self.mark_seen:
            await session.store(UidSet.of([self.uid]), "+", ["\\Seen"])
            if path in folders.by_path:
                folders.by_path[path].hint_changed(self.uid)
        seen = await fetch_whole(session, self.uid)
        leaves = sort_leaves(seen.body)
        texts = None
        if self.text is not None:
            texts = await fetch_texts(session, self.uid, leaves, self.text, self.clock)
        special_use = folders.by_path[path].special_use if path in folders.by_path else None
        return shape_detail(seen, leaves, self.folder, path, special_use, seen.sections.get("BODY[HEADER]"), texts)


@frozen
class ReadText:
    """The text of a message by the part numbers that its text id holds."""

    folder: int
    uid: int
    plain: tuple[str, ...]
    html: tuple[str, ...]
    wish: TextWish
    clock: IReactorTime
    repeatable = True

    async def run(self, session: Session, folders: Folders) -> Texts:
        await enter_for_message(session, folders, self.folder)
        found = await session.fetch(UidSet.of([self.uid]), ["UID", "BODYSTRUCTURE"])
        seen = next((row for row in found if row.uid == self.uid), None)
        if seen is None:
            raise MessageNotFound("No message has that id")
        wanted = sort_leaves(seen.body)
        wanted.plain = [part for part in wanted.plain if part.number in self.plain]
        wanted.html = [part for part in wanted.html if part.number in self.html]
        return await fetch_texts(session, self.uid, wanted, self.wish, self.clock)


async def fetch_whole(session: Session, uid: int) -> Fetched:
    """Everything about a message but its body. `MessageNotFound`."""
    items = [*ENTRY_ITEMS, *id_items(session), "BODY.PEEK[HEADER]"]
    found = await session.fetch(UidSet.of([uid]), items)
    seen = next((row for row in found if row.uid == uid and row.flags is not None), None)
    if seen is None:
        raise MessageNotFound("No message has that id")
    return seen


def parts_of(leaves: Leaves, wish: TextWish) -> list[Part]:
    """The parts to read for what is wanted."""
    return [*(leaves.plain if PLAIN in wish.kinds else ()), *(leaves.html if HTML in wish.kinds else ())]


def text_items(parts: Sequence[Part], wish: TextWish) -> list[str]:
    """The FETCH items for these parts, cut on the server where they are longer than what is wanted."""
    return [f"BODY.PEEK[{part.number}]" + (f"<0.{octets(part, wish)}>" if _cut(part, wish) else "") for part in parts]


def octets(part: Part, wish: TextWish) -> int:
    """
    How many octets of a part hold the wanted characters.

    A character has four octets at most, quoted-printable makes three of an octet, base64 four of three with line ends.
    """
    if wish.limit is None:
        return _LONGEST
    factor = {"quoted-printable": 3.1, "base64": 1.4}.get(part.encoding, 1.0)
    return min(_LONGEST, int((wish.limit + 1) * 4 * factor) + 4)


def _cut(part: Part, wish: TextWish) -> bool:
    return part.size > octets(part, wish)


async def fetch_texts(session: Session, uid: int, leaves: Leaves, wish: TextWish, clock: IReactorTime) -> Texts:
    """The wanted text of a message that the session has selected."""
    parts = parts_of(leaves, wish)
    sections: dict[str, bytes | None] = {}
    if parts:
        found = await session.fetch(UidSet.of([uid]), ["UID", *text_items(parts, wish)])
        for row in found:
            if row.uid in (uid, None):
                sections.update(row.sections)
    return await join_texts(sections, leaves, wish, clock)


async def join_texts(sections: dict[str, bytes | None], leaves: Leaves, wish: TextWish, clock: IReactorTime) -> Texts:
    """Decode and join what was fetched; parts of a kind are joined by LF."""
    turns = Turns(clock)
    has_more = False

    async def decode(data: bytes, part: Part) -> str:
        steps = decode_text_steps(data, part.encoding, part.params.get("charset"))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return str(end.value)
            await turns.breathe()

    async def join(parts: Sequence[Part]) -> str | None:
        nonlocal has_more
        texts = []
        for part in parts:
            data = sections.get(f"BODY[{part.number}]") or b""
            texts.append(await decode(data, part))
            has_more = has_more or _cut(part, wish)
            await turns.breathe()
        if not parts:
            return None
        whole = "\n".join(texts)
        if wish.limit is not None and len(whole) > wish.limit:
            has_more = True
            whole = whole[: wish.limit]
        return whole

    plain = await join(leaves.plain) if PLAIN in wish.kinds else None
    html = await join(leaves.html) if HTML in wish.kinds else None
    return Texts(plain, html, has_more)
