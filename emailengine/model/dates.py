"""Dates as the API writes and reads them: ISO 8601 in UTC with milliseconds, `2021-03-22T13:13:31.000Z`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHAPE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)


def iso(seconds: float) -> str:
    """
    Seconds since the epoch as text.

    `ValueError` for a moment outside the years 1 to 9999.
    """
    try:
        minutes, rest = divmod(round(seconds * 1000), 60_000)
        days, minute = divmod(minutes, 1440)
        day = _day(days)
    except OverflowError as problem:
        raise ValueError(f"no date: {seconds}") from problem
    return f"{day}T{minute // 60:02d}:{minute % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    """The date so many days after 1 January 1970."""
    return date.fromordinal(_EPOCH.toordinal() + days).isoformat()


def parse_iso(text: str) -> float:
    """
    Seconds since the epoch of a date, or of a date and a time of day; UTC where no offset is given.

    `ValueError` for any other text.
    """
    if not _SHAPE.fullmatch(text):
        raise ValueError(f"no ISO date: {text[:64]!r}")
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) / timedelta(seconds=1)
