"""From a target to a session that takes messages: connect, greeting, EHLO, STARTTLS, AUTH."""

from __future__ import annotations

from functools import partial

from twisted.internet.interfaces import IReactorTime

from emailengine.core.deadline import Deadline
from emailengine.errors import ProtocolFault, SmtpRefused, TlsFailed
from emailengine.smtp.connection import Connection
from emailengine.smtp.faults import LoginRefused
from emailengine.smtp.session import Session
from emailengine.smtp.target import Dialling, Login, Patience, Securing, SmtpTarget
from emailengine.wire import sasl
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.smtp import Reply, greeting_name, mechanisms, parse_extensions

_MOST_CHALLENGES = 5


async def open_session(
    *,
    clock: IReactorTime,
    dialer: Dialling,
    contexts: Securing,
    target: SmtpTarget,
    credentials: Login | None,
    ehlo_name: str,
    patience: Patience,
) -> Session:
    """
    A session ready for its first message.

    Raises ConnectFailed, TlsFailed, TimedOut, ConnectionLost or ProtocolFault for the way; SmtpRefused for a server
    that does not want us (now); LoginRefused for credentials it does not accept. No connection is left behind.
    """
    deadline = Deadline.after(clock, patience.opening)
    connection = await dialer.connect(
        partial(Connection, clock),
        target.host,
        target.port,
        tls=target.tls if target.secure else None,
        deadline=deadline,
        proxy=target.proxy,
        local_address=target.local_address,
    )
    connection.secure = target.secure
    ready = False
    try:
        greeting = await connection.reply(deadline.left(), "the connection")
        if greeting.code != 220:
            raise SmtpRefused(greeting.code, greeting.text, command="CONN", code="EPROTOCOL")
        extensions = await _hello(connection, ehlo_name, deadline, needed=credentials is not None)
        if await _secured(connection, extensions, target, contexts, deadline):
            # All that was said before TLS is forgotten (RFC 3207 4.2).
            extensions = await _hello(connection, ehlo_name, deadline, needed=True)
        if credentials is not None:
            await _log_in(connection, extensions, credentials, target, deadline)
        ready = True
    finally:
        if not ready:
            connection.abort()
    return Session(connection=connection, extensions=extensions, host=target.host, clock=clock, patience=patience)


async def _hello(connection: Connection, ehlo_name: str, deadline: Deadline, *, needed: bool) -> dict[str, str]:
    name = greeting_name(ehlo_name)
    reply = await connection.ask(b"EHLO " + name, deadline.left(), "EHLO")
    if reply.positive:
        return parse_extensions(reply)
    if reply.code >= 500 and not needed:
        reply = await connection.ask(b"HELO " + name, deadline.left(), "HELO")
        if reply.positive:
            return {}
        raise SmtpRefused(reply.code, reply.text, command="HELO", code="EPROTOCOL")
    raise SmtpRefused(reply.code, reply.text, command="EHLO", code="EPROTOCOL")


async def _secured(
    connection: Connection, extensions: dict[str, str], target: SmtpTarget, contexts: Securing, deadline: Deadline
) -> bool:
    """Whether TLS was started now. Once a server has offered it, no failure leads back to clear text."""
    if connection.secure or target.starttls == "never":
        return False
    if "STARTTLS" not in extensions:
        if target.starttls == "required":
            raise TlsFailed("The SMTP server does not offer STARTTLS", transient=False)
        return False
    creator = contexts.creator(target.tls, target.host)
    reply = await connection.secured(creator, deadline.left())
    if reply.code != 220:
        raise SmtpRefused(reply.code, reply.text, command="STARTTLS", code="ETLS")
    return True


async def _log_in(
    connection: Connection, extensions: dict[str, str], login: Login, target: SmtpTarget, deadline: Deadline
) -> None:
    offered = mechanisms(extensions)
    mechanism = sasl.choose(offered, password=login.password is not None, token=login.access_token is not None)
    if mechanism is None:
        known = ", ".join(sorted(offered)) or "none"
        raise LoginRefused(f"The SMTP server offers no login that fits the credentials (it offers: {known})")
    reply, dialogue = await _dialogue(connection, mechanism, login, target, deadline)
    if reply.code == 504 and mechanism == "PLAIN" and "LOGIN" in offered:
        reply, dialogue = await _dialogue(connection, "LOGIN", login, target, deadline)
    if reply.positive:
        if not dialogue.proven:
            raise ProtocolFault("The SMTP server lets us in without proof that it knows the password", code="EPROTOCOL")
        return
    text = _without(reply.text, login)
    command = f"AUTH {dialogue.mechanism}"
    if reply.code < 500:
        raise SmtpRefused(reply.code, text, command=command, code="EAUTH")
    raise LoginRefused(f"Login was refused: {text}", reply_code=reply.code, response=text, command=command)


async def _dialogue(
    connection: Connection, mechanism: str, login: Login, target: SmtpTarget, deadline: Deadline
) -> tuple[Reply, sasl.Dialogue]:
    try:
        dialogue = sasl.begin(
            mechanism,
            user=login.user,
            password=login.password,
            access_token=login.access_token,
            host=target.host,
            port=target.port,
        )
    except WeMisusedProtocol as error:
        raise LoginRefused(f"Login is not possible: {error}") from None
    line = b"AUTH " + mechanism.encode("ascii")
    if dialogue.initial is not None:
        line += b" " + sasl.b64(dialogue.initial, initial=True)
    reply = await connection.ask(line, deadline.left(), "AUTH")
    for _ in range(_MOST_CHALLENGES):
        if reply.code != 334:
            return reply, dialogue
        try:
            answer = sasl.b64(dialogue.respond(sasl.unb64("".join(reply.lines).encode("utf-8"))))
        except WeMisusedProtocol:
            answer = b"*"  # RFC 4954 4: cancels the exchange
        reply = await connection.ask(answer, deadline.left(), "AUTH")
    raise ProtocolFault("The SMTP server's login does not come to an end", code="EPROTOCOL")


def _without(text: str, login: Login) -> str:
    """A server's words without our secret, should it quote it."""
    for secret in (login.password, login.access_token):
        if secret:
            for form in (secret, sasl.b64(secret.encode("utf-8", "replace")).decode("ascii")):
                text = text.replace(form, "***")
    return text
