"""The daemon as an operator starts it, and its REST API as a client calls it."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.integration.processes import Running, eventually, free_port, listening


class Daemon:
    """`twistd emailengine` on a free port with a state directory of its own, or with the Redis at `redis`."""

    def __init__(self, directory: Path, *arguments: str, redis: str | None = None, **environment: str) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.port = free_port()
        self._arguments = [*arguments, f"--api.port={self.port}", f"--state-dir={self.state}"]
        if redis is not None:
            self._arguments.append(f"--dbs.redis={redis}")
        self._environment = environment
        self.running: Running | None = None

    def start(self) -> Daemon:
        """Start it, and return once it answers."""
        self.begin()
        eventually(self._up, "the daemon answers")
        return self

    def begin(self) -> Running:
        twistd = Path(sys.executable).with_name("twistd")
        command = [sys.executable, str(twistd), "--nodaemon", "--pidfile=", "emailengine", *self._arguments]
        self.running = Running(command, self.directory / "daemon.log", self._environment)
        return self.running

    def _up(self) -> bool:
        assert self.running is not None
        if self.running.process.poll() is not None:
            raise AssertionError(f"the daemon ended:\n{self.running.output()[-3000:]}")
        return listening(self.port) and self.call("GET", "/health")[0] == 200

    @property
    def pid(self) -> int:
        assert self.running is not None
        return self.running.pid

    @property
    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def output(self) -> str:
        assert self.running is not None
        return self.running.output()

    def kill(self) -> None:
        assert self.running is not None
        self.running.kill()

    def stop(self) -> int:
        assert self.running is not None
        return self.running.stop()

    # the API

    def raw(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers by lower-case name, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request with JSON: status and the answer."""
        sent = None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if sent is not None:
            named.setdefault("Content-Type", "application/json")
        status, told, answer = self.raw(method, path, sent, named)
        return status, json.loads(answer) if "json" in told.get("content-type", "") else answer

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request that must succeed."""
        status, answer = self.call(method, path, body)
        assert status == 200, (method, path, status, answer)
        return answer

    def account(self, account: str) -> Any:
        return self.ask("GET", f"/v1/account/{quote(account, safe='')}")

    def wait_for_state(self, account: str, state: str, seconds: float = 30.0) -> Any:
        """The account's detail, once it is in that state."""
        return eventually(
            lambda: (told := self.account(account))["state"] == state and told, f"{account} is {state}", seconds
        )
