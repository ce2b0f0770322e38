"""The message index in a real Redis: all of a commit or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from emailengine.errors import Outdated, StoredUnreadable
from emailengine.model.event import Say
from emailengine.sync.plan import Position
from emailengine.sync.rows import Flags
from tests.store.test_folders import FolderCase

FIRST = Position(uidvalidity=7, uidnext=11, count=10, modseq=5, silent_until=11, commit=1)


class IndexTests(FolderCase):
    async def write(
        self,
        owner: int,
        position: Position = FIRST,
        *,
        number: int = 1,
        path: str = "INBOX",
        blocks: Mapping[int, bytes] | None = None,
        sets: Sequence[Flags] = (),
        says: Sequence[Say] = (),
    ) -> None:
        await self.index.commit(
            "a:ü",
            owner,
            path=path,
            number=number,
            position=position,
            blocks=blocks or {},
            flag_sets=sets,
            says=says,
        )

    async def stored(self) -> list[bytes]:
        return [await self.redis.call("DUMP", key) for key in await self.all_keys()]

    async def test_written(self) -> None:
        """Blocks are replaced, removed when empty, and read one by one, all, or by name only; flag sets are appended in order."""
        owner = await self.account()
        sets: list[Flags] = [(), ("\\Seen",)]
        await self.write(owner, blocks={0: b"zero", 3: b"\x00\xff", 2**24 - 1: b"last"}, sets=sets)
        self.assertEqual(await self.index.blocks("a:ü", 1, [3, 9]), {3: b"\x00\xff"})
        self.assertEqual(await self.index.blocks("a:ü", 1, []), {})
        odd: list[Flags] = [("a b", "\udcff", "$ü"), ("",)]
        await self.write(owner, evolve(FIRST, commit=2), blocks={0: b"", 3: b"three"}, sets=odd)
        self.assertEqual(await self.index.blocks("a:ü", 1), {3: b"three", 2**24 - 1: b"last"})
        self.assertEqual(await self.index.block_numbers("a:ü", 1), {3, 2**24 - 1})
        self.assertEqual(await self.index.block_numbers("a:ü", 2), set())
        self.assertEqual(await self.index.table("a:ü", 1), sets + odd)
        self.assertEqual(await self.index.table("a:ü", 2), [])

    async def test_commit_number(self) -> None:
        """A commit that does not follow the stored one is refused, and nothing of it is written."""
        owner = await self.account()
        event = Say(event_id="1", event="messageNew", date="")
        with self.assertRaises(Outdated):
            await self.write(owner, evolve(FIRST, commit=2), says=[event])
        await self.write(owner, blocks={0: b"x"}, says=[event])
        before = await self.stored()
        for commit in (1, 3, 0):
            late = self.write(owner, evolve(FIRST, commit=commit), blocks={0: b"y"}, sets=[()], says=[event])
            with self.assertRaises(Outdated):
                await late
        wrong_owner = self.write(owner + 1, evolve(FIRST, commit=2), blocks={0: b"y"}, sets=[()], says=[event])
        with self.assertRaises(Outdated):
            await wrong_owner
        self.assertEqual(await self.stored(), before)
        self.assertEqual(await self.redis.call("XLEN", self.keys.say("a:ü")), 1)
        await self.write(owner, evolve(FIRST, commit=2), says=[event, event])
        self.assertEqual(await self.redis.call("XLEN", self.keys.say("a:ü")), 3)

    async def test_start_over(self) -> None:
        """Under a new number the folder's old index goes and the new one begins empty."""
        owner = await self.account()
        await self.write(owner, number=1, blocks={0: b"old"}, sets=[("\\Seen",)])
        await self.redis.call("HSET", self.keys.rows(2, "a:ü"), 5, "left by nobody")
        await self.write(owner, evolve(FIRST, uidvalidity=8), number=2, blocks={1: b"new"}, sets=[()])
        self.assertEqual(await self.index.blocks("a:ü", 2), {1: b"new"})
        self.assertEqual(await self.index.table("a:ü", 2), [()])
        keys = await self.all_keys()
        self.assertNotIn(self.keys.rows(1, "a:ü"), keys)
        self.assertNotIn(self.keys.folder(1, "a:ü"), keys)

    async def test_damaged_table(self) -> None:
        """A damaged table is an error of this folder, and its index goes, so that it can be made anew."""
        owner = await self.account()
        for number, damage in (
            (1, {"f1": "{"}),
            (2, {"f0": "7"}),
            (3, {"sets": "9"}),
            (4, {"sets": "x"}),
            (5, {"f1": "\xff"}),
        ):
            await self.write(owner, number=number, path=f"p{number}", blocks={0: b"x"}, sets=[(), ("\\Seen",)])
            for field, value in damage.items():
                await self.redis.call("HSET", self.keys.folder(number, "a:ü"), field, value.encode("latin-1"))
            with self.assertRaises(StoredUnreadable):
                await self.index.table("a:ü", number)
            self.assertEqual(await self.index.blocks("a:ü", number), {})
            with self.assertRaises(Outdated):
                await self.write(owner, evolve(FIRST, commit=2), number=number, path=f"p{number}")
            await self.write(owner, number=number, path=f"p{number}")
