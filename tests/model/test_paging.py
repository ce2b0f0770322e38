"""Pages and cursors."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import InvalidInput
from emailengine.model.codec import read_pairs
from emailengine.model.paging import PageQuery, cursor_page, cursors, make_cursor, page_count

LAST = 1048576


class CursorTests(SynchronousTestCase):
    @given(st.integers(0, LAST))
    def test_round_trip(self, page: int) -> None:
        """A cursor gives its page again."""
        self.assertEqual(cursor_page(make_cursor(page)), page)

    @given(st.text(max_size=30) | st.text(max_size=30).map(lambda text: "imap_" + text))
    def test_any_text(self, text: str) -> None:
        """Any text is a cursor or refused."""
        try:
            self.assertTrue(0 <= cursor_page(text) <= LAST)
        except InvalidInput as error:
            self.assertEqual((error.code, error.status), ("InvalidCursorValue", 400))

    def test_refused(self) -> None:
        """A page below 0, beyond the limit, or no number is refused."""
        for inside in (
            b'{"page":-1}',
            b'{"page":1048577}',
            b'{"page":"1"}',
            b"{}",
            b"[]",
            b'{"page":1.5}',
            b"\xff",
            b"",
        ):
            text = "imap_" + urlsafe_b64encode(inside).decode()
            self.assertRaises(InvalidInput, cursor_page, text)
        self.assertRaises(InvalidInput, cursor_page, make_cursor(1).removeprefix("imap_"))

    @given(st.integers(0, 500), st.integers(1, 50), st.integers(0, 600))
    def test_neighbours(self, total: int, page_size: int, page: int) -> None:
        """Cursors lead to pages that hold something: the next one, and the one before or the last."""
        pages = page_count(total, page_size)
        self.assertTrue((pages - 1) * page_size < total <= pages * page_size or (pages, total) == (0, 0))
        following, previous = (one and cursor_page(one) for one in cursors(page, pages))
        self.assertEqual(following, page + 1 if page + 1 < pages else None)
        self.assertEqual(previous, None if page == 0 or pages == 0 else min(page, pages) - 1)

    def test_empty(self) -> None:
        """An empty list has no page, an empty message list one."""
        self.assertEqual((page_count(0, 20), page_count(0, 20, least=1)), (0, 1))


class QueryTests(SynchronousTestCase):
    def test_query(self) -> None:
        """Page and size are read from text, with defaults, within limits."""
        self.assertEqual(read_pairs([], PageQuery), PageQuery(page=0, page_size=20))
        self.assertEqual(
            read_pairs([("page", "3"), ("pageSize", "1000")], PageQuery), PageQuery(page=3, page_size=1000)
        )
        for bad in ([("page", "-1")], [("pageSize", "0")], [("pageSize", "1001")], [("page", "1"), ("page", "2")]):
            self.assertRaises(InvalidInput, read_pairs, bad, PageQuery)
