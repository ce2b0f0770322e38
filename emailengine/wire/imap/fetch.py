"""FETCH responses (RFC 9051 7.5.2) and what they say about one message."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import define

from emailengine.wire.imap.body import Envelope, Part

_NOTHING: Mapping[str, bytes | None] = MappingProxyType({})
_NO_SIZES: Mapping[str, int] = MappingProxyType({})


@define
class Fetched:
    r"""
    What one FETCH response told. None: not told, told as NIL, or told in a way nobody can read.

    `flags` are in the server's order, system flags in their usual spelling (`\Seen`). `internal_date` is in epoch
    seconds. `email_id` and `thread_id` are EMAILID and THREADID (RFC 8474), else X-GM-MSGID and X-GM-THRID. `labels`
    are Gmail's, decoded.

    `sections` holds texts and parts by upper-cased item, without quotes and without origin: "BODY[1.2]",
    "BODY[HEADER]", "BODY[HEADER.FIELDS (SUBJECT FROM)]", "BINARY[1]", "RFC822.HEADER". Header fields are there a second
    time as "HEADER.FIELDS" ("2.HEADER.FIELDS" for a nested message), so that nobody needs to know the server's way of
    echoing names.
    """

    seq: int
    uid: int | None = None
    flags: tuple[str, ...] | None = None
    modseq: int | None = None
    internal_date: float | None = None
    size: int | None = None
    envelope: Envelope | None = None
    body: Part | None = None
    email_id: str | None = None
    thread_id: str | None = None
    labels: tuple[str, ...] | None = None
    preview: str | None = None
    sections: Mapping[str, bytes | None] = _NOTHING
    binary_sizes: Mapping[str, int] = _NO_SIZES
