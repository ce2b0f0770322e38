"""Every response a server sends, as one value (RFC 9051 section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import define, field

from emailengine.wire.imap.codes import Code
from emailengine.wire.imap.fetch import Fetched
from emailengine.wire.imap.tokens import Token
from emailengine.wire.imap.uidset import UidSet


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
class Fetch:
    seq: int
    data: Fetched


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
class ListEntry:
    r"""
    LIST, LSUB or XLIST (`kind`). `raw` is the name as sent and the key to use; `name` is it decoded.

    Flags of the standards are in their usual spelling (`\HasNoChildren`, `\Sent`), whatever the server's; others as
    sent. `extended` holds the fifth element by upper-case name (CHILDINFO, OLDNAME).
    """

    flags: frozenset[str]
    delimiter: str | None
    raw: bytes
    name: str
    extended: Mapping[str, Token] = field(factory=dict)
    kind: str = "LIST"


@define
class StatusData:
    """STATUS. Values by upper-case name: numbers as int, others (MAILBOXID) as text."""

    raw: bytes
    name: str
    values: Mapping[str, int | str]


@define
class Search:
    uids: list[int]
    modseq: int | None = None


@define
class ESearch:
    """RFC 4731. `tag` names the command this answers; `all` is None where it was not asked for or nothing was found."""

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
class NamespaceEntry:
    prefix: str
    raw: bytes
    delimiter: str | None


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


@define
class Other:
    """A response of a kind we do not know: upper-case name and what followed it."""

    name: str
    tokens: list[Token]


Response: TypeAlias = (
    Continuation
    | Tagged
    | Status
    | Exists
    | Recent
    | Expunge
    | Vanished
    | Fetch
    | Capability
    | Enabled
    | Flags
    | ListEntry
    | StatusData
    | Search
    | ESearch
    | Id
    | Namespace
    | Quota
    | QuotaRoot
    | Other
)
