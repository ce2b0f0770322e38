"""Bodies out of their transfer encodings, in pieces or whole; header blocks as lists of fields.

The decoders take the message cut anywhere and give the same bytes whatever the cuts. They are as tolerant as mail
programs are: what is not of the encoding is skipped or passed on, never an error.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Generator
from itertools import islice
from typing import Final, Protocol

from attrs import define, field

from emailengine.wire.mime import charsets
from emailengine.wire.mime.words import decode_header

_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_TRAILING = re.compile(rb"[ \t]+(?=\r?\n)")
_LONE_CR = re.compile(rb"=\r(?!\n)")
_HELD: Final = 4096  # octets of a line without end that a decoder keeps waiting for it


class Decoder(Protocol):
    """Transfer decoding, piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """What the octets so far allow to say."""

    def finish(self) -> bytes:
        """The rest, at the end of the body."""


@define
class IdentityStream:
    """7bit, 8bit, binary."""

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


@define
class Base64Stream:
    """
    RFC 2045 6.8.

    Other characters are skipped; padding in the middle, as where encoded pieces were joined, ends a piece only; a
    single digit left over is dropped.
    """

    _held: bytes = b""

    def feed(self, data: bytes) -> bytes:
        digits = self._held + data.translate(None, _NOT_BASE64)
        if b"=" in digits:
            *pieces, digits = digits.split(b"=")
            done = b"".join([_unpadded(piece) for piece in pieces])
        else:
            done = b""
        whole = len(digits) & ~3
        self._held = digits[whole:]
        return done + binascii.a2b_base64(digits[:whole])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return _unpadded(held)


def _unpadded(digits: bytes) -> bytes:
    if len(digits) & 3 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) & 3))


@define
class QuotedPrintableStream:
    """RFC 2045 6.7. Blanks at the end of a line go; an equals sign that starts nothing stays."""

    _held: bytes = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > _HELD:
            cut = _safe_cut(data, cut)
        self._held = data[cut:]
        return _quoted(data[:cut])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return _quoted(held.rstrip(b" \t"))


def _safe_cut(data: bytes, least: int) -> int:
    """A place in the last line that is in no escape, and after which blanks may still turn out to be final."""
    end = len(data)
    while end > least and data[end - 1] in b" \t\r":
        end -= 1
    equals = data.find(b"=", max(least, end - 2), end)
    if equals >= 0:
        end = equals
        while end > least and data[end - 1] == 0x3D:
            end -= 1
    if end <= least and len(data) - least > 64 * _HELD:
        return len(data)  # nothing but blanks and equals signs; not worth more memory
    return end


def _quoted(data: bytes) -> bytes:
    if b" \r\n" in data or b" \n" in data or b"\t\r\n" in data or b"\t\n" in data:
        data = _TRAILING.sub(b"", data)
    if data.count(b"=\r") != data.count(b"=\r\n"):
        data = _LONE_CR.sub(b"", data)  # the standard library would skip all up to the next LF
    return binascii.a2b_qp(data)


@define
class UuStream:
    """Uuencode: the lines between `begin` and `end`; a broken line gives what its length allows."""

    _held: bytes = b""
    _inside: bool = False
    _over: bool = False

    def feed(self, data: bytes) -> bytes:
        if self._over:
            return b""
        lines = (self._held + data).split(b"\n")
        self._held = lines.pop()[-1024:]
        return b"".join([self._line(line) for line in lines])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return self._line(held)

    def _line(self, line: bytes) -> bytes:
        line = line.rstrip(b"\r")
        if not self._inside:
            self._inside = not self._over and line.startswith(b"begin ")
            return b""
        if line == b"end":
            self._inside, self._over = False, True
            return b""
        if not line:
            return b""
        try:
            return binascii.a2b_uu(line)
        except binascii.Error:
            wanted = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                return binascii.a2b_uu(line[:wanted])
            except binascii.Error:
                return b""


def stream(encoding: str | None) -> Decoder:
    """The decoder for a Content-Transfer-Encoding; for an unknown one the octets stay as they are."""
    name = (encoding or "").strip().lower()
    if name == "base64":
        return Base64Stream()
    if name == "quoted-printable":
        return QuotedPrintableStream()
    if name in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return UuStream()
    return IdentityStream()


def decode_bytes(data: bytes, encoding: str | None) -> bytes:
    """A whole body out of its transfer encoding."""
    decoder = stream(encoding)
    return decoder.feed(data) + decoder.finish()


