"""Passes over a simulated mailbox with a real Redis: what is announced, and what the index holds afterwards."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, cast

from twisted.internet import reactor

from emailengine.accounts.account import Account
from emailengine.accounts.ledger import Ledger
from emailengine.accounts.shared import Shared
from emailengine.accounts.syncing import Syncing
from emailengine.accounts.verbs.reading import TextWish
from emailengine.accounts.watch import held
from emailengine.core.secrets import Vault
from emailengine.errors import ConnectionLost, ProtocolFault, ServerRefused
from emailengine.model.account import AccountSettings
from emailengine.model.dates import iso
from emailengine.model.event import Say
from emailengine.store.accounts import AccountStore
from emailengine.store.folders import FolderStore, StoredFolder
from emailengine.store.index import Index
from emailengine.store.say import SayStore
from emailengine.sync.rows import flag_set
from emailengine.wire.imap.fetch import Fetched
from tests.accounts.simulated import Mailbox, Session
from tests.redis_server import RedisCase

NOW = 1_790_000_000.0
OLD, NEW = NOW - 10_000, NOW + 10


class SyncingCase(RedisCase):
    """An account whose only folder is a simulated mailbox."""

    wish: TextWish | None = None

    async def begin(self, *, notify_from: float | None = NOW, condstore: bool = True) -> None:
        self.box = Mailbox(condstore=condstore)
        self.notify_from = notify_from
        self.accounts = AccountStore(redis=self.redis, keys=self.keys, vault=Vault(None))
        self.folders = FolderStore(redis=self.redis, keys=self.keys)
        self.index = Index(redis=self.redis, keys=self.keys)
        self.say = SayStore(redis=self.redis, keys=self.keys)
        settings = AccountSettings(account="a", notify_from=None if notify_from is None else iso(notify_from))
        await self.accounts.create(settings, [])
        await self.connect()

    async def connect(self) -> None:
        """A new life of the daemon: nothing but Redis remembers."""
        record = await self.accounts.get("a")
        assert record is not None

        async def no_session(*_: Any, **__: Any) -> Any:
            raise AssertionError("nothing is dialled here")

        shared = Shared(
            clock=reactor,
            random=random.random,
            open_session=no_session,
            accounts=self.accounts,
            folders=self.folders,
            index=self.index,
            said=lambda account: None,
            became=lambda account, before, now: None,
            usable=lambda account: None,
            left=no_session,
            text_wish=lambda: self.wish,
        )
        self.account = Account("a", record, record.settings, shared)
        assert await self.account._take_up()
        inbox = StoredFolder(path="INBOX", special_use="\\Inbox", since=self.notify_from)
        await self.folders.save("a", self.account.owner, [inbox], [])
        await self.account._load_folders()
        self.folder = self.account.folders.by_path["INBOX"]
        self.folder.dirty = self.folder.stale = True
        self.session = Session(self.box)
        self.syncing = Syncing(self.account, cast(Any, self.session), shared)

    async def sync(self) -> None:
        self.session.hear()
        for _ in range(10_000):
            folder = self.account.folders.next_dirty(self.account._shared.clock.seconds())
            if folder is None:
                return
            await self.syncing.slice(folder)
        raise AssertionError("the passes do not come to an end")

    async def look(self) -> None:
        """As after a while in another folder: the folder is selected anew."""
        self.folder.dirty = self.folder.stale = True
        await self.sync()

    async def told(self) -> list[Say]:
        return [say for _, say in await self.say.read("a", 100_000)]

    async def uids(self, event: str) -> list[int]:
        return [say.uid or 0 for say in await self.told() if say.event == event]

    async def indexed(self) -> dict[int, tuple[str, ...]]:
        number = await self.folders.number("a", "INBOX", self.box.uidvalidity)
        ledger = Ledger(
            "a", 1, 1, "1.1", self.folder, number, self.box.uidvalidity, self.index, self.account._shared.clock
        )
        return {uid: flags for rows in (await ledger.rows()).values() for uid, flags in rows.items()}

    def on_server(self) -> dict[int, tuple[str, ...]]:
        return {uid: flag_set(one.flags) for uid, one in self.box.messages.items()}

    async def check_index(self) -> None:
        self.assertEqual(await self.indexed(), self.on_server())
        assert self.folder.position is not None
        self.assertEqual(self.folder.position.count, len(self.box.messages))


class FirstPassTests(SyncingCase):
    async def test_old_mail_is_silent(self) -> None:
        """Mail from before the account's `notifyFrom` is indexed and not announced; the folder is announced once."""
        await self.begin()
        for _ in range(1300):
            self.box.deliver(OLD, ("\\Seen",))
        await self.sync()
        await self.check_index()
        self.assertEqual([say.event for say in await self.told()], ["mailboxNew"])
        self.assertLess(len(self.session.calls), 12)

    async def test_backfill(self) -> None:
        """Mail that the server received after `notifyFrom` is announced, though it was there before us."""
        await self.begin()
        for number in range(700):
            self.box.deliver(NEW if number % 100 == 0 else OLD)
        await self.sync()
        self.assertEqual(await self.uids("messageNew"), [1, 101, 201, 301, 401, 501, 601])

    async def test_empty(self) -> None:
        """An empty folder needs one look."""
        await self.begin()
        await self.sync()
        self.assertEqual([say.event for say in await self.told()], ["mailboxNew"])
        self.assertEqual(self.session.calls, ["select"])

    async def test_sparse(self) -> None:
        """UIDs far apart cost a command for each group of messages, not for each stretch of numbers."""
        await self.begin()
        for _ in range(20):
            self.box.deliver(OLD, gap=50_000_000)
        await self.sync()
        await self.check_index()
        self.assertLess(len(self.session.calls), 10)

    async def test_new_mail_meanwhile(self) -> None:
        """Mail that comes during a first pass is announced before the pass is over."""
        await self.begin()
        for _ in range(3000):
            self.box.deliver(OLD)
        await self.syncing.slice(self.folder)
        uid = self.box.deliver(NEW)
        self.session.hear()
        self.folder.dirty = True
        await self.syncing.slice(self.folder)
        self.assertEqual(await self.uids("messageNew"), [uid])
        await self.sync()
        await self.check_index()
        self.assertEqual(await self.uids("messageNew"), [uid])

    async def test_cut_in_the_middle(self) -> None:
        """A first pass that is cut anywhere goes on where it was, and announces each message once."""
        await self.begin()
        for number in range(2000):
            self.box.deliver(NEW if number % 97 == 0 else OLD)
        for _ in range(100):
            self.session.fuse = 6
            try:
                await self.sync()
                break
            except ConnectionLost:
                await self.connect()
        await self.check_index()
        told = await self.uids("messageNew")
        self.assertEqual(told, list(range(1, 2001, 97)))

    async def test_replaced(self) -> None:
        """Another UIDVALIDITY: the old rows go, the new ones come in silence, and both facts are told."""
        await self.begin()
        for _ in range(600):
            self.box.deliver(NEW)
        await self.sync()
        self.box.replace()
        await self.look()
        await self.check_index()
        events = Counter(say.event for say in await self.told())
        self.assertEqual(events, {"messageNew": 600, "mailboxNew": 2, "mailboxReset": 1})
        reset = next(say for say in await self.told() if say.event == "mailboxReset")
        self.assertEqual(reset.data["prevUidValidity"], "7")
        uid = self.box.deliver(NEW)
        await self.look()
        self.assertEqual((await self.uids("messageNew"))[600:], [uid])


