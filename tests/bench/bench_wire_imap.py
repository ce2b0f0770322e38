"""How fast responses are read, beside Twisted's own parser on the same lines. Run by hand: it is no test.

python tests/bench/bench_wire_imap.py [number of messages]
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from twisted.mail.imap4 import IMAP4Client, parseNestedParens

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from emailengine.wire.imap.responses import MAX_NUMBERS, parse
from emailengine.wire.imap.splitter import Splitter
from emailengine.wire.imap.tokens import Piece
from tests.bench import mailbox

TWISTED = IMAP4Client()


def split(data: bytes) -> list[list[Piece]]:
    """What a splitter makes of it when it comes as TLS delivers it."""
    splitter = Splitter()
    return [one for at in range(0, len(data), 16_384) for one in splitter.feed(data[at : at + 16_384])]


def ours(responses: list[list[Piece]]) -> None:
    for pieces in responses:
        parse(pieces)


def tokens(lines: list[bytes]) -> None:
    """Only what Twisted's parser does: nested lists of octets."""
    for line in lines:
        parseNestedParens(line[2:])


def values(lines: list[bytes]) -> None:
    """As far as Twisted's client reads them: what was told of each message, by name."""
    for line in lines:
        _, _, items = parseNestedParens(line[2:])
        TWISTED._parseFetchPairs(items)


def rates(functions: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """How many responses each reads in a second of CPU time: the best of several rounds in which all take their turn."""
    best = dict.fromkeys(functions, 0.0)
    for _ in range(9):
        for name, (function, count) in functions.items():
            gc.collect()
            start = time.process_time()
            function()
            best[name] = max(best[name], count / (time.process_time() - start))
    return best


def main() -> None:
    gc.set_threshold(50_000, 10, 20)  # as the daemon does
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    print(f"{'a second of CPU time':22}{'split':>12}{'parse':>12}{'tokens':>10}{'ratio':>8}{'values':>10}{'ratio':>8}")
    for name, data in (("flags only", mailbox.flags_only(count)), ("full", mailbox.full(count))):
        whole = split(data)
        plain = [
            one[0] for one in whole if len(one) == 1 and isinstance(one[0], bytes)
        ]  # Twisted reads literals in another way
        alone: list[list[Piece]] = [[one] for one in plain]
        some = plain[:: 5 if name == "flags only" else 20]
        told = rates(
            {
                "split": (partial(split, data), len(whole)),
                "parse": (partial(ours, alone), len(alone)),
                "tokens": (partial(tokens, some), len(some)),
                "values": (partial(values, some), len(some)),
            }
        )
        print(
            f"{name:22}{told['split']:>12,.0f}{told['parse']:>12,.0f}{told['tokens']:>10,.0f}"
            f"{told['parse'] / told['tokens']:>8.1f}{told['values']:>10,.0f}{told['parse'] / told['values']:>8.1f}"
        )
    print(
        "tokens: Twisted's parseNestedParens alone; values: with what its client makes of them. Aim: flags only 40 times."
    )
    longest = b"* SEARCH " + b"1234567 " * (MAX_NUMBERS - 1) + b"1\r\n"
    splitter = Splitter()
    start = time.perf_counter()
    whole = [one for at in range(0, len(longest), 16384) for one in splitter.feed(longest[at : at + 16384])]
    print(f"a line of {len(longest):,} octets in pieces of 16 KiB: {time.perf_counter() - start:.3f} s")
    start = time.perf_counter()
    parse(whole[0])
    print(f"its two million numbers: {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
