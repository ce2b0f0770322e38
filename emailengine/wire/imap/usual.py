"""ENVELOPE and BODYSTRUCTURE in their usual forms, each read by a few regular expressions.

This is the hot path of a listing. A form not known here gives None and is read by the tokenizer and `body.py`, which
know every form and give the same value for these: `\\` escapes and 8-bit text in structures, literals, nested messages,
extension data nobody defined, lower-case NIL.
"""

from __future__ import annotations

import re

from emailengine.wire.imap.body import Address, Envelope, Part
from emailengine.wire.imap.tokens import unescape

_STRING = rb'(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|NIL)'
_PEOPLE = rb"(NIL|\((?:\(" + b" ".join([_STRING] * 4) + rb"\) ?+)++\))"
_ENVELOPE = re.compile(
    rb"\(("
    + _STRING
    + rb") ("
    + _STRING
    + rb") "
    + b" ".join([_PEOPLE] * 6)
    + rb" ("
    + _STRING
    + rb") ("
    + _STRING
    + rb")\)"
)
_PERSON = re.compile(rb"\((" + _STRING + rb") " + _STRING + rb" (" + _STRING + rb") (" + _STRING + rb")\)")

# Structures are read as text, in ASCII and without backslashes: "[^"]*" is then a whole string.
_TEXT = r'(?:"[^"]*+"|NIL)'
_PARAMS = r'(?:\("[^"]*+" "[^"]*+"(?: "[^"]*+" "[^"]*+")*+\)|NIL)'
_PAIR = re.compile(r'"([^"]*+)" "([^"]*+)"')
_DISPOSITION = r'(?:NIL|\("([^" ]++)" (' + _PARAMS + r")\))"
_WORD = r'"([^" ]++)"'
_LANGUAGE = r'(NIL|"[^"]*+"|\("[^"]*+"(?: "[^"]*+")*+\))'
_LEAF = re.compile(
    rf"\({_WORD} {_WORD} ({_PARAMS}) ({_TEXT}) ({_TEXT}) {_WORD} ([0-9]{{1,18}}+)(?: ([0-9]{{1,18}}+))?+"
    rf"(?: ({_TEXT})(?: {_DISPOSITION}(?: {_LANGUAGE}(?: ({_TEXT}))?+)?+)?+)?+\)"
)
_MULTIPART_END = re.compile(rf" ?+{_WORD}(?: ({_PARAMS})(?: {_DISPOSITION}(?: {_LANGUAGE}(?: ({_TEXT}))?+)?+)?+)?+\)")
_QUOTED = re.compile(r'"([^"]*+)"')


def envelope(text: bytes, pos: int) -> tuple[Envelope, int] | None:
    """The envelope that starts at `pos`, and where it ends."""
    match = _ENVELOPE.match(text, pos)
    if match is None:
        return None
    date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id = match.groups()
    first = _people(from_)
    return Envelope(
        _octets(date),
        _octets(subject),
        first,
        first if sender == from_ else _people(sender),
        first if reply_to == from_ else _people(reply_to),
        _people(to),
        _people(cc),
        _people(bcc),
        _octets(in_reply_to),
        _octets(message_id),
    ), match.end()


def _octets(written: bytes) -> bytes | None:
    return None if written == b"NIL" else unescape(written[1:-1])


def _people(written: bytes) -> tuple[Address, ...]:
    if written == b"NIL":
        return ()
    return tuple([Address(_octets(name), _octets(box), _octets(host)) for name, box, host in _PERSON.findall(written)])


def part(text: bytes, pos: int, max_nesting: int) -> tuple[Part, int] | None:
    """The structure that starts at `pos`, and where it ends."""
    try:
        rest = text[pos:].decode("ascii")
    except UnicodeDecodeError:
        return None
    if "\\" in rest or "\n" in rest:
        return None
    if rest.startswith("(("):
        found = _multipart(rest, 0, "", max_nesting)
    else:
        found = _leaf(rest, 0, "1")
    return None if found is None else (found[0], pos + found[1])


def _multipart(text: str, pos: int, number: str, deeper: int) -> tuple[Part, int] | None:
    if deeper < 2:
        return None
    dot = f"{number}." if number else ""
    children: list[Part] = []
    pos += 1
    while text.startswith("(", pos):
        numbered = f"{dot}{len(children) + 1}"
        if text.startswith("((", pos):
            found = _multipart(text, pos, numbered, deeper - 1)
        else:
            found = _leaf(text, pos, numbered)
        if found is None:
            return None
        children.append(found[0])
        pos = found[1]
    match = _MULTIPART_END.match(text, pos)
    if match is None:
        return None
    subtype, params, disposition, disposition_params, language, location = match.groups()
    return Part(
        number,
        "multipart",
        subtype.lower(),
        _params(params),
        disposition=disposition.lower() if disposition else None,
        disposition_params=_params(disposition_params),
        language=_language(language),
        location=_text(location),
        children=tuple(children),
    ), match.end()


def _leaf(text: str, pos: int, number: str) -> tuple[Part, int] | None:
    match = _LEAF.match(text, pos)
    if match is None:
        return None
    kind, subtype, params, cid, description, encoding, size, lines, md5, disposition, details, language, location = (
        match.groups()
    )
    return Part(
        number,
        kind.lower(),
        subtype.lower(),
        _params(params),
        _text(cid),
        _text(description),
        encoding.lower(),
        int(size),
        None if lines is None else int(lines),
        _text(md5),
        disposition.lower() if disposition else None,
        _params(details),
        _language(language),
        _text(location),
    ), match.end()


def _text(written: str | None) -> str | None:
    return None if written is None or written == "NIL" else written[1:-1]


def _params(written: str | None) -> dict[str, str]:
    if written is None or written == "NIL":
        return {}
    return {name.lower(): value for name, value in _PAIR.findall(written)}


def _language(written: str | None) -> tuple[str, ...]:
    if written is None or written == "NIL":
        return ()
    return tuple([one.lower() for one in _QUOTED.findall(written)])
