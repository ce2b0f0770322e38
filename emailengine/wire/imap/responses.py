"""Every response a server sends, as one value (RFC 9051 section 7).

`parse` is given one response of the splitter and raises TheyBrokeProtocol or nothing. Oddities of one item that leave
the rest readable are passed over: that item is then None, empty or missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from attrs import define

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap import codes, fetch, mailboxes
from emailengine.wire.imap.codes import Code as Code
from emailengine.wire.imap.fetch import Fetched as Fetched
from emailengine.wire.imap.fetch import flags_only
from emailengine.wire.imap.mailboxes import ListEntry as ListEntry
from emailengine.wire.imap.mailboxes import Namespace as Namespace
from emailengine.wire.imap.mailboxes import NamespaceEntry as NamespaceEntry
from emailengine.wire.imap.mailboxes import Quota as Quota
from emailengine.wire.imap.mailboxes import QuotaRoot as QuotaRoot
from emailengine.wire.imap.mailboxes import StatusData as StatusData
from emailengine.wire.imap.tokens import END, MAX_NESTING, Piece, Reader, Token, join, number
from emailengine.wire.imap.uidset import EMPTY, MAX_UID, UidSet

MAX_TEXT = 2 * 1024 * 1024
"""Octets of a FETCH and of free text, literals and numbers aside: the envelope of a mail to 50 000 people fits."""

MAX_WORDS = 64 * 1024
"""The same for every other response: no name, and no list of flags or capabilities, is nearly as long."""

MAX_NUMBERS = 2_000_000
"""Of a SEARCH: as many as fit into the longest line."""

MAX_RANGES = 300_000
"""Of a set: what is gone of a mailbox of half a million, of which every other mail is gone, has fewer."""


@define
class Continuation:
    """`+ text`: send on. `text` is raw, a base64 challenge for one."""

    text: bytes


@define
class Tagged:
    """The end of a command. `status` is "OK", "NO" or "BAD"."""

    tag: bytes
    status: str
    code: Code | None
    text: str


@define
class Status:
    """Untagged "OK", "NO", "BAD", "BYE" or "PREAUTH": the greeting, a warning, a code, a farewell."""

    status: str
    code: Code | None
    text: str


@define
class Exists:
    n: int


@define
class Recent:
    n: int


@define
class Expunge:
    seq: int


@define
class Vanished:
    """RFC 7162 3.2.10. `uids` may hold numbers that never existed, millions of them."""

    uids: UidSet
    earlier: bool


@define
class Capability:
    """Upper case."""

    names: frozenset[str]


@define
class Enabled:
    """Upper case."""

    names: frozenset[str]


@define
class Flags:
    flags: tuple[str, ...]


@define
class Search:
    uids: list[int]
    modseq: int | None = None


@define
class Sort:
    """RFC 5256: as `Search`, in the order asked for."""

    uids: list[int]
    modseq: int | None = None


@define
class ESearch:
    """
    RFC 4731. `tag` names the command this answers; `all` is None where it was not asked for or nothing was found.

    `partial` is the page asked for (RFC 9394), empty where it lies behind the last message.
    """

    tag: bytes | None = None
    uid: bool = False
    all: UidSet | None = None
    min: int | None = None
    max: int | None = None
    count: int | None = None
    modseq: int | None = None
    partial: UidSet | None = None


@define
class Id:
    """RFC 2971. Names are lower case; None is the server's NIL."""

    fields: Mapping[str, str | None] | None


@define
class Other:
    """A response of a kind we do not know: upper-case name and what followed it."""

    name: str
    tokens: list[Token]


Fetch: TypeAlias = Fetched
"""The response FETCH is what it tells of its message."""

Response: TypeAlias = (
    Continuation
    | Tagged
    | Status
    | Exists
    | Recent
    | Expunge
    | Vanished
    | Fetched
    | Capability
    | Enabled
    | Flags
    | ListEntry
    | StatusData
    | Search
    | Sort
    | ESearch
    | Id
    | Namespace
    | Quota
    | QuotaRoot
    | Other
)


