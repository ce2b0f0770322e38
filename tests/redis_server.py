"""One private Redis for the whole test run, and a key prefix of its own for every test."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from emailengine.store.keys import Keys
from emailengine.store.redis import Redis

_numbers = itertools.count(1)
_url: str | None = None


def redis_url() -> str:
    """The URL of the run's Redis, which is started at the first call and ended with the run."""
    global _url
    if _url is None:
        server = shutil.which("redis-server")
        assert server is not None, "redis-server is missing: apt-get install redis-server"
        directory = Path(tempfile.mkdtemp(prefix="ee-redis-"))
        socket = directory / "redis.sock"
        process = subprocess.Popen(
            [server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(directory)],
            stdout=subprocess.DEVNULL,
        )

        def end(owner: int = os.getpid()) -> None:
            if os.getpid() == owner:
                process.kill()
                process.wait()
                shutil.rmtree(directory, ignore_errors=True)

        atexit.register(end)
        for _ in range(500):
            if socket.exists():
                break
            time.sleep(0.01)
        _url = f"unix://{socket}"
    return _url


class RedisCase(TestCase):
    """A test with `self.redis`, ready, and `self.keys`, under a prefix that nobody else uses."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        self.redis = Redis(redis_url(), reactor=reactor, prefix=f"t{next(_numbers)}:")
        self.keys = Keys(self.redis.prefix.decode())
        self.redis.startService()
        self.addCleanup(self.redis.stopService)
        return Deferred.fromCoroutine(self.redis.ready())

    async def all_keys(self) -> list[bytes]:
        """Every key of this test, sorted."""
        found: list[bytes] = await self.redis.call("KEYS", self.redis.prefix + b"*")
        return sorted(found)
