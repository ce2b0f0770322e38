"""The two errors of protocol text: they broke the protocol, or we misused it."""

from __future__ import annotations


class TheyBrokeProtocol(Exception):
    """What the peer sent has no reading that the protocol allows, or is over a limit of ours."""


class WeMisusedProtocol(Exception):
    """A value of ours cannot be said in the protocol; nothing was sent. Never holds a secret."""
