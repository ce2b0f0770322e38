"""Writing header fields: encoded words, folding, parameters. Nothing a caller passes can start a line of its own.

Values are text; control characters in them become blanks, so that no value holds a line break. Lines are folded at 76
columns and never exceed 998 octets (RFC 5322 2.1.1) as long as a value has a blank to fold at or may be encoded.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

import idna

from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.mime.words import Mailbox

_WIDTH: Final = 76
_LONGEST: Final = 990  # octets of a word that is still sent as it is; 998 less what folding adds

_NAME = re.compile(r"[!-9;-~]{1,200}\Z")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_BREAKS = re.compile(r"\r\n?|\n")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*\Z")
_DOT_ATOM = re.compile(r"[^\s\x00-\x20()<>\[\]:;@\\,.\"\x7f]+(?:\.[^\s\x00-\x20()<>\[\]:;@\\,.\"\x7f]+)*\Z")
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"\Z')
_NOT_DOMAIN = re.compile(r"[\s\x00-\x20()<>@\\,;:\"\x7f]+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+\Z")
_NOT_VALUE = re.compile(r"[^A-Za-z0-9!#$&^_.+/*-]+")
_Q_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q: Final = [chr(byte) if byte in _Q_SAFE else "_" if byte == 32 else f"={byte:02X}" for byte in range(256)]
_SPECIAL_NAMES: Final = {
    "mime-version": "MIME-Version",
    "message-id": "Message-ID",
    "list-id": "List-ID",
    "content-id": "Content-ID",
    "dkim-signature": "DKIM-Signature",
    "resent-message-id": "Resent-Message-ID",
}


def field_name(name: str) -> str:
    """
    A field name the way it is usually written, each word with a capital.

    Raises WeMisusedProtocol for what is no field name (RFC 5322 2.2).
    """
    if not _NAME.match(name):
        raise WeMisusedProtocol(f"{name[:50]!r} cannot be the name of a header field")
    lower = name.lower()
    return _SPECIAL_NAMES.get(lower) or "-".join(part[:1].upper() + part[1:] for part in lower.split("-"))


def clean(value: str) -> str:
    """A value without control characters, outer blanks and what is not Unicode; the rest is kept exactly."""
    value = value.strip()
    if value.isprintable():
        return value
    value = _CONTROLS.sub(" ", _BREAKS.sub(" ", value)).strip()
    return value.encode("utf-8", "replace").decode("utf-8")


def text_field(name: str, value: str) -> bytes:
    """An unstructured field (Subject, Comments, X-...), whole, with its final CRLF."""
    value = clean(value)
    if value.isascii() and "=?" not in value and _words_fit(value):
        if len(name) + len(value) + 2 <= _WIDTH:
            return f"{name}: {value}\r\n".encode("ascii")
        return _fold(name, value.split(" "))
    return _fold(name, encoded_words(value, len(name) + 2))


def ids_field(name: str, ids: Iterable[str]) -> bytes:
    """Message-ID, In-Reply-To or References, one id to a fold where they are many."""
    return _fold(name, [one for one in (bracketed(text) for text in ids) if one])


def bracketed(message_id: str) -> str:
    """A message id in its angle brackets, without blanks and anything outside ASCII; empty for an empty one."""
    bare = "".join(_CONTROLS.sub("", message_id).split()).encode("ascii", "ignore").decode("ascii")
    bare = bare.removeprefix("<").removesuffix(">").replace("<", "").replace(">", "")
    return f"<{bare}>" if bare else ""


def address_field(name: str, mailboxes: Sequence[Mailbox]) -> bytes:
    """
    An address field, folded between addresses and between the words of long names.

    A domain outside ASCII is written as IDNA labels; a local part outside ASCII stays UTF-8 (RFC 6532).
    """
    words: list[str] = []
    for mailbox in mailboxes:
        if words:
            words[-1] += ","
        words.extend(_mailbox_words(mailbox, len(name) + 2 if not words else 1))
    return _fold(name, words)


def address(text: str) -> str:
    """An address as it stands in a header, between angle brackets or bare; total, and never ends its field early."""
    text = clean(text)
    local, at, domain = text.rpartition("@")
    if not at:
        local, domain = text, ""
    if not _DOT_ATOM.match(local) and not _QUOTED_LOCAL.match(local):
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{local}@{ascii_domain(_NOT_DOMAIN.sub('', domain))}" if at else local


def ascii_domain(domain: str) -> str:
    """A host name in ASCII: IDNA 2008 with its usual mapping; one that has no such form is returned unchanged."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain


