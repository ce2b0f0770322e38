"""FETCH responses (RFC 9051 7.5.2) and what they say about one message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType

from attrs import define, field

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap import body, mutf7, usual
from emailengine.wire.imap.body import Envelope, Part
from emailengine.wire.imap.tokens import END, MAX_NESTING, Literal, Reader, Token, number
from emailengine.wire.imap.uidset import MAX_UID

_NOTHING: Mapping[str, bytes | None] = MappingProxyType({})
_NO_SIZES: Mapping[str, int] = MappingProxyType({})


@define
class Fetched:
    r"""
    What one FETCH response told. None: not told, told as NIL, or told in a way nobody can read.

    `flags` are in the server's order, system flags in their usual spelling (`\Seen`). `internal_date` is in epoch
    seconds. `email_id` and `thread_id` are EMAILID and THREADID (RFC 8474), else X-GM-MSGID and X-GM-THRID. `labels`
    are Gmail's, decoded.

    `sections` holds texts and parts by upper-cased item, without quotes and without origin: "BODY[1.2]",
    "BODY[HEADER]", "BODY[HEADER.FIELDS (SUBJECT FROM)]", "BINARY[1]", "RFC822.HEADER". Header fields are there a second
    time as "HEADER.FIELDS" ("2.HEADER.FIELDS" for a nested message), so that nobody needs to know the server's way of
    echoing names.
    """

    _seq: int | bytes = field(eq=int)
    uid: int | None = None
    flags: tuple[str, ...] | None = None
    modseq: int | None = None
    internal_date: float | None = None
    size: int | None = None
    envelope: Envelope | None = None
    body: Part | None = None
    email_id: str | None = None
    thread_id: str | None = None
    labels: tuple[str, ...] | None = None
    preview: str | None = None
    sections: Mapping[str, bytes | None] = _NOTHING
    binary_sizes: Mapping[str, int] = _NO_SIZES

    @property
    def seq(self) -> int:
        """Its sequence number. Few ask for it, so that it is a number only then."""
        return int(self._seq)


_new = Fetched.__new__

# The usual answer to UID FETCH n:m (FLAGS), with or without MODSEQ, in any order. (UIDs of ten digits are not usual.)
_FLAGS_ONLY = re.compile(
    rb"\* ([0-9]{1,10}+) FETCH \((?:(?:UID ([1-9][0-9]{0,8}+)(?=[ )])|FLAGS \(([^()\"\n]*+)\)"
    rb"|MODSEQ \(([0-9]{1,18}+)\)) ?+)++\)"
).fullmatch
_ITEM = re.compile(
    rb" ?+(?:UID ([0-9]{1,10}+)(?=[ )])"  # 1
    rb"|FLAGS \(([^()\"\n]*+)\)"  # 2
    rb'|INTERNALDATE "([^"\\\n]*+)"'  # 3
    rb"|RFC822\.SIZE ([0-9]{1,18}+)(?=[ )])"  # 4
    rb"|(ENVELOPE )(?=\()"  # 5
    rb"|(BODY(?:STRUCTURE)?+ )(?=\()"  # 6
    rb"|MODSEQ \(([0-9]{1,18}+)\)"  # 7
    rb"|(\)))"  # 8 the end
)
_NAME = re.compile(
    rb"[ \t\r]*+([A-Za-z][A-Za-z0-9.\-_]*+)"  # 1
    rb'(\[(?:[^\]"]|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+")*+\])?+'  # 2 section
    rb"(?:<[0-9.]*+>)?+"
)
_DATE = re.compile(
    rb" ?([0-9]{1,2}-[A-Za-z]{3}-[0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]++)? ?([+-])([0-9]{2}):?([0-9]{2})"
)
_MONTHS = {
    name: place
    for place, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_UNIX_DAY = date(1970, 1, 1).toordinal()
_SYSTEM_FLAGS = {
    one.lower(): one for one in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent", "\\*")
}
_REMEMBERED = 2048
"""Flag lists and days already read: a mailbox has few different ones, and equal ones then share one value."""
_flag_lists: dict[bytes, tuple[str, ...]] = {}
_days: dict[bytes, float | None] = {}


def flags_only(line: bytes) -> Fetched | None:
    """What a whole response tells, if that is flags alone in the form in which they usually come; else None."""
    match = _FLAGS_ONLY(line)
    if match is None:
        return None
    seq, uid, flags, modseq = match.groups()
    told = _new(Fetched)  # the usual way to make one takes twice as long
    told._seq = seq
    told.uid = None if uid is None else int(uid)
    if flags is None:
        told.flags = None
    elif flags in _flag_lists:
        told.flags = _flag_lists[flags]
    else:
        told.flags = read_flags(flags)
    told.modseq = None if modseq is None else int(modseq)
    told.internal_date = told.size = told.envelope = told.body = None
    told.email_id = told.thread_id = told.labels = told.preview = None
    told.sections = _NOTHING
    told.binary_sizes = _NO_SIZES
    return told


def read(
    line: bytes,
    pos: int,
    seq: int,
    literals: Sequence[Literal] = (),
    *,
    max_nesting: int = MAX_NESTING,
    utf8: bool = False,
) -> Fetched:
    """
    The items of a FETCH, `pos` being behind the opening parenthesis.

    An item nobody knows is passed over, one with an impossible value stays None. Raises TheyBrokeProtocol if it cannot
    be seen where items end.
    """
    found = Fetched(seq)
    reader: Reader | None = None
    structures = 2  # BODY and BODYSTRUCTURE: trying the usual form costs a copy of what is left
    while True:
        match = _ITEM.match(line, pos)
        if match is not None:
            kind = match.lastindex
            pos = match.end()
            if kind == 1:
                uid = int(match[1])
                if 0 < uid <= MAX_UID:
                    found.uid = uid
                continue
            if kind == 2:
                found.flags = read_flags(match[2])
                continue
            if kind == 3:
                found.internal_date = internal_date(match[3])
                continue
            if kind == 4:
                found.size = int(match[4])
                continue
            if kind == 5:
                told = usual.envelope(line, pos)
                if told is not None:
                    found.envelope, pos = told
                    continue
            elif kind == 6:
                structures -= 1
                structure = usual.part(line, pos, max_nesting) if structures >= 0 else None
                if structure is not None:
                    found.body, pos = structure
                    continue
            elif kind == 7:
                found.modseq = int(match[7])
                continue
            else:
                return found
            pos = match.start()
        if reader is None:
            reader = Reader(line, literals, max_nesting=max_nesting)
        reader.pos = pos
        if not _read_item(reader, found, utf8):
            return found
        pos = reader.pos


def _read_item(reader: Reader, found: Fetched, utf8: bool) -> bool:
    """Read one item of any form; False at the end of the list."""
    match = _NAME.match(reader.text, reader.pos)
    if match is None:
        if reader.value_or_end() is not END:
            return True  # a value without a name
        if reader.at_end():
            raise TheyBrokeProtocol("a FETCH response does not end")
        return False
    reader.pos = match.end()
    name = match[1].upper().decode("ascii")
    section = match[2]
    if section is not None:
        if b"\n" in section:
            first, *others = section.split(b"\n")
            section = first + b"".join([reader.literal().replace(b"\n", b" ") + other for other in others])
    elif reader.text.startswith(b"[", reader.pos):
        raise TheyBrokeProtocol("a section does not end", reader.text[match.start() : match.start() + 80])
    value = reader.value_or_end()
    if value is END:
        return True  # a name without a value; the end is found again
    if section is not None:
        _add_section(found, name + section.decode("utf-8", "replace"), value)
    elif name in _SETTERS:
        _SETTERS[name](found, value)
    elif name == "X-GM-LABELS":
        if isinstance(value, list):
            found.labels = tuple([mutf7.decode(one, utf8=utf8) for one in value if isinstance(one, bytes)])
    elif name in ("RFC822", "RFC822.HEADER", "RFC822.TEXT"):
        _add_section(found, name, value)
    return True


def _add_section(found: Fetched, item: str, value: Token) -> None:
    key = " ".join(item.upper().replace('"', "").split()).replace("( ", "(").replace(" )", ")")
    if key.startswith("BINARY.SIZE["):
        size = number(value)
        if size is not None:
            sizes = found.binary_sizes if isinstance(found.binary_sizes, dict) else {}
            sizes[key[12:-1]] = size
            found.binary_sizes = sizes
        return
    content = value if isinstance(value, bytes) else None
    sections = found.sections if isinstance(found.sections, dict) else {}
    sections[key] = content
    fields = key.find(" (")
    if fields > 0:
        sections[key[key.find("[") + 1 : fields]] = content
    found.sections = sections


def _set_uid(found: Fetched, value: Token) -> None:
    uid = number(value)
    if uid is not None and 0 < uid <= MAX_UID:
        found.uid = uid


def _set_flags(found: Fetched, value: Token) -> None:
    if isinstance(value, list):
        found.flags = read_flags(b" ".join([one for one in value if isinstance(one, bytes)]))


def _set_modseq(found: Fetched, value: Token) -> None:
    found.modseq = number(value[0] if isinstance(value, list) and value else value)


def _set_date(found: Fetched, value: Token) -> None:
    if isinstance(value, bytes):
        found.internal_date = internal_date(value)


def _set_size(found: Fetched, value: Token) -> None:
    found.size = number(value)


def _set_envelope(found: Fetched, value: Token) -> None:
    found.envelope = body.envelope(value)


def _set_body(found: Fetched, value: Token) -> None:
    found.body = body.part(value)


def _word(value: Token) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


def _set_email_id(found: Fetched, value: Token) -> None:
    found.email_id = _word(value[0] if isinstance(value, list) and value else value)


def _set_thread_id(found: Fetched, value: Token) -> None:
    found.thread_id = _word(value[0] if isinstance(value, list) and value else value)


def _set_gmail_id(found: Fetched, value: Token) -> None:
    if found.email_id is None:
        found.email_id = _word(value)


def _set_gmail_thread(found: Fetched, value: Token) -> None:
    if found.thread_id is None:
        found.thread_id = _word(value)


def _set_preview(found: Fetched, value: Token) -> None:
    if isinstance(value, list):  # (FUZZY "text"), before the RFC
        value = value[-1] if value else None
    if isinstance(value, bytes):
        found.preview = value.decode("utf-8", "replace")


_SETTERS = {
    "UID": _set_uid,
    "FLAGS": _set_flags,
    "MODSEQ": _set_modseq,
    "INTERNALDATE": _set_date,
    "RFC822.SIZE": _set_size,
    "ENVELOPE": _set_envelope,
    "BODYSTRUCTURE": _set_body,
    "BODY": _set_body,
    "EMAILID": _set_email_id,
    "THREADID": _set_thread_id,
    "X-GM-MSGID": _set_gmail_id,
    "X-GM-THRID": _set_gmail_thread,
    "PREVIEW": _set_preview,
}


def read_flags(raw: bytes) -> tuple[str, ...]:
    """Flags from what stands between the parentheses; a NIL there is none."""
    known = _flag_lists.get(raw)
    if known is not None:
        return known
    told = []
    for one in raw.split():
        if len(one) == 3 and one.upper() == b"NIL":
            continue
        flag = one.decode("utf-8", "replace")
        told.append(_SYSTEM_FLAGS.get(flag.lower(), flag) if flag.startswith("\\") else flag)
    flags = tuple(told)
    if len(raw) <= 200:
        if len(_flag_lists) >= _REMEMBERED:
            _flag_lists.clear()
        _flag_lists[raw] = flags
    return flags


def internal_date(raw: bytes) -> float | None:
    """` 4-Mar-2026 09:15:02 +0100` in epoch seconds (RFC 9051 `date-time`); None for what is no date."""
    match = _DATE.fullmatch(raw)
    if match is None:
        return None
    day, hour, minute, second, sign, zone_hour, zone_minute = match.groups()
    midnight = _days[day] if day in _days else _read_day(day)
    h, m, s = int(hour), int(minute), int(second)
    if midnight is None or h > 23 or m > 59 or s > 60:
        return None
    zone = int(zone_hour) * 3600 + int(zone_minute) * 60
    return midnight + h * 3600 + m * 60 + s + (zone if sign == b"-" else -zone)


def _read_day(raw: bytes) -> float | None:
    day, month, year = raw.lower().split(b"-")
    try:
        told = (date(int(year), _MONTHS[month], int(day)).toordinal() - _UNIX_DAY) * 86400.0
    except (KeyError, ValueError):
        told = None
    if len(_days) >= _REMEMBERED:
        _days.clear()
    _days[raw] = told
    return told
