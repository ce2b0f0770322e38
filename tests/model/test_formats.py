"""Texts with a form: what is taken, and what it becomes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.model.formats import FORMATS

GOOD: dict[str, list[tuple[str, str]]] = {
    "date": [
        ("2021-03-22T13:13:31.000Z", "2021-03-22T13:13:31.000Z"),
        (" 2021-03-22T15:13:31+02:00", "2021-03-22T13:13:31.000Z"),
        ("2021-03-22", "2021-03-22T00:00:00.000Z"),
    ],
    "email": [
        (" a@example.com ", "a@example.com"),
        ("ä+b.c@exämple.com", "ä+b.c@exämple.com"),
        ('"a b"@example.com', '"a b"@example.com'),
        ("a@[127.0.0.1]", "a@[127.0.0.1]"),
        ("a@[IPv6:::1]", "a@[IPv6:::1]"),
        ("a@localhost", "a@localhost"),
    ],
    "hostname": [(" mail.example.com ", "mail.example.com"), ("a_b.local.", "a_b.local."), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")],
    "ip": [("10.0.0.1", "10.0.0.1"), ("[2001:DB8::1]", "2001:db8::1")],
    "url": [("https://u:p@example.com:8080/a?b#c", "https://u:p@example.com:8080/a?b#c"), ("HTTP://[::1]/", "HTTP://[::1]/")],
    "proxy": [(" socks5://u:p@[::1]:1080 ", "socks5://u:p@[::1]:1080"), ("http://p/", "http://p/")],
    "link": [("mailto:a@example.com", "mailto:a@example.com"), ("https://example.com", "https://example.com")],
}  # fmt: skip
BAD: dict[str, list[str]] = {
    "date": ["", "yesterday", "2021-13-01", "1616418811", "2021-03-22T25:00:00Z", "9999-12-31T23:59:59-23:59"],
    "email": ["", "a", "@b", "a@", "a b@c.d", "a@b c", "a@b@c.d", "a@b..c", "a\n@b.c", "a@b.c\nX", "<a@b.c>", "a@[1.2.3]", "a@" + "b" * 320],
    "hostname": ["", "a b", "-a", "a..b", "http://a", "a/b", "a:1", "a\nb", "::1%a\r\nX", "x" * 64, ".".join(["x" * 60] * 5)],
    "ip": ["", "10.0.0", "10.0.0.0/8", "localhost", "::1%eth0 x", "::1%a\r\nX"],
    "url": ["", "example.com", "ftp://example.com", "mailto:a@b.c", "http://", "http://a b/", "http://a\r\nX: y", "http://[::1", "http://a:99999", "javascript:alert(1)"],
    "proxy": ["", "p.example:1080", "ftp://p", "http://p/x", "socks4://u:p@p", "http://a\r\nX: y"],
    "link": ["", "javascript:alert(1)", "mailto:a\nb"],
}  # fmt: skip


class FormatTests(SynchronousTestCase):
    def test_good(self) -> None:
        """What has the form is normalised, and then stays as it is."""
        for name, cases in GOOD.items():
            for text, wanted in cases:
                self.assertEqual(FORMATS[name](text), wanted, (name, text))
                self.assertEqual(FORMATS[name](wanted), wanted, (name, text))

    def test_bad(self) -> None:
        """What has not is refused, with a text that goes on after the field's name."""
        self.assertEqual(set(BAD), set(FORMATS))
        for name, cases in BAD.items():
            for text in cases:
                with self.assertRaises(ValueError, msg=(name, text)) as caught:
                    FORMATS[name](text)
                self.assertTrue(str(caught.exception).startswith("must "), (name, text, caught.exception))

    @given(st.sampled_from(sorted(FORMATS)), st.text(max_size=30) | st.text('a@.:/-[]\r\n\t "\\<>,1', max_size=20))
    def test_one_line(self, name: str, text: str) -> None:
        """Whatever is accepted is one line without control characters, so it cannot leave a header or a command."""
        try:
            found = FORMATS[name](text)
        except ValueError:
            return
        self.assertFalse(any(ord(sign) < 32 or ord(sign) == 127 for sign in found))
