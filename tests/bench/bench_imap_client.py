"""How fast mail is read from a server, beside Twisted's own client in the same run. Run by hand: it is no test.

python tests/bench/bench_imap_client.py [runs]

Each figure is the median of several runs. Every run is a process of its own, so that memory is what this run took; the
server is another, and answers from memory. A message counts when the consumer has it. `held` is the longest time in
which the reactor could do nothing else, in CPU time and by the wall clock.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from twisted.internet import endpoints, ssl
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.mail.imap4 import IMAP4Client

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from emailengine.core.deadline import Deadline
from emailengine.imap.commands.command import Command
from emailengine.imap.commands.fetch import FetchUids
from emailengine.imap.connection import Connection
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.wire.imap.responses import Fetched, Response, Tagged
from emailengine.wire.imap.splitter import Sink
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import MAX_UID, UidSet
from tests.bench.server import LITERAL, LITERALS, MESSAGES, Server, serving

FULL = ("UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE")
ALL = UidSet.of_range(1, MAX_UID)


class Attachments(Command[int]):
    """Large literals, counted as they pass."""

    __slots__ = ("octets",)
    word = "UID FETCH"

    def __init__(self) -> None:
        self.octets = 0

    def line(self) -> Sequence[Piece]:
        return [b"UID FETCH 1:* (BODY.PEEK[2])"]

    def sink(self, pieces: Sequence[Piece], size: int) -> Sink | None:
        return self._count

    def _count(self, octets: bytes) -> None:
        self.octets += len(octets)

    def take(self, response: Response) -> bool:
        return True

    def result(self, final: Tagged) -> int:
        return self.octets


class Turns:
    """Looks at the clocks every millisecond: how long was the reactor busy with one thing?"""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._last = self._now()
        self.held_wall = self.held_cpu = 0.0
        self._call = reactor.callLater(0.001, self._look)

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.thread_time()

    def _look(self) -> None:
        wall, cpu = self._now()
        self.held_wall = max(self.held_wall, wall - self._last[0])
        self.held_cpu = max(self.held_cpu, cpu - self._last[1])
        self._last = self._now()
        self._call = self._reactor.callLater(0.001, self._look)

    def stop(self) -> None:
        self._look()
        self._call.cancel()


def memory(name: str) -> int:
    """Of this process, in octets: VmRSS, or VmHWM, the most since `forget_most`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def forget_most() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def ours(reactor: Any, server: Server, *, tls: bool) -> Connection:
    dialer = Dialer(reactor=reactor, contexts=Contexts())
    connection = await dialer.connect(
        partial(Connection, reactor, "localhost", lambda response: None),
        "127.0.0.1",
        server.tls if tls else server.plain,
        tls=TlsPolicy(ca=server.ca) if tls else None,
        deadline=Deadline.after(reactor, 10),
    )
    await connection.greeting()
    return connection


async def our_rows(
    reactor: Any, server: Server, items: Sequence[str], *, compressed: bool = False
) -> Callable[[], Deferred[int]]:
    connection = await ours(reactor, server, tls=True)
    if compressed:
        await connection.compress()
    seen: list[int] = [0]

    def each(row: Fetched) -> None:
        seen[0] += 1

    def run() -> Deferred[int]:
        seen[0] = 0
        done = connection.run(FetchUids("1:*", ALL, items, each=each))
        return done.addCallback(lambda _: seen[0])

    await connection.run(FetchUids("1:*", ALL, ("SOME", *items)))
    return run


