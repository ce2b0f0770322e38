"""Searching: sets, pages, orders and charsets."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from emailengine.core.turns import Turns
from emailengine.errors import InvalidInput, ServerRefused
from emailengine.imap.commands.search import SearchUids
from emailengine.wire.imap import search
from emailengine.wire.imap.responses import ESearch, Search, Tagged
from emailengine.wire.imap.uidset import UidSet
from tests.imap.case import OLD, SessionCase


class Ticking(Clock):
    """Time goes on by itself, so that every turn is soon used up; counts them."""

    turns = 0

    def seconds(self) -> float:
        self.rightNow += 0.01
        return super().seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:
        self.turns += 1
        return super().callLater(delay, callable, *args, **kw)


class SearchTests(SessionCase):
    def test_search(self) -> None:
        """Ranges where the server can say them, else numbers; a wide text goes as a literal with its charset."""
        found = self.ask(
            self.session.search(search.flag("\\Seen")),
            ("UID SEARCH RETURN (ALL) SEEN", '* ESEARCH (TAG "2") UID ALL 4:6,9\n. OK'),
        )
        self.assertEqual(str(found), "4:6,9")
        nothing = self.ask(
            self.session.search(search.EVERY), ("UID SEARCH RETURN (ALL) ALL", '* ESEARCH (TAG "3") UID\n. OK')
        )
        self.assertFalse(nothing)
        self.connect("IMAP4rev1 LITERAL+")
        found = self.ask(
            self.session.search(search.subject("ü")),
            ("UID SEARCH CHARSET UTF-8 SUBJECT {2+}\r\nü", "* SEARCH 9 4\n* SEARCH 5\n. OK"),
        )
        self.assertEqual(str(found), "4:5,9")

    @given(st.lists(st.lists(st.integers(1, 60)), max_size=4))
    def test_search_lines(self, lines: list[list[int]]) -> None:
        """Numbers in any order, repeated, over any number of responses are one set; so are sets beside them."""
        command = SearchUids(search.EVERY)
        for line in lines:
            command.take(Search(line))
        command.take(ESearch(all=UidSet.parse("30:40")))
        found = command.result(Tagged(b"1", "OK", None, ""))
        joined = Deferred.fromCoroutine(found.joined(Turns(self.clock)))
        self.assertEqual(
            self.successResultOf(joined), UidSet.of([*range(30, 41), *(one for line in lines for one in line)])
        )

    def test_long_search(self) -> None:
        """A hundred thousand numbers become a set in turns, also in no order."""
        ticking = Ticking()
        numbers = [one for one in range(100_000, 0, -1) if one % 40_000]
        command = SearchUids(search.EVERY)
        for start in range(0, len(numbers), 30_000):
            command.take(Search(numbers[start : start + 30_000]))
        found = command.result(Tagged(b"1", "OK", None, ""))
        joined = Deferred.fromCoroutine(found.joined(Turns(ticking)))
        self.assertNoResult(joined)
        ticking.pump([0.01] * 20)
        self.assertEqual(str(self.successResultOf(joined)), "1:39999,40001:79999,80001:100000")
        self.assertGreaterEqual(ticking.turns, 6)

    def test_within(self) -> None:
        """A set that makes too long a line is searched in several commands."""
        within = UidSet.of(range(1, 4000, 2))
        result = self.start(self.session.search(search.flag("\\Seen"), within=within))
        asked = UidSet.of([])
        while line := self.peer.heard():
            self.assertLess(len(line), 8000)
            tag, *_, word, uids, last = line.split()
            self.assertEqual((word, last), ("UID", "SEEN"))
            asked |= UidSet.parse(uids)
            self.peer.say(f'* ESEARCH (TAG "{tag}") UID ALL {uids}', f"{tag} OK")
        self.assertEqual((asked, self.successResultOf(result)), (within, within))
        self.assertFalse(self.ask(self.session.search(search.EVERY, within=UidSet.of([]))))

    def test_kept(self) -> None:
        """A result that the server keeps is named to it, as long as it keeps it."""
        self.connect("IMAP4rev1 ESEARCH SEARCHRES UIDPLUS MOVE")
        said = ("UID SEARCH RETURN (SAVE ALL) SEEN", '* ESEARCH (TAG "x") UID ALL 4,9\n. OK')
        found = self.ask(self.session.search(search.flag("\\Seen"), save=True), said)
        rows = self.ask(self.session.fetch(found, ["UID"]), ("UID FETCH $ (UID)", "* 1 FETCH (UID 4)\n. OK"))
        self.assertEqual([row.uid for row in rows], [4])
        self.ask(self.session.store(found, "+", ["\\Seen"]), ("UID STORE $ +FLAGS (\\Seen)", ". OK"))
        self.ask(self.session.move(found, "x"), ('UID MOVE $ "x"', ". OK"))
        self.ask(self.session.fetch(UidSet.of([4, 9]), ["UID"]), ("UID FETCH 4,9 (UID)", ". OK"))
        self.ask(self.session.search(search.EVERY, save=True), ("UID SEARCH RETURN (SAVE ALL) ALL", ". OK"))
        self.ask(self.session.expunge(found), ("UID EXPUNGE 4,9", ". OK"))
        found = self.ask(self.session.search(search.flag("\\Seen"), save=True), said)
        self.ask(self.session.select("x"), ('SELECT "x"', ". OK"))
        self.ask(self.session.expunge(found), ("UID EXPUNGE 4,9", ". OK"))

    def test_not_kept(self) -> None:
        """Where the server keeps no results, or not this one, it is spelled out."""
        said = ("UID SEARCH RETURN (ALL) ALL", "* ESEARCH UID ALL 4\n. OK")
        found = self.ask(self.session.search(search.EVERY, save=True), said)
        self.ask(self.session.fetch(found, ["UID"]), ("UID FETCH 4 (UID)", ". OK"))
        self.connect("IMAP4rev1 ESEARCH SEARCHRES")
        refused = ("UID SEARCH RETURN (SAVE ALL) ALL", ". NO [NOTSAVED] x")
        found = self.ask(self.session.search(search.EVERY, save=True), refused, said)
        self.ask(self.session.fetch(found, ["UID"]), ("UID FETCH 4 (UID)", ". OK"))

    def test_page(self) -> None:
        """A page from either end, which an old server cannot cut."""
        for capabilities, first, last, said, answer, page in (
            ("PARTIAL ESEARCH", 1, 2, "RETURN (PARTIAL 1:2) ", "ESEARCH UID PARTIAL (1:2 4:5)", "4:5"),
            ("PARTIAL ESEARCH", -1, -2, "RETURN (PARTIAL -1:-2) ", "ESEARCH UID PARTIAL (-1:-2 8:9)", "8:9"),
            ("PARTIAL ESEARCH", 8, 9, "RETURN (PARTIAL 8:9) ", "ESEARCH UID PARTIAL (8:9 NIL)", ""),
            ("CONTEXT=SEARCH ESEARCH", 1, 2, "RETURN (PARTIAL 1:2) ", "ESEARCH UID PARTIAL (1:2 4:5)", "4:5"),
            ("CONTEXT=SEARCH ESEARCH", -1, -2, "RETURN (ALL) ", "ESEARCH UID ALL 4:6,8:9", "8:9"),
            ("", 1, 2, "", "SEARCH 4 5 6 8 9", "4:5"),
            ("", 2, 4, "", "SEARCH 4 5 6 8 9", "5:6,8"),
            ("", 4, 2, "", "SEARCH 4 5 6 8 9", "5:6,8"),
            ("", 5, 50, "", "SEARCH 4 5 6 8 9", "9"),
            ("", 6, 50, "", "SEARCH 4 5 6 8 9", ""),
            ("", -1, -2, "", "SEARCH 4 5 6 8 9", "8:9"),
            ("", -3, -50, "", "SEARCH 4 5 6 8 9", "4:6"),
            ("", -6, -50, "", "SEARCH 4 5 6 8 9", ""),
            ("", 1, 2, "", "SEARCH", ""),
        ):
            self.connect(f"IMAP4rev1 {capabilities}")
            found = self.ask(
                self.session.search_page(search.EVERY, first, last), (f"UID SEARCH {said}ALL", f"* {answer}\n. OK")
            )
            self.assertEqual(str(found), page, (capabilities, first, last))
        for first, last in ((0, 1), (1, 0), (-1, 1)):
            self.error(InvalidInput, self.session.search_page(search.EVERY, first, last))

    @given(st.sets(st.integers(1, 60)), st.integers(1, 30), st.integers(1, 30), st.booleans())
    def test_any_page(self, members: set[int], first: int, last: int, newest: bool) -> None:
        """A page that is cut here holds what a list of all would hold in these places."""
        self.connect("IMAP4rev1")
        ordered = sorted(members, reverse=newest)
        sign = -1 if newest else 1
        low, high = sorted((first, last))
        found = self.ask(
            self.session.search_page(search.EVERY, sign * first, sign * last),
            ("UID SEARCH ALL", f"* SEARCH {' '.join(map(str, members))}\n. OK"),
        )
        self.assertEqual(found, UidSet.of(ordered[low - 1 : high]))

    def test_sorted(self) -> None:
        """In the server's order, with a charset that is never left out; None where it cannot sort so."""
        self.connect("IMAP4rev1 SORT LITERAL+")
        keys = ["REVERSE ARRIVAL", "SUBJECT"]
        self.assertEqual(
            self.ask(
                self.session.search_sorted(search.EVERY, keys),
                ("UID SORT (REVERSE ARRIVAL SUBJECT) US-ASCII ALL", "* SORT 9 4\n* SORT 6\n. OK"),
            ),
            [9, 4, 6],
        )
        wide = ("UID SORT (DATE) UTF-8 SUBJECT {2+}\r\nü", ". NO [BADCHARSET] x")
        self.assertIsNone(self.ask(self.session.search_sorted(search.subject("ü"), ["DATE"]), wide))
        self.assertIsNone(self.ask(self.session.search_sorted(search.EVERY, ["DISPLAYFROM"])))
        self.error(InvalidInput, self.session.search_sorted(search.EVERY, ["DATE) ALL NOOP"]))
        self.connect(OLD)
        self.assertIsNone(self.ask(self.session.search_sorted(search.EVERY, keys)))

    def test_charsets(self) -> None:
        """A server that does not know UTF-8 is asked in what it knows, or without a word of it; a refusal is its own."""
        first = "UID SEARCH CHARSET UTF-8 SUBJECT {2+}\r\nü"
        bare = "UID SEARCH SUBJECT {2+}\r\nü"
        self.connect("IMAP4rev1 LITERAL+")
        for refusal, others in (
            ("NO [BADCHARSET (KOI8-R US-ASCII)] x", [bare]),
            ("NO [BADCHARSET] x", [bare]),
            ("BAD what", [bare]),
        ):
            found = self.ask(
                self.session.search(search.subject("ü")),
                (first, f". {refusal}"),
                *[(one, "* SEARCH 4\n. OK") for one in others],
            )
            self.assertEqual(str(found), "4", refusal)
        for refusal in ("NO [BADCHARSET (KOI8-R rot13)] x", "NO never", "BAD Request is throttled"):
            self.error(ServerRefused, self.session.search(search.subject("ü")), (first, f". {refusal}"))
        error = self.error(
            ServerRefused,
            self.session.search(search.subject("ü")),
            (first, ". NO [BADCHARSET (UTF-8)] first"),
            (bare, ". BAD second"),
        )
        self.assertEqual((error.code, error.message), ("BADCHARSET", "first"))

    def test_other_charset(self) -> None:
        """Texts are written anew in a charset that the server names."""
        self.connect("IMAP4rev1 LITERAL+")
        result = self.start(self.session.search(search.subject("ü")))
        self.peer.clear()
        self.peer.say("1 NO [BADCHARSET (US-ASCII ISO-8859-1)] x")
        self.assertEqual(self.peer.value(), b"2 UID SEARCH CHARSET ISO-8859-1 SUBJECT {1+}\r\n\xfc\r\n")
        self.peer.say("* SEARCH 4", "2 OK")
        self.assertEqual(str(self.successResultOf(result)), "4")

    def test_utf8(self) -> None:
        """Where UTF-8 is agreed upon no charset is named (RFC 6855 3)."""
        self.connect("IMAP4rev1 LITERAL+", utf8=True)
        self.ask(self.session.search(search.subject("ü")), ("UID SEARCH SUBJECT {2+}\r\nü", ". OK"))

    def test_ages(self) -> None:
        """Ages in seconds, or in days where the server knows no seconds."""
        self.connect("IMAP4rev1 WITHIN")
        self.assertEqual((self.session.younger(60), self.session.older(60)), ([b"YOUNGER 60"], [b"OLDER 60"]))
        self.connect(OLD)
        self.clock.advance(1772615702)  # 2026-03-04 09:15:02
        self.assertEqual(self.session.younger(86400), [b"SINCE 3-Mar-2026"])
        self.assertEqual(self.session.older(86400), [b"BEFORE 4-Mar-2026"])