def decode_text(data: bytes, encoding: str | None, charset: str | None) -> str:
    """
    A text part as text: out of its transfer encoding and charset, with LF line ends and without a byte order mark.

    Never raises; `charsets.decode` says what happens to a charset that is unknown or wrong.
    """
    return _lines(charsets.decode(decode_bytes(data, encoding), charset)).removeprefix("\ufeff")


def decode_text_steps(
    data: bytes, encoding: str | None, charset: str | None, *, size: int = 256 * 1024
) -> Generator[None, None, str]:
    """
    `decode_text` in steps of a few milliseconds, for long texts: the text is what the generator returns.

    It yields nothing; whoever runs it may do something else between two steps.
    """
    decoder = stream(encoding)
    if len(data) > size and not isinstance(decoder, IdentityStream):
        pieces = []
        for start in range(0, len(data), size):
            pieces.append(decoder.feed(data[start : start + size]))
            yield
        octets = b"".join([*pieces, decoder.finish()])
    else:
        octets = decoder.feed(data) + decoder.finish()
    text = yield from charsets.decode_steps(octets, charset, size)
    yield
    return _lines(text).removeprefix("\ufeff")


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.MULTILINE)
_END = re.compile(rb"^\r?\n", re.MULTILINE)


def parse_headers(raw: bytes, *, longest: int = 256 * 1024, most: int = 2000) -> list[tuple[str, str]]:
    """
    The fields of a header block in order: lower-case name, decoded value.

    Stops at the first empty line; lines that are no field (an mbox `From `, garbage) are skipped. What lies beyond
    the first `longest` octets or `most` fields is left out, a field that goes on there is cut: nobody writes such a
    header but to keep its readers busy.
    """
    raw = raw[:longest]
    end = _END.search(raw)
    if end is not None:
        raw = raw[: end.start()]
    return [(match[1].decode("ascii").lower(), decode_header(match[2])) for match in islice(_FIELD.finditer(raw), most)]


@define
class Fields:
    """
    The header block of a message, field by field, each raw with its folds and final line end.

    For changing a message's headers without touching the rest of it.
    """

    items: list[tuple[str, bytes]] = field(factory=list)
    """Lower-case name and raw field; the name is empty for a line that is none."""

    def raw(self) -> bytes:
        return b"".join([one for _, one in self.items])

    def get(self, name: str) -> str | None:
        """The decoded value of the first field of that name."""
        for key, line in self.items:
            if key == name:
                return decode_header(line.partition(b":")[2])
        return None

    def raw_values(self, name: str) -> list[bytes]:
        """The raw values of all fields of that name."""
        return [line.partition(b":")[2] for key, line in self.items if key == name]

    def remove(self, *names: str) -> None:
        self.items = [one for one in self.items if one[0] not in names]

    def add(self, line: bytes) -> None:
        """Add a whole written field at the end."""
        self.items.append((line.partition(b":")[0].decode("ascii").lower(), line))

    def replace(self, line: bytes) -> None:
        """Put a whole written field where the first of its name is, or at the end; others of that name go."""
        name = line.partition(b":")[0].decode("ascii").lower()
        at = next((index for index, one in enumerate(self.items) if one[0] == name), len(self.items))
        rest = [one for one in self.items[at:] if one[0] != name]
        self.items[at:] = [(name, line), *rest]


_LINES = re.compile(rb"[^\n]*\n(?:[ \t]+[^\r\n][^\n]*\n)*|[^\n]+\Z")


def split_message(message: bytes) -> tuple[Fields, bytes]:
    """
    A message's header fields, and the rest: the empty line that ends the headers, and the body.

    Joined they are the message, octet for octet.
    """
    items: list[tuple[str, bytes]] = []
    at = 0
    while at < len(message) and not message.startswith((b"\r\n", b"\n"), at):
        match = _LINES.match(message, at)
        if match is None:
            break
        line = match[0]
        name, colon, _ = line.partition(b":")
        name = name.rstrip(b" \t")
        items.append((name.decode("ascii").lower() if colon and _NAME.match(name) else "", line))
        at = match.end()
    return Fields(items), message[at:]


_NAME = re.compile(rb"[!-9;-~]+\Z")


def strip_bcc(message: bytes) -> bytes:
    """The message as it goes over the wire: without its Bcc fields, otherwise octet for octet the same."""
    fields, rest = split_message(message)
    kept = [line for name, line in fields.items if name not in ("bcc", "resent-bcc")]
    if len(kept) == len(fields.items):
        return message
    return b"".join([*kept, rest])
