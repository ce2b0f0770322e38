"""SEARCH and SORT: criteria as functions over a message (RFC 3501 6.4.4, RFC 5032, RFC 5256)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from attrs import define

from tests.integration.imap.server.messages import readable
from tests.integration.imap.server.store import Message
from tests.integration.imap.server.syntax import Atom, Bad, Token, astring, members, number, ranges, word

Test: TypeAlias = Callable[[int, Message], bool]

_FLAGS = ("ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN")
_HEADERS = ("BCC", "CC", "FROM", "SUBJECT", "TO")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: dict[str, Callable[[int, int], bool]] = {
    "BEFORE": lambda one, day: one < day,
    "ON": lambda one, day: one == day,
    "SINCE": lambda one, day: one >= day,
}


@define
class Search:
    """Reads criteria; `has` tells which extensions may be used, `saved` what `$` means."""

    messages: Sequence[Message]
    saved: frozenset[int]
    has: Callable[[str], bool]
    charset: str = "us-ascii"
    modseq: bool = False
    """Whether MODSEQ was among the criteria."""

    def read(self, given: list[Token]) -> Test:
        """All of these criteria; the list is used up."""
        if not given:
            raise Bad("SEARCH for nothing")
        tests = []
        while given:
            tests.append(self._one(given))
        return lambda seq, one: all(test(seq, one) for test in tests)

    def among(self, token: Token, *, uid: bool) -> set[int]:
        """The UIDs of a set of UIDs or sequence numbers, `$` included."""
        if token == b"$" and isinstance(token, Atom):
            if not self.has("SEARCHRES"):
                raise Bad("no SEARCHRES here")
            return set(self.saved)
        uids = [one.uid for one in self.messages]
        if uid:
            return members(ranges(token), uids)
        return {uids[seq - 1] for seq in members(ranges(token), range(1, len(uids) + 1))}

    def _text(self, given: list[Token]) -> str:
        raw = astring(self._next(given))
        try:
            return raw.decode(self.charset).lower()
        except UnicodeDecodeError:
            raise Bad("text that is not of its charset") from None

    def _next(self, given: list[Token]) -> Token:
        if not given:
            raise Bad("a criterion without its value")
        return given.pop(0)

    def _need(self, name: str) -> None:
        if not self.has(name):
            raise Bad(f"no {name} here")

    def _one(self, given: list[Token]) -> Test:
        token = given.pop(0)
        if isinstance(token, list):
            return self.read(list(token))
        name = word(token)
        if name == "$" or name[0].isdigit() or name[0] == "*":
            wanted = self.among(token, uid=False)
            return lambda seq, one: one.uid in wanted
        if name in ("ALL", "OLD"):
            return lambda seq, one: True
        if name in ("NEW", "RECENT"):
            return lambda seq, one: False
        there = not name.startswith("UN")
        plain = name if there else name[2:]
        if plain in _FLAGS:
            flag = "\\" + plain.capitalize()
            return lambda seq, one: (flag in one.flags) == there
        if plain == "KEYWORD":
            keyword = astring(self._next(given)).decode("ascii").lower()
            return lambda seq, one: (keyword in {flag.lower() for flag in one.flags}) == there
        if name == "NOT":
            inner = self._one_of(given)
            return lambda seq, one: not inner(seq, one)
        if name == "OR":
            first, second = self._one_of(given), self._one_of(given)
            return lambda seq, one: first(seq, one) or second(seq, one)
        if name == "UID":
            among = self.among(self._next(given), uid=True)
            return lambda seq, one: one.uid in among
        return self._valued(name, given)

    def _one_of(self, given: list[Token]) -> Test:
        if not given:
            raise Bad("a criterion is missing")
        return self._one(given)

    def _valued(self, name: str, given: list[Token]) -> Test:
        if name in ("LARGER", "SMALLER"):
            octets = number(self._next(given))
            return lambda seq, one: len(one.data) > octets if name == "LARGER" else len(one.data) < octets
        if name in ("YOUNGER", "OLDER"):
            self._need("WITHIN")
            moment = time.time() - number(self._next(given))
            return lambda seq, one: (one.arrived >= moment) == (name == "YOUNGER")
        if name == "MODSEQ":
            self._need("CONDSTORE")
            least = number(self._next(given))
            self.modseq = True
            return lambda seq, one: one.modseq >= least
        if name.removeprefix("SENT") in _DAYS:
            compare, day = _DAYS[name.removeprefix("SENT")], _day(astring(self._next(given)))
            if name.startswith("SENT"):
                return lambda seq, one: (sent := _sent(one)) is not None and compare(sent, day)
            return lambda seq, one: compare(datetime.fromtimestamp(one.arrived, UTC).toordinal(), day)
        if name in _HEADERS or name == "HEADER":
            field = astring(self._next(given)).decode("ascii") if name == "HEADER" else name
            text = self._text(given)
            return lambda seq, one: any(text in readable(value).lower() for value in one.entity.values(field))
        if name in ("BODY", "TEXT", "X-GM-RAW"):
            if name == "X-GM-RAW":
                self._need("X-GM-EXT-1")
            text = self._text(given)
            head = name != "BODY"
            return lambda seq, one: (
                text in one.entity.text().lower() or (head and text in readable(one.entity.header).lower())
            )
        if name in ("EMAILID", "THREADID"):
            self._need("OBJECTID")
            wanted = astring(self._next(given)).decode("ascii")
            return lambda seq, one: name == "EMAILID" and one.email_id == wanted
        if name == "X-GM-LABELS":
            self._need("X-GM-EXT-1")
            label = astring(self._next(given)).decode()
            return lambda seq, one: label in one.labels
        raise Bad(f"no criterion {name}")


def _day(raw: bytes) -> int:
    match = re.fullmatch(rb"(\d\d?)-([A-Za-z]{3})-(\d{4})", raw)
    if match is None or match[2].decode().upper() not in _MONTHS:
        raise Bad("not a day")
    return datetime(int(match[3]), _MONTHS.index(match[2].decode().upper()) + 1, int(match[1])).toordinal()


def _sent(message: Message) -> int | None:
    raw = message.entity.value("Date")
    try:
        return parsedate_to_datetime(raw.decode("ascii")).toordinal() if raw else None
    except ValueError:
        return None


def sort(keys: list[Token], found: list[Message]) -> list[Message]:
    """SORT, from the last key to the first."""
    names = [word(one) for one in keys]
    orders: list[tuple[str, bool]] = []
    while names:
        reverse = names[0] == "REVERSE"
        if reverse:
            names.pop(0)
        if not names or names[0] not in _KEYS:
            raise Bad("no such order")
        orders.append((names.pop(0), reverse))
    ordered = sorted(found, key=lambda one: one.uid)
    for name, reverse in reversed(orders):
        ordered.sort(key=_KEYS[name], reverse=reverse)
    return ordered


def _field(name: str) -> Callable[[Message], str]:
    return lambda one: readable(one.entity.value(name) or b"").lower()


def _base_subject(message: Message) -> str:
    return re.sub(r"^(?:(?:re|fwd?)(?:\[\d+\])?:\s*)+", "", _field("Subject")(message))


_KEYS: dict[str, Callable[[Message], str | float]] = {
    "ARRIVAL": lambda one: one.arrived,
    "DATE": lambda one: parsedate_to_datetime((one.entity.value("Date") or b"").decode("ascii")).timestamp(),
    "SIZE": lambda one: len(one.data),
    "SUBJECT": _base_subject,
    "FROM": _field("From"),
    "TO": _field("To"),
    "CC": _field("Cc"),
}
