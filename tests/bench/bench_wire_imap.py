"""How fast responses are read, beside Twisted's own parser on the same lines. Run by hand: it is no test.

python tests/bench/bench_wire_imap.py [number of messages]
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twisted.mail.imap4 import parseNestedParens

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from emailengine.wire.imap.responses import Fetch, parse
from emailengine.wire.imap.splitter import Splitter

FLAGS = (
    b"* %d FETCH (UID %d FLAGS (\\Seen))\r\n",
    b"* %d FETCH (UID %d FLAGS (\\Seen \\Answered $Forwarded) MODSEQ (98765))\r\n",
    b"* %d FETCH (FLAGS () UID %d)\r\n",
)
PERSON = b'(("Erika Mustermann" NIL "erika.mustermann" "example.com"))'
FULL = (
    b'* %d FETCH (UID %d FLAGS (\\Seen NonJunk) INTERNALDATE "14-Nov-2026 09:15:02 +0100" RFC822.SIZE 48213 MODSEQ (7345)'
    b' ENVELOPE ("Sat, 14 Nov 2026 09:14:58 +0100" "=?utf-8?Q?Angebot_f=C3=BCr_den_neuen_Zaun?=" '
    + PERSON * 1
    + b" "
    + PERSON
    + b" "
    + PERSON
    + b' (("Max Power" NIL "max" "example.org")(NIL NIL "office" "example.org")) (("Third Party" NIL "third" "example.net"))'
    b' NIL "<CAJ1234567890abcdef@mail.example.org>" "<8f14e45f-ceea-467a-9575-8f14e45fceea@example.com>")'
    b' BODYSTRUCTURE ((("text" "plain" ("charset" "utf-8" "format" "flowed") NIL NIL "quoted-printable" 1834 44 NIL NIL NIL NIL)'
    b'("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 9211 161 NIL NIL NIL NIL) "alternative" ("boundary" "b1_1234567890abcdef") NIL NIL NIL)'
    b'("application" "pdf" ("name" "Angebot 2026-117.pdf") "<part3@example.com>" NIL "base64" 36540 NIL ("attachment" ("filename" "Angebot 2026-117.pdf" "size" "26701")) NIL NIL)'
    b' "mixed" ("boundary" "b2_1234567890abcdef") NIL NIL NIL))\r\n'
)


def ours(data: bytes) -> None:
    splitter = Splitter()
    for start in range(0, len(data), 65536):  # as a socket delivers it
        for pieces in splitter.feed(data[start : start + 65536]):
            response = parse(pieces)
            assert isinstance(response, Fetch)


def twisted(data: bytes) -> None:
    for line in data.splitlines():
        parseNestedParens(line[2:])


def rate(read: Callable[[bytes], None], data: bytes, count: int) -> float:
    best = 0.0
    for _ in range(5):
        gc.collect()
        start = time.perf_counter()
        read(data)
        best = max(best, count / (time.perf_counter() - start))
    return best


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    full = b"".join([FULL % (n, n + 100) for n in range(1, count + 1)])
    few = full[: full.index(b"\n", len(full) // 20) + 1]
    flags = b"".join([FLAGS[n % 3] % (n, n + 100) for n in range(1, count * 5 + 1)])
    for name, data, sample in (("flags only", flags, flags), ("full", full, few)):
        mine = rate(ours, data, data.count(b"\n"))
        theirs = rate(twisted, sample, sample.count(b"\n"))
        print(
            f"{name}: {mine:,.0f}/s, {1e6 / mine:.2f} us each; parseNestedParens {theirs:,.0f}/s; {mine / theirs:.1f} times"
        )
    longest = b"* SEARCH " + b"1234567 " * (2 * 1024 * 1024 - 2) + b"1\r\n"
    splitter = Splitter()
    start = time.perf_counter()
    whole = [one for at in range(0, len(longest), 16384) for one in splitter.feed(longest[at : at + 16384])]
    print(f"a line of {len(longest):,} octets in pieces of 16 KiB: {time.perf_counter() - start:.3f} s")
    start = time.perf_counter()
    parse(whole[0])
    print(f"its two million numbers: {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