_UNTAGGED = re.compile(rb"\*[ \t]++(?:([0-9]{1,10}+)[ \t]++)?+([A-Za-z][A-Za-z0-9.\-_=]*+)(?![^ \t\r\n(\[])")
_TAGGED = re.compile(rb"([^ \t\r\n(){%*\"\\\]]++)[ \t]++(OK|NO|BAD)(?![^ \t\r\n\[])", re.IGNORECASE)
_OPEN = re.compile(rb"[ \t]*+\(")
_NUMBERS = re.compile(rb"[ \t]*+([0-9 \t]*+)(?:\(MODSEQ[ \t]++([0-9]{1,18}+)\))?+[ \t\r]*+", re.IGNORECASE)
_VANISHED = re.compile(rb"[ \t]*+(\([ \t]*EARLIER[ \t]*\)[ \t]*+)?+([0-9:,]*+)[ \t\r]*+", re.IGNORECASE)
_UNAVAILABLE = re.compile(rb"Server Unavailable\.")  # Exchange's farewell, without anything around it
_FREE_TEXT = frozenset(("OK", "NO", "BAD", "BYE", "PREAUTH"))


def parse(
    pieces: Sequence[Piece],
    max_nesting: int = MAX_NESTING,
    utf8: bool = False,
    *,
    max_text: int = MAX_TEXT,
    max_words: int = MAX_WORDS,
    max_numbers: int = MAX_NUMBERS,
    max_ranges: int = MAX_RANGES,
) -> Response:
    """
    The value of one response, given as the pieces that `Splitter.feed` made of it.

    Raises TheyBrokeProtocol if it is none or passes a limit; the connection itself is still sound then. Lists nested
    deeper than `max_nesting` are left out. With `utf8` the names of mailboxes are UTF-8 and "&" is itself.
    """
    if len(pieces) == 1:
        line = pieces[0]
        if isinstance(line, bytes) and len(line) <= max_text:
            told = flags_only(line)
            if told is not None:
                return told
    line, literals = join(pieces)
    if len(line) > min(max_text, max_words):
        line = _bounded(line, max_text, max_words)
    match = _UNTAGGED.match(line)
    if match is None:
        return _continuation_or_tagged(line)
    name = match[2].upper().decode("ascii")
    pos = match.end()
    if match[1] is not None:
        n = int(match[1])
        if name == "FETCH":
            opened = _OPEN.match(line, pos)
            if opened is None:
                raise TheyBrokeProtocol("FETCH without items", line)
            return fetch.read(line, opened.end(), n, literals, max_nesting=max_nesting, utf8=utf8)
        if name in _COUNTS:
            if n > MAX_UID or (not n and name == "EXPUNGE"):
                raise TheyBrokeProtocol("a number of messages that cannot be", line)
            return _COUNTS[name](n)
        return Other(name, [match[1], *Reader(line, literals, pos=pos, max_nesting=max_nesting).rest()])
    if name in _FREE_TEXT:
        return Status(name, *codes.split(line[pos:]))
    if name in ("SEARCH", "SORT"):
        return _search(name, line, pos, max_numbers)
    if name == "VANISHED":
        return _vanished(line, pos, max_ranges)
    if name == "ESEARCH":
        return _esearch(Reader(line, literals, pos=pos, max_nesting=max_nesting), max_ranges)
    reader = Reader(line, literals, pos=pos, max_nesting=max_nesting)
    if name in _READERS:
        return _READERS[name](reader)
    if name in _NAMES_INSIDE:
        return _NAMES_INSIDE[name](reader, utf8)
    return Other(name, reader.rest())


def _bounded(line: bytes, max_text: int, max_words: int) -> bytes:
    """The line if it is a long one for good reason: numbers do not count. Free text is cut."""
    match = _UNTAGGED.match(line)
    name = None if match is None else match[2].upper().decode("ascii")
    if name is None or name in _FREE_TEXT:
        return line[:max_text]
    most = max_text if name == "FETCH" else min(max_text, max_words)
    if name not in ("SEARCH", "SORT") and len(line.translate(None, b"0123456789:,")) > most:
        raise TheyBrokeProtocol("a response is too long to be taken apart")
    return line


def _continuation_or_tagged(line: bytes) -> Response:
    if line.startswith(b"+"):
        return Continuation(line[1:].strip(b" \t\r"))
    match = _TAGGED.match(line)
    if match is None:
        if _UNAVAILABLE.match(line):
            return Status("BYE", codes.Code("UNAVAILABLE"), line.strip().decode("utf-8", "replace"))
        raise TheyBrokeProtocol("not a response", line)
    return Tagged(match[1], match[2].upper().decode("ascii"), *codes.split(line[match.end() :]))


