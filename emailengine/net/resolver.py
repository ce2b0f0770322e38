"""Names into addresses without threads."""

from __future__ import annotations

from typing import Any


def install(reactor: Any) -> None:
    raise NotImplementedError
