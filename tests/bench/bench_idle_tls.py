"""What a resting connection costs: thousands of them, logged in and in IDLE, in one process. Run by hand: it is no test.

python tests/bench/bench_idle_tls.py [connections]
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from emailengine.imap.commands.idle import Idle
from emailengine.imap.connection import Connection
from emailengine.imap.opening import open_connection
from emailengine.imap.target import ImapTarget
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from tests.bench.bench_imap_client import memory
from tests.bench.server import Server, allow_many_files, serving

AT_ONCE = 50


async def rest(
    reactor: Any, server: Server, dialer: Dialer, count: int, compressed: bool, tls: bool
) -> list[Connection]:
    """So many connections, each logged in and in IDLE."""
    target = ImapTarget(
        host="127.0.0.1",
        port=server.tls if tls else server.plain,
        secure=tls,
        starttls="never",
        tls=TlsPolicy(ca=server.ca),
        compress=compressed,
    )
    resting: list[Connection] = []

    async def one(n: int) -> None:
        opened = await open_connection(
            clock=reactor,
            dialer=dialer,
            contexts=dialer.contexts,
            target=target,
            credentials=Credentials(user=f"user{n}", password="secret"),
            news=lambda response: None,
            client_id=None,
            timeout=60,
        )
        idle = Idle()
        opened.connection.run(idle).addErrback(lambda _: None)
        await idle.started
        resting.append(opened.connection)

    for start in range(0, count, AT_ONCE):
        batch = [Deferred.fromCoroutine(one(n)) for n in range(start, min(count, start + AT_ONCE))]
        await gatherResults(batch, consumeErrors=True)
    return resting


def measure(server: Server, count: int, kind: str) -> None:
    """Open so many here and print what each takes."""

    async def main(reactor: Any) -> None:
        dialer = Dialer(reactor=reactor, contexts=Contexts())
        compressed, tls = kind == "TLS, COMPRESS", kind != "no TLS"
        kept = await rest(reactor, server, dialer, 20, compressed, tls)  # what is made once
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 20)  # as the daemon does
        before = memory("VmRSS")
        start = time.perf_counter()
        kept.extend(await rest(reactor, server, dialer, count, compressed, tls))
        took = time.perf_counter() - start
        grown = memory("VmRSS") - before
        assert all(one.ended is None for one in kept)
        print(json.dumps({"each": grown / count, "per_second": count / took}))
        for one in kept:
            one.abort("measured")

    react(lambda reactor: Deferred.fromCoroutine(main(reactor)), ())


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with serving() as server:
        for kind in ("TLS", "TLS, COMPRESS", "no TLS"):
            arguments = [str(server.tls), str(server.plain), server.ca, str(count), kind]
            child = subprocess.run(
                [sys.executable, __file__, "--measure", *arguments], stdout=subprocess.PIPE, check=True
            )
            told = json.loads(child.stdout)
            print(
                f"{count:,} resting connections, {kind}: {told['each'] / 1000:.1f} KB each,"
                f" opened and logged in at {told['per_second']:,.0f} a second"
            )
    print("Aim: 70 KB with TLS.")


if __name__ == "__main__":
    allow_many_files()
    if sys.argv[1:2] == ["--measure"]:
        measure(Server(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]), int(sys.argv[5]), sys.argv[6])
    else:
        main()
