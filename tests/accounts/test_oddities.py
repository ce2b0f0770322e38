"""Which mail servers are watched in another way than by IDLE."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.oddities import USUAL, Ask, bare_envelopes, watching


class OdditiesTests(SynchronousTestCase):
    def test_usual(self) -> None:
        """A server that nobody knows rests in IDLE, for less than the 29 minutes of RFC 2177."""
        for host in ("imap.example.com", "", "notyahoo.com", "yahoo.com.example.net", "com"):
            self.assertIs(watching(host, {}), USUAL)
        self.assertTrue(USUAL.idle)
        self.assertLess(USUAL.renewal, 29 * 60)

    def test_hosts(self) -> None:
        """A domain stands for all its hosts, in any case, with or without the dot at the end."""
        self.assertEqual(watching("imap.mail.Yahoo.com.", {}).renewal, 180)
        self.assertEqual(watching("yahoo.com", {}).renewal, 180)
        self.assertEqual(watching("imap.rambler.ru", {}).renewal, 55)
        for host in ("imap.163.com", "imap.126.com"):
            self.assertEqual((watching(host, {}).idle, watching(host, {}).ask), (False, Ask.STATUS))
        self.assertIs(watching("imap.naver.com", {}).ask, Ask.SELECT)

    def test_what_it_says_of_itself(self) -> None:
        """Coremail is known by its name, wherever it runs."""
        self.assertIs(watching("mail.example.cn", {"name": "Coremail Imap"}).ask, Ask.STATUS)
        self.assertIs(watching("mail.example.cn", {"name": None, "vendor": "Example"}), USUAL)

    def test_what_it_offers(self) -> None:
        """Yahoo's software is known by an extension of its own, under whatever name it is reached."""
        self.assertEqual(watching("imap.example.com", {}, {"IMAP4REV1", "IDLE", "XYMHIGHESTMODSEQ"}).renewal, 180)
        self.assertIs(watching("imap.example.com", {}, {"IMAP4REV1", "IDLE"}), USUAL)

    def test_bare_envelopes(self) -> None:
        """Lark tells no addresses in ENVELOPE, under both of its names."""
        for host in ("imap.larksuite.com", "imap.feishu.cn"):
            self.assertTrue(bare_envelopes(host))
        for host in ("imap.example.com", "notlarksuite.com", ""):
            self.assertFalse(bare_envelopes(host))

    def test_within(self) -> None:
        """An operator who gives silent servers up sooner has all of it as much faster; later changes nothing."""
        self.assertEqual(USUAL.within(60), USUAL)
        self.assertEqual(USUAL.within(300), USUAL)
        fast = USUAL.within(2)
        self.assertEqual((fast.renewal, fast.poll, fast.answer), (10, 4, 1))
        self.assertEqual(watching("imap.rambler.ru", {}).within(30).renewal, 55)
