"""Folder lists in a real Redis."""

from __future__ import annotations

from attrs import evolve

from emailengine.core.secrets import Vault
from emailengine.errors import AccountNotFound
from emailengine.model.account import AccountSettings
from emailengine.model.event import Say
from emailengine.store.accounts import AccountStore
from emailengine.store.folders import FolderStore, StoredFolder
from emailengine.store.index import Index
from emailengine.sync.plan import Position
from tests.redis_server import RedisCase

ODD_PATHS = ("INBOX", "a/b", "a:b", "1:c", "p:x", "Entwürfe", "*", "", "\ud800", "two words")
POSITION = Position(
    uidvalidity=7, uidnext=11, count=10, modseq=2**63 - 1, silent_until=11, todo=3, commit=1, quiet=True
)


class FolderCase(RedisCase):
    async def account(self, account: str = "a:ü") -> int:
        store = AccountStore(redis=self.redis, keys=self.keys, vault=Vault(None))
        await store.create(AccountSettings(account=account))
        owner = await store.take_up(account)
        assert owner is not None
        self.folders = FolderStore(redis=self.redis, keys=self.keys)
        self.index = Index(redis=self.redis, keys=self.keys)
        return owner

    async def commit(self, owner: int, path: str, position: Position = POSITION) -> int:
        number = await self.folders.number("a:ü", path, position.uidvalidity)
        await self.index.commit(
            "a:ü",
            owner,
            path=path,
            number=number,
            position=position,
            blocks={0: b"rows"},
            flag_sets=[("\\Seen",)],
            says=[],
        )
        return number


