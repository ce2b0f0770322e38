"""What every mail server gives through a session, whichever extensions it has: each test is written once.

Each is tried with all that the server offers, with each extension taken away, and with none, all at the same time.
Nothing that is not offered may be said; what is missing is answered in another way, with the same result.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from emailengine.errors import EmailEngineError, MessageNotFound, ServerRefused
from emailengine.imap.commands.select import Known
from emailengine.wire.imap import search
from emailengine.wire.imap.responses import Fetched
from emailengine.wire.imap.uidset import UidSet
from tests.integration.imap.mails import EIGHT_BIT, LARGE, MIXED, PICTURE, plain, shape, shape_of_mixed
from tests.integration.imap.relay import Relay
from tests.integration.imap.sites import EVERYTHING, Place, Site

T = TypeVar("T", bound="MailboxContract")
ODD_NAMES = (
    "with  spaces",
    'quo"tes',
    "back\\slash",
    "R&D",
    "&AOk-",
    "étude",
    "日本語",
    "{3}",
    "[square] (round)",
    "percent 100'%",
    "NIL",
)


def everywhere(check: Callable[[T, Place], Awaitable[None]]) -> Callable[[T], Coroutine[Any, Any, None]]:
    """A test of every variant of the site."""

    async def test(self: T) -> None:
        await self.hold(partial(check, self), check.__name__.removeprefix("test_"))

    test.__name__ = check.__name__
    test.__doc__ = check.__doc__
    return test


class MailboxContract(TestCase):
    """`site` is the server; its class starts and stops it."""

    __test__ = False
    timeout = 60
    site: Site

    async def hold(self, check: Callable[[Place], Awaitable[None]], name: str) -> None:
        runs = [
            Deferred.fromCoroutine(self._one(check, Place(self.site, relay, name, number, cast("Any", reactor))))
            for number, relay in enumerate(
                Relay(without, self.site.port, cast("Any", reactor)) for _, without in self.site.variants()
            )
        ]
        ended = await DeferredList(runs, consumeErrors=True)
        failed: dict[str, str] = {}
        for (_, outcome), (variant, _) in zip(ended, self.site.variants(), strict=True):
            if outcome is not None:
                failed[variant] = str(outcome)
        if failed:
            first, why = next(iter(failed.items()))
            self.fail(f"{', '.join(failed)}\n{first}: {why}")

    async def _one(self, check: Callable[[Place], Awaitable[None]], place: Place) -> str | None:
        """Why it failed."""
        place.relay.start()
        failed: str | None = None
        try:
            await check(place)
            if place.relay.unoffered:
                failed = f"used what was not offered: {place.relay.unoffered}"
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
            where = [one for one in traceback.extract_tb(error.__traceback__) if "/tests/" in one.filename]
            failed += "".join(f"\n  {one.filename.rpartition('/')[2]}:{one.lineno} {one.line}" for one in where[-2:])
        finally:
            for session in place.sessions:
                await session.logout()
            await place.relay.stop()
        if failed is not None:
            failed += "\n    " + "\n    ".join(place.relay.said[-14:])
        return failed

    async def error(self, kind: type[EmailEngineError], work: Awaitable[object]) -> Any:
        try:
            await work
        except kind as error:
            return error
        raise AssertionError(f"no {kind.__name__}")

    # connecting

    @everywhere
    async def test_connect(self, place: Place) -> None:
        """A session lives, knows what is offered, asks for news, and ends."""
        session = await place.open()
        self.assertIn("IMAP4REV1", session.capabilities)
        self.assertFalse(session.capabilities & place.relay.without)
        await session.noop()
        self.assertTrue(session.alive)
        await session.logout()
        self.assertFalse(session.alive)

    # folders

    @everywhere
    async def test_list(self, place: Place) -> None:
        """Every folder with its delimiter, its special use, its subscription and its numbers."""
        session = await place.open()
        top, deep = place.path("top"), place.path("top", "deep")
        for path in (top, deep):
            await session.create(path)
        await session.subscribe(top)
        await session.append(deep, plain(1), ["\\Seen"], None)
        await session.append(deep, plain(2), [], None)
        items = ["MESSAGES", "UNSEEN", "UIDVALIDITY"]
        listed = {one.entry.name: one for one in await session.list_folders(items)}
        self.assertLessEqual({"INBOX", top, deep}, set(listed))
        self.assertEqual(listed[deep].entry.delimiter, place.site.delimiter)
        self.assertEqual((listed[top].subscribed, listed[deep].subscribed), (True, False))
        told = listed[deep].status or await session.status(deep, items)
        self.assertEqual((told["MESSAGES"], told["UNSEEN"]), (2, 1))
        self.assertEqual(told["UIDVALIDITY"], (await session.select(deep)).uidvalidity)
        if "SPECIAL-USE" in session.capabilities:
            for path, use in place.site.special.items():
                self.assertIn(use, listed[path].entry.flags)

    @everywhere
    async def test_names(self, place: Place) -> None:
        """A folder can have any name, and is found under it."""
        session = await place.open()
        paths = [place.path(one) for one in ODD_NAMES]
        for n, path in enumerate(list(paths)):
            try:
                await session.create(path)
            except ServerRefused:
                if "names" not in place.site.errs:
                    raise
                paths.remove(path)
                continue
            for k in range(n % 3):
                await session.append(path, plain(k), [], None)
        listed = {one.entry.name for one in await session.list_folders()}
        self.assertLessEqual(set(paths), listed)
        for n, one in enumerate(ODD_NAMES):
            path = place.path(one)
            if path in paths:
                self.assertEqual(await session.status(path, ["MESSAGES"]), {"MESSAGES": n % 3}, path)
                self.assertEqual((await session.select(path)).exists, n % 3, path)
        await session.unselect()
        for path in paths:
            await session.rename(path, f"{path} é")
            await session.delete(f"{path} é")
        self.assertFalse({one.entry.name for one in await session.list_folders()} & set(paths))

    @everywhere
    async def test_folders(self, place: Place) -> None:
        """Folders are made, renamed with what is in and below them, and removed; what cannot be is refused."""
        session = await place.open()
        old, new = place.path("old"), place.path("new")
        below = place.site.delimiter + "below"
        await session.create(old)
        await session.create(old + below)
        await session.append(old + below, plain(1), [], None)
        self.assertEqual((await self.error(ServerRefused, session.create(old))).server_status, "NO")
        await session.rename(old, new)
        listed = {one.entry.name for one in await session.list_folders()}
        self.assertLessEqual({new, new + below}, listed)
        self.assertFalse({old, old + below} & listed)
        self.assertEqual((await session.status(new + below, ["MESSAGES"]))["MESSAGES"], 1)
        await session.subscribe(new)
        await session.unsubscribe(new)
        self.assertFalse(next(one for one in await session.list_folders() if one.entry.name == new).subscribed)
        await session.select(new + below)
        await session.delete(new + below)
        await session.delete(new)
        self.assertFalse({new, new + below} & {one.entry.name for one in await session.list_folders()})
        for work in (session.delete(new), session.rename(new, old), session.select(new)):
            self.assertEqual((await self.error(ServerRefused, work)).server_status, "NO")
        self.assertTrue(session.alive)

    @everywhere
    async def test_select(self, place: Place) -> None:
        """What SELECT tells agrees with STATUS; read-only stays so; leaving a folder removes nothing."""
        session, path, uids = await place.filled(plain(1), plain(2), plain(3))
        selected = await session.select(path)
        told = await session.status(path, ["UIDNEXT", "UIDVALIDITY", "MESSAGES"])
        self.assertEqual((selected.exists, selected.uidvalidity), (told["MESSAGES"], told["UIDVALIDITY"]))
        self.assertIn(selected.uidnext, (told["UIDNEXT"], None))
        self.assertGreater(told["UIDNEXT"], uids[-1])
        self.assertFalse(selected.read_only)
        await session.store(UidSet.of(uids[:1]), "+", ["\\Deleted"])
        await session.unselect()
        self.assertIsNone(session.selected)
        self.assertTrue((await session.select(path, read_only=True)).read_only)
        self.assertEqual(list(await session.search(search.EVERY)), uids)
        await session.unselect()
        self.assertEqual((await session.status(path, ["MESSAGES"]))["MESSAGES"], 3)
        await session.select(path)
        self.assertEqual((await self.error(ServerRefused, session.select(place.path("none")))).server_status, "NO")
        self.assertIsNone(session.selected)
        self.assertEqual((await session.select(path)).exists, 3)

    # messages

    @everywhere
    async def test_append(self, place: Place) -> None:
        """Messages of any size and with any octets arrive as they are, with flags and date, also where it is déjà vu."""
        session = await place.open()
        path = place.path("déjà vu")
        missing = await self.error(ServerRefused, session.append(path, EIGHT_BIT, [], None))
        self.assertEqual(missing.code, "TRYCREATE")
        await session.create(path)
        flags = ["\\Seen", "\\Flagged", *(["$Mine"] if place.site.keywords else [])]
        appended = [
            await session.append(path, EIGHT_BIT, flags, 1_700_000_000.0),
            await session.append(path, LARGE, [], None),
            await session.append(path, MIXED, [], None),
        ]
        selected = await session.select(path)
        rows = await session.fetch(EVERYTHING, ["UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE"])
        self.assertEqual([row.size for row in rows], [len(one) for one in (EIGHT_BIT, LARGE, MIXED)])
        self.assertEqual(set(rows[0].flags or ()) - {"\\Recent"}, set(flags))
        self.assertEqual(rows[0].internal_date, 1_700_000_000.0)
        for one, row in zip(appended, rows, strict=True):
            self.assertIn((one.uidvalidity, one.uid), ((None, None), (selected.uidvalidity, row.uid)))
            if "UIDPLUS" in session.capabilities:
                self.assertEqual(one.uid, row.uid)
        for data, row in zip((EIGHT_BIT, LARGE, MIXED), rows, strict=True):
            assert row.uid is not None
            self.assertEqual(await session.fetch_part(row.uid, "", offset=0, size=10**6), data)

    @everywhere
    async def test_fetch(self, place: Place) -> None:
        """All that is told of a message, and nothing of those that are not there; reading marks nothing."""
        session, _, uids = await place.filled(plain(1, day=10), MIXED)
        items = ["UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "MODSEQ", "EMAILID"]
        headers = "BODY.PEEK[HEADER.FIELDS (X-NUMBER SUBJECT)]"
        first, second = await session.fetch(UidSet.of([*uids, uids[-1] + 7]), [*items, headers])
        self.assertEqual([first.uid, second.uid], uids)
        self.assertEqual(set(first.flags or ()) - {"\\Recent"}, set())
        assert first.envelope is not None
        assert second.envelope is not None
        self.assertEqual((first.envelope.subject, first.envelope.message_id), (b"message 1", b"<1@contract.example>"))
        (sender,) = first.envelope.from_
        self.assertEqual((sender.name, sender.mailbox, sender.host), (b"Bo Number 1", b"bo1", b"example.net"))
        self.assertEqual([one.mailbox for one in second.envelope.to], [b"anna", b"jo"])
        self.assertEqual([one.mailbox for one in second.envelope.sender], [b"desk"])
        self.assertEqual([one.mailbox for one in second.envelope.reply_to], [b"re"])
        self.assertEqual(second.envelope.in_reply_to, b"<1@contract.example>")
        assert first.body is not None
        assert second.body is not None
        self.assertEqual(shape(first.body)[:-1], ("1", "text/plain", "8bit", None, None, "utf-8", None))
        sizes = "sizes" not in place.site.errs
        self.assertEqual(shape(second.body, sizes), shape_of_mixed(sizes))
        fields = (first.sections.get("HEADER.FIELDS") or b"").lower().split(b"\r\n")
        self.assertEqual(set(fields), {b"", b"subject: message 1", b"x-number: n1"})
        self.assertEqual([one.uid for one in await session.fetch_sequence("*", ["UID"])], [uids[1]])
        self.assertEqual([one.uid for one in await session.fetch_sequence("1:2", ["UID", "FLAGS"])], uids)
        self.assertEqual(list(await session.search(search.flag("\\Seen"))), [])

    @everywhere
    async def test_parts(self, place: Place) -> None:
        """Parts from any place on, whole as they arrive or without their encoding; what is gone is missing."""
        session, _, (uid,) = await place.filled(MIXED)
        whole = await session.fetch_part(uid, "2", offset=0, size=10**6)
        self.assertEqual(whole[:8], b"AAECAwQF")
        self.assertEqual(await session.fetch_part(uid, "2", offset=100, size=200), whole[100:300])
        self.assertEqual(await session.fetch_part(uid, "2", offset=len(whole), size=10), b"")
        end = b"\r\n" if "end" in place.site.errs else b""
        self.assertEqual(await session.fetch_part(uid, "1.1", offset=0, size=99), b"caf=C3=A9 =3D good" + end)
        self.assertEqual(await session.fetch_part(uid, "3.1", offset=0, size=99), b"inner text\r\n" + end)
        self.assertIn(b"Subject: inner", await session.fetch_part(uid, "3.HEADER", offset=0, size=999))
        self.assertEqual(await session.fetch_part(uid, "", offset=0, size=10**6), MIXED)
        decoded = await session.fetch_part(uid, "2", offset=0, size=10**6, binary=True)
        self.assertIn(bytes(decoded), (PICTURE, whole))
        for section, expected in (("", MIXED), ("2", whole)):
            arrived: list[bytes] = []
            count = await session.stream_part(uid, section, arrived.append)
            self.assertEqual((b"".join(arrived), count), (expected, len(expected)))
        await self.error(MessageNotFound, session.fetch_part(uid + 5, "", offset=0, size=1))
        await self.error(MessageNotFound, session.stream_part(uid + 5, "", lambda _: None))
        self.assertEqual(list(await session.search(search.flag("\\Seen"))), [])

    @everywhere
    async def test_search(self, place: Place) -> None:
        """Every kind of criterion finds what it should, alone and together."""
        session, path, _ = await place.filled()
        kept = ["$Mine"] if place.site.keywords else []
        moment = 1_773_100_000.0  # 9 March 2026
        for n, flags in enumerate((["\\Seen"], ["\\Flagged", *kept], ["\\Answered"], []), 1):
            data = plain(n, day=8 + n, body=f"needle {n}" * (1 if n < 4 else 200))
            await session.append(path, data, flags, moment + n * 86400)
        await session.select(path)
        uids = list(await session.search(search.EVERY))
        cases: list[tuple[search.Criterion, list[int]]] = [
            (search.flag("\\Seen"), [1]),
            (search.flag("\\Seen", there=False), [2, 3, 4]),
            (search.flag("\\Flagged"), [2]),
            (search.flag("\\Answered"), [3]),
            (search.since(moment + 3 * 86400), [3, 4]),
            (search.before(moment + 2 * 86400), [1]),
            (search.on(moment + 2 * 86400), [2]),
            (search.sent_since(moment + 2 * 86400), [3, 4]),
            (search.sent_before(moment + 2 * 86400), [1, 2]),
            (search.larger(1000), [4]),
            (search.smaller(1000), [1, 2, 3]),
            (search.uid(UidSet.of(uids[1:3])), [2, 3]),
            (search.from_("number 2"), [2]),
            (search.to("anna@example.org"), [1, 2, 3, 4]),
            (search.cc("nobody"), []),
            (search.subject("message 3"), [3]),
            (search.body("needle 1"), [1]),
            (search.text("bo3@example"), [3]),
            (search.header("X-Number", "n4"), [4]),
            (search.header("X-Number"), [1, 2, 3, 4]),
            (search.any_of([search.flag("\\Seen"), search.subject("message 4")]), [1, 4]),
            (search.negated(search.flag("\\Seen")), [2, 3, 4]),
            (search.all_of([search.flag("\\Seen", there=False), search.smaller(1000)]), [2, 3]),
            (search.any_of([]), []),
        ]
        if kept:
            cases += [(search.flag("$Mine"), [2]), (search.flag("$Mine", there=False), [1, 3, 4])]
        if "numbers" not in place.site.errs:
            cases.append((search.sequence("2:*"), [2, 3, 4]))
        for criterion, expected in cases:
            found = [uids.index(uid) + 1 for uid in await session.search(criterion)]
            self.assertEqual(found, expected, criterion)
        within = await session.search(search.smaller(1000), within=UidSet.of(uids[2:]))
        self.assertEqual(list(within), uids[2:3])

    @everywhere
    async def test_search_text(self, place: Place) -> None:
        """Text that is not ASCII is found."""
        session, _, uids = await place.filled(plain(1), plain(2, body="Grüße aus Köln"), plain(3, body="日本"))
        for text, expected in (("Grüße", uids[1:2]), ("köln", uids[1:2]), ("日本", uids[2:]), ("naïveté", [])):
            work = session.search(search.body(text))
            if place.site.charsets:
                self.assertEqual(list(await work), expected, text)
            else:
                self.assertEqual((await self.error(ServerRefused, work)).code, "BADCHARSET")

    @everywhere
    async def test_search_by_age(self, place: Place) -> None:
        """By seconds where the server can, by days where not."""
        session, path, _ = await place.filled()
        now = session._clock.seconds()
        for age in (5 * 86400, 60):
            await session.append(path, plain(age), [], now - age)
        await session.select(path)
        old, fresh = await session.search(search.EVERY)
        self.assertEqual(list(await session.search(session.younger(2 * 86400))), [fresh])
        self.assertEqual(list(await session.search(session.older(2 * 86400))), [old])

    @everywhere
    async def test_pages_and_order(self, place: Place) -> None:
        """Parts of a result, and a result in order, or the word that the server has no order."""
        session, _, uids = await place.filled(*(plain(n, subject="zyxwv"[n]) for n in range(5)))
        self.assertEqual(list(await session.search_page(search.EVERY, 2, 3)), uids[1:3])
        self.assertEqual(list(await session.search_page(search.EVERY, -1, -2)), uids[3:])
        self.assertEqual(list(await session.search_page(search.EVERY, 10, 20)), [])
        ordered = await session.search_sorted(search.EVERY, ["SUBJECT"])
        self.assertEqual(ordered, uids[::-1] if "SORT" in session.capabilities else None)

    @everywhere
    async def test_saved(self, place: Place) -> None:
        """A search that is kept serves as the set of what follows."""
        session, path, uids = await place.filled(*(plain(n) for n in range(4)))
        found = await session.search(
            search.any_of([search.subject("message 1"), search.subject("message 3")]), save=True
        )
        self.assertEqual(list(found), [uids[1], uids[3]])
        await session.store(found, "+", ["\\Flagged"])
        self.assertEqual(list(await session.search(search.flag("\\Flagged"))), list(found))
        self.assertEqual([one.uid for one in await session.fetch(found, ["UID", "FLAGS"])], list(found))
        target = place.path("target")
        await session.create(target)
        await session.copy(found, target)
        self.assertEqual((await session.status(target, ["MESSAGES"]))["MESSAGES"], 2)
        again = await session.search(search.flag("\\Flagged", there=False), save=True)
        self.assertEqual(list(again), [uids[0], uids[2]])
        await session.select(path)
        self.assertEqual([one.uid for one in await session.fetch(again, ["UID"])], list(again))

    @everywhere
    async def test_long_sets(self, place: Place) -> None:
        """A set longer than any command line means what it says."""
        session, _, uids = await place.filled(plain(1), plain(2), plain(3))
        scattered = UidSet.of([*uids[:2], *range(uids[-1] + 2, uids[-1] + 9000, 2)])
        self.assertGreater(len(str(scattered)), 10_000)
        await session.store(scattered, "+", ["\\Flagged"])
        self.assertEqual([one.uid for one in await session.fetch(scattered, ["UID"])], uids[:2])
        self.assertEqual(list(await session.search(search.flag("\\Flagged"), within=scattered)), uids[:2])
        self.assertEqual(list(await session.search(search.flag("\\Flagged"))), uids[:2])

    @everywhere
    async def test_store(self, place: Place) -> None:
        """Flags are set, added and taken, for the next one to see; what is not there is passed over."""
        session, path, uids = await place.filled(plain(1), plain(2))
        mine = ["$Mine"] if place.site.keywords else []

        async def flags(of: Any) -> list[set[str]]:
            return [set(row.flags or ()) - {"\\Recent"} for row in await of.fetch(EVERYTHING, ["UID", "FLAGS"])]

        await session.store(UidSet.of(uids), "+", ["\\Seen", *mine])
        await session.store(UidSet.of([*uids[:1], uids[-1] + 3]), "-", ["\\Seen"])
        await session.store(UidSet.of(uids[1:]), "", ["\\Flagged", "\\Draft"])
        expected = [set(mine), {"\\Flagged", "\\Draft"}]
        self.assertEqual(await flags(session), expected)
        self.assertEqual(await flags(await place.second(path)), expected)
        await session.store(UidSet.of(uids), "", [])
        self.assertEqual(await flags(session), [set(), set()])

    @everywhere
    async def test_copy(self, place: Place) -> None:
        """Copies keep flags, date and octets; the old ones stay; a folder that is not there is told apart."""
        session, path, uids = await place.filled(plain(1), EIGHT_BIT, plain(3))
        target = place.path("tárget")
        missing = await self.error(ServerRefused, session.copy(UidSet.of(uids), target))
        self.assertEqual(missing.code, "TRYCREATE")
        await session.create(target)
        await session.store(UidSet.of(uids[1:2]), "+", ["\\Flagged"])
        copied = await session.copy(UidSet.of(uids[1:]), target)
        self.assertEqual((await session.status(path, ["MESSAGES"]))["MESSAGES"], 3)
        selected = await session.select(target)
        rows = await session.fetch(EVERYTHING, ["UID", "FLAGS", "ENVELOPE"])
        self.assertEqual(["\\Flagged" in (row.flags or ()) for row in rows], [True, False])
        first = rows[0].uid
        assert first is not None
        self.assertEqual(await session.fetch_part(first, "", offset=0, size=10**6), EIGHT_BIT)
        if "UIDPLUS" in session.capabilities:
            self.assertEqual(copied.uidvalidity, selected.uidvalidity)
            self.assertEqual(dict(copied.uids), dict(zip(uids[1:], [row.uid for row in rows], strict=True)))

    @everywhere
    async def test_move(self, place: Place) -> None:
        r"""What is moved is there and no longer here; what others marked `\Deleted` stays, marked."""
        session, _, uids = await place.filled(*(plain(n) for n in range(5)))
        target = place.path("target")
        missing = await self.error(ServerRefused, session.move(UidSet.of(uids), target))
        self.assertEqual(missing.code, "TRYCREATE")
        await session.create(target)
        await session.store(UidSet.of([uids[0], uids[2]]), "+", ["\\Deleted"])
        moved = await session.move(UidSet.of([uids[1], uids[3]]), target)
        self.assertEqual(list(await session.search(search.EVERY)), [uids[0], uids[2], uids[4]])
        self.assertEqual(list(await session.search(search.flag("\\Deleted"))), [uids[0], uids[2]])
        assert session.selected is not None
        self.assertEqual(session.selected.exists, 3)
        await session.select(target)
        rows = await session.fetch(EVERYTHING, ["UID", "FLAGS", "ENVELOPE"])
        subjects = [row.envelope.subject for row in rows if row.envelope is not None]
        self.assertEqual(subjects, [b"message 1", b"message 3"])
        self.assertFalse(any("\\Deleted" in (row.flags or ()) for row in rows))
        if "UIDPLUS" in session.capabilities:
            self.assertEqual(dict(moved.uids), dict(zip([uids[1], uids[3]], [row.uid for row in rows], strict=True)))

    @everywhere
    async def test_expunge(self, place: Place) -> None:
        r"""Of the messages that are marked `\Deleted` only the named ones go; the unmarked named ones stay."""
        session, path, uids = await place.filled(*(plain(n) for n in range(6)))
        await session.store(UidSet.of(uids[:4]), "+", ["\\Deleted"])
        self.assertTrue(await session.expunge(UidSet.of([uids[1], uids[2], uids[4]])))
        left = [uids[0], uids[3], uids[4], uids[5]]
        self.assertEqual(list(await session.search(search.EVERY)), left)
        self.assertEqual(list(await session.search(search.flag("\\Deleted"))), [uids[0], uids[3]])
        assert session.selected is not None
        self.assertEqual(session.selected.exists, 4)
        other = await place.second(path)
        self.assertEqual(list(await other.search(search.flag("\\Deleted"))), [uids[0], uids[3]])

    # news

    @everywhere
    async def test_news(self, place: Place) -> None:
        """What another session does is heard: a message that comes, flags, a message that goes."""
        session, path, uids = await place.filled(plain(1), plain(2))
        other = await place.second(path)
        heard = place.heard(session)
        selected = session.selected
        assert selected is not None

        def flagged() -> bool:
            return any(isinstance(one, Fetched) and "\\Flagged" in (one.flags or ()) for one in heard)

        async def remove() -> None:
            await other.store(UidSet.of(uids[1:2]), "+", ["\\Deleted"])
            await other.expunge(UidSet.of(uids[1:2]))

        append = other.append(path, plain(3), [], None)
        await place.hears(session, append, lambda: selected.exists == 3, "a message came")
        store = other.store(UidSet.of(uids[:1]), "+", ["\\Flagged"])
        await place.hears(session, store, flagged, "flags changed")
        await place.hears(session, remove(), lambda: selected.exists == 2, "a message went")
        self.assertEqual(len(await session.search(search.EVERY)), 2)

    @everywhere
    async def test_changes(self, place: Place) -> None:
        """What changed since is told, alone where there are mod-sequences, else among all."""
        session, path, uids = await place.filled(*(plain(n) for n in range(4)))
        since = session.selected.modseq if session.selected is not None else None
        other = await place.second(path)
        await other.store(UidSet.of(uids[1:2]), "+", ["\\Flagged"])
        await session.noop()
        rows = await session.fetch(EVERYTHING, ["UID", "FLAGS"], changed_since=since)
        flags = {row.uid: set(row.flags or ()) - {"\\Recent"} for row in rows}
        self.assertEqual(flags[uids[1]], {"\\Flagged"})
        counted = "CONDSTORE" in session.capabilities
        self.assertEqual(set(flags), {uids[1]} if counted else set(uids))

    @everywhere
    async def test_resume(self, place: Place) -> None:
        """A folder selected again with what was known leads to the same knowledge, however the server tells it."""
        session, path, uids = await place.filled(*(plain(n) for n in range(5)))
        before = session.selected
        assert before is not None
        known = Known(before.uidvalidity, before.modseq or 1, UidSet.of(uids))
        await session.logout()
        other = await place.second(path)
        await other.store(UidSet.of(uids[:1]), "+", ["\\Seen"])
        await other.store(UidSet.of(uids[3:4]), "+", ["\\Deleted"])
        await other.expunge(UidSet.of(uids[3:4]))
        await other.append(path, plain(9), ["\\Flagged"], None)
        again = await place.open()
        selected = await again.select(path, known=known)
        self.assertEqual((selected.uidvalidity, selected.exists), (before.uidvalidity, 5))
        if "QRESYNC" in again.enabled:
            assert selected.vanished is not None
            gone, changed = selected.vanished, selected.changed
        else:
            self.assertIsNone(selected.vanished)
            gone = UidSet.of(uids) - await again.search(search.EVERY)
            changed = await again.fetch(EVERYTHING, ["UID", "FLAGS"])
        self.assertEqual(list(gone & UidSet.of(uids)), uids[3:4])
        flags = {row.uid: row.flags or () for row in changed}
        self.assertIn("\\Seen", flags[uids[0]])
        fresh = max(uid for uid in await again.search(search.EVERY))
        self.assertNotIn(fresh, uids)
        if fresh not in flags:  # UIDs behind those that were known need not be told
            flags[fresh] = (await again.fetch(UidSet.of([fresh]), ["UID", "FLAGS"]))[0].flags or ()
        self.assertIn("\\Flagged", flags[fresh])

    # the rest

    @everywhere
    async def test_extras(self, place: Place) -> None:
        """Storage, ids, previews and labels where the server has them, and no error where not."""
        session, path, uids = await place.filled(plain(1, body="the beginning"))
        storage = await session.storage(path)
        if "QUOTA" not in session.capabilities:
            self.assertIsNone(storage)
        identity = await session.mailbox_id(path)
        self.assertEqual(identity is not None, "OBJECTID" in session.capabilities)
        (row,) = await session.fetch(UidSet.of(uids), ["UID", "PREVIEW", "EMAILID", "X-GM-LABELS"])
        previews = (None,) if "PREVIEW" not in session.capabilities else ("the beginning", None)
        self.assertIn(row.preview, previews)  # RFC 8970 3.1: a server may have none of a message
        self.assertEqual(row.email_id is not None, "OBJECTID" in session.capabilities)
        if "X-GM-EXT-1" in session.capabilities:
            await session.store_labels(UidSet.of(uids), "+", ["Work", "\\Important"])
            (row,) = await session.fetch(UidSet.of(uids), ["UID", "X-GM-LABELS"])
            self.assertEqual(set(row.labels or ()), {"Work", "\\Important"})
        else:
            await self.error(EmailEngineError, session.store_labels(UidSet.of(uids), "+", ["Work"]))

    @everywhere
    async def test_side_by_side(self, place: Place) -> None:
        """Calls made at once all get their own answers, and one that is cancelled disturbs none."""
        session, path, uids = await place.filled(*(plain(n) for n in range(3)))
        data = [plain(n) for n in range(3)]
        calls = [Deferred.fromCoroutine(session.fetch_part(uids[n % 3], "", offset=n, size=9)) for n in range(12)]
        status = Deferred.fromCoroutine(session.status(path, ["MESSAGES"]))
        calls[4].cancel()
        calls[4].addErrback(lambda _: None)
        for n, call in enumerate(calls):
            if n != 4:
                self.assertEqual(await call, data[n % 3][n : n + 9])
        self.assertEqual(await status, {"MESSAGES": 3})
        await session.noop()
