"""Hosts as people type them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectFailed
from emailengine.net.hosts import Host, read_host


class HostTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Names come in lower-case ASCII without their last dot; underscores are names, too."""
        for written, text in (
            ("IMAP.Example.COM.", "imap.example.com"),
            (" mail.example.com ", "mail.example.com"),
            ("mail_1.example.com", "mail_1.example.com"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
        ):
            self.assertEqual(read_host(written), Host(text, False), written)

    def test_addresses(self) -> None:
        """Addresses are told from names, also in brackets."""
        for written, text in (("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1"), ("::1", "::1")):
            self.assertEqual(read_host(written), Host(text, True), written)

    def test_neither(self) -> None:
        """What can be no host is not found, and trying again is no use."""
        for written in ("", "a..b", "-a.example", "a b", "x" * 64 + ".example", "a/b", "a\0b", "\ud800.example"):
            error = self.assertRaises(ConnectFailed, read_host, written)
            self.assertEqual((error.code, error.transient), ("ENOTFOUND", False), repr(written))