async def their_rows(reactor: Any, server: Server, items: Sequence[str]) -> Callable[[], Deferred[int]]:
    greeted: Deferred[None] = Deferred()

    class Client(IMAP4Client):
        def serverGreeting(self, caps: object) -> None:
            greeted.callback(None)

    creator = ssl.optionsForClientTLS(
        "localhost", ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(server.ca.encode("ascii"))])
    )
    endpoint = endpoints.wrapClientTLS(creator, endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", server.tls))
    client = await endpoints.connectProtocol(endpoint, Client())
    await greeted
    fetch = client.fetchFlags if tuple(items) == ("UID", "FLAGS") else client.fetchFull

    def run() -> Deferred[int]:
        return fetch("1:*", uid=1).addCallback(len)  # type: ignore[no-any-return]

    return run


async def our_attachments(reactor: Any, server: Server) -> Callable[[], Deferred[int]]:
    connection = await ours(reactor, server, tls=False)
    await connection.run(FetchUids("1:*", ALL, ("SOME",)))
    return lambda: connection.run(Attachments())


MEASURED: dict[str, Callable[[Any, Server], Coroutine[Deferred[Any], Any, Callable[[], Deferred[int]]]]] = {
    "full ours": lambda reactor, server: our_rows(reactor, server, FULL),
    "full theirs": lambda reactor, server: their_rows(reactor, server, FULL),
    "full compressed": lambda reactor, server: our_rows(reactor, server, FULL, compressed=True),
    "flags ours": lambda reactor, server: our_rows(reactor, server, FULL[:2]),
    "flags theirs": lambda reactor, server: their_rows(reactor, server, FULL[:2]),
    "attachments": our_attachments,
}


def measure(name: str, server: Server) -> None:
    """Run one of these here and print what it took."""

    async def main(reactor: Any) -> None:
        run = await MEASURED[name](reactor, server)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 20)  # as the daemon does
        before = memory("VmRSS")
        forget_most()
        turns = Turns(reactor)
        wall, cpu = time.perf_counter(), time.process_time()
        count = await run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        turns.stop()
        told = {
            "count": count,
            "wall": wall,
            "cpu": cpu,
            "grown": memory("VmHWM") - before,
            "held_wall": turns.held_wall,
            "held_cpu": turns.held_cpu,
        }
        print(json.dumps(told))

    react(lambda reactor: Deferred.fromCoroutine(main(reactor)), ())


def measured(server: Server, runs: int, *names: str) -> list[dict[str, float]]:
    """The medians of some runs of each, each in a process of its own, in turn: a machine has better and worse minutes."""
    told: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(runs):
        for name in names:
            arguments = ["--measure", name, str(server.tls), str(server.plain), server.ca]
            child = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, check=True)
            told[name].append(json.loads(child.stdout))
    return [{key: median(one[key] for one in rows) for key in rows[0]} for rows in told.values()]


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{'':24}{'per second':>14}{'of CPU time':>14}{'ratio':>8}{'held CPU':>10}{'held wall':>11}{'grown by':>11}")
    with serving() as server:
        for kind in ("full", "flags"):
            theirs, mine = measured(server, runs, f"{kind} theirs", f"{kind} ours")
            assert theirs["count"] == mine["count"] == MESSAGES, (theirs, mine)
            for whose, one in (("Twisted", theirs), ("ours", mine)):
                rate, rate_cpu = f"{one['count'] / one['wall']:,.0f}", f"{one['count'] / one['cpu']:,.0f}"
                show(f"{kind}, {whose}", one, rate, rate_cpu, f"{theirs['wall'] / one['wall']:.1f}")
        (one,) = measured(server, runs, "full compressed")
        rate, rate_cpu = f"{one['count'] / one['wall']:,.0f}", f"{one['count'] / one['cpu']:,.0f}"
        show("full, ours, COMPRESS", one, rate, rate_cpu, "")
        (one,) = measured(server, runs, "attachments")
        assert one["count"] == LITERAL * LITERALS, one
        octets = one["count"] / 1e6
        show("attachments, no TLS", one, f"{octets / one['wall']:,.0f} MB", f"{octets / one['cpu']:,.0f} MB", "")
    print("Aims: full 8 times, held 20 ms, grown by 5 MB; flags 15 times; attachments 250 MB/s, grown by 1 MB.")


def show(name: str, one: dict[str, float], rate: str, rate_cpu: str, ratio: str) -> None:
    print(
        f"{name:24}{rate:>14}{rate_cpu:>14}{ratio:>8}{one['held_cpu'] * 1000:>7.1f} ms{one['held_wall'] * 1000:>8.1f} ms"
        f"{one['grown'] / 1e6:>8.1f} MB"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Server(int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
    else:
        main()
