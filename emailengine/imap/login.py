"""Logging in: which ways there are, which is tried first, and when a second one may be tried.

Under TLS that is PLAIN: every server has it for every user, and TLS hides the password. SCRAM-SHA-256 takes its place
where there is no PLAIN. Without TLS nothing but SCRAM-SHA-256 is used where it is offered, so that the password does
not travel in the clear.

A second way is tried only after an answer that says nothing about the password: BAD, or a SCRAM-SHA-256 that ends
before the password came into it, which is how servers refuse it to users of whom they keep no fitting secret. Each
password is thus judged once, and no account is locked by our trying.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from emailengine.errors import AuthenticationRefused, ConnectionLost, InvalidInput, Meaning, TlsFailed
from emailengine.imap.commands.auth import Authenticate, LogIn, NotUnderstood, without
from emailengine.imap.connection import Connection
from emailengine.imap.target import ImapTarget
from emailengine.net.credentials import Credentials
from emailengine.wire import sasl, scram
from emailengine.wire.errors import WeMisusedProtocol

COMMAND: Final = "LOGIN command"
"""The way that is no SASL mechanism."""
_UNDER_TLS: Final[tuple[str, ...]] = ("PLAIN", scram.NAME)
_MOST_TRIES: Final = 3


async def log_in(
    connection: Connection,
    target: ImapTarget,
    credentials: Credentials,
    offered: frozenset[str],
    *,
    encrypted: bool,
) -> frozenset[str] | None:
    """
    Log in; the value is the capabilities that the server listed with its OK, if it did.

    Raises AuthenticationRefused for the server's verdict on the credentials and where none of its ways fits them, and
    TlsFailed where it has none without TLS.
    """
    try:
        return await _by_some_way(connection, target, credentials, offered, encrypted=encrypted)
    except ConnectionLost as lost:
        # some say it with BYE and hang up
        kind = AuthenticationRefused if lost.meaning is Meaning.CREDENTIALS else ConnectionLost
        raise kind(
            without(lost.message, credentials),
            code=lost.code,
            meaning=lost.meaning,
            retry_after=lost.retry_after,
            alert=without(lost.alert, credentials) if lost.alert is not None else None,
        ) from None


def ways(offered: Collection[str], credentials: Credentials, *, encrypted: bool) -> tuple[str, ...]:
    """What to log in with, best first; none where the server has nothing that fits the credentials."""
    mechanisms = {one.removeprefix("AUTH=") for one in offered if one.startswith("AUTH=")}
    disabled = "LOGINDISABLED" in offered
    if credentials.access_token is not None:
        if disabled and not encrypted:
            return ()
        return tuple(one for one in ("XOAUTH2", "OAUTHBEARER") if one in mechanisms)
    if credentials.password is None:
        return ()
    if not encrypted:
        if scram.NAME in mechanisms:
            return (scram.NAME,)
        if disabled:
            return ()
    found = [one for one in _UNDER_TLS if one in mechanisms][:1]
    if not disabled:
        # Exchange: of "domain\user" and "user/shared mailbox" its SASL takes only a part
        found.insert(0 if any(one in credentials.user for one in "\\/") else len(found), COMMAND)
    if "LOGIN" in mechanisms:
        found.append("LOGIN")
    return tuple(found)


async def _by_some_way(
    connection: Connection,
    target: ImapTarget,
    credentials: Credentials,
    offered: frozenset[str],
    *,
    encrypted: bool,
) -> frozenset[str] | None:
    error: Exception | None = None
    for way in _some_way(offered, credentials, encrypted=encrypted)[:_MOST_TRIES]:
        if way == COMMAND:
            try:
                return await connection.run(LogIn(credentials))
            except NotUnderstood as refused:
                error = refused
            except InvalidInput as fault:
                error = AuthenticationRefused(f"Login is not possible: {fault.message}", code="ENOAUTH")
            continue
        try:
            dialogue = sasl.begin(
                way,
                user=credentials.user,
                password=credentials.password,
                access_token=credentials.access_token,
                host=target.host,
                port=target.port,
            )
        except WeMisusedProtocol as fault:
            error = AuthenticationRefused(f"Login is not possible: {fault}", code="ENOAUTH")
            continue
        try:
            return await connection.run(Authenticate(dialogue, credentials, initial="SASL-IR" in offered))
        except AuthenticationRefused as refused:
            if dialogue.judged:
                raise
            error = refused
        except NotUnderstood as refused:
            error = refused
    assert error is not None
    raise error


def _some_way(offered: frozenset[str], credentials: Credentials, *, encrypted: bool) -> tuple[str, ...]:
    found = ways(offered, credentials, encrypted=encrypted)
    if found:
        return found
    if credentials.password is None and credentials.access_token is None:
        raise AuthenticationRefused("There is no password to log in with", code="ENOAUTH")
    if not encrypted and ("LOGINDISABLED" in offered or ways(offered, credentials, encrypted=True)):
        raise TlsFailed("The mail server allows no login without TLS", transient=False)
    known = ", ".join(sorted(one.removeprefix("AUTH=") for one in offered if one.startswith("AUTH="))) or "none"
    raise AuthenticationRefused(
        f"The mail server offers no login that fits the credentials (it offers: {known})", code="ENOAUTH"
    )
