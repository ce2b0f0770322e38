"""Header values as people read them: RFC 2047 words and their abuses, address lists, dates.

All three readers are total: any bytes give a value. They are on the path of every listed message, hence the shortcuts
for what nearly every header is: plain ASCII, one encoded word, one address.
"""

from __future__ import annotations

import binascii
import re
from datetime import date
from email.utils import mktime_tz, parsedate_tz
from typing import Final

from attrs import frozen

from emailengine.wire.mime import charsets

_WORD = re.compile(rb"=\?([\w.:()+-]+)(?:\*[\w-]*)?\?([bBqQ])\?([^?]*|.{0,400}?)\?=", re.DOTALL)
_FOLD = re.compile(rb"(?:\r\n?|\n)[ \t]?")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_BLANK: Final = b" \t\r\n"
_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def decode_header(raw: bytes | str | None) -> str:
    """
    An unstructured header value as text, unfolded, without control characters and outer white space.

    Encoded words count wherever they stand, also in quotes or stuck to other text, and also when blanks or a cut
    through a character make them invalid. Bytes over 127 are read as UTF-8, else by guess.
    """
    if raw is None:
        return ""
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "surrogateescape")
    if b"\n" in raw or b"\r" in raw:
        raw = _FOLD.sub(b" ", raw)
    if b"=?" not in raw:
        text = raw.decode("ascii") if raw.isascii() else charsets.guess(raw)
        text = text.strip()
        return text if text.isprintable() else _clean(text)
    return _clean(_decode_words(raw.strip()))


def _clean(text: str) -> str:
    return _CONTROLS.sub(" ", text).replace("\t", " ")


def _decode_words(raw: bytes) -> str:
    pieces: list[str] = []
    end = 0
    run_charset = b""
    run: list[tuple[bytes, bytes]] = []  # adjacent words of one charset: (encoding, text)
    for match in _WORD.finditer(raw):
        between = raw[end : match.start()]
        charset, encoding, text = match.groups()
        charset = charset.lower()
        if run and (charset != run_charset or between.strip(_BLANK)):
            pieces.append(_join(run_charset, run))
            run = []
        if between and (not end or between.strip(_BLANK)):  # RFC 2047 6.2: blanks between two words vanish
            pieces.append(charsets.guess(between))
        run_charset = charset
        run.append((encoding, text))
        end = match.end()
    if run:
        pieces.append(_join(run_charset, run))
    if end < len(raw):
        pieces.append(charsets.guess(raw[end:]))
    return "".join(pieces)


def _join(charset: bytes, run: list[tuple[bytes, bytes]]) -> str:
    """Adjacent words as one text: their bytes are put together first, for a character may be cut between them."""
    octets: list[bytes] = []
    pending = b""  # base64 that was cut between two words, not at a multiple of four
    for encoding, text in run:
        if encoding in b"bB":
            digits = pending + text.translate(None, _NOT_BASE64)
            whole = len(digits) if b"=" in text else len(digits) & ~3
            pending = digits[whole:]
            octets.append(_base64(digits[:whole]))
        else:
            if pending:
                octets.append(_base64(pending))
                pending = b""
            octets.append(binascii.a2b_qp(text, header=True))
    if pending:
        octets.append(_base64(pending))
    return charsets.decode(b"".join(octets), charset.decode("latin-1"))


def _base64(digits: bytes) -> bytes:
    if len(digits) & 3 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) & 3))


@frozen
class Mailbox:
    """A name and an address, decoded; either may be empty."""

    name: str
    address: str


# No two neighbours of a pattern here match the same byte: a header of a million blanks stays linear.
_SIMPLE = re.compile(
    rb"""(?:(?:"([^"\\]*)"\s*|([^"(),:;<>@\\\[\]]*))<\s*([^\s<>"(),;\\\[\]]+)\s*>
       |([^\s<>"(),:;\\\[\]@]+@[^\s<>"(),:;\\\[\]@]+))\s*(?:,|\Z)""",
    re.VERBOSE,
)
_BETWEEN = re.compile(rb"[\s,]*")
# Quoted string, angle brackets, encoded word, separator, start of a comment, or anything else.
_TOKEN = re.compile(
    rb"""("(?:[^"\\]|\\.)*"?)|<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>?|(=\?[^\s?]+\?[bBqQ]\?[^?]*\?=)|([,;:])|(\()|(\s+)|([^\s",;:<(@]+|.)""",
    re.DOTALL,
)
_COMMENT = re.compile(rb"\\.|[()]", re.DOTALL)
_UNQUOTE = re.compile(rb"\\(.)", re.DOTALL)


