"""Accounts behind a proxy, with a real Dovecot, a real SMTP server and a proxy in a process of its own."""

from __future__ import annotations

import json
from functools import partial

from tests.integration.processes import ROOT, Running, eventually, free_port, listening, python
from tests.integration.walk.accounts import AccountsCase

LOGIN = "walker:tunnel-word"


class ProxyTests(AccountsCase):
    def setUp(self) -> None:
        port = free_port()
        self.url = f"socks5://{LOGIN}@127.0.0.1:{port}"
        script = ROOT / "tests" / "integration" / "net" / "proxy.py"
        self.proxy = Running(python(script, str(port), LOGIN), self.directory / f"{self.id()}.log")
        self.addCleanup(self.proxy.kill)
        eventually(partial(listening, port), "the proxy listens")

    def asked(self, port: int) -> bool:
        return f"localhost:{port}\n" in self.proxy.output()

    def send(self) -> None:
        before = len(self.post.kept())
        mail = {"to": [{"address": "anna@example.org"}], "subject": "hi", "text": "x"}
        self.daemon.ask("POST", "/v1/account/cy/submit", mail)
        eventually(lambda: len(self.post.kept()) > before, "the message has arrived")

    def test_own(self) -> None:
        """An account's proxy leads to both of its servers; its login is shown to nobody and lies sealed in the store."""
        self.register("cy", proxy=self.url)
        self.assertTrue(self.asked(self.mail.port), self.proxy.output())
        self.send()
        self.assertTrue(self.asked(self.post.port), self.proxy.output())
        told = json.dumps([self.daemon.account("cy"), self.daemon.ask("GET", "/v1/accounts")])
        self.assertIn("socks5://******:******@127.0.0.1", told)
        for file in (self.daemon.state).rglob("*"):
            if file.is_file():
                self.assertNotIn(b"tunnel-word", file.read_bytes(), file)
        self.assertNotIn("tunnel-word", told + self.daemon.output())

        self.proxy.kill()
        self.daemon.ask("PUT", "/v1/account/cy/reconnect", {"reconnect": True})
        error = self.daemon.wait_for_state("cy", "connectError")["lastError"]
        self.assertEqual(error["serverResponseCode"], "EPROXY")
        self.assertIn("The proxy socks5://127.0.0.1", error["response"])
        self.daemon.ask("PUT", "/v1/account/cy", {"proxy": ""})
        self.daemon.wait_for_state("cy", "connected")
        self.daemon.ask("DELETE", "/v1/account/cy")

    def test_common(self) -> None:
        """The installation's proxy is for accounts that have none of their own, while it is switched on."""
        self.daemon.ask("POST", "/v1/settings", {"proxyEnabled": True, "proxyUrl": self.url})
        told = self.daemon.ask("GET", "/v1/settings?proxyUrl=true&proxyEnabled=true")
        self.assertEqual((told["proxyEnabled"], told["proxyUrl"].partition("@")[0]), (True, "socks5://******:******"))
        self.register("cy")
        self.send()
        self.assertTrue(self.asked(self.mail.port) and self.asked(self.post.port), self.proxy.output())
        self.daemon.ask("POST", "/v1/settings", {"proxyEnabled": False})
        self.proxy.kill()
        self.daemon.ask("PUT", "/v1/account/cy/reconnect", {"reconnect": True})
        eventually(lambda: self.daemon.account("cy")["state"] != "connected", "it connects anew")
        self.daemon.wait_for_state("cy", "connected")
        self.daemon.ask("DELETE", "/v1/account/cy")
