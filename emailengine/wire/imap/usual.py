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
_CAPTURED = rb'(?:"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"|NIL)'
_PEOPLE = rb"(?:(\((?:\(" + b" ".join([_STRING] * 4) + rb"\) ?+)++\))|NIL)"
_ENVELOPE = re.compile(rb"\(" + b" ".join([_CAPTURED] * 2 + [_PEOPLE] * 6 + [_CAPTURED] * 2) + rb"\)")
_PERSON = re.compile(rb"\(" + b" ".join([_CAPTURED, _STRING, _CAPTURED, _CAPTURED]) + rb"\)")

# Structures are read as text, in ASCII and without backslashes: "[^"]*" is then a whole string.
_TEXT = r'(?:"([^"]*+)"|NIL)'
_PARAMS = r'(?:(\("[^"]*+" "[^"]*+"(?: "[^"]*+" "[^"]*+")*+\))|NIL)'
_PAIR = re.compile(r'"([^"]*+)" "([^"]*+)"')
_WORD = r'"([!#-~]++)"'
_DISPOSITION = rf"(?:NIL|\({_WORD} {_PARAMS}\))"
_LANGUAGE = r'(?:("[^"]*+"|\("[^"]*+"(?: "[^"]*+")*+\))|NIL)'
_EXTENSION = rf"(?: {_DISPOSITION}(?: {_LANGUAGE}(?: {_TEXT})?+)?+)?+"
_LEAF = re.compile(
    rf"\({_WORD} {_WORD} {_PARAMS} {_TEXT} {_TEXT} {_WORD} ([0-9]{{1,18}}+)(?: ([0-9]{{1,18}}+))?+"
    rf"(?: {_TEXT}{_EXTENSION})?+\)"
)
_MULTIPART_END = re.compile(rf" ?+{_WORD}(?: {_PARAMS}{_EXTENSION})?+\)")
_QUOTED = re.compile(r'"([^"]*+)"')


def envelope(text: bytes, pos: int) -> tuple[Envelope, int] | None:
    """The envelope that starts at `pos`, and where it ends."""
    match = _ENVELOPE.match(text, pos)
    if match is None:
        return None
    date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id = match.groups()
    if b"\\" in match[0]:
        date, subject, in_reply_to, message_id = [
            one if one is None else unescape(one) for one in (date, subject, in_reply_to, message_id)
        ]
    first = _people(from_) if from_ else ()
    return Envelope(
        date,
        subject,
        first,
        first if sender == from_ else _people(sender) if sender else (),
        first if reply_to == from_ else _people(reply_to) if reply_to else (),
        _people(to) if to else (),
        _people(cc) if cc else (),
        _people(bcc) if bcc else (),
        in_reply_to,
        message_id,
    ), match.end()


def _people(written: bytes) -> tuple[Address, ...]:
    people = _PERSON.findall(written)  # with b"" for what did not match
    if b"\\" in written:
        people = [[unescape(one) for one in person] for person in people]
    return tuple([Address(name or None, mailbox or None, host or None) for name, mailbox, host in people])


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
    subtype, params, disposition, details, language, location = match.groups()
    return Part(
        number,
        "multipart",
        subtype.lower(),
        _params(params) if params else {},
        None,
        None,
        "7bit",
        0,
        None,
        None,
        disposition.lower() if disposition else None,
        _params(details) if details else {},
        _language(language) if language else (),
        location,
        tuple(children),
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
        _params(params) if params else {},
        cid,
        description,
        encoding.lower(),
        int(size),
        int(lines) if lines else None,
        md5,
        disposition.lower() if disposition else None,
        _params(details) if details else {},
        _language(language) if language else (),
        location,
    ), match.end()


def _params(written: str) -> dict[str, str]:
    return {name.lower(): value for name, value in _PAIR.findall(written)}


def _language(written: str) -> tuple[str, ...]:
    return tuple([one.lower() for one in _QUOTED.findall(written)])