class FolderStoreTests(FolderCase):
    async def test_kept(self) -> None:
        """Folders are as they were saved, whatever their names and flags; before the first commit without position."""
        owner = await self.account()
        saved = [StoredFolder(path=path) for path in ODD_PATHS]
        saved.append(StoredFolder(path="all", delimiter="\\", flags=["\\HasChildren", "\udcff"], subscribed=True, special_use="\\Sent", special_use_source="name"))  # fmt: skip
        await self.folders.save("a:ü", owner, saved, [])
        loaded = await self.folders.load("a:ü")
        self.assertEqual(sorted(loaded, key=lambda one: one.path), sorted(saved, key=lambda one: one.path))
        self.assertEqual(await self.folders.load("nobody"), [])

    async def test_positions(self) -> None:
        """Folders come with the number and position of their last commit, with MODSEQ or without; saving keeps them."""
        owner = await self.account()
        await self.folders.save("a:ü", owner, [StoredFolder(path=path) for path in ("x", "y", "z")], [])
        x = await self.commit(owner, "x")
        plain = evolve(POSITION, modseq=None, quiet=False, todo=0)
        await self.commit(owner, "y", plain)
        await self.folders.save("a:ü", owner, [StoredFolder(path="x", subscribed=True)], [])
        loaded = {one.path: one for one in await self.folders.load("a:ü")}
        self.assertEqual(loaded["x"], StoredFolder(path="x", subscribed=True, number=x, position=POSITION))
        self.assertEqual(loaded["y"].position, plain)
        self.assertEqual((loaded["z"].number, loaded["z"].position), (None, None))

    async def test_gone(self) -> None:
        """A folder that is gone loses its index, not its number; it may come back. The event comes with it."""
        owner = await self.account()
        await self.folders.save("a:ü", owner, [StoredFolder(path="x"), StoredFolder(path="y")], [])
        number = await self.commit(owner, "x")
        event = Say(event_id="1", event="mailboxDeleted", date="", path="x")
        await self.folders.save("a:ü", owner, [], ["x", "never there"], [event])
        self.assertEqual([one.path for one in await self.folders.load("a:ü")], ["y"])
        keys = await self.all_keys()
        self.assertNotIn(self.keys.rows(number, "a:ü"), keys)
        self.assertNotIn(self.keys.folder(number, "a:ü"), keys)
        self.assertEqual(await self.redis.call("XLEN", self.keys.say("a:ü")), 1)
        self.assertEqual(await self.folders.number("a:ü", "x", 7), number)
        await self.folders.save("a:ü", owner, [StoredFolder(path="x")], [])
        self.assertEqual(await self.commit(owner, "x"), number)

    async def test_numbers(self) -> None:
        """A path under a UIDVALIDITY has one number for ever; no other folder of any account ever has it."""
        await self.account()
        await self.account("b")
        pairs = [(path, uidvalidity) for path in ODD_PATHS for uidvalidity in (1, 11)]
        numbers = {}
        for account in ("a:ü", "b"):
            for path, uidvalidity in pairs:
                numbers[account, path, uidvalidity] = await self.folders.number(account, path, uidvalidity)
        self.assertEqual(len(set(numbers.values())), len(numbers))
        for (account, path, uidvalidity), number in numbers.items():
            self.assertEqual(await self.folders.number(account, path, uidvalidity), number)
            self.assertEqual(await self.folders.resolve(account, number), (path, uidvalidity))
            self.assertIsNone(await self.folders.resolve("b" if account != "b" else "a:ü", number))

    async def test_number_of_nobody(self) -> None:
        """An account that is gone gets no numbers: nothing of it comes back."""
        folders = FolderStore(redis=self.redis, keys=self.keys)
        with self.assertRaises(AccountNotFound):
            await folders.number("a", "INBOX", 1)
        self.assertEqual(await self.all_keys(), [])

    async def test_many(self) -> None:
        """Thousands of folders come in a few round trips."""
        owner = await self.account()
        saved = [StoredFolder(path=f"folder {n}", delimiter="/") for n in range(1200)]
        await self.folders.save("a:ü", owner, saved, [])
        for one in saved[:1100]:
            await self.commit(owner, one.path)
        calls = 0
        sent = self.redis.call, self.redis.many

        async def call(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            return await sent[0](*arguments)  # type: ignore[arg-type]

        async def many(commands: object) -> object:
            nonlocal calls
            calls += 1
            return await sent[1](commands)  # type: ignore[arg-type]

        self.redis.call, self.redis.many = call, many  # type: ignore[method-assign,assignment]
        loaded = await self.folders.load("a:ü")
        self.assertEqual((len(loaded), sum(one.position == POSITION for one in loaded)), (1200, 1100))
        self.assertLess(calls, 10)


class DamagedFolderTests(FolderCase):
    async def test_record(self) -> None:
        """A damaged record leaves the folder with nothing known; the others are as they were."""
        owner = await self.account()
        await self.folders.save("a:ü", owner, [StoredFolder(path=one, subscribed=True) for one in "vwxyz"], [])
        for path, damage in (("v", b"{"), ("w", b"[1]"), ("x", b'{"flags":7}'), ("y", b"\xff" * 9)):
            await self.redis.call("HSET", self.keys.folders("a:ü"), b"p:" + path.encode(), damage)
        loaded = sorted(await self.folders.load("a:ü"), key=lambda one: one.path)
        self.assertEqual(loaded, [*(StoredFolder(path=one) for one in "vwxy"), StoredFolder(path="z", subscribed=True)])

    async def test_position(self) -> None:
        """A folder with a damaged position loses its index, and is indexed anew from commit 1 on."""
        owner = await self.account()
        await self.folders.save("a:ü", owner, [StoredFolder(path="x"), StoredFolder(path="y")], [])
        number = await self.commit(owner, "x")
        await self.commit(owner, "y")
        await self.redis.call("HSET", self.keys.folder(number, "a:ü"), "count", "many")
        loaded = {one.path: one for one in await self.folders.load("a:ü")}
        self.assertEqual((loaded["x"].number, loaded["x"].position, loaded["y"].position), (number, None, POSITION))
        self.assertEqual(await self.index.blocks("a:ü", number), {})
        self.assertEqual(await self.commit(owner, "x"), number)
