"""How fast a connection reads, and how long it holds the reactor. Run by hand: it is no test.

python tests/bench/bench_imap.py [number of messages]
"""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from emailengine.imap.commands.fetch import FetchUids
from emailengine.imap.connection import Connection
from emailengine.wire.imap.uidset import MAX_UID, UidSet
from tests.bench.bench_wire_imap import FULL


class _RealTime(Clock):
    """A clock that goes by itself; its calls are made by hand."""

    def seconds(self) -> float:
        return time.process_time()


def read(data: bytes, count: int) -> tuple[float, float]:
    """CPU seconds for all, and the longest that the reactor was held."""
    clock = _RealTime()
    assert IReactorTime.providedBy(clock)
    connection = Connection(clock, "bench", lambda response: None)
    connection.makeConnection(StringTransport())
    connection.dataReceived(b"* OK hello\r\n")
    rows = connection.run(FetchUids(f"1:{MAX_UID}", UidSet.of_range(1, MAX_UID), ["UID", "FLAGS"]))
    found: list[int] = []
    rows.addCallback(lambda value: found.append(len(value)))
    longest = 0.0
    start = time.process_time()
    for at in range(0, len(data), 65536):
        turn = time.process_time()
        connection.dataReceived(data[at : at + 65536])
        longest = max(longest, time.process_time() - turn)
        while connection._paused is not None:
            turn = time.process_time()
            connection._paused.cancel()
            connection._read_on()
            longest = max(longest, time.process_time() - turn)
    connection.dataReceived(b"1 OK done\r\n")
    whole = time.process_time() - start
    assert found == [count], found
    return whole, longest


def main() -> None:
    gc.set_threshold(50_000, 50, 50)  # as the daemon sets it
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    flags = b"".join([b"* %d FETCH (UID %d FLAGS (\\Seen))\r\n" % (n, n + 100) for n in range(1, count + 1)])
    full = b"".join([FULL % (n, n + 100) for n in range(1, count + 1)])
    for name, data in (("flags only", flags), ("full", full)):
        best = min(read(data, count) for _ in range(5))
        print(f"{name}: {count:,} messages in {best[0]:.3f} s, the reactor held {best[1] * 1000:.1f} ms at most")


if __name__ == "__main__":
    main()
