"""What an account's protocol log is told."""

from __future__ import annotations

from typing import Protocol


class WireLog(Protocol):
    """One account's protocol log. Lines come without CRLF, their secrets masked, and cut where they are long."""

    def said(self, line: str) -> None:
        """We sent this."""

    def heard(self, line: str) -> None:
        """The server sent this."""

    def event(self, text: str) -> None:
        """What is no line: connected, TLS started, why it ended."""
