"""Messages whose structure is known, for the contract."""

from __future__ import annotations

import base64
from typing import Any

from emailengine.wire.imap.body import Part


def plain(n: int, *, subject: str = "", body: str = "", day: int = 10) -> bytes:
    """A short message; each number makes another one."""
    lines = [
        f"From: Bo Number {n} <bo{n}@example.net>",
        "To: anna@example.org",
        "Cc: carl@example.com",
        f"Subject: {subject or f'message {n}'}",
        f"Date: Tue, {day:02d} Mar 2026 09:15:02 +0000",
        f"Message-ID: <{n}@contract.example>",
        f"X-Number: n{n}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "MIME-Version: 1.0",
        "",
        body or f"Body of {n}",
        "",
    ]
    return "\r\n".join(lines).encode()


EIGHT_BIT = plain(1, body="Grüße aus Köln — 日本\r\n" + "naïve line\r\n" * 40)

PICTURE = bytes(range(256)) * 12
_PICTURE = base64.encodebytes(PICTURE).replace(b"\n", b"\r\n")
_INNER = plain(7, subject="inner", body="inner text")

MIXED = b"".join(
    (
        b"From: Bo <bo@example.net>\r\nSender: desk@example.net\r\nReply-To: Answers <re@example.net>\r\n",
        b'To: anna@example.org, "Smith, Jo" <jo@example.org>\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\r\n',
        b"Date: Wed, 11 Mar 2026 10:00:00 +0100\r\nMessage-ID: <mixed@contract.example>\r\n",
        b"In-Reply-To: <1@contract.example>\r\nMIME-Version: 1.0\r\n",
        b'Content-Type: multipart/mixed; boundary="=_outer"\r\n\r\nnot shown\r\n',
        b'--=_outer\r\nContent-Type: multipart/alternative; boundary="=_inner"\r\n\r\n',
        b"--=_inner\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
        b"caf=C3=A9 =3D good\r\n",
        b"--=_inner\r\nContent-Type: text/html; charset=utf-8\r\nContent-ID: <html@contract>\r\n\r\n<p>cafe</p>\r\n",
        b"--=_inner--\r\n",
        b'--=_outer\r\nContent-Type: image/png; name="a \\"b\\".png"\r\nContent-Transfer-Encoding: base64\r\n',
        b'Content-Disposition: attachment; filename="a \\"b\\".png"\r\nContent-ID: <pic@contract>\r\n',
        b"Content-Description: a picture\r\n\r\n",
        _PICTURE,
        b"\r\n--=_outer\r\nContent-Type: message/rfc822\r\n\r\n",
        _INNER,
        b"\r\n--=_outer--\r\n",
    )
)


def shape(part: Part, sizes: bool = True) -> tuple[Any, ...]:
    """What servers must agree about in a structure."""
    told = (part.number, f"{part.type}/{part.subtype}", part.encoding, part.disposition, part.content_id)
    names = part.params.get("charset", "").lower(), part.disposition_params.get("filename")
    size = part.size if sizes and part.type != "multipart" else None
    return (*told, *names, size, *[shape(one, sizes) for one in part.children])


def shape_of_mixed(sizes: bool) -> tuple[Any, ...]:
    """The shape of MIXED, with sizes or without."""

    def size(octets: int) -> int | None:
        return octets if sizes else None

    return (
        *("", "multipart/mixed", "7bit", None, None, "", None, None),
        (
            *("1", "multipart/alternative", "7bit", None, None, "", None, None),
            ("1.1", "text/plain", "quoted-printable", None, None, "utf-8", None, size(18)),
            ("1.2", "text/html", "7bit", None, "<html@contract>", "utf-8", None, size(11)),
        ),
        ("2", "image/png", "base64", "attachment", "<pic@contract>", "", 'a "b".png', size(len(_PICTURE))),
        (
            *("3", "message/rfc822", "7bit", None, None, "", None, size(len(_INNER))),
            ("3.1", "text/plain", "8bit", None, None, "utf-8", None, size(len(b"inner text\r\n"))),
        ),
    )


LARGE = plain(9, body="0123456789abcdef" * 4 + "\r\n" + ("x" * 70 + "\r\n") * 1500)
