"""The three kinds of Struct: what a client sends, what it is answered, what Redis keeps."""

from __future__ import annotations

from msgspec import Struct


class Request(Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a client sends. Read it with `codec.read_json` or `codec.read_pairs`, which name every fault."""


class Answer(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What a client is told. A member that must always be there has no default."""


class Record(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What Redis keeps. Unknown members are skipped, so that an older version can read a newer one's record."""
