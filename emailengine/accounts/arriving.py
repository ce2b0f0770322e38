"""Reads what the webhook of a new message will need, together with the news of it, while few arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define

from emailengine.accounts.fresh import FreshMessage
from emailengine.accounts.shaping import ENTRY_ITEMS, Leaves, sort_leaves
from emailengine.accounts.verbs.listing import id_items
from emailengine.accounts.verbs.reading import parts_of, text_items
from emailengine.core.tasks import together
from emailengine.errors import ProtocolFault, ServerRefused
from emailengine.imap.session import Session
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.uidset import UidSet

if TYPE_CHECKING:
    from emailengine.accounts.account import Account
from emailengine.accounts.shared import Shared

_LARGEST = 128 * 1024  # octets of a message's text that are read along; more is read when it is announced


@define(eq=False)
class Arriving:
    """New messages of one account, on the session that heard of them with their folder selected."""

    account: Account
    session: Session
    shared: Shared

    def items(self) -> Sequence[str]:
        if self.shared.text_wish() is None:
            return ()
        return [*ENTRY_ITEMS[3:], *id_items(self.session), "BODY.PEEK[HEADER]"]

    async def keep(self, number: int, found: Sequence[Fetched]) -> None:
        wish = self.shared.text_wish()
        if wish is None:
            return
        alike: dict[tuple[str, ...], list[tuple[Fetched, Leaves]]] = {}
        for seen in found:
            leaves = sort_leaves(seen.body)
            parts = parts_of(leaves, wish)
            if sum(part.size for part in parts) <= _LARGEST and self.account.fresh.room > 0:
                alike.setdefault(tuple(text_items(parts, wish)), []).append((seen, leaves))
        # messages of the same make are read with one command, and all commands are sent at once
        try:
            await together(self._read(number, items, messages) for items, messages in alike.items())
        except (ServerRefused, ProtocolFault):
            self.session.check()  # what could not be read is read again when it is announced

    async def _read(self, number: int, items: Sequence[str], messages: Sequence[tuple[Fetched, Leaves]]) -> None:
        texts: dict[int, dict[str, bytes | None]] = {}
        if items:
            uids = UidSet.of(seen.uid for seen, _ in messages if seen.uid is not None)
            for row in await self.session.fetch(uids, ["UID", *items]):
                if row.uid is not None:
                    texts.setdefault(row.uid, {}).update(row.sections)
        for seen, leaves in messages:
            told = texts.get(seen.uid or 0, {})
            if items and not told:
                continue  # gone, or not told: it is read again when it is announced
            self.account.fresh.keep(number, FreshMessage(seen, leaves, {**seen.sections, **told}))
