"""A Redis of our own, with real processes and real kills."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
import unittest
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from emailengine.errors import StartupFailed
from emailengine.store.embedded import EmbeddedRedis, find_server, socket_path
from emailengine.store.redis import Redis, parse_url
from tests.integration.processes import ROOT, Running, alive, children, eventually, python

OWNER = ROOT / "tests" / "store" / "owner.py"


class Owner(Running):
    """Another process with an embedded Redis in `state`."""

    def __init__(self, directory: Path, state: Path) -> None:
        self.state = state
        super().__init__(python(OWNER, str(state)), Path(tempfile.mkstemp(dir=directory)[1]))

    def redis(self) -> int:
        """The pid of its Redis, once that answers."""
        return int(self.said("ready").split()[1])

    def said(self, word: str) -> str:
        def line() -> str:
            return next((one for one in self.output().splitlines() if one.startswith(word)), "")

        return eventually(line, f"the owner says {word}: {self.output()}")


def ask(path: Path, command: str) -> bytes:
    """One command with an answer of one line, without any of our code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(command.encode() + b"\r\n")
        return connection.recv(4096).strip()


def environment_of(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return {name: value for name, _, value in (one.partition("=") for one in words)}


def _child_or_ready(owner: Owner) -> bool:
    return bool(children(owner.pid)) or "ready" in owner.output()


def _gone(pids: list[int]) -> bool:
    return not any(alive(pid) for pid in pids)


class OwnerCase(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ee-own-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.state = self.directory / "state"

    def own(self) -> Owner:
        owner = Owner(self.directory, self.state)
        self.addCleanup(owner.kill)
        return owner


class KilledOwnerTests(OwnerCase):
    def test_killed_while_running(self) -> None:
        """After kill -9 of the daemon its Redis ends, and what was written is there for the next one."""
        owner = self.own()
        redis = owner.redis()
        self.assertEqual(ask(self.state / "redis.sock", "SET kept 1"), b"+OK")
        owner.kill()
        eventually(lambda: not alive(redis), "Redis ends with its daemon")
        self.own().redis()
        self.assertEqual(ask(self.state / "redis.sock", "GET kept").split(), [b"$1", b"1"])

    def test_killed_during_start(self) -> None:
        """Wherever in its start the daemon is killed, nothing is left behind and the next one starts."""
        chance = random.Random(7)
        for _ in range(12):
            owner = self.own()
            eventually(partial(_child_or_ready, owner), "it starts a child")
            below = children(owner.pid)
            time.sleep(chance.uniform(0, 0.04))  # not timing: the blow is meant to fall anywhere
            below += children(owner.pid)
            owner.kill()
            eventually(partial(_gone, below), "no process is left")
        self.own().redis()

    def test_next_waits_for_the_last(self) -> None:
        """A Redis that outlives its killed daemon is waited for: two never work on the same data."""
        owner = self.own()
        redis = owner.redis()
        os.kill(redis, signal.SIGSTOP)
        owner.kill()
        following = self.own()
        following_said = following.output
        eventually(lambda: (self.state / "lock").read_text().strip() == str(following.pid), "the next one is there")
        time.sleep(0.3)  # long enough for it to start, if it did not wait
        self.assertNotIn("ready", following_said())
        os.kill(redis, signal.SIGCONT)
        self.assertNotEqual(following.redis(), redis)


class SharedDirectoryTests(OwnerCase):
    def test_second_daemon(self) -> None:
        """A second daemon on the same directory is refused with the pid of the first, which goes on."""
        owner = self.own()
        redis = owner.redis()
        said = self.own().said("refused")
        self.assertIn(f"{self.state} is in use by another emailengine (pid {owner.pid})", said)
        self.assertTrue(alive(redis))

    def test_sigterm(self) -> None:
        """On SIGTERM the daemon ends after its Redis has, and the directory is free."""
        owner = self.own()
        redis = owner.redis()
        owner.stop()
        self.assertFalse(alive(redis))
        self.own().redis()


class EmbeddedCase(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ee-own-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def embedded(self, state: Path | None = None, **more: Any) -> EmbeddedRedis:
        made = EmbeddedRedis(reactor=reactor, state_dir=state or self.directory / "state", **more)
        made.startService()
        self.addCleanup(made.stopService)
        return made

    async def refused(self, embedded: EmbeddedRedis) -> str:
        try:
            await embedded.ready()
        except StartupFailed as error:
            return error.message
        raise AssertionError("it started")

    async def redis(self, embedded: EmbeddedRedis) -> Redis:
        redis = Redis(embedded.url, reactor=reactor)
        redis.startService()
        self.addCleanup(redis.stopService)
        await redis.ready()
        return redis

    async def until(self, look: Any) -> None:
        for _ in range(1000):
            if look():
                return
            await deferLater(reactor, 0.01, lambda: None)
        self.fail("it never came")


class EmbeddedTests(EmbeddedCase):
    async def test_settings(self) -> None:
        """Nobody else may read the data, nothing is evicted, and a write is on the disk when it is answered."""
        embedded = self.embedded(slowest=60.0)
        await embedded.ready()
        redis = await self.redis(embedded)
        told = await redis.call("CONFIG", "GET", "appendfsync")
        self.assertEqual(told, [b"appendfsync", b"always"])
        self.assertEqual((await redis.call("CONFIG", "GET", "maxmemory-policy"))[1], b"noeviction")
        self.assertEqual((await redis.call("CONFIG", "GET", "save"))[1], b"")
        self.assertEqual((await redis.call("CONFIG", "GET", "port"))[1], b"0")
        self.assertEqual(await redis.call("DBSIZE"), 0)
        state = self.directory / "state"
        for path in (state, *state.rglob("*")):
            if path.name != "redis-version":
                self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, path)
        assert embedded.pid is not None
        self.assertNotIn("HOME", environment_of(embedded.pid))

    async def test_slow_disk(self) -> None:
        """Where a write takes too long to reach the disk, Redis syncs once a second."""
        embedded = self.embedded(slowest=0.0)
        await embedded.ready()
        redis = await self.redis(embedded)
        self.assertEqual((await redis.call("CONFIG", "GET", "appendfsync"))[1], b"everysec")

    async def test_killed_redis(self) -> None:
        """A Redis that dies is started again, with what it had acknowledged; the store finds it by itself."""
        embedded = self.embedded()
        await embedded.ready()
        redis = await self.redis(embedded)
        for number in range(3):
            await redis.call("SET", f"key{number}", "value")
            before = embedded.pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            await self.until(lambda before=before: embedded.pid not in (None, before))
            await redis.ready()
            self.assertEqual(await redis.call("GET", f"key{number}"), b"value")

    async def test_stop_while_starting(self) -> None:
        """Stopping in the middle of a start leaves no process and frees the directory."""
        embedded = self.embedded()
        starting = Deferred.fromCoroutine(embedded.ready())
        await self.until(lambda: embedded.pid is not None)
        pid = embedded.pid
        assert pid is not None
        starting.addErrback(lambda _: None)
        starting.cancel()
        await embedded.stopService()
        self.assertFalse(alive(pid))
        again = self.embedded()
        await again.ready()

    async def test_start_again(self) -> None:
        """A service that was stopped can be started once more."""
        embedded = self.embedded()
        await embedded.ready()
        await embedded.stopService()
        embedded.startService()
        await embedded.ready()
        self.assertEqual(ask(self.directory / "state" / "redis.sock", "PING"), b"+PONG")

    async def test_long_path(self) -> None:
        """A state directory whose path is too long for a socket works, and so does one that no URL can hold."""
        for name in ("x" * 120, "what #1?"):
            embedded = self.embedded(self.directory / name)
            await embedded.ready()
            redis = await self.redis(embedded)
            self.assertEqual(await redis.call("PING"), b"PONG")
            await embedded.stopService()
            path = parse_url(embedded.url).path
            assert path is not None
            self.assertFalse(Path(path).parent.exists())


class RefusalTests(EmbeddedCase):
    async def test_no_server(self) -> None:
        """Without any redis-server the line says what to install."""
        said = await self.refused(self.embedded(server=lambda: None))
        self.assertIn("apt install redis-server", said)
        self.assertIn("emailengine[embedded]", said)

    async def test_downgrade(self) -> None:
        """Data of a newer Redis is not opened by an older one, which would find it empty."""
        state = self.directory / "state"
        state.mkdir()
        (state / "redis-version").write_text("99.1.0\n")
        said = await self.refused(self.embedded())
        self.assertIn("written by Redis 99.1.0", said)
        self.assertIn("install Redis 99.1 or newer", said)
        self.assertEqual((state / "redis-version").read_text(), "99.1.0\n")

    async def test_version_is_recorded(self) -> None:
        """The version that opened the data stands beside it."""
        embedded = self.embedded()
        await embedded.ready()
        redis = await self.redis(embedded)
        self.assertEqual((self.directory / "state" / "redis-version").read_text().strip(), redis.version)

    async def test_unusable_directory(self) -> None:
        """A path that is no directory is named, with what to do."""
        (self.directory / "file").touch()
        said = await self.refused(self.embedded(self.directory / "file"))
        self.assertIn(f"{self.directory / 'file'}", said)
        self.assertIn("--state-dir", said)

    async def test_damaged_data(self) -> None:
        """Redis's own last words are passed on when it will not start."""
        embedded = self.embedded()
        await embedded.ready()
        await embedded.stopService()
        for file in (self.directory / "state").rglob("*.aof"):
            file.write_bytes(b"not a command\n" * 10)
        said = await self.refused(self.embedded())
        self.assertIn("does not start", said)
        self.assertIn("Bad file format", said)

    async def test_not_a_server(self) -> None:
        """A program that is not Redis is refused before anything is started."""
        said = await self.refused(self.embedded(server=lambda: sys.executable))
        self.assertIn("does not tell its version", said)


class PathTests(unittest.TestCase):
    def test_socket(self) -> None:
        """The socket lies in the state directory, or in a short one of its own that depends on it."""
        self.assertEqual(socket_path(Path("/var/lib/emailengine")), Path("/var/lib/emailengine/redis.sock"))
        long = socket_path(Path("/" + "x" * 200))
        self.assertLess(len(str(long)), 60)
        self.assertNotEqual(long, socket_path(Path("/" + "y" * 200)))

    def test_find(self) -> None:
        """This machine has a server."""
        self.assertTrue(find_server())
