"""What the index knows of one folder, and the one way to change it: rows, position and events in a single commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from emailengine.accounts.folders import Folder
from emailengine.accounts.says import Teller
from emailengine.core.clock import wall
from emailengine.core.turns import Turns
from emailengine.model.dates import iso
from emailengine.model.event import Say
from emailengine.store.index import Index
from emailengine.sync.plan import Position
from emailengine.sync.rows import Flags, FlagTable, UnknownFormat, block_of, decode_block, encode_block


@define(eq=False)
class Ledger:
    """
    The rows of one folder under one UIDVALIDITY.

    `position` is what the store holds (None before the first commit). Whoever changes rows reads the blocks they are
    in, and commits those blocks whole.
    """

    account: str
    generation: int
    owner: int
    origin: str
    folder: Folder
    number: int
    uidvalidity: int
    index: Index
    clock: IReactorTime
    _table: FlagTable | None = None
    _stored_sets: int = field(default=0, init=False)

    @property
    def position(self) -> Position | None:
        held = self.folder.position
        return held if held is not None and held.uidvalidity == self.uidvalidity else None

    async def rows(self, blocks: Iterable[int] | None = None) -> dict[int, dict[int, Flags]]:
        """The rows of these blocks (None: of all), by block. A block that nobody can read counts as empty."""
        await self._load_table()
        if self.position is None:
            return {}
        wanted = None if blocks is None else sorted(set(blocks))
        if wanted == []:
            return {}
        packed = await self.index.blocks(self.account, self.number, wanted)
        turns = Turns(self.clock)
        found: dict[int, dict[int, Flags]] = {}
        for block in sorted(packed):
            assert self._table is not None
            try:
                found[block] = decode_block(block, packed[block], self._table)
            except UnknownFormat:
                found[block] = {}  # written by another version: the comparison with the server fills it again
            await turns.breathe()
        return found

    async def blocks(self) -> set[int]:
        """The blocks that hold rows."""
        if self.position is None:
            return set()
        return await self.index.block_numbers(self.account, self.number)

    def teller(self) -> Teller:
        """Tells the events of the next commit."""
        commit = (self.position.commit if self.position is not None else 0) + 1
        return Teller(
            self.account,
            self.generation,
            self.origin,
            self.folder,
            self.number,
            self.uidvalidity,
            commit,
            iso(wall()),
        )

    async def commit(self, position: Position, rows: Mapping[int, Mapping[int, Flags]], says: list[Say]) -> None:
        """
        Write these blocks (block -> all its rows), the position and the events: all of it or nothing.

        `position.commit` is set here. Raises `Outdated` when somebody else owns the account meanwhile.
        """
        await self._load_table()
        table = self._table
        assert table is not None
        packed = {block: encode_block(block, inside, table) for block, inside in rows.items()}
        known = self.position
        position = attrs.evolve(position, commit=(known.commit if known is not None else 0) + 1)
        await self.index.commit(
            self.account,
            self.owner,
            path=self.folder.path,
            number=self.number,
            position=position,
            blocks=packed,
            flag_sets=table.sets[self._stored_sets :],
            says=says,
        )
        self._stored_sets = len(table.sets)
        self.folder.position = position
        self.folder.number = self.number

    async def _load_table(self) -> None:
        if self._table is None:
            known = [] if self.position is None else await self.index.table(self.account, self.number)
            self._table = FlagTable(list(known))
            self._stored_sets = len(known)


def by_block(rows: Mapping[int, Flags]) -> dict[int, dict[int, Flags]]:
    """Rows in their blocks."""
    found: dict[int, dict[int, Flags]] = {}
    for uid, flags in rows.items():
        found.setdefault(block_of(uid), {})[uid] = flags
    return found
