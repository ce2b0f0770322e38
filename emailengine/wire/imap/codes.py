"""Response codes: the bracketed machine-readable start of a response text (RFC 9051 7.1).

The text of a response is free text; no tokenizer goes over it. Only what stands between `[` and its `]` is read.
"""

from __future__ import annotations

import re

from attrs import define, field

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap import uidset
from emailengine.wire.imap.tokens import Reader, Token, number
from emailengine.wire.imap.uidset import UidSet

_QUOTED = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# A `]` inside a quoted string or a list of flags does not end the code.
_CODE = re.compile(
    rb"\[([^\] \t]++)(?:[ \t]++((?:[^\]\"(]|" + _QUOTED + rb"|\((?:[^()\"]|" + _QUOTED + rb")*+\))*+))?+\]"
)
_CARELESS = re.compile(rb"\[([^\] \t]++)(?:[ \t]++([^\]]*+))?+\]")


@define
class Code:
    """`name` is upper case. `args` are the tokens after it; `raw` is their text."""

    name: str
    args: list[Token] = field(factory=list)
    raw: bytes = b""

    @property
    def number(self) -> int | None:
        """The first argument as a number: UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ, UNSEEN, MAXSIZE ..."""
        return number(self.args[0]) if self.args else None

    @property
    def words(self) -> frozenset[str]:
        """All atoms, upper case, lists opened: CAPABILITY, BADCHARSET, PERMANENTFLAGS."""
        return frozenset(one.upper() for one in self.flags)

    @property
    def flags(self) -> tuple[str, ...]:
        """All atoms in their order, lists opened: PERMANENTFLAGS."""
        found: list[str] = []
        for one in self.args:
            for token in one if isinstance(one, list) else [one]:
                if isinstance(token, bytes):
                    found.append(token.decode("utf-8", "replace"))
        return tuple(found)

    @property
    def text(self) -> str | None:
        """The first string, lists opened: MAILBOXID (RFC 8474), REFERRAL, BADURL, METADATA's first word."""
        return self.flags[0] if self.flags else None

    @property
    def append_uid(self) -> tuple[int, UidSet] | None:
        """APPENDUID: UIDVALIDITY and the new UIDs; None if this is no readable APPENDUID."""
        if self.name != "APPENDUID" or len(self.args) < 2:
            return None
        validity, uids = number(self.args[0]), self.args[1]
        if validity is None or not isinstance(uids, bytes):
            return None
        try:
            return validity, UidSet.parse(uids)
        except TheyBrokeProtocol:
            return None

    @property
    def modified(self) -> UidSet | None:
        """MODIFIED (RFC 7162 3.1.3): the messages a conditional STORE left alone, numbered as in the command."""
        if self.name != "MODIFIED" or not self.args or not isinstance(self.args[0], bytes):
            return None
        try:
            return UidSet.parse(self.args[0])
        except TheyBrokeProtocol:
            return None

    @property
    def copy_uid(self) -> tuple[int, list[tuple[int, int]]] | None:
        """
        COPYUID: UIDVALIDITY of the target and (old, new) UIDs in pairs; None if this is no readable COPYUID.

        Both sets are in the order written (RFC 9051 7.1); sets of unequal length pair nothing.
        """
        if self.name != "COPYUID" or len(self.args) < 3:
            return None
        validity, old, new = number(self.args[0]), self.args[1], self.args[2]
        if validity is None or not isinstance(old, bytes) or not isinstance(new, bytes):
            return None
        try:
            sources, targets = uidset.expand(old), uidset.expand(new)
        except TheyBrokeProtocol:
            return None
        return validity, list(zip(sources, targets, strict=True)) if len(sources) == len(targets) else []


def split(rest: bytes) -> tuple[Code | None, str]:
    """What follows OK, NO, BAD, BYE or PREAUTH, as code and text. Never fails: what is no code is text."""
    rest = rest.strip()
    if not rest.startswith(b"["):
        return None, rest.decode("utf-8", "replace")
    match = _CODE.match(rest) or _CARELESS.match(rest)
    if match is None:
        return None, rest.decode("utf-8", "replace")
    raw = (match[2] or b"").strip()
    try:
        args = Reader(raw).rest() if raw else []
    except TheyBrokeProtocol:
        args = list(raw.split())
    return Code(match[1].upper().decode("ascii", "replace"), args, raw), rest[match.end() :].strip().decode(
        "utf-8", "replace"
    )
