"""HTML as plain text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.mime import preview
from emailengine.wire.mime.preview import html_to_text

TAGS = ["<p>", "</p>", "<div>", "<br>", "<ul><li>", "</ul>", "<pre>", "</pre>", "<blockquote>", "</blockquote>", "<a href='http://x'>",
        "</a>", "<table><tr><td>", "</table>", "a", " b ", "\n", "<style>", "</style>", "<li>", "<ol>", "&lt;", "<!-- -->", "<svg>"]  # fmt: skip


class HtmlToTextTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Blocks, lists, quotes, links and tables as a reader expects them."""
        for html, text in [
            ("", ""),
            ("plain", "plain"),
            ("<p>One</p><p>Two</p>", "One\n\nTwo"),
            ("<div>One</div><div>Two</div>", "One\nTwo"),
            ("a<br>b<br><br>c<br><br><br><br>d", "a\nb\n\nc\n\nd"),
            ("<b>Hel</b>lo <i>you</i> there", "Hello you there"),
            ("  many \n\t blanks&nbsp;here ", "many blanks here"),
            ("<head><title>T</title><style>p{}</style></head><script>x()</script><p>Body</p>", "Body"),
            ('see <a href="https://x.y/z">this</a>.', "see this [https://x.y/z]."),
            (
                '<a href="https://x.y">https://x.y</a> <a href="mailto:a@b">a@b</a> <a href="#top">up</a>',
                "https://x.y a@b up",
            ),
            ("<ul><li>one<li>two<ol><li>in<li>out</ol></ul>end", "* one\n* two\n  1. in\n  2. out\n\nend"),
            ("<blockquote>said<p>more</p></blockquote>mine", "> said\n>\n> more\n\nmine"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
            ("<pre>x  y\n  z</pre>", "x  y\n  z"),
            ('<div style="display:none">hidden</div><p hidden>x</p>seen<img src="x" alt="y">', "seen"),
            ("a<hr>b", "a\n\n---\n\nb"),
            ("1 &lt; 2 &amp; <!-- no -->3", "1 < 2 & 3"),
        ]:
            self.assertEqual(html_to_text(html), text, repr(html))

    def test_depth(self) -> None:
        """Deep nesting and much text end in time and in pieces."""
        self.assertEqual(html_to_text("<div>" * 20_000 + "x"), "x")
        pieces = list(preview.text_pieces("<p>word</p>" * 100_000))
        self.assertGreater(len(pieces), 10)
        self.assertTrue(pieces[-1].startswith("word\n\nword"))

    @given(st.text(max_size=200) | st.lists(st.sampled_from(TAGS), max_size=40).map("".join))
    def test_total(self, html: str) -> None:
        """Any HTML gives text without runs of empty lines."""
        self.assertNotIn("\n\n\n", html_to_text(html))


class PreviewTests(SynchronousTestCase):
    def test_preview(self) -> None:
        """One line, cut at a word, without fillers; HTML goes before text, and targets are not shown."""
        self.assertEqual(preview.preview("a\n\n b\u00a0c\u034f \u200c", None), "a b c")
        self.assertEqual(preview.preview("text", '<p>Hi <a href="http://x">you</a></p>'), "Hi you")
        self.assertEqual(preview.preview("word " * 100, None, 18), "word word word")
        self.assertEqual(preview.preview("x" * 300, None, 10), "x" * 10)
        self.assertEqual(preview.preview(None, None), "")