def _search(name: str, line: bytes, pos: int, max_numbers: int) -> Search | Sort:
    if line.count(b" ", pos) + line.count(b"\t", pos) > max_numbers:
        raise TheyBrokeProtocol(f"{name} with too many numbers")
    match = _NUMBERS.fullmatch(line, pos)
    if match is None:
        raise TheyBrokeProtocol(f"{name} with something that is no number", line[pos : pos + 80])
    found, modseq = _numbers(match[1]), None if match[2] is None else int(match[2])
    return Search(found, modseq) if name == "SEARCH" else Sort(found, modseq)


def _numbers(text: bytes) -> list[int]:
    """What is a UID of the numbers between blanks. As JSON they are read in half the time, where they can be."""
    found: list[int]
    try:
        found = json.loads(f"[{text.strip().decode('ascii').replace(' ', ',')}]")
    except ValueError:  # zeros before a number, several blanks, thousands of digits
        found = [int(word) for word in text.split() if len(word) <= 10]
    if not all(found) or max(found, default=0) > MAX_UID:
        return [one for one in found if 0 < one <= MAX_UID]
    return found


def _vanished(line: bytes, pos: int, max_ranges: int) -> Vanished:
    match = _VANISHED.fullmatch(line, pos)
    if match is None:
        raise TheyBrokeProtocol("VANISHED without a set of UIDs", line[pos:])
    return Vanished(UidSet.parse(match[2], max_ranges=max_ranges), match[1] is not None)


def _esearch(reader: Reader, max_ranges: int) -> ESearch:
    tokens = iter(reader.rest())
    found = ESearch()
    for token in tokens:
        if isinstance(token, list):
            if len(token) == 2 and isinstance(token[0], bytes) and token[0].upper() == b"TAG":
                found.tag = token[1] if isinstance(token[1], bytes) else None
            continue
        name = b"" if token is None else token.upper()
        if name == b"UID":
            found.uid = True
            continue
        value = next(tokens, None)
        if isinstance(value, list) and name == b"PARTIAL" and len(value) > 1:
            found.partial = UidSet.parse(value[1], max_ranges=max_ranges) if isinstance(value[1], bytes) else EMPTY
        elif isinstance(value, list):
            value = value[0] if value else None
        if name == b"ALL" and isinstance(value, bytes):
            found.all = UidSet.parse(value, max_ranges=max_ranges)
        elif name == b"MIN":
            found.min = number(value)
        elif name == b"MAX":
            found.max = number(value)
        elif name == b"COUNT":
            found.count = number(value)
        elif name == b"MODSEQ":
            found.modseq = number(value)
    return found


def _words(reader: Reader) -> frozenset[str]:
    return frozenset([one.decode("utf-8", "replace").upper() for one in reader.rest() if isinstance(one, bytes)])


def _flags(reader: Reader) -> Flags:
    told = reader.value_or_end()
    if not isinstance(told, list) or told is END:
        raise TheyBrokeProtocol("FLAGS without a list")
    return Flags(fetch.read_flags(b" ".join([one for one in told if isinstance(one, bytes)])))


def _id(reader: Reader) -> Id:
    told = reader.value_or_end()
    if not isinstance(told, list) or told is END:
        return Id(None)
    fields: dict[str, str | None] = {}
    for key, value in zip(told[::2], told[1::2], strict=False):
        if isinstance(key, bytes):
            fields[key.decode("utf-8", "replace").lower()] = (
                value.decode("utf-8", "replace") if isinstance(value, bytes) else None
            )
    return Id(fields)


_COUNTS: Mapping[str, Callable[[int], Response]] = {"EXISTS": Exists, "RECENT": Recent, "EXPUNGE": Expunge}
_READERS: Mapping[str, Callable[[Reader], Response]] = {
    "CAPABILITY": lambda reader: Capability(_words(reader)),
    "ENABLED": lambda reader: Enabled(_words(reader)),
    "FLAGS": _flags,
    "ID": _id,
    "QUOTA": mailboxes.read_quota,
}
_NAMES_INSIDE: Mapping[str, Callable[[Reader, bool], Response]] = {
    "LIST": partial(mailboxes.read_list, "LIST"),
    "LSUB": partial(mailboxes.read_list, "LSUB"),
    "NAMESPACE": mailboxes.read_namespace,
    "QUOTAROOT": mailboxes.read_quota_root,
    "STATUS": mailboxes.read_status,
    "XLIST": partial(mailboxes.read_list, "XLIST"),
}
