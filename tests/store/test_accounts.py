"""Accounts in a real Redis: owners, generations, secrets, search, removal."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from emailengine.core.secrets import SecretUnreadable, Vault
from emailengine.errors import AccountNotFound, Outdated, StoredUnreadable
from emailengine.model.account import STATES, AccountSettings, Auth, HeaderField, ImapSettings, SmtpSettings
from emailengine.model.event import EventName, Say
from emailengine.model.token import TokenRecord
from emailengine.store.accounts import AccountRecord, AccountStore
from emailengine.store.folders import FolderStore, StoredFolder
from emailengine.store.index import Index
from emailengine.store.tokens import TokenStore
from emailengine.sync.plan import Position
from tests.redis_server import RedisCase

ODD_IDS = (
    "007",
    "a/b",
    "a:b",
    "a%2Fb",
    "*",
    "two words",
    "ü",
    "\ud800",
    "\0",
    "a\nb",
    "[x]?",
    "accounts",
    "{a}",
    "-",
    "+",
)


def settings(account: str, **more: Any) -> AccountSettings:
    return AccountSettings(account=account, **more)


def with_secrets(account: str) -> AccountSettings:
    return AccountSettings(
        account=account,
        name="Erika",
        webhooks="https://me:hook-login@example.com/h?a=b@c",
        webhooks_custom_headers=[HeaderField(key="X-A", value="header-value"), HeaderField(key="X-B")],
        imap=ImapSettings(host="imap.example.com", port=993, auth=Auth(user="erika", pass_="p" * 256)),
        smtp=SmtpSettings(host="smtp.example.com", port=465, auth=Auth(user="erika", access_token="access-token")),
    )


def told(event: EventName = "accountAdded") -> Say:
    return Say(event_id="1", event=event, date="2026-01-01T00:00:00.000Z")


class AccountCase(RedisCase):
    def store(self, secret: str | None = None) -> AccountStore:
        return AccountStore(redis=self.redis, keys=self.keys, vault=Vault(secret))

    async def stored(self, account: str, store: AccountStore | None = None) -> AccountRecord:
        record = await (store or self.store()).get(account)
        assert record is not None
        return record

    async def everything(self) -> dict[bytes, bytes]:
        """The content of all keys, to see that nothing was written."""
        return {key: await self.redis.call("DUMP", key) for key in await self.all_keys()}

    async def said(self, account: str) -> int:
        return int(await self.redis.call("XLEN", self.keys.say(account)))


class LifeTests(AccountCase):
    async def test_odd_ids(self) -> None:
        """Any text is an account id: each account is its own, and all are listed in the order of their bytes."""
        store = self.store()
        generations = [await store.create(settings(one, name=f"<{one}>"), [told()]) for one in ODD_IDS]
        self.assertEqual(len(set(generations)), len(ODD_IDS))
        for one in ODD_IDS:
            record = await self.stored(one)
            self.assertEqual((record.settings.account, record.settings.name), (one, f"<{one}>".replace("\ud800", "?")))
            self.assertEqual(await self.said(one), 1)
        ordered = sorted(ODD_IDS, key=lambda one: one.encode("utf-8", "surrogatepass"))
        ids: list[str] = []
        while more := await store.ids(ids[-1] if ids else None, 4):
            ids += more
        self.assertEqual(ids, ordered)
        total, page = await store.page(query=None, state="init", page=1, page_size=4)
        self.assertEqual((total, [one.settings.account for one in page]), (len(ODD_IDS), ordered[4:8]))
        for one in ODD_IDS:
            owner = await store.take_up(one)
            assert owner is not None
            await store.set_state(one, owner, "connected", None)
            self.assertTrue(await store.delete(one))
        self.assertEqual(await store.ids(None, 100), [])
        self.assertEqual([key for key in await self.all_keys() if b"say" not in key], [self.keys.serials()])

    async def test_taken(self) -> None:
        """An id that is taken is refused: neither the account nor the events change."""
        store = self.store()
        self.assertEqual(await store.create(settings("a", name="first"), [told()]), 1)
        before = await self.everything()
        self.assertIsNone(await store.create(settings("a", name="second"), [told()]))
        self.assertEqual(await self.everything(), before)

    async def test_again(self) -> None:
        """An account that is deleted and created again has a higher generation, and what its old owner writes is refused."""
        store = self.store()
        first = await store.create(settings("a"))
        owner = await store.take_up("a")
        assert first is not None
        assert owner is not None
        await store.delete("a")
        again = await store.create(settings("a"))
        assert again is not None
        self.assertGreater(again, first)
        newer = await store.take_up("a")
        assert newer is not None
        self.assertGreater(newer, owner)
        with self.assertRaises(Outdated):
            await store.set_state("a", owner, "connected", None)

    async def test_delete_unknown(self) -> None:
        """Deleting what is not there is no, and says nothing."""
        self.assertFalse(await self.store().delete("a", [told()]))
        self.assertEqual(await self.all_keys(), [])

    async def test_tokens(self) -> None:
        """With an account its tokens end, also for a later account of that id; those of others and damaged ones stay."""
        store, tokens = self.store(), TokenStore(redis=self.redis, keys=self.keys)
        for number, account in enumerate([*ODD_IDS, None]):
            if account != "\ud800":  # a JSON text cannot hold it, and no token be bound to it
                await tokens.add(str(number), TokenRecord(created="2026-01-01T00:00:00.000Z", account=account))
        await self.redis.call("HSET", self.keys.tokens(), "damaged", '{"account":')
        for number, account in enumerate(ODD_IDS):
            await store.create(settings(account))
            await store.delete(account)
            self.assertIsNone(await tokens.find(str(number)))
            left = [record.account for _, record in await tokens.list()]
            expected = [one for one in ODD_IDS[number + 1 :] if one != "\ud800"]
            self.assertCountEqual(left, [*expected, None])
        self.assertEqual(await self.redis.call("HLEN", self.keys.tokens()), 2)

    async def test_last_token(self) -> None:
        """Deleting the account of the only tokens does not leave an installation without any, open to everybody."""
        store, tokens = self.store(), TokenStore(redis=self.redis, keys=self.keys)
        await store.create(settings("a"))
        for one in ("1", "2"):
            await tokens.add(one, TokenRecord(created="2026-01-01T00:00:00.000Z", account="a"))
        await store.delete("a")
        self.assertEqual([await tokens.find("1"), await tokens.find("2")], [None, None])
        self.assertTrue(await tokens.any())
        self.assertEqual(len(await tokens.list()), 1)

    async def test_delete_many_folders(self) -> None:
        """The account is gone at once, its thousands of folders soon; what is still to be announced stays."""
        store, folders = self.store(), FolderStore(redis=self.redis, keys=self.keys)
        index = Index(redis=self.redis, keys=self.keys)
        await store.create(settings("a"))
        await store.create(settings("a:a"))
        for account in ("a", "a:a"):
            owner = await store.take_up(account)
            assert owner is not None
            names = [f"f{n}" for n in range(3000 if account == "a" else 1)]
            await folders.save(account, owner, [StoredFolder(path=name) for name in names], [])
            for name in names:
                number = await folders.number(account, name, 1)
                await index.commit(account, owner, path=name, number=number, position=Position(1, 2, 1, None, 2, commit=1), blocks={0: b"x"}, flag_sets=[()], says=[])  # fmt: skip
        others = [key for key in await self.all_keys() if b"a:a" in key]
        self.assertTrue(await store.delete("a", [told("accountDeleted")]))
        self.assertIsNone(await store.get("a"))
        left = set(await self.all_keys())
        shared = {self.keys.accounts(), self.keys.accounts_by_state("init"), self.keys.serials(), self.keys.saying()}
        self.assertEqual(left, {*others, *shared, self.keys.say("a")})
        self.assertEqual(await self.said("a"), 1)

    async def test_sweep(self) -> None:
        """What a crash left of a deleted account is removed later, and the new account of that id keeps its folders."""
        store, folders = self.store(), FolderStore(redis=self.redis, keys=self.keys)
        await store.create(settings("a"))
        old = await folders.number("a", "INBOX", 1)
        await self.redis.call("HSET", self.keys.rows(old, "a"), 0, "x")
        keys = self.keys
        await self.redis.script(
            "delete_account",
            [keys.account("a"), keys.accounts(), keys.folders("a"), keys.leaving(), keys.tokens(), keys.log("a")],
            [keys.prefix, "a"],
        )
        await store.create(settings("a"))
        new = await folders.number("a", "INBOX", 1)
        await self.redis.call("HSET", self.keys.rows(new, "a"), 0, "x")
        self.assertNotEqual(old, new)
        await store.sweep()
        left = await self.all_keys()
        self.assertIn(self.keys.rows(new, "a"), left)
        self.assertNotIn(self.keys.rows(old, "a"), left)
        self.assertEqual([key for key in left if b"lea" in key or b"left" in key], [])
        self.assertEqual(await folders.resolve("a", new), ("INBOX", 1))


class OwnerTests(AccountCase):
    async def test_refused(self) -> None:
        """After somebody else took the account up, the old owner's writes are refused and change nothing."""
        store, folders = self.store(), FolderStore(redis=self.redis, keys=self.keys)
        await store.create(settings("a"))
        old = await store.take_up("a")
        assert old is not None
        await store.take_up("a")
        before = await self.everything()
        for writing in (
            store.set_state("a", old, "connected", None, [told()]),
            store.set_sync("a", old, time="2026-01-01T00:00:00.000Z", error=None),
            folders.save("a", old, [StoredFolder(path="x")], ["y"], [told()]),
            store.set_state("gone", old, "connected", None, [told()]),
            store.set_state("gone", 0, "connected", None, [told()]),
        ):
            with self.assertRaises(Outdated):
                await writing
        self.assertEqual(await self.everything(), before)

    async def test_gone(self) -> None:
        """An account that is gone is not taken up, changed, or brought back by a late delivery status."""
        store = self.store()
        self.assertIsNone(await store.take_up("a"))
        await store.set_smtp_status("a", {"status": "ok"})
        with self.assertRaises(AccountNotFound):
            await store.change(settings("a"))
        self.assertEqual(await self.all_keys(), [])

    async def test_states(self) -> None:
        """A state is written with its error and events; becoming connected is counted, staying it is not."""
        store = self.store()
        await store.create(settings("a"))
        owner = await store.take_up("a")
        assert owner is not None
        await store.set_state("a", owner, "connectError", {"response": "no \ud800"}, [told("connectError")])
        record = await self.stored("a")
        self.assertEqual((record.state, record.error, record.connected), ("connectError", {"response": "no ?"}, 0))
        for state in ("connected", "connected", "syncing", "connected"):
            await store.set_state("a", owner, state, None)
        record = await self.stored("a")
        self.assertEqual((record.state, record.error, record.connected), ("connected", None, 2))
        self.assertEqual(await self.said("a"), 1)
        self.assertEqual(await store.count_by_state(), dict.fromkeys(STATES, 0) | {"connected": 1})

    async def test_reports(self) -> None:
        """What is known of deliveries and of comparisons is kept, and a good comparison ends the error of the last."""
        store = self.store()
        await store.create(settings("a"))
        owner = await store.take_up("a")
        assert owner is not None
        await store.set_smtp_status("a", {"status": "ok", "created": None})
        await store.set_sync("a", owner, time="1", error={"path": "x"})
        record = await self.stored("a")
        self.assertEqual(record.smtp_status, {"status": "ok", "created": None})
        self.assertEqual((record.sync_time, record.sync_error), ("1", {"path": "x"}))
        await store.set_sync("a", owner, time="2", error=None)
        record = await self.stored("a")
        self.assertEqual((record.sync_time, record.sync_error), ("2", None))

    async def test_counters(self) -> None:
        """Fields `event:<name>` are the counters of events."""
        await self.store().create(settings("a"))
        await self.redis.call("HINCRBY", self.keys.account("a"), "event:messageNew", 3)
        self.assertEqual((await self.stored("a")).counters, {"messageNew": 3})


