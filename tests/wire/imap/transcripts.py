"""
Conversations kept as text: `S: ` what the server sent, `C: ` what we sent, each to the end of its line.

Below the last line of each response stands `= ` with what it means, as `told` writes it, or why it cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from emailengine.wire.imap.responses import Response, parse
from emailengine.wire.imap.splitter import Splitter
from emailengine.wire.imap.uidset import UidSet

FOLDER = Path(__file__).parents[2] / "transcripts"
FACTORY: Any = attrs.Factory
NAMES = sorted(one.stem for one in FOLDER.glob("*.txt"))


def said_by_server(name: str) -> bytes:
    """The octets of the server's side."""
    lines = (FOLDER / f"{name}.txt").read_bytes().split(b"\n")
    return b"".join([one[3:] + b"\r\n" for one in lines if one.startswith(b"S:")])


def said_by_client(name: str) -> list[bytes]:
    """The lines of the client's side."""
    lines = (FOLDER / f"{name}.txt").read_bytes().split(b"\n")
    return [one[3:] for one in lines if one.startswith(b"C: ")]


def read(data: bytes) -> list[Response]:
    """The responses in these octets."""
    return [parse(pieces) for pieces in Splitter().feed(data)]


def read_one(line: bytes) -> Response:
    """The one response in these octets; the last line end may be missing."""
    (found,) = read(line + b"\r\n")
    return found


def rows(name: str) -> list[tuple[bytes, str]]:
    """Each response of the server as octets, and the `= ` line below it: what it means, as `told` writes it."""
    found: list[tuple[bytes, str]] = []
    octets = b""
    for line in (FOLDER / f"{name}.txt").read_bytes().splitlines():
        if line.startswith(b"S:"):
            octets += line[3:] + b"\r\n"
        elif line.startswith(b"= "):
            found.append((octets, line[2:].decode()))
            octets = b""
    return found


def told(value: object) -> str:
    """A value as text: of objects, only what differs from the default; sets in order."""
    if isinstance(value, UidSet):
        return f"<{value}>"
    kind: Any = type(value)
    if attrs.has(kind):
        parts = []
        for one in attrs.fields(kind):
            there = getattr(value, one.alias)
            default = one.default.factory() if isinstance(one.default, FACTORY) else one.default
            if one.name != "raw" and there != default:
                parts.append(f"{one.alias}={told(there)}")
        return f"{kind.__name__}({', '.join(parts)})"
    if isinstance(value, frozenset):
        return "{" + " ".join(sorted(value)) + "}"
    if isinstance(value, Mapping):
        return "{" + ", ".join([f"{key!r}: {told(one)}" for key, one in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(told, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(told, value)) + ")"
    return repr(value)
