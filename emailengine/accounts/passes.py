"""One pass over one folder, cut into slices: each is a command or two and one commit.

What a pass must do is decided when it begins (`sync.plan`); the slices find the truth. A first pass indexes what was
there before us; a later one reads what is new, whose flags changed, and compares the UIDs when the numbers still
differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import attrs
from attrs import define, field

from emailengine.accounts.folders import Folder
from emailengine.accounts.ledger import Ledger, by_block
from emailengine.accounts.legible import bear, legible
from emailengine.errors import ProtocolFault, ServerRefused
from emailengine.imap.session import Selected, Session
from emailengine.model.event import Say
from emailengine.sync.diff import flag_changes
from emailengine.sync.plan import FlagLook, Look, Plan, Position, Seen, is_announced
from emailengine.sync.rows import BLOCK, Flags, block_of, flag_set
from emailengine.wire.imap import search
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.uidset import EMPTY, MAX_UID, UidSet

SLICE = 512  # messages a command: the reply stays under 40 KiB
FEW = 16  # new messages whose content is read with the news of them
_BLOCKS = 64  # index blocks that are compared in one slice
_WINDOW = 65536  # UIDs that one CHANGEDSINCE asks about in a large folder
_DAY = 86400.0

_NEWS = ["UID", "FLAGS", "INTERNALDATE"]

Rows = dict[int, Flags]


class Replaced(Exception):
    """The folder is no longer selected, or it is another one under the same name: the pass is void."""


class Arrivals(Protocol):
    """Reads what the announcement of new messages will need."""

    def items(self) -> Sequence[str]:
        """What to FETCH beside flags and dates; nothing if no content is wanted."""

    async def keep(self, number: int, found: Sequence[Fetched]) -> None:
        """Read the rest and keep it for the announcement."""


@define(eq=False)
class Pass:
    """
    A pass that has begun. Call `slice` until it answers False.

    `floor` is the moment from which on mail that a first pass finds is announced; None: none of it.
    """

    session: Session
    folder: Folder
    ledger: Ledger
    notify_from: float | None
    floor: float | None
    arrivals: Arrivals
    said: Callable[[], None]
    commits: int = field(default=0, init=False)
    """How often it has written something."""
    _steps: deque[Callable[[], Awaitable[None]]] = field(factory=deque, init=False)
    _first: Iterator[tuple[int, int]] = field(factory=lambda: iter(()), init=False)
    _span: tuple[int, int] | None = field(default=None, init=False)
    _candidates: UidSet = field(default=EMPTY, init=False)
    _modseq: int | None = field(default=None, init=False)
    _uidnext: int | None = field(default=None, init=False)
    _compared: bool = field(default=False, init=False)
    _in_windows: bool = field(default=False, init=False)
    _unwritten: tuple[Position, list[Say]] | None = field(default=None, init=False)

    # beginning

    async def begin(self, plan: Plan, seen: Seen, moved: set[int] | None, moved_uids: set[int]) -> None:
        """
        Decide on the steps.

        `moved`, `moved_uids`: messages whose flags are known to have changed, None for unknown ones; they are read in
        place of all where the server cannot tell changes by itself.
        """
        self._uidnext = seen.uidnext
        if plan.look is Look.START_OVER:
            await self._start_over(seen)
        if plan.look in (Look.START_OVER, Look.RESUME):
            await self._prepare_first()
            return
        if plan.new:
            self._steps.append(self._read_new)
        if plan.flags is FlagLook.CHANGED:
            self._modseq = seen.modseq
            self._steps.extend(self._changed_since(self._position, self._selected.exists))
        elif moved is not None and (moved or moved_uids):
            self._steps.append(lambda: self._read_moved(moved, moved_uids))
        elif plan.flags is FlagLook.ALL:
            self._modseq = seen.modseq
            self._steps.append(self._prepare_all)

    def look_for_new(self) -> None:
        """News came in the middle of a first pass: read the new messages next."""
        self._uidnext = None
        self._steps.appendleft(self._read_new)

    @property
    def first(self) -> bool:
        """Whether this is a first pass that is not over."""
        return self._unwritten is None and bool(self._position.todo)

    @property
    def _position(self) -> Position:
        position = self.ledger.position
        if position is None:
            raise Replaced
        return position

    @property
    def _selected(self) -> Selected:
        selected = self.session.selected
        if selected is None or selected.uidvalidity != self.ledger.uidvalidity:
            raise Replaced
        return selected

    # going on

    async def slice(self) -> bool:
        """Do the next step; False when the pass is over and written."""
        if not self._steps:
            if not self._compared and not self._position.todo and self._selected.exists != self._position.count:
                self._compared = True
                await self._prepare_comparison()
                return True
            await self._end()
            return False
        await self._steps.popleft()()
        return True

    async def _end(self) -> None:
        position = self._position
        uidnext = max(position.uidnext, self._uidnext or 0)
        modseq = position.modseq if self._modseq is None else self._modseq
        if (uidnext, modseq) != (position.uidnext, position.modseq):
            await self._commit(attrs.evolve(position, uidnext=uidnext, modseq=modseq), {}, [])

    async def _commit(self, position: Position, rows: Mapping[int, Mapping[int, Flags]], says: list[Say]) -> None:
        await self.ledger.commit(position, rows, says)
        self.commits += 1
        if says:
            self.said()

    # the first pass

    async def _start_over(self, seen: Seen) -> None:
        held = self.folder.position
        uidnext = seen.uidnext
        if uidnext is None:
            last = await self.session.fetch_sequence("*", ["UID"]) if seen.exists else []
            uidnext = max((row.uid or 0 for row in last), default=0) + 1
        position = Position(
            uidvalidity=seen.uidvalidity,
            uidnext=uidnext,
            count=0,
            modseq=seen.modseq,
            silent_until=uidnext,
            todo=1 if seen.exists else 0,
            quiet=held is not None,
        )
        teller = self.ledger.teller()
        says = [teller.folder_reset(held.uidvalidity)] if held is not None else []
        if not seen.exists:
            says.append(teller.folder_new())
        if 0 < seen.exists <= SLICE:
            self._unwritten = position, says  # one commit does for all of it
        else:
            await self._commit(position, {}, says)

    async def _prepare_first(self) -> None:
        if self._unwritten is not None:
            self._steps.append(self._index_all)
            return
        position = self._position
        todo, end = position.todo, position.silent_until - 1
        if not todo:
            return
        span = search.uid(f"{todo}:{max(todo, end)}")
        there = EMPTY
        if end >= todo:
            there = await self.session.search(span) & UidSet.of_range(todo, end)
        self._first = spans(there)
        self._span = next(self._first, None)
        if there and self.floor is not None and not position.quiet:
            # SINCE knows days only, in the server's own zone: a day more, and INTERNALDATE decides
            self._candidates = await self.session.search(search.all_of([span, search.since(self.floor - _DAY)]))
        self._steps.append(self._index_some)

    async def _index_all(self) -> None:
        """The first pass of a folder that fits into one slice."""
        assert self._unwritten is not None
        position, says = self._unwritten
        self._unwritten = None
        start, end = position.todo, position.silent_until - 1
        floor = None if self.floor is None or position.quiet else int(self.floor)
        items = ["UID", "FLAGS"] if floor is None else ["UID", "FLAGS", "INTERNALDATE"]
        told = await legible(self.session, UidSet.of_range(start, end), items)
        found = _rows(told, start, end)
        fresh = [
            row.uid or 0
            for row in told
            if row.uid in found
            and floor is not None
            and row.internal_date is not None
            and int(row.internal_date) >= floor
        ]
        teller = self.ledger.teller()
        says += [*teller.messages_new(sorted(fresh)), teller.folder_new()]
        await self._commit(attrs.evolve(position, todo=0, count=len(found)), by_block(found), says)

    async def _index_some(self) -> None:
        """Index the next messages of the first pass, up to a border between blocks."""
        span, self._span = self._span, next(self._first, None)
        done = self._span is None
        found: Rows = {}
        says: list[Say] = []
        if span is not None:
            first, last = span[0], min(span[1], self._position.silent_until - 1)
            found = _rows(await legible(self.session, UidSet.of_range(first, last), ["UID", "FLAGS"]), first, last)
            fresh = await self._fresh_of(self._candidates & UidSet.of_range(first, last) & UidSet.of(found))
            says = self.ledger.teller().messages_new(fresh)
        if done:
            says.append(self.ledger.teller().folder_new())
        rows = by_block(found)
        if done and rows:
            # the last block may hold messages that came since
            for block, inside in (await self.ledger.rows([max(rows)])).items():
                rows[block] = inside | rows[block]
        todo = 0 if done or span is None else span[1] + 1
        position = attrs.evolve(self._position, todo=todo, count=self._position.count + len(found))
        await self._commit(position, rows, says)
        if not done:
            self._steps.append(self._index_some)

    async def _fresh_of(self, candidates: UidSet) -> list[int]:
        """Those that the server received at the floor or later."""
        if not candidates or self.floor is None:
            return []
        floor = int(self.floor)
        fresh = []
        for part in candidates.slices(SLICE):
            for row in await legible(self.session, part, ["UID", "INTERNALDATE"]):
                if row.uid in part and row.internal_date is not None and int(row.internal_date) >= floor:
                    fresh.append(row.uid or 0)
        return sorted(fresh)

    # new messages

    async def _read_new(self) -> None:
        position = self._position
        start = position.uidnext
        if self._uidnext is not None and self._uidnext <= start:
            return
        expected = self._selected.exists - position.count
        if expected > SLICE and not position.todo:
            there = await self.session.search(search.uid(f"{start}:{MAX_UID}"))
            parts = (there - UidSet.of_range(1, start - 1)).slices(SLICE)
            self._steps.appendleft(self._one_after_the_other(parts, self._read_many))
            return
        await self._read_part(UidSet.of_range(start, MAX_UID), few=expected <= FEW)

    async def _read_many(self, part: UidSet) -> None:
        await self._read_part(part, few=False)

    def _one_after_the_other(
        self, parts: Iterator[UidSet], do: Callable[[UidSet], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        """A step for each part. They are not listed beforehand: a server may claim millions of them."""

        async def step() -> None:
            part = next(parts, None)
            if part is not None:
                self._steps.appendleft(step)
                await do(part)

        return step

    async def _read_part(self, part: UidSet, *, few: bool) -> None:
        extra = list(self.arrivals.items()) if few else []
        try:
            found = await self.session.fetch(part, [*_NEWS, *extra])
        except (ServerRefused, ProtocolFault) as error:
            bear(self.session, error)
            extra = []
            found = await legible(self.session, part, _NEWS)
        start = part.first or 1
        found = [row for row in found if row.uid is not None and row.uid >= start and row.flags is not None]
        if not found:
            return
        await self._add(found, content=bool(extra))

    async def _add(self, found: Sequence[Fetched], *, content: bool) -> None:
        """Index messages that are not in the index, and announce those that are to be."""
        seen = {row.uid or 0: flag_set(row.flags or ()) for row in found}
        known = await self.ledger.rows(block_of(uid) for uid in seen)
        fresh = {uid: flags for uid, flags in seen.items() if uid not in known.get(block_of(uid), {})}
        position = self._position
        announced = [
            row
            for row in found
            if row.uid in fresh and is_announced(row.uid, row.internal_date, position, self.notify_from)
        ]
        announced.sort(key=lambda row: row.uid or 0)
        if content and announced:
            await self.arrivals.keep(self.ledger.number, announced)
        rows = {block: known.get(block, {}) | inside for block, inside in by_block(fresh).items()}
        await self._commit(
            attrs.evolve(position, uidnext=max(position.uidnext, max(seen) + 1), count=position.count + len(fresh)),
            rows,
            self.ledger.teller().messages_new([row.uid or 0 for row in announced]),
        )

    # flags

    def _changed_since(self, position: Position, exists: int) -> Iterator[Callable[[], Awaitable[None]]]:
        since, last = position.modseq or 0, position.uidnext - 1
        step = last if exists < _WINDOW else max(_WINDOW, last // 256)
        self._in_windows = step < last
        for start in range(1, last + 1, max(1, step)):
            yield self._changes_in(UidSet.of_range(start, min(last, start + step - 1)), since)

    def _changes_in(self, span: UidSet, since: int) -> Callable[[], Awaitable[None]]:
        async def read() -> None:
            found = await legible(self.session, span, ["UID", "FLAGS"], since)
            self._raise_modseq(found)
            await self._note_flags(found)

        return read

    def _raise_modseq(self, found: Iterable[Fetched]) -> None:
        """
        What was told of changes holds for all of them up to the highest MODSEQ among them, if it was told at once.

        In several windows a message of an earlier one may have changed meanwhile: then SELECT's MODSEQ is what counts.
        """
        if self._in_windows:
            return
        highest = max((row.modseq or 0 for row in found), default=0)
        if highest and self._position.modseq is not None:
            self._modseq = max(self._modseq or 0, self._position.modseq, highest)

    async def _read_moved(self, moved: set[int], uids: set[int]) -> None:
        if uids:
            await self._note_flags(await legible(self.session, UidSet.of(uids), ["UID", "FLAGS"]))
        numbers = ",".join(str(one) for one in sorted(moved) if one <= self._selected.exists)
        if not numbers:
            return
        try:
            found = await self.session.fetch_sequence(numbers, ["UID", "FLAGS"])
        except (ServerRefused, ProtocolFault) as error:
            bear(self.session, error)
            self._steps.appendleft(self._prepare_all)
        else:
            await self._note_flags(found)

    async def _note_flags(self, found: Iterable[Fetched]) -> None:
        seen = {row.uid: flag_set(row.flags) for row in found if row.uid is not None and row.flags is not None}
        for part in _chunks(sorted(seen), SLICE * 2):
            known = await self.ledger.rows(block_of(uid) for uid in part)
            before = {uid: flags for inside in known.values() for uid, flags in inside.items()}
            changes = flag_changes(before, {uid: seen[uid] for uid in part})
            if not changes:
                continue
            rows: dict[int, Rows] = {}
            for one in changes:
                block = block_of(one.uid)
                rows.setdefault(block, known[block])[one.uid] = one.value
            await self._commit(self._position, rows, self.ledger.teller().flags_changed(changes))

    async def _prepare_all(self) -> None:
        """All flags are to be read, since the server cannot tell which changed."""
        self.folder.compared = self.ledger.clock.seconds()
        last = self._position.uidnext - 1
        there = await self.session.search(search.uid(f"1:{max(1, last)}")) & UidSet.of_range(1, last)
        self._steps.appendleft(self._one_after_the_other(there.slices(SLICE), self._read_flags))

    async def _read_flags(self, part: UidSet) -> None:
        span = UidSet.of_range(part.first or 1, part.last or 1)
        await self._note_flags(await legible(self.session, span, ["UID", "FLAGS"]))

    # comparing

    async def _prepare_comparison(self) -> None:
        """The numbers differ: compare which messages there are."""
        last = max(self._position.uidnext - 1, 0)
        there = await self.session.search(search.uid(f"1:{max(1, last)}")) & UidSet.of_range(1, last)
        known = await self.ledger.blocks()
        blocks = sorted({*known, *_blocks_of(there, known)})
        self._steps.extend(self._comparer(part, there) for part in _chunks(blocks, _BLOCKS))

    def _comparer(self, blocks: Sequence[int], there: UidSet) -> Callable[[], Awaitable[None]]:
        async def compare() -> None:
            known = await self.ledger.rows(blocks)
            indexed = UidSet.of(uid for inside in known.values() for uid in inside)
            span = UidSet.of_ranges((max(1, block * BLOCK), block * BLOCK + BLOCK - 1) for block in blocks)
            for gone in _chunks(list(indexed - there), SLICE * 2):
                for uid in gone:
                    del known[block_of(uid)][uid]
                position = attrs.evolve(self._position, count=self._position.count - len(gone))
                rows = {block_of(uid): known[block_of(uid)] for uid in gone}
                await self._commit(position, rows, self.ledger.teller().messages_gone(gone))
            for part in ((there & span) - indexed).slices(SLICE):
                await self._read_part(part, few=False)

        return compare


def spans(uids: UidSet) -> Iterator[tuple[int, int]]:
    """
    First and last UID of one slice after the other: each ends where a block ends, and has about SLICE messages.

    Lazy, so that a set of a hundred thousand gaps costs each slice its own part of it and no more.
    """
    start: int | None = None
    last = count = 0
    for block, first, inside in _counted(uids):
        if start is not None and count + inside > SLICE:
            yield start, last
            start, count = None, 0
        if start is None:
            start = first
        count += inside
        last = (block + 1) * BLOCK - 1
    if start is not None:
        yield start, last


def _counted(uids: UidSet) -> Iterator[tuple[int, int, int]]:
    """The blocks that UIDs lie in: number, first UID, how many."""
    held: tuple[int, int, int] | None = None
    for first, last in uids.ranges:
        for block in range(block_of(first), block_of(last) + 1):
            start, end = max(first, block * BLOCK), min(last, block * BLOCK + BLOCK - 1)
            if held is not None and held[0] == block:
                held = block, held[1], held[2] + end - start + 1
                continue
            if held is not None:
                yield held
            held = block, start, end - start + 1
    if held is not None:
        yield held


def _rows(found: Iterable[Fetched], first: int, last: int) -> Rows:
    return {
        row.uid: flag_set(row.flags)
        for row in found
        if row.uid is not None and row.flags is not None and first <= row.uid <= last
    }


def _chunks(things: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]


def _blocks_of(uids: UidSet, known: set[int]) -> Iterator[int]:
    """The blocks that these UIDs lie in and that are not known."""
    for first, last in uids.ranges:
        for block in range(block_of(first), block_of(last) + 1):
            if block not in known:
                yield block
