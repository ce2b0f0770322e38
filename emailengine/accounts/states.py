"""In which states an account can be asked for its mailbox, and what is answered in the others."""

from __future__ import annotations

from emailengine.errors import AccountUnavailable

USABLE = frozenset({"connected", "connecting", "syncing"})
_UNUSABLE = {
    "init": ("NotYetConnected", "The account has not been connected yet"),
    "authenticationError": ("AuthenticationFails", "The mail server refuses the account's credentials"),
    "connectError": ("ConnectionError", "The mail server of the account cannot be reached"),
    "unset": ("NotSyncing", "The account has no IMAP settings, or IMAP is disabled"),
}


def unavailable(state: str) -> AccountUnavailable:
    """Why there is no session, as the API tells it."""
    code, text = _UNUSABLE.get(state, ("NoAvailable", "The account is not connected to its mail server"))
    return AccountUnavailable(text, code=code, extra={"state": state})
