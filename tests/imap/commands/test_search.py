"""SEARCH and SORT with values alone."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ServerRefused
from emailengine.imap.commands.search import BadCharset, SearchUids, SortUids
from emailengine.wire.imap import search
from emailengine.wire.imap.responses import Tagged, parse


def refused(line: bytes) -> Exception:
    final = parse([line])
    assert isinstance(final, Tagged)
    return SearchUids(search.EVERY).refused(final)


class SearchTests(SynchronousTestCase):
    def test_line(self) -> None:
        """RETURN before CHARSET before the criterion (RFC 4466 2.6.1)."""
        command = SearchUids(search.flag("\\Seen"), returning=b"RETURN (ALL)", charset="UTF-8")
        self.assertEqual(command.line(), [b"UID SEARCH RETURN (ALL) CHARSET UTF-8 SEEN"])
        self.assertEqual(SearchUids(search.EVERY).line(), [b"UID SEARCH ALL"])
        sort = SortUids(search.EVERY, ["REVERSE DATE"], charset="US-ASCII")
        self.assertEqual(sort.line(), [b"UID SORT (REVERSE DATE) US-ASCII ALL"])

    def test_answers(self) -> None:
        """Every form of an answer is taken, and nothing else."""
        command = SearchUids(search.EVERY)
        for line in (
            b"* SEARCH 4 2",
            b'* ESEARCH (TAG "1") UID ALL 7:8',
            b"* ESEARCH UID PARTIAL (1:2 9)",
            b"* ESEARCH",
        ):
            self.assertTrue(command.take(parse([line])), line)
        for line in (b"* SORT 1", b"* 3 EXISTS"):
            self.assertFalse(command.take(parse([line])), line)
        found = command.result(Tagged(b"1", "OK", None, ""))
        self.assertEqual((found.numbers, [str(one) for one in found.sets]), ([4, 2], ["7:8", "9"]))

    def test_charsets(self) -> None:
        """What a server says it knows comes with the refusal."""
        error = refused(b'1 NO [BADCHARSET (US-ASCII "koi8-r")] no')
        assert isinstance(error, BadCharset)
        self.assertEqual((error.known, error.code, error.message), (("US-ASCII", "koi8-r"), "BADCHARSET", "no"))
        error = refused(b"1 NO [BADCHARSET] no")
        assert isinstance(error, BadCharset)
        self.assertEqual(error.known, ())
        self.assertIs(type(refused(b"1 NO no")), ServerRefused)
