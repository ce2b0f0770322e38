"""What a server understands, by what it offers: which names may be asked for, and what IMAP4rev2 brings along."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from emailengine.errors import ServerRefused

_REV2: Final = frozenset(
    (
        *("CHILDREN", "ENABLE", "ESEARCH", "IDLE", "LIST-EXTENDED", "LIST-STATUS", "MOVE", "NAMESPACE", "SEARCHRES"),
        *("SPECIAL-USE", "STATUS=DELETED", "STATUS=SIZE", "UIDPLUS", "UNSELECT"),
    )
)
_FETCH_ITEMS: Final[Mapping[str, tuple[str, ...]]] = {
    "MODSEQ": ("CONDSTORE",),
    "EMAILID": ("OBJECTID",),
    "THREADID": ("OBJECTID",),
    "PREVIEW": ("PREVIEW",),
    "SAVEDATE": ("SAVEDATE",),
    "X-GM-MSGID": ("X-GM-EXT-1",),
    "X-GM-THRID": ("X-GM-EXT-1",),
    "X-GM-LABELS": ("X-GM-EXT-1",),
}
_STATUS_ITEMS: Final[Mapping[str, tuple[str, ...]]] = {
    "HIGHESTMODSEQ": ("CONDSTORE",),
    "MAILBOXID": ("OBJECTID",),
    "SIZE": ("STATUS=SIZE",),
    "DELETED": ("STATUS=DELETED", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"),
    "DELETED-STORAGE": ("QUOTA=RES-STORAGE",),
    "APPENDLIMIT": ("APPENDLIMIT",),
}


def meant(capabilities: frozenset[str], enabled: Collection[str]) -> frozenset[str]:
    """
    The capabilities with all that they imply.

    RFC 9051 appendix E: IMAP4rev2 holds many extensions, which a server that speaks nothing else need not name. One
    that speaks IMAP4rev1, too, names what it has there.
    """
    if "IMAP4REV2" in enabled or ("IMAP4REV2" in capabilities and "IMAP4REV1" not in capabilities):
        capabilities |= _REV2
    if "QRESYNC" in capabilities:  # RFC 7162 3.2.3
        capabilities |= {"CONDSTORE"}
    return capabilities


def fetch_items(items: Sequence[str], offers: Collection[str]) -> list[str]:
    """Those of the items of a FETCH that the server knows."""
    return [one for one in items if _known(one.upper().split(" ")[0], _FETCH_ITEMS, offers)]


def status_items(items: Sequence[str], offers: Collection[str]) -> list[str]:
    """Those of the items of a STATUS that the server knows."""
    return [one for one in items if _known(one.upper(), _STATUS_ITEMS, offers)]


def append_limit(offers: Collection[str]) -> int | None:
    """The largest message that every folder takes, in octets (RFC 7889); None where that is not told."""
    for one in offers:
        name, _, value = one.partition("=")
        if name == "APPENDLIMIT" and value.isascii() and value.isdigit():
            return int(value[:19])
    return None


def not_understood(error: ServerRefused) -> bool:
    """Whether a server refused a command for its form: another form of it may do."""
    return error.server_status == "BAD" and not error.meaning.passes


def _known(item: str, extensions: Mapping[str, tuple[str, ...]], offers: Collection[str]) -> bool:
    if item.startswith("BINARY"):
        return "BINARY" in offers
    return item not in extensions or any(one in offers for one in extensions[item])
