"""A mailbox as a server would tell of it: FETCH responses of realistic content, the same in every run."""

from __future__ import annotations

import random

_NAMES = (
    b"Erika Mustermann",
    b"Max Power",
    b"=?utf-8?Q?J=C3=BCrgen_Gro=C3=9F?=",
    b"Accounting",
    b"no-reply",
    b"GitHub",
    b"Lee, Ann",
    b"O'Brien, Pat (Sales)",
)
_HOSTS = (b"example.com", b"mail.example.org", b"news.example.net", b"sub.domain.example")
_SUBJECTS = (
    b"Re: Angebot",
    b"=?utf-8?Q?Angebot_f=C3=BCr_den_neuen_Zaun?=",
    b"[project] Build 4711 failed: main (8f14e45)",
    b"Your invoice 2026-117 is ready",
    b"=?UTF-8?B?4oCeQmVyZWl04oCcPyBIZXV0ZSBsZXR6dGUgQ2hhbmNlIGF1ZiAyMCAlIFJhYmF0dA==?= =?UTF-8?B?IQ==?=",
    b"lunch?",
    b"Fwd: Re: AW: Minutes of the meeting of 14 November, second draft with the comments of everybody",
)
_FLAGS = (
    (b"\\Seen",) * 8
    + (b"",) * 4
    + (b"\\Seen \\Answered", b"\\Seen NonJunk", b"\\Seen \\Answered $Forwarded", b"\\Flagged")
)
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def flags_only(count: int) -> bytes:
    """What UID FETCH 1:* (FLAGS) brings; one in two mailboxes' worth of it from a server with CONDSTORE."""
    rng = random.Random(1)
    lines = []
    for n in range(1, count + 1):
        flags, uid = rng.choice(_FLAGS), 4 * n + rng.randrange(4)
        if n % 2:
            lines.append(
                b"* %d FETCH (UID %d FLAGS (%b) MODSEQ (%d))\r\n" % (n, uid, flags, 70_000 + rng.randrange(9000))
            )
        elif n % 8:
            lines.append(b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (n, uid, flags))
        else:
            lines.append(b"* %d FETCH (FLAGS (%b) UID %d)\r\n" % (n, flags, uid))
    return b"".join(lines)


def full(count: int) -> bytes:
    """What UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE) brings."""
    rng = random.Random(2)
    return b"".join([_row(rng, n) for n in range(1, count + 1)])


def _row(rng: random.Random, n: int) -> bytes:
    day = b"%2d-%b-%d" % (rng.randint(1, 28), rng.choice(_MONTHS), rng.randint(2004, 2026))
    hour = b"%02d:%02d:%02d" % (rng.randrange(24), rng.randrange(60), rng.randrange(60))
    sender = _people(rng, 1)
    return (
        b'* %d FETCH (UID %d FLAGS (%b) INTERNALDATE "%b %b +0100" RFC822.SIZE %d ENVELOPE ("%b, %b %b +0100" %b %b %b %b %b %b %b'
        b" %b %b) BODYSTRUCTURE %b)\r\n"
    ) % (
        n,
        4 * n + rng.randrange(4),
        rng.choice(_FLAGS),
        day,
        hour,
        rng.randrange(900, 9_000_000),
        rng.choice((b"Mon", b"Tue", b"Fri")),
        day.strip().replace(b"-", b" "),
        hour,
        _subject(rng, n),
        sender,
        sender,
        sender if rng.random() < 0.8 else _people(rng, 1),
        _people(rng, rng.choice((1, 1, 1, 2, 4))),
        _people(rng, 2) if rng.random() < 0.2 else b"NIL",
        b"NIL",
        _message_id(rng) if rng.random() < 0.4 else b"NIL",
        _message_id(rng),
        _structure(rng),
    )


def _subject(rng: random.Random, n: int) -> bytes:
    chosen = rng.random()
    if chosen < 0.02:
        return b'"About \\"%d\\" things"' % n
    if chosen < 0.025:
        return b"{%d}\r\n%b" % (10, b"\xe4\xf6\xfc \xdf says")
    return b'"%b %d"' % (rng.choice(_SUBJECTS), n)


def _people(rng: random.Random, count: int) -> bytes:
    return b"(%b)" % b"".join(
        [
            b'(%b NIL "user%d" "%b")'
            % (b'"%b"' % rng.choice(_NAMES) if rng.random() < 0.7 else b"NIL", rng.randrange(3000), rng.choice(_HOSTS))
            for _ in range(count)
        ]
    )


def _message_id(rng: random.Random) -> bytes:
    return b'"<%032x.%d@%b>"' % (rng.getrandbits(128), rng.randrange(10**9), rng.choice(_HOSTS))


def _structure(rng: random.Random) -> bytes:
    plain = _text(rng, b"plain", b' "format" "flowed"')
    chosen = rng.random()
    if chosen < 0.2:
        return plain
    html = _text(rng, b"html", b"")
    if chosen < 0.3:
        return html
    both = b"(%b%b %b)" % (plain, html, _end(rng, b"alternative"))
    if chosen < 0.65:
        return both
    if chosen < 0.67:
        return b"(%b%b %b)" % (plain, _forwarded(rng), _end(rng, b"mixed"))
    if chosen < 0.8:
        pictures = b"".join([_file(rng, b"image", b"png", b"inline") for _ in range(rng.randint(1, 5))])
        both = b"(%b%b %b)" % (both, pictures, _end(rng, b"related"))
    files = b"".join([_file(rng, b"application", b"pdf", b"attachment") for _ in range(rng.randint(1, 3))])
    return b"(%b%b %b)" % (both, files, _end(rng, b"mixed"))


def _text(rng: random.Random, kind: bytes, more: bytes) -> bytes:
    size = rng.randrange(200, 40_000)
    return b'("text" "%b" ("charset" "utf-8"%b) NIL NIL "quoted-printable" %d %d NIL NIL NIL NIL)' % (
        kind,
        more,
        size,
        size // 60,
    )


def _file(rng: random.Random, kind: bytes, subtype: bytes, disposition: bytes) -> bytes:
    name = b"Document %d.%b" % (rng.randrange(10_000), subtype)
    return b'("%b" "%b" ("name" "%b") "<part%d@example.com>" NIL "base64" %d NIL ("%b" ("filename" "%b")) NIL NIL)' % (
        kind,
        subtype,
        name,
        rng.randrange(10**8),
        rng.randrange(2000, 4_000_000),
        disposition,
        name,
    )


def _forwarded(rng: random.Random) -> bytes:
    who = _people(rng, 1)
    return (
        b'("message" "rfc822" NIL NIL NIL "7bit" 4000 ("%b" %b %b %b %b %b NIL NIL NIL %b) %b 90 NIL NIL NIL NIL)'
        % (
            b"Fri, 13 Nov 2026 08:00:00 +0100",
            _subject(rng, 1),
            who,
            who,
            who,
            _people(rng, 1),
            _message_id(rng),
            _text(rng, b"plain", b""),
        )
    )


def _end(rng: random.Random, subtype: bytes) -> bytes:
    return b'"%b" ("boundary" "----=_Part_%d_%x") NIL NIL NIL' % (subtype, rng.randrange(10**6), rng.getrandbits(48))