class SecretTests(AccountCase):
    async def raw(self) -> bytes:
        return b"".join([await self.redis.call("DUMP", key) for key in await self.all_keys()])

    async def test_sealed(self) -> None:
        """With a secret, no password, token, login or header value lies in Redis; opened, they are as they were."""
        store = self.store("one")
        await store.create(with_secrets("a"))
        raw = await self.redis.call("HGETALL", self.keys.account("a"))
        for secret in (b"pppp", b"access-token", b"hook-login", b"header-value"):
            self.assertNotIn(secret, b"".join(raw))
        record = await self.stored("a", store)
        self.assertNotIn("hook-login", repr(record))
        self.assertEqual(store.opened(record), with_secrets("a"))

    async def test_clear(self) -> None:
        """Without a secret they are stored as they are, and a daemon with a secret reads them."""
        await self.store().create(with_secrets("a"))
        store = self.store("one")
        self.assertEqual(store.opened(await self.stored("a", store)), with_secrets("a"))

    async def test_unreadable(self) -> None:
        """Secrets sealed with another secret cannot be used, but the accounts can be listed."""
        await self.store("one").create(with_secrets("a"))
        await self.store("one").create(settings("b"))
        for store in (self.store("two"), self.store()):
            total, records = await store.page(query=None, state=None, page=0, page_size=10)
            self.assertEqual((total, records[0].settings.name), (2, "Erika"))
            self.assertRaises(SecretUnreadable, store.opened, records[0])
            self.assertEqual(store.opened(records[1]), settings("b"))

    async def test_change(self) -> None:
        """
        Changing settings keeps the secrets that were not changed, also those that cannot be opened; a sealed text that
        was not stored for the account is a password like any other.
        """
        await self.store("one").create(with_secrets("a"))
        other = self.store("two")
        record = await self.stored("a", other)
        assert record.settings.smtp is not None
        sealed = Vault("two").seal("of somebody else")
        smtp = replace(record.settings.smtp, auth=Auth(user="x", pass_=sealed))
        await other.change(replace(record.settings, name="New", smtp=smtp))
        record = await self.stored("a", self.store("one"))
        assert record.settings.smtp is not None
        self.assertEqual(record.settings.name, "New")
        without_smtp = replace(record.settings, smtp=None)
        self.assertEqual(
            self.store("one").opened(AccountRecord(settings=without_smtp, state="", generation=1, owner=1)),
            replace(with_secrets("a"), name="New", smtp=None),
        )
        only_smtp = AccountSettings(account="a", smtp=record.settings.smtp)
        opened = other.opened(AccountRecord(settings=only_smtp, state="", generation=1, owner=1))
        assert opened.smtp is not None
        self.assertEqual(opened.smtp.auth, Auth(user="x", pass_=sealed))


