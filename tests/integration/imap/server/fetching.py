"""The items of FETCH (RFC 3501 6.4.5, RFC 3516, RFC 8474, RFC 8970)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from attrs import define

from tests.integration.imap.server import messages
from tests.integration.imap.server.store import Message
from tests.integration.imap.server.syntax import Atom, Bad, No, Token, string
from tests.integration.imap.server.view import flags_of

_SECTION = re.compile(r"(BODY|BINARY|BINARY\.SIZE)(\.PEEK)?\[([^\]]*)\](?:<(\d+)\.(\d+)>)?", re.I)
_MACROS = {
    "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
    "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
    "FULL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
}
_EXTENSIONS = {
    "MODSEQ": "CONDSTORE",
    "EMAILID": "OBJECTID",
    "THREADID": "OBJECTID",
    "PREVIEW": "PREVIEW",
    "X-GM-MSGID": "X-GM-EXT-1",
    "X-GM-THRID": "X-GM-EXT-1",
    "X-GM-LABELS": "X-GM-EXT-1",
}
_SIMPLE: dict[str, Callable[[Message], bytes]] = {
    "UID": lambda one: b"UID %d" % one.uid,
    "FLAGS": flags_of,
    "MODSEQ": lambda one: b"MODSEQ (%d)" % one.modseq,
    "RFC822.SIZE": lambda one: b"RFC822.SIZE %d" % len(one.data),
    "INTERNALDATE": lambda one: b'INTERNALDATE "%s"' % date_time(one.arrived),
    "ENVELOPE": lambda one: b"ENVELOPE " + messages.envelope(one.entity),
    "BODY": lambda one: b"BODY " + messages.structure(one.entity, extended=False),
    "BODYSTRUCTURE": lambda one: b"BODYSTRUCTURE " + messages.structure(one.entity, extended=True),
    "RFC822": lambda one: b"RFC822 " + string(one.data),
    "RFC822.HEADER": lambda one: b"RFC822.HEADER " + string(one.entity.header),
    "RFC822.TEXT": lambda one: b"RFC822.TEXT " + string(one.entity.body),
    "EMAILID": lambda one: f"EMAILID ({one.email_id})".encode(),
    "THREADID": lambda one: b"THREADID NIL",
    "PREVIEW": lambda one: b"PREVIEW " + string(messages.preview(one.entity)),
    "X-GM-MSGID": lambda one: b"X-GM-MSGID " + one.email_id[1:].encode(),
    "X-GM-THRID": lambda one: b"X-GM-THRID " + one.email_id[1:].encode(),
    "X-GM-LABELS": lambda one: b"X-GM-LABELS (" + b" ".join(string(x.encode()) for x in sorted(one.labels)) + b")",
}


@define
class Items:
    """What one FETCH asks for."""

    tells: list[Callable[[Message], bytes]]
    sees: bool = False
    """Whether the messages are read by it."""
    modseq: bool = False
    flags: bool = False

    def of(self, message: Message) -> bytes:
        return b" ".join([tell(message) for tell in self.tells])


def items(token: Token, *, uid: bool, modseq: bool, has: Callable[[str], bool]) -> Items:
    """`uid` and `modseq` add what the client has to be told without asking."""
    given = token if isinstance(token, list) else [token]
    names: list[str] = []
    for one in given:
        if not isinstance(one, Atom):
            raise Bad("an item is a word")
        name = one.decode("ascii")
        names += _MACROS.get(name.upper(), [name]) if not isinstance(token, list) else [name]
    if not names:
        raise Bad("FETCH of nothing")
    upper = [one.upper() for one in names]
    for extra, wanted in (("UID", uid), ("MODSEQ", modseq)):
        if wanted and extra not in upper:
            names.insert(0, extra)
    found = Items([], modseq="MODSEQ" in upper, flags="FLAGS" in upper)
    for name in names:
        plain = name.upper()
        section = _SECTION.fullmatch(name)
        if plain in _SIMPLE:
            if plain in _EXTENSIONS and not has(_EXTENSIONS[plain]):
                raise Bad(f"no {_EXTENSIONS[plain]} here")
            found.sees |= plain in ("RFC822", "RFC822.TEXT")
            found.tells.append(_SIMPLE[plain])
        elif section is not None:
            if not plain.startswith("BODY") and not has("BINARY"):
                raise Bad("no BINARY here")
            found.sees |= not section[2] and not plain.startswith("BINARY.SIZE")
            found.tells.append(_section(section))
        else:
            raise Bad(f"no item {name}")
    if found.sees and not found.flags:
        found.tells.append(flags_of)
    return found


def _section(match: re.Match[str]) -> Callable[[Message], bytes]:
    kind, spec = match[1].upper(), match[3]
    label = f"{kind}[{spec.upper()}]".encode()
    start, size = (int(match[4]), int(match[5])) if match[4] is not None else (None, 0)

    def tell(message: Message) -> bytes:
        if kind == "BODY":
            data = messages.section(message.entity, spec)
        else:
            part = messages.find(message.entity, [int(one) for one in spec.split(".") if one])
            if part is None:
                raise No("there is no such part")
            data = part.content() if spec else part.whole
        if kind == "BINARY.SIZE":
            return b"%s %d" % (label, len(data or b""))
        if data is None:
            return label + b" NIL"
        origin = b""
        if start is not None:
            data, origin = data[start : start + size], b"<%d>" % start
        binary = b"~" if kind == "BINARY" and b"\0" in data else b""
        if binary or (data and len(data) % 3):  # quoted or a literal, as it comes
            return b"%s%s %s{%d}\r\n%s" % (label, origin, binary, len(data), data)
        return b"%s%s %s" % (label, origin, string(data))

    return tell


def date_time(moment: float) -> bytes:
    return time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(moment)).encode()
