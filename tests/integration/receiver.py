"""A customer's web server in a process of its own: it keeps every webhook, and can be told to fail.

`GET /_kept` answers all that came, `POST /_mode {"status": 500, "times": 3}` makes the next answers failures.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEPT: list[dict[str, Any]] = []
MODE = {"status": 200, "times": 0}
LOCK = threading.Lock()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in two small packets waits 40 ms for the acknowledgement of the first

    def do_GET(self) -> None:
        with LOCK:
            self._answer(200, json.dumps(KEPT).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/_mode":
            MODE.update(json.loads(body))
            self._answer(200, b"{}")
            return
        with LOCK:
            status = 200
            if MODE["times"] > 0:
                MODE["times"] -= 1
                status = MODE["status"]
            KEPT.append(
                {
                    "at": time.time(),
                    "status": status,
                    "path": self.path,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "text": body.decode(),
                    "body": json.loads(body),
                }
            )
        self._answer(status, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        return


def main() -> None:
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answering).serve_forever()


class Receiver:
    """The receiver as a test sees it."""

    def __init__(self, directory: Path) -> None:
        from tests.integration.processes import Running, eventually, free_port, listening, python

        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._running = Running(python(Path(__file__), str(self.port)), directory / "receiver.log")
        eventually(lambda: listening(self.port), "the receiver listens")

    def kept(self, event: str | None = None, *, ok: bool = True) -> list[dict[str, Any]]:
        """All webhooks of a kind, in order of arrival; `ok` leaves out those that were answered with a failure."""
        rows: list[dict[str, Any]] = json.loads(self._ask("GET", "/_kept"))
        return [
            row for row in rows if (event is None or row["body"]["event"] == event) and (not ok or row["status"] < 300)
        ]

    def fail(self, times: int, status: int = 500) -> None:
        """Answer the next `times` webhooks with `status`."""
        self._ask("POST", "/_mode", json.dumps({"status": status, "times": times}).encode())

    def stop(self) -> None:
        self._running.kill()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body)
            return connection.getresponse().read()
        finally:
            connection.close()


if __name__ == "__main__":
    main()