def parse_address_list(raw: bytes | str | None) -> list[Mailbox]:
    """
    The mailboxes of a raw address header (RFC 5322 3.4), groups flattened.

    Tolerates what is common: `;` as separator, missing brackets, names with dots, encoded words inside quotes, raw
    8-bit. A mailbox without an address but with a name is kept with an empty address.
    """
    if not raw:
        return []
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "surrogateescape")
    if b"\n" in raw or b"\r" in raw:
        raw = _FOLD.sub(b" ", raw)
    found: list[Mailbox] = []
    at = 0
    while True:
        blank = _BETWEEN.match(raw, at)
        at = blank.end() if blank else at
        if at == len(raw):
            return found
        match = _SIMPLE.match(raw, at)
        if match is None:
            return _parse_addresses(raw)
        quoted, plain, address, bare = match.groups()
        name = quoted or plain
        found.append(Mailbox(decode_header(name) if name else "", _address(address or bare)))
        at = match.end()


def _parse_addresses(raw: bytes) -> list[Mailbox]:
    found: list[Mailbox] = []
    name: list[bytes] = []
    comment: list[bytes] = []
    address: bytes | None = None

    after = False  # behind an address, with no separator since: a name there, without an address, is no mailbox

    def close(separated: bool) -> None:
        nonlocal address, after
        words = b"".join(name).strip()
        if address is None and words:
            address, words = _find_address(words)
        label = words or b" ".join(comment)
        if address or (label and not after):
            found.append(Mailbox(decode_header(label), _address(address or b"")))
        name.clear()
        comment.clear()
        address = None
        after = not separated

    at = 0
    while at < len(raw):
        match = _TOKEN.match(raw, at)
        if match is None:  # the last alternative takes any byte
            break
        at = match.end()
        quoted, angle, encoded, separator, opening, blank, other = match.groups()
        if separator == b":":
            if b"@" in name:
                name.append(b":")
            else:  # RFC 5322 3.4: the name of a group
                name.clear()
                comment.clear()
        elif separator is not None:
            close(True)
        elif opening is not None:
            inside, at = _comment(raw, at)
            comment.append(inside)
        elif angle is not None:
            if address is not None:
                close(False)
            address = angle
        elif blank is not None:
            name.append(b" ")
            continue
        elif address is not None:
            close(False)
        if quoted is not None:
            # A quoted local part stays as it is written; a name loses its quotes.
            name.append(quoted if raw[at : at + 1] == b"@" else _UNQUOTE.sub(rb"\1", quoted[1:].removesuffix(b'"')))
        elif encoded is not None or other is not None:
            name.append(encoded or other)
    close(True)
    return found


def _find_address(words: bytes) -> tuple[bytes | None, bytes]:
    """The address among words without brackets, and what is left as a name."""
    if words.startswith(b'"') and b'"@' in words:
        return words, b""
    parts = words.split()
    for index, part in enumerate(parts):
        if b"@" in part[1:-1]:
            return part, b" ".join(parts[:index] + parts[index + 1 :])
    return None, words


def _comment(raw: bytes, at: int) -> tuple[bytes, int]:
    """The text of a comment that was opened just before `at`, and where it ends; they nest."""
    depth, start = 1, at
    for match in _COMMENT.finditer(raw, at):
        if match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth -= 1
            if not depth:
                return _UNQUOTE.sub(rb"\1", raw[start : match.start()]), match.end()
    return raw[start:], len(raw)


def _address(raw: bytes) -> str:
    """An address as text; an obsolete source route before it (RFC 5322 4.4) is dropped."""
    raw = raw.strip()
    if raw.startswith(b"@") and b":" in raw:
        raw = raw.partition(b":")[2]
    if raw.isascii() and b"=?" not in raw:
        text = raw.decode("ascii")
        return text if text.isprintable() else _clean(text)
    return decode_header(raw)


_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1
    )
}
_DATE = re.compile(
    r"\s*(?:[A-Za-z]+,?\s*)?(\d{1,2})[ -]([A-Za-z]{3})[ -](\d{4})\s+(\d{1,2}):(\d\d)(?::(\d\d))?"
    r"\s*(?:([+-])(\d\d)(\d\d)|GMT|UTC?|Z)?\s*(?:\(|\Z)"
)
_EPOCH: Final = date(1970, 1, 1).toordinal()


def parse_date(raw: bytes | str | None) -> float | None:
    """
    A Date header as seconds since 1970, or None if it names no moment.

    Without a zone it counts as UTC.
    """
    if not raw:
        return None
    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    match = _DATE.match(text)
    if match is None:
        return _parse_other_date(text)
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    try:
        days = date(int(year), _MONTHS[month.lower()], int(day)).toordinal() - _EPOCH
    except (ValueError, KeyError):
        return None
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if hours > 24 or minutes > 59 or seconds > 60:
        return None
    moment = days * 86400 + hours * 3600 + minutes * 60 + seconds
    if sign is not None:
        offset = int(zone_hours) * 3600 + int(zone_minutes) * 60
        moment += offset if sign == "-" else -offset
    return float(moment)


def _parse_other_date(text: str) -> float | None:
    if len(text) > 200:
        return None
    try:
        parts = parsedate_tz(text.strip())
        if parts is None:
            return None
        if parts[9] is None:
            parts = (*parts[:9], 0)
        return float(mktime_tz(parts))
    except (ValueError, IndexError, OverflowError, TypeError):
        return None
