"""A message as FETCH tells it: its parts octet by octet, ENVELOPE and BODYSTRUCTURE (RFC 3501 7.4.2)."""

from __future__ import annotations

import base64
import itertools
import quopri
import re
from email.header import decode_header, make_header
from email.utils import getaddresses

from attrs import define, field

from tests.integration.imap.server.syntax import No, string

_PARAMETER = re.compile(rb';\s*([^=\s;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)')
_ENCODINGS = ("7bit", "8bit", "binary", "base64", "quoted-printable")


@define
class Entity:
    """One part, or a whole message. `parts` are those of a multipart, or the one message that is in message/rfc822."""

    header: bytes
    body: bytes
    type: str = "text"
    subtype: str = "plain"
    parameters: list[tuple[bytes, bytes]] = field(factory=list)
    parts: list[Entity] = field(factory=list)

    @property
    def whole(self) -> bytes:
        return self.header + self.body

    def values(self, name: str) -> list[bytes]:
        """The values of a header field, unfolded."""
        found = re.findall(rb"(?im)^%s[ \t]*:[ \t]*(.*(?:\n[ \t].*)*)" % re.escape(name.encode()), self.header)
        return [one.replace(b"\r", b"").replace(b"\n", b"").strip() for one in found]

    def value(self, name: str) -> bytes | None:
        return next(iter(self.values(name)), None)

    @property
    def encoding(self) -> str:
        return (self.value("Content-Transfer-Encoding") or b"7bit").decode("ascii", "replace").lower()

    def content(self) -> bytes:
        """The body without its transfer encoding."""
        if self.encoding not in _ENCODINGS:
            raise No("[UNKNOWN-CTE] nobody knows this encoding")
        if self.encoding == "base64":
            return base64.b64decode(self.body)
        return quopri.decodestring(self.body) if self.encoding == "quoted-printable" else self.body

    def text(self) -> str:
        """Everything readable below, for SEARCH."""
        if self.parts:
            return "\n".join(readable(one.header) + "\n" + one.text() for one in self.parts)
        if self.type != "text":
            return ""
        charset = dict(self.parameters).get(b"charset", b"utf-8").decode("ascii", "replace")
        try:
            return self.content().decode(charset, "replace")
        except LookupError:
            return self.content().decode("latin-1")


def readable(header: bytes) -> str:
    """Header text with its encoded words read."""
    unfolded = re.sub(rb"\r?\n[ \t]", b" ", header).decode("utf-8", "replace")
    return "\n".join(str(make_header(decode_header(line))) for line in unfolded.splitlines())


def read(data: bytes) -> Entity:
    head, blank, body = data.partition(b"\r\n\r\n")
    if data.startswith(b"\r\n"):
        head, blank, body = b"", b"\r\n", data[2:]
    entity = Entity(head + blank, body)
    kind, parameters = _parametrised(entity.value("Content-Type") or b"text/plain")
    main, _, sub = kind.partition("/")
    entity.type, entity.subtype, entity.parameters = main, sub or "plain", parameters
    if main == "multipart":
        boundary = dict(parameters).get(b"boundary", b"")
        marks = list(re.finditer(rb"(?:\A|\r\n)--%s(?:--)?[ \t]*(?=\r\n|\Z)" % re.escape(boundary), body))
        for one, following in itertools.pairwise(marks):
            entity.parts.append(read(body[one.end() + 2 : following.start()]))
    elif kind == "message/rfc822":
        entity.parts.append(read(body))
    return entity


def _parametrised(value: bytes) -> tuple[str, list[tuple[bytes, bytes]]]:
    kind = value.partition(b";")[0].strip().lower().decode("ascii", "replace")
    found = []
    for name, told in _PARAMETER.findall(value):
        plain = re.sub(rb"\\(.)", rb"\1", told[1:-1]) if told.startswith(b'"') else told
        found.append((name.lower(), plain))
    return kind, found


def find(message: Entity, numbers: list[int]) -> Entity | None:
    """A part by its numbers; the message itself for none."""
    here = message
    for depth, n in enumerate(numbers):
        within = here.parts[0] if here.type == "message" and here.parts and depth else here
        if within.type == "multipart":
            if not 0 < n <= len(within.parts):
                return None
            here = within.parts[n - 1]
        elif n == 1 and (depth == 0 or within is not here):
            here = within
        else:
            return None
    return here


