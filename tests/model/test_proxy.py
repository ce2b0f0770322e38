"""URLs of proxies: what they mean, and what is wrong with them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.model.proxy import Proxy, proxy_url, read_proxy


class ReadProxyTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Each kind has its port; a login is taken out of its escapes; `socks` is SOCKS5."""
        for url, proxy in {
            "socks://p.example": Proxy("socks5", "p.example", 1080),
            "SOCKS5://P.example:1/": Proxy("socks5", "p.example", 1),
            "socks4://me@192.0.2.1": Proxy("socks4", "192.0.2.1", 1080, b"me"),
            "socks4a://p": Proxy("socks4a", "p", 1080),
            "http://a:b@p": Proxy("http", "p", 80, b"a", b"b"),
            " https://a%40b:%2f%3A%00%c3%a4@[2001:db8::1]:8443 ": Proxy(
                "https", "2001:db8::1", 8443, b"a@b", b"/:\0\xc3\xa4"
            ),
            "socks5://a:@p": Proxy("socks5", "p", 1080, b"a", b""),
        }.items():
            self.assertEqual(read_proxy(url), proxy)
        self.assertEqual(proxy_url(" socks5://a:b@p "), "socks5://a:b@p")

    def test_refused(self) -> None:
        """What is wrong is told, and never the login."""
        for url, told in {
            "": "of the kind",
            "p.example:1080": "of the kind",
            "ftp://u:hunter2@p": "of the kind",
            "socks5://u:hunter2@": "must have a host",
            "socks5://u:hunter2@p:0": "a port from 1",
            "socks5://u:hunter2@p:99999": "a port from 1",
            "socks5://u:hunter2@p:x": "a port from 1",
            "socks5://u:hunter2@[::1": "a host",
            "socks5://u:hunter2@p/x": "%2F",
            "socks5://u:hunter2@p?x": "%3F",
            "socks5://u:hunter2#@p": "%23",
            "socks5://u:hun ter2@p": "no spaces",
            "http://p\r\nX: hunter2": "no spaces",
            "socks4://u:hunter2@p": "SOCKS4 knows user ids only",
            "socks4://hunter2%00x@p": "zero octet",
            "socks5://:hunter2@p": "a user beside",
            "http://hunter2%3a:x@p": "no colon",
            f"socks5://u:{'hunter2' * 40}@p": "255 octets",
        }.items():
            with self.assertRaises(ValueError) as raised:
                read_proxy(url)
            self.assertIn(told, str(raised.exception), url)
            self.assertNotIn("hunter2", str(raised.exception))

    def test_text(self) -> None:
        """A proxy as text, and its repr, have no login."""
        proxy = read_proxy("socks5://anna:hunter2@[2001:db8::1]:1080")
        self.assertEqual(str(proxy), "socks5://[2001:db8::1]:1080")
        self.assertNotIn("hunter2", repr(proxy))
        self.assertNotIn("anna", repr(proxy))