class ChangesTests(SyncingCase):
    async def test_news_on_the_selected_folder(self) -> None:
        """Told of a new message in the selected folder, one FETCH is enough."""
        await self.begin()
        self.box.deliver(OLD)
        await self.sync()
        self.session.calls.clear()
        uid = self.box.deliver(NEW)
        self.folder.dirty = True
        await self.sync()
        self.assertEqual(self.session.calls, ["fetch"])
        self.assertEqual(await self.uids("messageNew"), [uid])

    async def test_unreadable_content(self) -> None:
        """A message that the server cannot show is announced all the same, and so are those beside it."""
        self.wish = TextWish()
        await self.begin()
        await self.sync()
        bad = self.box.deliver(NEW)
        good = self.box.deliver(NEW)
        self.session.unreadable.add(bad)
        self.folder.dirty = True
        await self.sync()
        self.assertEqual(await self.uids("messageNew"), [bad, good])
        await self.check_index()

    async def test_rows_that_cannot_be_read(self) -> None:
        """Messages of which not even the flags can be read hide no other: not at first, not later, and not flags."""
        for error in (ServerRefused("NO", "SERVERBUG", "broken"), ProtocolFault("cannot be read")):
            await self.redis.call("FLUSHALL")
            await self.begin(condstore=False)
            bad = [self.box.deliver(OLD) for _ in range(700)][::300]
            self.session.broken = dict.fromkeys(bad, error)
            await self.sync()
            self.assertEqual(set(self.on_server()) - set(await self.indexed()), set(bad))
            uids = [self.box.deliver(NEW) for _ in range(40)]
            self.session.broken[uids[7]] = error
            await self.look()
            self.assertEqual(await self.uids("messageNew"), [one for one in uids if one != uids[7]])
            self.box.set_flags(uids[9], ("\\Seen",))
            self.folder.hint_flags(700 + 10)
            self.folder.hint_flags(700 + 8)
            await self.sync()
            self.assertEqual((await self.indexed())[uids[9]], ("\\Seen",))
            self.session.broken = {}
            await self.look()
            await self.check_index()
            self.assertEqual(sorted(await self.uids("messageNew")), uids)
            self.assertEqual(self.folder.aside_until, 0)

    async def test_nothing_can_be_read(self) -> None:
        """A server that cannot show any message is not asked for each of them, and asked again later."""
        await self.begin()
        self.session.broken = {self.box.deliver(OLD): ProtocolFault("cannot be read") for _ in range(2000)}
        await self.sync()
        self.assertLess(len(self.session.calls), 40)
        self.assertGreater(self.folder.aside_until, self.account._shared.clock.seconds())
        self.session.broken = {}
        self.folder.aside_until = 0
        await self.sync()
        await self.check_index()

    async def test_folder_that_does_not_open_any_more(self) -> None:
        """A folder that did open is tried within half an hour however often it was refused, and nothing is lost."""
        await self.begin()
        await self.sync()
        self.session.closed = ServerRefused("NO", None, "not now")
        uid = self.box.deliver(NEW)
        for _ in range(9):
            self.folder.aside_until = 0
            await self.look()
        self.assertLessEqual(self.folder.aside_until - self.account._shared.clock.seconds(), 1800)
        self.session.closed = None
        self.account.prod()
        await self.sync()
        self.assertEqual(await self.uids("messageNew"), [uid])

    async def test_gone_in_the_middle(self) -> None:
        """A folder that is deleted and made anew under the same numbers in the middle of a pass is read anew."""
        await self.begin(notify_from=None)
        for _ in range(1300):
            self.box.deliver(OLD)
        await self.syncing.slice(self.folder)
        self.assertTrue(self.folder.busy)
        del self.account.folders.by_path["INBOX"]
        await self.folders.save("a", self.account.owner, [], ["INBOX"])
        again = StoredFolder(path="INBOX", special_use="\\Inbox")
        await self.folders.save("a", self.account.owner, [again], [])
        self.folder = self.account.folders.by_path["INBOX"] = held(again)
        await self.sync()
        await self.check_index()

    async def test_folder_that_comes_back(self) -> None:
        """A folder that went and came back tells its messages under other event ids than before."""
        await self.begin()
        self.box.deliver(NEW)
        await self.sync()
        await self.folders.save("a", self.account.owner, [], ["INBOX"])
        await self.connect()
        await self.sync()
        ids = [say.event_id for say in await self.told() if say.event == "messageNew"]
        self.assertEqual((len(ids), len(set(ids))), (2, 2))

    async def test_moved_in_old_mail_is_silent(self) -> None:
        """A message that the server received before `notifyFrom` is not new, wherever it comes from."""
        await self.begin()
        await self.sync()
        self.box.deliver(OLD)
        await self.look()
        await self.check_index()
        self.assertEqual(await self.uids("messageNew"), [])

    async def test_many_at_once(self) -> None:
        """A thousand new messages are read in slices and each announced once, in order."""
        await self.begin()
        self.box.deliver(OLD)
        await self.sync()
        uids = [self.box.deliver(NEW) for _ in range(1500)]
        await self.look()
        await self.check_index()
        self.assertEqual(await self.uids("messageNew"), uids)

    async def test_flags_with_and_without_modseq(self) -> None:
        """A changed flag is told with what came, what went and what is there now."""
        for condstore in (True, False):
            await self.redis.call("FLUSHDB")
            await self.begin(condstore=condstore)
            for _ in range(700):
                self.box.deliver(OLD, ("\\Seen",))
            await self.sync()
            self.box.set_flags(650, ("\\Flagged",))
            self.folder.hint_flags(650)
            await self.sync()
            await self.check_index()
            (say,) = [one for one in await self.told() if one.event == "messageUpdated"]
            self.assertEqual(
                say.data["changes"],
                {"flags": {"added": ["\\Flagged"], "deleted": ["\\Seen"], "value": ["\\Flagged"]}},
            )

    async def test_flags_found_by_looking(self) -> None:
        """Without MODSEQ all flags are read again when the last time is long ago."""
        await self.begin(condstore=False)
        for _ in range(600):
            self.box.deliver(OLD)
        await self.sync()
        self.box.set_flags(3, ("\\Seen",))
        self.folder.compared = float("-inf")
        await self.look()
        await self.check_index()
        self.assertEqual(await self.uids("messageUpdated"), [3])

    async def test_gone(self) -> None:
        """Messages that are gone are told, in whatever number."""
        await self.begin()
        for _ in range(1200):
            self.box.deliver(OLD)
        await self.sync()
        for uid in range(5, 1100):
            self.box.expunge(uid)
        self.folder.hint_gone()
        await self.sync()
        await self.check_index()
        self.assertEqual(await self.uids("messageDeleted"), list(range(5, 1100)))

    async def test_one_gone_one_new(self) -> None:
        """As many new as gone: the count alone would not tell."""
        await self.begin()
        for _ in range(10):
            self.box.deliver(OLD)
        await self.sync()
        self.box.expunge(4)
        uid = self.box.deliver(NEW)
        await self.look()
        await self.check_index()
        self.assertEqual((await self.uids("messageDeleted"), await self.uids("messageNew")), ([4], [uid]))

    async def test_nothing_moved(self) -> None:
        """A look at a folder that did not move costs one SELECT and no write."""
        await self.begin()
        self.box.deliver(OLD)
        await self.sync()
        before = self.folder.position
        self.session.calls.clear()
        await self.look()
        self.assertEqual((self.session.calls, self.folder.position), (["select"], before))


