"""Commands as pieces of text and literals, made so that no value can become syntax (RFC 9051 section 9).

Every function here gives something that can stand in a command as it is, or raises WeMisusedProtocol. A command is a
list of pieces: `command(b"SELECT", mailbox(name))`. Only the connection knows the server's literal extensions: it calls
`render`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap import mutf7
from emailengine.wire.imap.tokens import Literal as Literal
from emailengine.wire.imap.tokens import Piece as Piece
from emailengine.wire.imap.uidset import MAX_UID, UidSet

LITERAL_MINUS_LIMIT = 4096
"""RFC 7888 5: with LITERAL- only literals up to this size go out unasked."""

LONGEST_QUOTED = 1000
"""Above this a string goes as a literal: some servers read command lines into small buffers."""

_MOST_RANGES = 40  # of known UIDs: under 1000 octets

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,1000}")  # ASTRING-CHAR
_UNQUOTABLE = re.compile(rb"[^\x20-\x7e]")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_FLAG = re.compile(r"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,200}")
_SET = re.compile(r"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?(?:,(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?)*|\$")
_ITEM = re.compile(
    r"[A-Z0-9.\-]+(?:\[[A-Z0-9.\-]*(?: \([A-Z0-9.\-_]+(?: [A-Z0-9.\-_]+)*\))?\](?:<[0-9]+(?:\.[0-9]+)?>)?)?"
    r"(?: ?\([A-Z0-9]*(?: [A-Z0-9]+)*\))?",
    re.IGNORECASE | re.ASCII,
)
_SORT_KEY = re.compile(r"(?:REVERSE )?(?:ARRIVAL|CC|DATE|DISPLAYFROM|DISPLAYTO|FROM|SIZE|SUBJECT|TO)")
_PREFIX = re.compile(r"(?:[0-9]{1,10}\.){0,100}")
_FIELD = re.compile(rb"[!#$&'+\-./0-9;<=>?@A-Z^_`a-z|}~]{1,200}")  # ftext that is an astring, too


_RETURN = frozenset(("ALL", "COUNT", "MAX", "MIN", "SAVE"))


class LiteralMode(Enum):
    """How the server takes literals: asked for one by one, or at once (RFC 7888 LITERAL-, LITERAL+)."""

    SYNCHRONIZING = ""
    MINUS = "LITERAL-"
    PLUS = "LITERAL+"


def command(*parts: Piece | Sequence[Piece]) -> list[Piece]:
    """Join parts with single spaces into the pieces of one command. Each part is one piece or a list of them."""
    return _joined(parts, b" ")


def parenthesised(parts: Iterable[Piece | Sequence[Piece]]) -> list[Piece]:
    """The parts as a list: `(a b c)`."""
    return _merged([b"(", *_joined(parts, b" "), b")"])


def astring(text: str | bytes) -> Piece:
    """
    Any string in its shortest form: an atom, a quoted string, or a literal for what neither can hold.

    Text goes as UTF-8. Raises WeMisusedProtocol for NUL, which no string can hold.
    """
    raw = _octets(text)
    if _ATOM.fullmatch(raw) and raw.upper() != b"NIL":
        return raw
    return string(raw)


def string(text: str | bytes) -> Piece:
    """As `astring`, but never an atom."""
    raw = _octets(text)
    if b"\0" in raw:
        raise WeMisusedProtocol("a string cannot hold NUL")
    if len(raw) > LONGEST_QUOTED or _UNQUOTABLE.search(raw):
        return Literal(raw)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def quoted(text: str | bytes) -> bytes:
    """A quoted string. Raises WeMisusedProtocol for line breaks, other control characters and 8-bit text."""
    written = string(text)
    if isinstance(written, Literal):
        raise WeMisusedProtocol("this text cannot stand between quotes")
    return written


def nstring(text: str | bytes | None) -> Piece:
    """A string, or NIL for None."""
    return b"NIL" if text is None else string(text)


def mailbox(name: str | bytes, *, utf8: bool = False) -> Piece:
    """
    A mailbox by its name, which is encoded, or by its raw name, which is not. Wildcards in it stay wildcards.

    With `utf8` (after ENABLE UTF8=ACCEPT or IMAP4rev2) the name is UTF-8, between quotes where it can be.
    """
    raw = mutf7.encode(name, utf8=utf8) if isinstance(name, str) else name
    if utf8 and not raw.isascii() and len(raw) <= LONGEST_QUOTED and not _CONTROL.search(raw) and _is_utf8(raw):
        return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return string(raw)


def number(value: int) -> bytes:
    """A number from 0 to 2**63 - 1."""
    if not 0 <= value < 1 << 63:
        raise WeMisusedProtocol("a number is out of range")
    return b"%d" % value


def sequence(uids: UidSet | str) -> bytes:
    """A set of UIDs or sequence numbers; as a text it may hold `*`, or be `$` (RFC 5182)."""
    written = str(uids)
    if not _SET.fullmatch(written):
        raise WeMisusedProtocol("a set of messages is empty or malformed")
    return written.encode("ascii")


def flag(name: str) -> bytes:
    r"""A flag or keyword: `\Seen`, `$Forwarded`."""
    if not _FLAG.fullmatch(name):
        raise WeMisusedProtocol("a flag must be a plain word, with or without a backslash before it")
    return name.encode("ascii")


def flag_list(names: Iterable[str]) -> bytes:
    """Flags in parentheses; `()` for none."""
    return b"(" + b" ".join([flag(one) for one in names]) + b")"


def label(name: str, *, utf8: bool = False) -> Piece:
    r"""A label of Gmail: a system one (`\Inbox`) is an atom, a user's is named like a mailbox."""
    return flag(name) if name.startswith("\\") else mailbox(name, utf8=utf8)


