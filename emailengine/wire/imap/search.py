"""Criteria of SEARCH, one function each (RFC 9051 6.4.4 and its extensions).

A criterion is a list of pieces; no value in it can become syntax. Criteria are combined with `all_of`, `any_of` and
`negated`, and put into a command as one part: `command(b"UID SEARCH", *charset(found), found)`.

SEARCH knows days, not moments, and compares them with the server's idea of a day: `since` and `before` are a day off at
worst. Who needs moments asks for a day more on either side and compares INTERNALDATE, or uses `younger` and `older`
where the server offers WITHIN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap import write
from emailengine.wire.imap.uidset import UidSet
from emailengine.wire.imap.write import Literal, Piece

Criterion: TypeAlias = list[Piece]

DAY = 86400.0

_FLAG_KEYS = {
    "\\answered": (b"ANSWERED", b"UNANSWERED"),
    "\\deleted": (b"DELETED", b"UNDELETED"),
    "\\draft": (b"DRAFT", b"UNDRAFT"),
    "\\flagged": (b"FLAGGED", b"UNFLAGGED"),
    "\\seen": (b"SEEN", b"UNSEEN"),
}

EVERY: Criterion = [b"ALL"]


def flag(name: str, *, there: bool = True) -> Criterion:
    r"""Messages with the flag or keyword, or without it: `flag("\\Seen", there=False)`."""
    keys = _FLAG_KEYS.get(name.lower())
    if keys is not None:
        return [keys[0] if there else keys[1]]
    if name.startswith("\\"):
        raise WeMisusedProtocol("SEARCH has no key for this system flag")
    return write.command(b"KEYWORD" if there else b"UNKEYWORD", write.flag(name))


def since(seconds: float) -> Criterion:
    """Arrived on the UTC day of this moment or later (INTERNALDATE)."""
    return [b"SINCE " + write.date(seconds)]


def before(seconds: float) -> Criterion:
    """Arrived before the UTC day of this moment; `day_after` includes the day itself."""
    return [b"BEFORE " + write.date(seconds)]


def on(seconds: float) -> Criterion:
    """Arrived on the UTC day of this moment."""
    return [b"ON " + write.date(seconds)]


def sent_since(seconds: float) -> Criterion:
    """As `since`, by the Date header."""
    return [b"SENTSINCE " + write.date(seconds)]


def sent_before(seconds: float) -> Criterion:
    """As `before`, by the Date header."""
    return [b"SENTBEFORE " + write.date(seconds)]


def day_after(seconds: float) -> float:
    """The moment itself if it is the start of a UTC day, else the start of the next: a `before` that cuts nothing."""
    return -(-seconds // DAY) * DAY


def younger(seconds: int) -> Criterion:
    """Arrived within the last so many seconds (WITHIN, RFC 5032)."""
    return [b"YOUNGER " + _positive(seconds)]


def older(seconds: int) -> Criterion:
    """Arrived so many seconds ago or earlier (WITHIN)."""
    return [b"OLDER " + _positive(seconds)]


def larger(octets: int) -> Criterion:
    """Larger than so many octets."""
    return [b"LARGER " + write.number(octets)]


def smaller(octets: int) -> Criterion:
    """Smaller than so many octets."""
    return [b"SMALLER " + write.number(octets)]


def uid(uids: UidSet | str) -> Criterion:
    return [b"UID " + write.sequence(uids)]


def sequence(numbers: UidSet | str) -> Criterion:
    """By sequence number; "$" is what a search with SAVE found (RFC 5182)."""
    return [write.sequence(numbers)]


def modseq(value: int) -> Criterion:
    """Changed at this mod-sequence or later (CONDSTORE)."""
    return [b"MODSEQ " + write.number(value)]


def from_(text: str) -> Criterion:
    return write.command(b"FROM", write.string(text))


def to(text: str) -> Criterion:
    return write.command(b"TO", write.string(text))


def cc(text: str) -> Criterion:
    return write.command(b"CC", write.string(text))


def bcc(text: str) -> Criterion:
    return write.command(b"BCC", write.string(text))


def subject(text: str) -> Criterion:
    return write.command(b"SUBJECT", write.string(text))


def body(text: str) -> Criterion:
    """In the text of the message."""
    return write.command(b"BODY", write.string(text))


def text(text: str) -> Criterion:
    """In the headers or the text."""
    return write.command(b"TEXT", write.string(text))


def header(name: str, value: str = "") -> Criterion:
    """In a header field; with no value, the field is there at all."""
    return write.command(b"HEADER", write.field_name(name), write.string(value))


def email_id(value: str) -> Criterion:
    """By EMAILID (OBJECTID, RFC 8474)."""
    return [b"EMAILID " + _object_id(value)]


def thread_id(value: str) -> Criterion:
    """By THREADID (OBJECTID)."""
    return [b"THREADID " + _object_id(value)]


def gmail_id(value: str) -> Criterion:
    """By X-GM-MSGID."""
    return [b"X-GM-MSGID " + _digits(value)]


def gmail_thread(value: str) -> Criterion:
    """By X-GM-THRID."""
    return [b"X-GM-THRID " + _digits(value)]


def gmail_raw(query: str) -> Criterion:
    """Gmail's own query language."""
    return write.command(b"X-GM-RAW", write.string(query))


def gmail_label(name: str, *, utf8: bool = False) -> Criterion:
    r"""With this label of Gmail: a system one (`\Inbox`) or a user's, which is named like a mailbox."""
    return write.command(b"X-GM-LABELS", write.label(name, utf8=utf8))


def all_of(criteria: Iterable[Sequence[Piece]]) -> Criterion:
    """Every one of these; all messages, if there are none."""
    return write.command(*criteria) or [*EVERY]


def any_of(criteria: Sequence[Sequence[Piece]]) -> Criterion:
    """At least one of these; no message, if there are none. OR takes two keys, so more are nested in halves."""
    if not criteria:
        return negated(EVERY)
    if len(criteria) == 1:
        return list(criteria[0])
    half = len(criteria) // 2
    return write.command(b"OR", _one_key(any_of(criteria[:half])), _one_key(any_of(criteria[half:])))


def negated(criterion: Sequence[Piece]) -> Criterion:
    return write.command(b"NOT", _one_key(criterion))


def needs_utf8(criterion: Sequence[Piece]) -> bool:
    """Whether a value in it is not ASCII."""
    return any(not (one.data if isinstance(one, Literal) else one).isascii() for one in criterion)


def charset(criterion: Sequence[Piece], *, utf8: bool = False) -> list[Piece]:
    """
    The words that come before a criterion in the command: CHARSET UTF-8, or nothing where all is ASCII.

    Nothing either where UTF-8 is agreed upon: after ENABLE UTF8=ACCEPT the words are forbidden (RFC 6855 3).
    """
    return [b"CHARSET UTF-8"] if needs_utf8(criterion) and not utf8 else []


def _one_key(criterion: Sequence[Piece]) -> list[Piece]:
    return write.parenthesised([criterion])


def _positive(seconds: int) -> bytes:
    return write.number(max(1, seconds))


def _object_id(value: str) -> bytes:
    # RFC 8474 7: 1 to 255 of these characters
    if not (0 < len(value) < 256 and value.isascii() and value.replace("-", "").replace("_", "").isalnum()):
        raise WeMisusedProtocol("not an object id")
    return value.encode("ascii")


def _digits(value: str) -> bytes:
    if not (0 < len(value) < 21 and value.isascii() and value.isdigit()):
        raise WeMisusedProtocol("not a number of Gmail's")
    return value.encode("ascii")