class DamageTests(AccountCase):
    async def test_damaged(self) -> None:
        """A damaged account is an error by itself, and stands in lists with what is wrong; the others are as ever."""
        store = self.store()
        for one in "abcdef":
            await store.create(settings(one, name=one))
        damage: dict[str, list[str | bytes]] = {
            "b": ["settings", b"{"],
            "c": ["settings", b'{"account":"","imap":7}'],
            "d": ["error", b"\xff"],
            "e": ["owner", b"x"],
        }
        for one, pair in damage.items():
            await self.redis.call("HSET", self.keys.account(one), *pair)
        await self.redis.call("DEL", self.keys.account("f"))
        await self.redis.call("SET", self.keys.account("f"), "no hash")
        total, records = await store.page(query=None, state=None, page=0, page_size=10)
        self.assertEqual((total, len(records)), (6, 6))
        self.assertEqual([one.settings.account for one in records if one.unreadable is None], ["a"])
        for record in records[1:]:
            self.assertRaises(StoredUnreadable, store.opened, record)
            with self.assertRaises(StoredUnreadable):
                await store.get(record.settings.account)
        total, records = await store.page(query="A", state=None, page=0, page_size=10)
        self.assertEqual((total, [record.settings.name for record in records]), (1, ["a"]))

    async def test_newer(self) -> None:
        """Members that a newer version wrote are skipped."""
        await self.store().create(settings("a", name="x"))
        packed = msgspec.json.encode({"account": "", "name": "y", "invented": {"later": 1}})
        await self.redis.call("HSET", self.keys.account("a"), "settings", packed)
        self.assertEqual((await self.stored("a")).settings, settings("a", name="y"))


