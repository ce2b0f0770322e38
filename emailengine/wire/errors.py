"""The two ways a conversation goes wrong: they broke the protocol, or we misused it.

Nothing in `wire` raises anything else for what it is given. Floor 2 turns both into errors of `emailengine.errors`.
"""

from __future__ import annotations


class TheyBrokeProtocol(Exception):
    """
    The peer sent what the protocol does not allow and nobody can make sense of.

    `near` is the text the fault was found at, at most 80 bytes. It is not part of the message, which goes to logs: it
    may come from a mail.
    """

    def __init__(self, what: str, near: bytes = b"") -> None:
        super().__init__(what)
        self.what = what
        self.near = bytes(near[:80])


class WeMisusedProtocol(Exception):
    """A value of ours cannot be said in this protocol, or is used out of turn: a line break inside an atom, say."""