class NaggingTests(SyncingCase):
    async def test_news_with_each_answer(self) -> None:
        """A server that tells of news whenever it is asked is not asked in a tight loop, and what is new is found."""
        await self.begin()
        await self.sync()
        uid = self.box.deliver(NEW)
        fetch = self.session.fetch

        async def nagging(*args: Any, **more: Any) -> list[Fetched]:
            found = await fetch(*args, **more)
            self.folder.dirty = True
            return found

        self.session.fetch = nagging  # type: ignore[method-assign]
        self.folder.dirty = True
        await self.sync()
        self.assertLess(len(self.session.calls), 20)
        waits = []
        for _ in range(10):
            waits.append(self.folder.aside_until - self.account._shared.clock.seconds())
            self.folder.aside_until = 0
            await self.sync()
        self.assertEqual(await self.uids("messageNew"), [uid])
        self.assertTrue(0 < waits[0] <= 1 and 50 < waits[-1] <= 60, waits)
        self.session.fetch = fetch  # type: ignore[method-assign]
        self.folder.aside_until = 0
        await self.sync()
        self.assertEqual(self.folder.vain, 0)


class AnythingTests(SyncingCase):
    async def test_random_histories(self) -> None:
        """Whatever happens and wherever it is cut, the index follows, and each event is told once."""
        for seed in range(12):
            chance = random.Random(seed)
            await self.redis.call("FLUSHDB")
            await self.begin(condstore=seed % 3 != 0)
            arrived: set[int] = set()
            gone: set[int] = set()
            for _ in range(chance.randrange(600)):
                self.box.deliver(OLD)
            announced_from = self.box.uidnext
            for _ in range(40):
                for _ in range(chance.randrange(6)):
                    live = sorted(self.box.messages)
                    what = chance.randrange(4)
                    if what == 0 or not live:
                        arrived.add(self.box.deliver(NEW, gap=chance.choice((0, 0, 300))))
                    elif what == 1:
                        uid = chance.choice(live)
                        self.box.set_flags(uid, chance.choice(((), ("\\Seen",), ("\\Seen", "\\Flagged"))))
                        self.folder.hint_flags(None)
                    elif what == 2:
                        uid = chance.choice(live)
                        self.box.expunge(uid)
                        gone.add(uid)
                        self.folder.hint_gone()
                    self.folder.dirty = True
                self.session.fuse = chance.randrange(8) if chance.random() < 0.4 else None
                try:
                    await (self.sync() if chance.random() < 0.7 else self.look())
                except ConnectionLost:
                    await self.connect()
            self.session.fuse = None
            self.folder.compared = float("-inf")
            await self.look()
            await self.look()
            with_seed = f"seed {seed}"
            self.assertEqual(await self.indexed(), self.on_server(), with_seed)
            new = await self.uids("messageNew")
            self.assertEqual(len(new), len(set(new)), with_seed)
            self.assertLessEqual({uid for uid in self.box.messages if uid >= announced_from}, set(new), with_seed)
            self.assertLessEqual(set(new), arrived, with_seed)
            deleted = await self.uids("messageDeleted")
            self.assertEqual(len(deleted), len(set(deleted)), with_seed)
            self.assertLessEqual(set(deleted), gone, with_seed)
            ids = [say.event_id for say in await self.told()]
            self.assertEqual(len(ids), len(set(ids)), with_seed)
