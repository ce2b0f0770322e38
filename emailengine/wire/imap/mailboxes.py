"""Responses about mailboxes: LIST, STATUS, NAMESPACE, QUOTA and their relatives (RFC 9051 7.3, RFC 2342, RFC 9208)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import define, field

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap import mutf7
from emailengine.wire.imap.tokens import END, Reader, Token, number, text, unescape


@define
class ListEntry:
    r"""
    LIST, LSUB or XLIST (`kind`). `raw` is the name as sent and the key to use; `name` is it decoded.

    Flags of the standards are in their usual spelling (`\HasNoChildren`, `\Sent`), whatever the server's; others as
    sent. `extended` holds the fifth element by upper-case name (RFC 5258); of it, `old_name` is the decoded name
    before a renaming (RFC 9051 6.3.9.7).
    """

    flags: frozenset[str]
    delimiter: str | None
    raw: bytes
    name: str
    extended: Mapping[str, Token] = field(factory=dict)
    kind: str = "LIST"
    old_name: str | None = None


@define
class StatusData:
    """STATUS. Values by upper-case name: numbers as int, others (MAILBOXID) as text; APPENDLIMIT's NIL is left out."""

    raw: bytes
    name: str
    values: Mapping[str, int | str]


@define
class NamespaceEntry:
    """`extensions` holds what RFC 2342 calls so, by upper-case name (TRANSLATION, RFC 5255)."""

    prefix: str
    raw: bytes
    delimiter: str | None
    extensions: Mapping[str, tuple[bytes, ...]] = field(factory=dict)


@define
class Namespace:
    """RFC 2342: personal, other users', shared."""

    personal: tuple[NamespaceEntry, ...] = ()
    others: tuple[NamespaceEntry, ...] = ()
    shared: tuple[NamespaceEntry, ...] = ()


@define
class Quota:
    """RFC 9208. (used, limit) by upper-case resource; STORAGE is in KiB."""

    root: str
    resources: Mapping[str, tuple[int, int]]


@define
class QuotaRoot:
    raw: bytes
    name: str
    roots: tuple[str, ...]


# RFC 9051 7.3.1, RFC 6154, RFC 8457; the last four are XLIST's.
_ATTRIBUTES = {
    one.lower(): one
    for one in (
        *("\\HasChildren", "\\HasNoChildren", "\\Marked", "\\NonExistent", "\\Noinferiors", "\\Noselect", "\\Remote"),
        *(
            "\\Subscribed",
            "\\Unmarked",
            "\\All",
            "\\Archive",
            "\\Drafts",
            "\\Flagged",
            "\\Important",
            "\\Junk",
            "\\Sent",
        ),
        *("\\Trash", "\\AllMail", "\\Inbox", "\\Spam", "\\Starred"),
    )
}
# The delimiter may be an unescaped backslash: "\". An unquoted name ends at a space or, from careless servers, not.
_LIST = re.compile(
    rb'[ \t]*+\(([^()"\n]*+)\)[ \t]++(?:"(\\?+.|)"(?=[ \t])|([Nn][Ii][Ll]))[ \t]++'
    rb'(?:"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"(?![^ \t\r])|([^" \t\r\n()][^"\n()]*+))'
)
_BLANKS = (b" ", b"\t")
_LONE_BACKSLASH = re.compile(rb'[ \t]*+"\\"(?=[ \t])')
_LONE_BACKSLASH_LAST = re.compile(rb' "\\"(?=\)[ ()]|\)\Z)')


def read_list(kind: str, reader: Reader, utf8: bool) -> ListEntry:
    match = _LIST.match(reader.text, reader.pos)
    if match is not None and not reader.text[match.end() :].strip():
        flags, delimiter, _, quoted, atom = match.groups()
        raw = atom.rstrip() if quoted is None else unescape(quoted)
        return ListEntry(_attributes(flags.split()), _delimiter(delimiter), raw, mutf7.decode(raw, utf8=utf8), {}, kind)
    start = reader.value() or []
    if not isinstance(start, list):
        raise TheyBrokeProtocol(f"{kind} without attributes")
    match = _LONE_BACKSLASH.match(reader.text, reader.pos)
    if match is not None:
        reader.pos = match.end()
        between: Token = b"\\"
    else:
        between = reader.value()
    written = reader.text[reader.pos :].strip()
    raw = _name(reader)
    separate = reader.text[reader.pos : reader.pos + 1] in _BLANKS
    extended: dict[str, Token] = {}
    rest = reader.rest()
    if rest and written[:1] != b'"' and b"\n" not in written and not (separate and _are_extensions(rest[0])):
        raw = written  # a name with spaces or parentheses and no quotes
    elif rest and isinstance(rest[0], list):
        told = rest[0]
        for key, value in zip(told[::2], told[1::2], strict=False):
            if isinstance(key, bytes):
                extended[key.decode("ascii", "replace").upper()] = value
    words = [one for one in start if isinstance(one, bytes)]
    return ListEntry(
        _attributes(words),
        _delimiter(between if isinstance(between, bytes) else None),
        raw,
        mutf7.decode(raw, utf8=utf8),
        extended,
        kind,
        _old_name(extended.get("OLDNAME"), utf8),
    )