def label_list(names: Iterable[str], *, utf8: bool = False) -> list[Piece]:
    """Labels in parentheses; `()` for none."""
    return parenthesised([label(one, utf8=utf8) for one in names])


def sort_keys(keys: Iterable[str]) -> bytes:
    """What SORT orders by, most significant first: `(REVERSE DATE SUBJECT)` (RFC 5256, RFC 5957)."""
    wanted = list(keys)
    if not wanted or not all(map(_SORT_KEY.fullmatch, wanted)):
        raise WeMisusedProtocol("not keys to sort by")
    return f"({' '.join(wanted)})".encode("ascii")


def result_options(names: Iterable[str] = (), *, page: tuple[int, int] | None = None) -> bytes:
    """
    What SEARCH shall answer: `RETURN (ALL COUNT)`, of ALL, COUNT, MIN, MAX (RFC 4731) and SAVE (RFC 5182).

    `page` asks for the first to the last of the messages found, counted from 1, or from -1, the newest (RFC 9394).
    """
    wanted = list(names)
    if not _RETURN.issuperset(wanted):
        raise WeMisusedProtocol("not what a search can answer")
    if page is not None:
        first, last = page
        if not (0 < abs(first) <= MAX_UID and 0 < abs(last) <= MAX_UID and (first < 0) == (last < 0)):
            raise WeMisusedProtocol("a page counts from 1 on, or from -1 on")
        wanted.append(f"PARTIAL {first}:{last}")
    return f"RETURN ({' '.join(wanted)})".encode("ascii")


def qresync(uidvalidity: int, modseq: int, known: UidSet | None = None) -> bytes:
    """
    What SELECT shall catch up from: `(QRESYNC (1 2 3:9))` (RFC 7162 3.2.5). `known` are the UIDs of whose end to hear.

    A set too long for a command line is widened to one range, from which the server tells more than was asked.
    """
    if not (0 < uidvalidity <= MAX_UID and modseq > 0):
        raise WeMisusedProtocol("nothing is known to catch up from")
    told = b"%d %s" % (uidvalidity, number(modseq))
    if known:
        written = str(known) if known.range_count <= _MOST_RANGES else f"{known.first}:{known.last}"
        told += b" " + written.encode("ascii")
    return b"(QRESYNC (" + told + b"))"


def message(octets: bytes, *, utf8: bool = False) -> list[Piece]:
    """
    A message for APPEND. With NUL in it, it goes as a literal8, which takes a server with BINARY (RFC 3516).

    `utf8` (after ENABLE UTF8=ACCEPT, not with IMAP4rev2 alone) marks one whose headers are not ASCII (RFC 6855 4).
    """
    if utf8 and not octets[: max(0, octets.find(b"\r\n\r\n"))].isascii():
        return [b"UTF8 (", Literal(octets, binary=True), b")"]
    return [Literal(octets, binary=b"\0" in octets)]


