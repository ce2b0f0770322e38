"""pymap, an IMAP server by others, written in Python: its own process, mail in memory, one user."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.integration.processes import Running, eventually, free_port, listening

# Its way to keep passwords is meant to be slow, and would be the largest part of the tests' time.
_START = """
import sys
from pymap import config
from pymap.main import main
from pysasl.hashing import BuiltinHash
config.BuiltinHash = lambda: BuiltinHash(rounds=1)
sys.exit(main())
"""


class Pymap:
    """The server: IMAP without TLS on `port`, for the user `anna` with the password `secret`."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--no-tls"]
        user = ["dict", "--demo-user", "anna", "--demo-password", "secret"]
        self._running = Running([sys.executable, "-c", _START, *arguments, *user], directory / "pymap.log")
        try:
            eventually(self._up, "pymap listens")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._running.stop()

    def _up(self) -> bool:
        if self._running.process.poll() is not None:
            raise AssertionError(f"pymap ended: {self._running.output()}")
        return listening(self.port)