def read_status(reader: Reader, utf8: bool) -> StatusData:
    begin = reader.pos
    raw = _name(reader)
    told = reader.value_or_end()
    if not isinstance(told, list) or told is END or not reader.at_end():
        # a name with spaces or parentheses and no quotes
        before, opened, inside = reader.text[begin:].strip().rpartition(b"(")
        if opened and inside.endswith(b")") and b'"' not in before and b"\n" not in before:
            raw, told = before.strip(), list(inside[:-1].split())
        elif not isinstance(told, list) or told is END:
            raise TheyBrokeProtocol("STATUS without values")
    values: dict[str, int | str] = {}
    for key, value in zip(told[::2], told[1::2], strict=False):
        if not isinstance(key, bytes):
            continue
        if isinstance(value, list):
            value = value[0] if value else None
        count = number(value)
        meaning = text(value) if count is None else count
        if meaning is not None:
            values[key.decode("ascii", "replace").upper()] = meaning
    return StatusData(raw, mutf7.decode(raw, utf8=utf8), values)


def read_namespace(reader: Reader, utf8: bool) -> Namespace:
    # A delimiter may be an unescaped backslash here as well.
    reader.text = _LONE_BACKSLASH_LAST.sub(rb' "\\\\"', reader.text)
    told = reader.rest()
    return Namespace(*[_spaces(one, utf8) for one in [*told, None, None, None][:3]])


def read_quota(reader: Reader) -> Quota:
    """A root may have spaces without quotes, or be missing."""
    tokens = reader.rest()
    root = b" ".join([one for one in tokens if isinstance(one, bytes)])
    told = next((one for one in tokens if isinstance(one, list)), None)
    if not tokens:
        raise TheyBrokeProtocol("QUOTA of nothing")
    resources: dict[str, tuple[int, int]] = {}
    if isinstance(told, list):
        for key, used, limit in zip(told[::3], told[1::3], told[2::3], strict=False):
            numbers = number(used), number(limit)
            if isinstance(key, bytes) and numbers[0] is not None and numbers[1] is not None:
                resources[key.decode("ascii", "replace").upper()] = (numbers[0], numbers[1])
    return Quota(root.decode("utf-8", "replace"), resources)


def read_quota_root(reader: Reader, utf8: bool) -> QuotaRoot:
    raw = _name(reader)
    roots = [one.decode("utf-8", "replace") for one in reader.rest() if isinstance(one, bytes)]
    return QuotaRoot(raw, mutf7.decode(raw, utf8=utf8), tuple(roots))


def _name(reader: Reader) -> bytes:
    """The name of a mailbox; one called NIL, without quotes, is taken at its word."""
    token = reader.value()
    if isinstance(token, list):
        raise TheyBrokeProtocol("a list where the name of a mailbox should be")
    return b"NIL" if token is None else token


def _are_extensions(told: Token) -> bool:
    """RFC 5258 6: names and values in turn. The values that are defined are lists, but not with every server."""
    if not isinstance(told, list) or len(told) % 2:
        return False
    return all(
        isinstance(value, list) or (isinstance(name, bytes) and name.upper() in (b"CHILDINFO", b"OLDNAME"))
        for name, value in zip(told[::2], told[1::2], strict=True)
    )


def _attributes(words: list[bytes]) -> frozenset[str]:
    told = [one.decode("utf-8", "replace") for one in words]
    return frozenset([_ATTRIBUTES.get(one.lower(), one) for one in told if one.upper() != "NIL"])


def _delimiter(raw: bytes | None) -> str | None:
    return unescape(raw).decode("utf-8", "replace") if raw else None


def _old_name(token: Token, utf8: bool) -> str | None:
    if isinstance(token, list):
        token = token[0] if token else None
    return mutf7.decode(token, utf8=utf8) if isinstance(token, bytes) else None


def _spaces(token: Token, utf8: bool) -> tuple[NamespaceEntry, ...]:
    found: list[NamespaceEntry] = []
    for one in token if isinstance(token, list) else []:
        if isinstance(one, list) and one and not isinstance(one[0], list):
            prefix = one[0] or b""
            delimiter = one[1] if len(one) > 1 else None
            between = _delimiter(delimiter if isinstance(delimiter, bytes) else None)
            extensions = {
                key.decode("ascii", "replace").upper(): tuple([word for word in value if isinstance(word, bytes)])
                for key, value in zip(one[2::2], one[3::2], strict=False)
                if isinstance(key, bytes) and isinstance(value, list)
            }
            found.append(NamespaceEntry(mutf7.decode(prefix, utf8=utf8), prefix, between, extensions))
    return tuple(found)