def item(name: str) -> bytes:
    """One FETCH or STATUS item by its usual text: `UID`, `BODY.PEEK[1.2]<0.65536>`, `BODY.PEEK[HEADER.FIELDS (TO)]`."""
    if not _ITEM.fullmatch(name):
        raise WeMisusedProtocol("not the name of an item")
    return name.encode("ascii")


def items(names: Sequence[str]) -> bytes:
    """Items in parentheses."""
    if not names:
        raise WeMisusedProtocol("no items to ask for")
    return b"(" + b" ".join([item(one) for one in names]) + b")"


def field_name(name: str) -> bytes:
    """The name of a header field, as an atom."""
    raw = _octets(name)
    if not _FIELD.fullmatch(raw) or raw.upper() == b"NIL":
        raise WeMisusedProtocol("not the name of a header field")
    return raw


def header_fields(names: Iterable[str], *, part: str = "", leave_out: bool = False) -> str:
    """The item for some header fields, or for all others: `BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]`."""
    wanted = [field_name(one) for one in names]
    if not wanted:
        raise WeMisusedProtocol("no header fields to ask for")
    prefix = f"{part}." if part else ""
    if not _PREFIX.fullmatch(prefix):
        raise WeMisusedProtocol("not the number of a part")
    what = "HEADER.FIELDS.NOT" if leave_out else "HEADER.FIELDS"
    return f"BODY.PEEK[{prefix}{what} ({b' '.join(wanted).decode('ascii').upper()})]"


def date(seconds: float) -> bytes:
    """The day in UTC, as SEARCH wants it: `4-Mar-2026`."""
    day = _moment(seconds)
    return b"%d-%s-%04d" % (day.day, _MONTHS[day.month - 1].encode(), day.year)


def date_time(seconds: float) -> bytes:
    """The moment in UTC, as APPEND wants it: `"04-Mar-2026 09:15:02 +0000"`, quotes included."""
    at = _moment(seconds)
    month = _MONTHS[at.month - 1].encode()
    return b'"%02d-%s-%04d %02d:%02d:%02d +0000"' % (at.day, month, at.year, at.hour, at.minute, at.second)


def render(tag: bytes, pieces: Sequence[Piece], mode: LiteralMode) -> list[list[bytes]]:
    """
    The octets to send: bursts of chunks, the line end of the last included.

    Send the first burst at once and each further one after a continuation (`+`). If the server answers NO or BAD
    instead, the rest is not sent. Chunks are not joined, so a large literal is not copied.
    """
    bursts: list[list[bytes]] = [[]]
    text = [tag, b" "]
    for piece in pieces:
        if isinstance(piece, bytes):
            text.append(piece)
            continue
        size = len(piece.data)
        unasked = mode is LiteralMode.PLUS or (mode is LiteralMode.MINUS and size <= LITERAL_MINUS_LIMIT)
        text.append(b"%s{%d%s}\r\n" % (b"~" if piece.binary else b"", size, b"+" if unasked else b""))
        bursts[-1].append(b"".join(text))
        text = []
        if not unasked:
            bursts.append([])
        if piece.data:
            bursts[-1].append(piece.data)
    text.append(b"\r\n")
    bursts[-1].append(b"".join(text))
    return bursts


def _joined(parts: Iterable[Piece | Sequence[Piece]], between: bytes) -> list[Piece]:
    flat: list[Piece] = []
    for part in parts:
        if flat:
            flat.append(between)
        if isinstance(part, bytes | Literal):
            flat.append(part)
        else:
            flat.extend(part)
    return _merged(flat)


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
            continue
        if run:
            merged.append(b"".join(run))
            run = []
        merged.append(piece)
    if run:
        merged.append(b"".join(run))
    return merged


def _octets(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise WeMisusedProtocol("a text with half a character (a lone surrogate)") from None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _moment(seconds: float) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise WeMisusedProtocol("a date outside the years 1 to 9999") from None