def _mailbox_words(mailbox: Mailbox, column: int) -> list[str]:
    spec = address(mailbox.address)
    name = clean(mailbox.name)
    if not name:
        return [spec]
    if not name.isascii() or "=?" in name or len(name) > 600:
        words = encoded_words(name, column)
    elif _ATOMS.match(name):
        words = name.split(" ") if "  " not in name else [f'"{name}"']
    else:
        words = ['"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"']
    return [*words, f"<{spec}>"]


def encoded_words(value: str, column: int = 0) -> list[str]:
    """
    Text as encoded words of RFC 2047, each at most 75 characters, the first leaving room for `column`.

    They are UTF-8, in Q or B, whichever is shorter, and no character is cut between two.
    """
    octets = value.encode("utf-8")
    quoted = sum(1 if byte in _Q_SAFE or byte == 32 else 3 for byte in octets)
    binary = quoted > (len(octets) + 2) // 3 * 4
    room = _WIDTH - 12 - min(column, 40)
    words: list[str] = []
    if binary:
        start = 0
        while start < len(octets):
            end = start + room // 4 * 3
            while end < len(octets) and octets[end] & 0xC0 == 0x80:
                end -= 1
            text = binascii.b2a_base64(octets[start:end], newline=False).decode("ascii")
            words.append(f"=?utf-8?B?{text}?=")
            start, room = end, _WIDTH - 13
        return words
    word = ""
    for character in value:
        code = "".join([_Q[byte] for byte in character.encode("utf-8")])
        if len(word) + len(code) > room:
            words.append(f"=?utf-8?Q?{word}?=")
            word, room = "", _WIDTH - 13
        word += code
    words.append(f"=?utf-8?Q?{word}?=")
    return words


def _words_fit(value: str) -> bool:
    return len(value) <= _LONGEST or all(len(word) <= _LONGEST for word in value.split(" "))


def _fold(name: str, words: Sequence[str]) -> bytes:
    """Words joined by blanks, with a line break before those blanks where the line would grow too long."""
    lines: list[str] = []
    line = f"{name}:"
    empty = True  # a line of blanks only is forbidden (RFC 5322 3.2.2), so it takes the next word in any case
    for word in words:
        if len(line) + 1 + len(word) > _WIDTH and word and (not empty or len(line) + len(word) > 997):
            lines.append(line)
            line, empty = "", True
        line += " " + word
        empty = empty and not word
    lines.append(line)
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "replace")


def parameter_field(
    name: str, value: str, parameters: Iterable[tuple[str, str]] = (), *, encoded: bool = False
) -> bytes:
    """
    A field with parameters (Content-Type, Content-Disposition).

    What a parameter cannot hold as it is goes in the form of RFC 2231, in as many sections as it needs. With `encoded`
    it goes as encoded words in quotes instead, which no rule allows and which old readers understand.
    """
    pieces = [_NOT_VALUE.sub("", value)]
    for key, text in parameters:
        pieces[-1] += ";"
        pieces.extend(_parameter(key, clean(text), encoded))
    return _fold(name, pieces)


def _parameter(key: str, text: str, encoded: bool) -> list[str]:
    if text.isascii() and len(key) + len(text) <= (600 if encoded else 70):
        if _TOKEN.match(text):
            return [f"{key}={text}"]
        return [f"{key}=" + '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"']
    if encoded:
        words = encoded_words(text, len(key) + 3)
        words[0] = f'{key}="{words[0]}'
        words[-1] += '"'
        return words
    # RFC 2231 3 and 4.1
    room = _WIDTH - len(key) - 16
    sections: list[str] = []
    section = ""
    for character in text:
        code = quote(character, safe="", encoding="utf-8", errors="replace")
        if len(section) + len(code) > room:
            sections.append(section)
            section = ""
        section += code
    sections.append(section)
    if len(sections) == 1:
        return [f"{key}*=utf-8''{section}"]
    sections[0] = "utf-8''" + sections[0]
    written = [f"{key}*{index}*={one};" for index, one in enumerate(sections)]
    written[-1] = written[-1][:-1]
    return written
