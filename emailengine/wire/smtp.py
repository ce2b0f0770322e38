"""SMTP text: replies, extensions, addresses in commands, DSN parameters, dot stuffing. No transport.

RFC 5321, with RFC 1870 (SIZE), 3461 (DSN), 6152 (8BITMIME), 6531 (SMTPUTF8).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from attrs import define, field, frozen

from emailengine.wire.errors import TheyBrokeProtocol, WeMisusedProtocol
from emailengine.wire.mime.headers import ascii_domain
from emailengine.wire.mime.lines import Crlf

FINAL_DOT: Final = b".\r\n"


@define
class DotStuffer:
    """
    A message on its way into DATA (RFC 5321 4.5.2): line ends become CRLF, leading dots are doubled.

    It may be fed in any pieces; joined, they are always the same. `end_text` completes the last line, `finish` also
    sends the final dot.
    """

    _ends: Crlf = field(factory=Crlf)
    _at_start: bool = True

    def feed(self, data: bytes) -> bytes:
        return self._stuff(self._ends.feed(data))

    def end_text(self) -> bytes:
        rest = self._stuff(self._ends.finish())
        if not self._at_start:
            rest += b"\r\n"
            self._at_start = True
        return rest

    def finish(self) -> bytes:
        return self.end_text() + FINAL_DOT

    def _stuff(self, text: bytes) -> bytes:
        if not text:
            return b""
        stuffed = text.replace(b"\n.", b"\n..") if b"\n." in text else text
        if self._at_start and text.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_start = text.endswith(b"\n")
        return stuffed


# Replies

_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|\Z)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


@frozen
class Reply:
    """A complete reply: its three digits and its lines without them."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reply as one text, code first, lines joined by a blank, as people quote it."""
        return " ".join([str(self.code), *(line for line in self.lines if line)])

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463) if there is one: `5.1.1`."""
        match = _ENHANCED.match(self.lines[0]) if self.lines else None
        return match[1] if match else None

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 300


@define
class ReplyReader:
    """
    Puts the lines of a reply together.

    Raises TheyBrokeProtocol for a line that is none, and for replies beyond the limits: an EHLO answer has some
    twenty lines, so 200 are a fault or an attack.
    """

    most_lines: int = 200
    _code: int = 0
    _lines: list[str] = field(factory=list)

    @property
    def between(self) -> bool:
        """Whether no reply has begun."""
        return not self._lines

    def feed(self, line: bytes) -> Reply | None:
        """Take one line without its line end; the reply, if it was the last of one."""
        match = _REPLY_LINE.match(line)
        if match is None:
            raise TheyBrokeProtocol(f"not a reply: {line[:80]!r}")
        code, mark, text = match.groups()
        self._code = int(code)
        self._lines.append(_CONTROLS.sub(" ", (text or b"").decode("utf-8", "replace")).strip())
        if mark == b"-":
            if len(self._lines) >= self.most_lines:
                raise TheyBrokeProtocol(f"a reply of more than {self.most_lines} lines")
            return None
        reply = Reply(self._code, tuple(self._lines))
        self._lines.clear()
        return reply


def is_permanent(reply_code: int) -> bool:
    """Whether a refusal with that code makes a further attempt pointless; 503 is a quarrel over order, not content."""
    return reply_code >= 500 and reply_code != 503


# Extensions


def parse_extensions(reply: Reply) -> dict[str, str]:
    """What an answer to EHLO offers: keyword in capitals, and its arguments as they are."""
    offered: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, arguments = line.strip().partition(" ")
        keyword = keyword.upper()
        if keyword.startswith("AUTH="):  # before RFC 2554
            arguments = f"{keyword[5:]} {arguments}"
            keyword = "AUTH"
        if keyword == "AUTH" and "AUTH" in offered:
            arguments = f"{offered['AUTH']} {arguments}"
        if keyword:
            offered[keyword] = arguments.strip()
    return offered


def mechanisms(extensions: dict[str, str]) -> frozenset[str]:
    """The SASL mechanisms offered, in capitals."""
    return frozenset(extensions.get("AUTH", "").upper().split())


# Commands

_LOCAL = re.compile(r"(?:[^\s\x00-\x20\x7f-\x9f()<>\[\]:;@\\,\"]+|\"(?:[^\"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*\")\Z")
_DOMAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z")
_LITERAL = re.compile(r"\[[A-Za-z0-9.:-]{2,100}\]\Z")


def path(address: str) -> bytes:
    """
    An address between angle brackets, for MAIL and RCPT; the empty address is the null sender `<>`.

    Domains are written as IDNA labels; a local part outside ASCII stays UTF-8 and needs SMTPUTF8 (`needs_utf8`).
    Raises WeMisusedProtocol for what is no address, so nothing can leave the brackets.
    """
    if not address:
        return b"<>"
    local, at, domain = address.rpartition("@")
    domain = ascii_domain(domain)
    if (
        not at
        or len(address) > 320
        or not _LOCAL.match(local)
        or not (len(domain) < 256 and (_DOMAIN.match(domain) or _LITERAL.match(domain)))
    ):
        raise WeMisusedProtocol(f"not an address that can be sent to: {address[:100]!r}")
    try:
        return f"<{local}@{domain}>".encode()
    except UnicodeEncodeError:
        raise WeMisusedProtocol("an address that is not valid text") from None


def needs_utf8(address: str) -> bool:
    """Whether the address can only be sent with SMTPUTF8."""
    return not address.rpartition("@")[0].isascii()


def greeting_name(name: str) -> bytes:
    """The name to say with EHLO: a host name or an address literal; anything else becomes `[127.0.0.1]`."""
    name = ascii_domain(name.strip().rstrip("."))
    if _LITERAL.match(name):
        return name.encode("ascii")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.encode("ascii") if _DOMAIN.match(name) else b"[127.0.0.1]"
    return f"[{'IPv6:' if address.version == 6 else ''}{address}]".encode("ascii")


@frozen(kw_only=True)
class Dsn:
    """
    The delivery reports a sender asks for (RFC 3461).

    `notify` holds `never` alone or any of `success`, `failure`, `delay`; `full` asks for the whole message back;
    `recipient` is the original recipient to name in reports.
    """

    id: str | None = None
    full: bool = False
    notify: Sequence[str] = ()
    recipient: str | None = None


def mail_command(
    sender: str,
    extensions: dict[str, str],
    *,
    size: int = 0,
    eight_bit: bool = False,
    utf8: bool = False,
    dsn: Dsn | None = None,
) -> bytes:
    """MAIL FROM with those parameters that are wanted and offered."""
    line = [b"MAIL FROM:" + path(sender)]
    if size and "SIZE" in extensions:
        line.append(b"SIZE=%d" % size)
    if eight_bit and "8BITMIME" in extensions:
        line.append(b"BODY=8BITMIME")
    if utf8 and "SMTPUTF8" in extensions:
        line.append(b"SMTPUTF8")
    if dsn is not None and "DSN" in extensions:
        line.append(b"RET=FULL" if dsn.full else b"RET=HDRS")
        if dsn.id:
            line.append(b"ENVID=" + xtext(dsn.id)[:100])
    return b" ".join(line)


def rcpt_command(recipient: str, extensions: dict[str, str], *, dsn: Dsn | None = None) -> bytes:
    """RCPT TO, with the report parameters where they are wanted and offered."""
    line = [b"RCPT TO:" + path(recipient)]
    if dsn is not None and "DSN" in extensions:
        wanted = [one.upper() for one in dsn.notify if one.lower() in ("never", "success", "failure", "delay")]
        if wanted:
            line.append(b"NOTIFY=" + (b"NEVER" if "NEVER" in wanted else ",".join(wanted).encode("ascii")))
        if dsn.recipient:
            line.append(b"ORCPT=rfc822;" + xtext(dsn.recipient))
    return b" ".join(line)


def xtext(value: str) -> bytes:
    """RFC 3461 4: printable ASCII as it is, except `+` and `=`; all else as `+` and two digits."""
    octets = value.encode("utf-8", "replace")
    return b"".join([bytes((one,)) if 33 <= one <= 126 and one not in b"+=" else b"+%02X" % one for one in octets])


_OUTLOOK = re.compile(r"^250 2\.0\.0 OK (<[^<>\s]+\.prod\.outlook\.com>)", re.IGNORECASE)
_SES_HOST = re.compile(r"\.([a-z0-9-]+)\.(?:amazonaws|awsapps)\.com\Z")
_SES_REPLY = re.compile(r"^250 Ok ([0-9a-f-]+)\s*\Z", re.IGNORECASE)


def assigned_message_id(host: str, reply: Reply) -> str | None:
    """The Message-ID a provider put in place of ours, where its final reply tells (Outlook, Amazon SES)."""
    match = _OUTLOOK.match(reply.text)
    if match:
        return match[1]
    region = _SES_HOST.search(host.lower())
    match = _SES_REPLY.match(reply.text) if region else None
    if region is None or match is None:
        return None
    return f"<{match[1]}@{'email' if region[1] == 'us-east-1' else region[1]}.amazonses.com>"
