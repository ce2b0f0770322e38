"""
Everything that can be done with octets from an IMAP server, done with any octets.

`check` fails if something else comes out than a value or TheyBrokeProtocol, if the result depends on how the octets are
cut, or if a fast reading differs from the thorough one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from random import Random

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap import body, codes, fetch, mutf7, usual, write
from emailengine.wire.imap.responses import parse
from emailengine.wire.imap.splitter import Splitter
from emailengine.wire.imap.tokens import END, Literal, Piece, Reader, Token, join
from emailengine.wire.imap.uidset import UidSet, expand

_LIMITS = ((16_000_000, 16_000_000), (60, 60))  # usual ones, and some that are passed
_FEW = 2000


def check(data: bytes) -> None:
    """Raises AssertionError, or what should not have been raised."""
    for max_line, max_literal in _LIMITS:
        _split(data, max_line, max_literal)
    for pieces in _fed(Splitter(), [data])[0]:
        _read(pieces)
    _read([data.replace(b"\n", b" ")])
    _name(data)
    _set(data)
    _code(data)
    _tokens(data)
    fetch.internal_date(data)


def _split(data: bytes, max_line: int, max_literal: int) -> None:
    chance = Random(zlib.crc32(data))
    cuts = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(1, 8)))
    portions = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    whole, cut, single = (Splitter(max_line=max_line, max_literal=max_literal) for _ in range(3))
    expected = _fed(whole, [data])
    for splitter, fed in ((cut, portions), (single, [data[at : at + 1] for at in range(min(len(data), 100))])):
        if splitter is single and len(data) > 100:
            continue
        assert _fed(splitter, fed) == expected, "the cuts made a difference"
        assert splitter.broken is not None or splitter.pending == whole.pending


def _fed(splitter: Splitter, portions: Sequence[bytes]) -> tuple[list[list[Piece]], str | None]:
    found: list[list[Piece]] = []
    try:
        for portion in portions:
            found += splitter.feed(portion)
    except TheyBrokeProtocol as fault:
        return found, fault.what
    return found, None if splitter.broken is None else splitter.broken.what


def _read(pieces: Sequence[Piece]) -> None:
    for utf8 in (False, True):
        try:
            quick: object = parse(pieces, utf8=utf8)
        except TheyBrokeProtocol:
            quick = None
        line, literals = join(pieces)
        if isinstance(quick, fetch.Fetched):
            assert quick == _slowly(line, literals, quick.seq, utf8), "a fast reading of FETCH differs"
    for word in (b"ENVELOPE (", b"BODYSTRUCTURE (", b"BODY ("):
        pos = line.find(word)
        if pos >= 0:
            _structures(line, pos + len(word) - 1)


def _slowly(line: bytes, literals: Sequence[Literal], seq: int, utf8: bool) -> fetch.Fetched:
    """A FETCH read item by item, each by its tokens."""
    reader = Reader(line, literals, pos=line.index(b"(") + 1)
    found = fetch.Fetched(seq)
    while fetch._read_item(reader, found, utf8):
        pass
    return found


def _structures(text: bytes, pos: int) -> None:
    envelope = usual.envelope(text, pos)
    if envelope is not None:
        reader = Reader(text, pos=pos)
        assert (body.envelope(reader.value()), reader.pos) == envelope, "a fast reading of ENVELOPE differs"
    part = usual.part(text, pos, 50)
    if part is not None:
        reader = Reader(text, pos=pos)
        assert (body.part(reader.value()), reader.pos) == part, "a fast reading of BODYSTRUCTURE differs"


def _name(data: bytes) -> None:
    text = data.decode("utf-8", "ignore").replace("\u2060", "").replace("\u2061", "")
    for utf8 in (False, True):
        name = mutf7.decode(data, utf8=utf8)
        name.encode("utf-8")
        assert mutf7.encode(name, utf8=utf8) == data, "a name turned into another"
        assert mutf7.decode(mutf7.encode(text, utf8=utf8), utf8=utf8) == text, "a text turned into another name"
    if b"\0" not in data:
        line, literals = join(write.command(b"X", write.mailbox(data), write.astring(data)))
        assert Reader(line, literals).rest() == [b"X", data, data], "a string was written wrong"


def _set(data: bytes) -> None:
    one, _, other = data.partition(b";")
    try:
        a, b = UidSet.parse(one), UidSet.parse(other)
    except TheyBrokeProtocol:
        return
    assert UidSet.parse(str(a)) == a == UidSet.of_ranges(a.ranges), "a set was written wrong"
    assert (a - b) | (a & b) == a, "a set lost members"
    if len(a) < _FEW and len(b) < _FEW:
        assert set(expand(one)) == set(a), "a set was read wrong"
        assert UidSet.of(a) == a, "a set was made wrong"
        assert (set(a | b), set(a & b), set(a - b)) == (set(a) | set(b), set(a) & set(b), set(a) - set(b))


def _code(data: bytes) -> None:
    code, _ = codes.split(data)
    if code is not None:
        _ = code.number, code.words, code.flags, code.text, code.append_uid, code.copy_uid, code.modified


def _tokens(data: bytes) -> None:
    reader = Reader(data, [Literal(b"x")] * data.count(b"\n"))
    try:
        tokens = reader.rest()
    except TheyBrokeProtocol:
        return
    assert reader.at_end()
    again = Reader(data, [Literal(b"x")] * data.count(b"\n"))
    found: list[Token] = []
    while (token := again.value_or_end()) is not END:
        found.append(token)
    assert tokens[: len(found)] == found, "one by one the tokens are others"
    for token in tokens:
        body.envelope(token)
        body.part(token)
