"""A daemon, and accounts of it on servers that misbehave."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

from tests.integration.daemon import Daemon
from tests.integration.processes import eventually
from tests.integration.quirks.server import QuirkyServer
from tests.integration.receiver import Receiver


class QuirksCase(unittest.TestCase):
    """`environment` is the daemon's."""

    environment: ClassVar[dict[str, str]] = {}
    daemon: ClassVar[Daemon]
    sink: ClassVar[Receiver]

    @classmethod
    def setUpClass(cls) -> None:
        directory = Path(tempfile.mkdtemp(prefix="ee-quirks-"))
        cls.sink = Receiver(directory)
        cls.addClassCleanup(cls.sink.stop)
        cls.daemon = Daemon(directory, **cls.environment).start()
        cls.addClassCleanup(cls.daemon.kill)
        cls.daemon.ask(
            "POST", "/v1/settings", {"webhooksEnabled": True, "webhooks": cls.sink.url, "webhookEvents": ["*"]}
        )

    def serve(self, **more: Any) -> QuirkyServer:
        """A server of this test's own, and an account on it named like the test."""
        server = QuirkyServer(**more)
        self.addCleanup(server.stop)
        return server

    @property
    def account(self) -> str:
        return self._testMethodName

    def body(self, server: QuirkyServer, **imap: Any) -> dict[str, Any]:
        """A registration; `imap` says otherwise where its server is. A proxied server is reached through itself."""
        login = {"user": "anna", "pass": "secret"}
        where = {"host": "127.0.0.1", "port": server.port, "secure": False, "auth": login} | imap
        body = {"account": self.account, "name": "Anna", "notifyFrom": "2026-01-01T00:00:00.000Z", "imap": where}
        return body | ({"proxy": f"http://127.0.0.1:{server.port}"} if server.proxied else {})

    def connect(self, server: QuirkyServer, state: str = "connected", **imap: Any) -> None:
        self.daemon.ask("POST", "/v1/account", self.body(server, **imap))
        self.addCleanup(self.daemon.call, "DELETE", f"/v1/account/{self.account}")
        self.daemon.wait_for_state(self.account, state)

    def detail(self) -> Any:
        return self.daemon.account(self.account)

    def look_around(self) -> None:
        """What a client asks for who misses something."""
        self.daemon.ask("PUT", f"/v1/account/{self.account}/sync", {"sync": True})

    def listed(self, path: str = "INBOX") -> list[dict[str, Any]]:
        """The messages of a folder, as the API lists them."""
        found: list[dict[str, Any]] = self.daemon.ask("GET", f"/v1/account/{self.account}/messages?path={path}")[
            "messages"
        ]
        return found

    def told(self, event: str = "messageNew") -> list[dict[str, Any]]:
        return [row["body"] for row in self.sink.kept(event) if row["body"]["account"] == self.account]

    def wait_for(self, count: int, event: str = "messageNew") -> list[dict[str, Any]]:
        eventually(lambda: len(self.told(event)) >= count, f"{count} times {event}", 30)
        return self.told(event)