def section(message: Entity, spec: str) -> bytes | None:
    """The octets of BODY[spec], None where there is no such part."""
    match = re.fullmatch(r"((?:\d+\.)*\d+)?\.?(HEADER\.FIELDS(?:\.NOT)? \((.*)\)|HEADER|TEXT|MIME)?", spec, re.I)
    if match is None:
        return None
    numbers = [int(one) for one in (match[1] or "").split(".") if one]
    part = find(message, numbers)
    what = (match[2] or "").upper()
    if part is None:
        return None
    if not what:
        return part.body if numbers else part.whole
    if what == "MIME":
        return part.header if numbers else None
    if numbers:
        if not (part.type == "message" and part.parts):
            return None
        part = part.parts[0]
    if what == "TEXT":
        return part.body
    if what == "HEADER":
        return part.header
    wanted = {one.strip('"').upper() for one in (match[3] or "").split()}
    leave_out = what.startswith("HEADER.FIELDS.NOT")
    lines = re.findall(rb"[^\r\n]+(?:\r?\n[ \t][^\r\n]*)*\r?\n", part.header)
    kept = [one for one in lines if (one.partition(b":")[0].strip().decode("latin-1").upper() in wanted) != leave_out]
    return b"".join(kept) + b"\r\n"


def envelope(entity: Entity) -> bytes:
    def people(name: str) -> bytes:
        told = [one.decode("latin-1") for one in entity.values(name)]
        found = []
        for display, address in getaddresses(told):
            box, _, host = address.rpartition("@")
            texts = (display or None, None, box or address, host)
            found.append(b"(" + b" ".join(string(one.encode("latin-1") if one else None) for one in texts) + b")")
        return b"(" + b"".join(found) + b")" if found else b"NIL"

    from_ = people("From")
    parts = [string(entity.value("Date")), string(entity.value("Subject")), from_]
    parts += [told if (told := people(one)) != b"NIL" else from_ for one in ("Sender", "Reply-To")]
    parts += [people(one) for one in ("To", "Cc", "Bcc")]
    parts += [string(entity.value("In-Reply-To")), string(entity.value("Message-ID"))]
    return b"(" + b" ".join(parts) + b")"


def structure(entity: Entity, *, extended: bool) -> bytes:
    """BODYSTRUCTURE, or BODY without `extended`."""
    parameters = _list(entity.parameters)
    disposition = entity.value("Content-Disposition")
    told = b"NIL"
    if disposition is not None:
        kind, values = _parametrised(disposition)
        told = b"(%s %s)" % (string(kind.encode()), _list(values))
    behind = [told, b"NIL", string(entity.value("Content-Location"))]
    if entity.type == "multipart" and entity.parts:
        parts = [b"".join(structure(one, extended=extended) for one in entity.parts), string(entity.subtype.encode())]
        return b"(" + b" ".join([*parts, *([parameters, *behind] if extended else [])]) + b")"
    parts = [string(entity.type.encode()), string(entity.subtype.encode()), parameters]
    parts += [string(entity.value("Content-ID")), string(entity.value("Content-Description"))]
    parts += [string(entity.encoding.encode()), b"%d" % len(entity.body)]
    lines = b"%d" % entity.body.count(b"\n")
    if entity.type == "message" and entity.parts:
        parts += [envelope(entity.parts[0]), structure(entity.parts[0], extended=extended), lines]
    elif entity.type == "text":
        parts.append(lines)
    if extended:
        parts += [string(entity.value("Content-MD5")), *behind]
    return b"(" + b" ".join(parts) + b")"


def _list(pairs: list[tuple[bytes, bytes]]) -> bytes:
    if not pairs:
        return b"NIL"
    return b"(" + b" ".join(string(one) for pair in pairs for one in pair) + b")"


def preview(entity: Entity) -> bytes:
    """RFC 8970: the beginning of the first text."""
    waiting = [entity]
    while waiting:
        one = waiting.pop(0)
        if one.type == "text":
            return " ".join(one.text().split())[:200].encode()
        waiting = [*one.parts, *waiting]
    return b""