class PageTests(AccountCase):
    async def found(
        self, query: str | None, state: str | None = None, page: int = 0, size: int = 5
    ) -> tuple[int, list[str]]:
        total, records = await self.store().page(query=query, state=state, page=page, page_size=size)
        return total, [one.settings.account for one in records]

    async def test_query(self) -> None:
        """A part of the id, the name or the address is found in any case of any script, never a pattern."""
        store = self.store()
        await store.create(settings("Alpha", name="Straße"))
        await store.create(settings("beta", email="Someone@Example.com"))
        await store.create(settings("g%a*", name="ΣΟΦΟΣ"))
        self.assertEqual(await self.found("alph"), (1, ["Alpha"]))
        self.assertEqual(await self.found("STRASSE"), (1, ["Alpha"]))
        self.assertEqual(await self.found("one@exa"), (1, ["beta"]))
        self.assertEqual(await self.found("σοφος"), (1, ["g%a*"]))
        self.assertEqual(await self.found("%A*"), (1, ["g%a*"]))
        self.assertEqual(await self.found("*"), (1, ["g%a*"]))
        self.assertEqual(await self.found("nobody"), (0, []))
        record = await self.stored("beta")
        await store.change(replace(record.settings, email="other@example.org"))
        self.assertEqual(await self.found("someone"), (0, []))
        self.assertEqual(await self.found("OTHER", "init"), (1, ["beta"]))
        self.assertEqual(await self.found("OTHER", "connected"), (0, []))

    async def test_pages(self) -> None:
        """A page of what is found over several slices, the last one short and the one after it empty."""
        store = self.store()
        for start in range(0, 2500, 100):
            for n in range(start, start + 100):
                await store.create(settings(f"{n:04d}", name="even" if n % 2 == 0 else "odd"))
        self.assertEqual(await self.found("EVEN", page=0), (1250, ["0000", "0002", "0004", "0006", "0008"]))
        self.assertEqual(await self.found("even", page=100), (1250, ["1000", "1002", "1004", "1006", "1008"]))
        self.assertEqual(await self.found("even", page=208, size=6), (1250, ["2496", "2498"]))
        self.assertEqual(await self.found("even", page=209, size=6), (1250, []))
        self.assertEqual(await self.found(None, page=1250, size=2), (2500, []))
        self.assertEqual(await self.found(None, page=1, size=3), (2500, ["0003", "0004", "0005"]))
