"""CAPABILITY, STARTTLS, AUTHENTICATE, LOGIN, ID, ENABLE, NAMESPACE, LOGOUT: to a session, and out of it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TypedDict

from emailengine.errors import (
    AuthenticationRefused,
    EmailEngineError,
    Meaning,
    NotNow,
    ProtocolFault,
    ServerRefused,
    TlsFailed,
)
from emailengine.imap.commands.command import Command, Plain
from emailengine.net.credentials import Credentials
from emailengine.wire import sasl
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap import refusals, write
from emailengine.wire.imap.codes import Code
from emailengine.wire.imap.responses import Capability, Enabled, Id, Namespace, Response, Tagged
from emailengine.wire.imap.tokens import Piece

_MOST_CHALLENGES = 5
_BASE64 = re.compile(r"([A-Za-z0-9+/]{2,})={0,2}")


def capabilities_of(code: Code | None) -> frozenset[str] | None:
    """The capabilities that a response code lists, None if it is another code."""
    return code.words if code is not None and code.name == "CAPABILITY" else None


class Capabilities(Command[frozenset[str]]):
    __slots__ = ("_names",)
    word = "CAPABILITY"
    together = True

    def __init__(self) -> None:
        self._names: frozenset[str] | None = None

    def line(self) -> Sequence[Piece]:
        return [b"CAPABILITY"]

    def take(self, response: Response) -> bool:
        if not isinstance(response, Capability):
            return False
        self._names = response.names
        return True

    def result(self, final: Tagged) -> frozenset[str]:
        names = self._names or capabilities_of(final.code)
        if names is None:
            raise ProtocolFault("The mail server does not tell its capabilities")
        return names


class StartTls(Plain):
    __slots__ = ()
    word = "STARTTLS"
    alone_on_its_line = True

    def line(self) -> Sequence[Piece]:
        return [b"STARTTLS"]

    def refused(self, final: Tagged) -> EmailEngineError:
        return TlsFailed(f"The mail server offers STARTTLS and refused it: {final.text}")


class _Login(Command["frozenset[str] | None"]):
    """Logging in; the value is the capabilities that the server listed by itself."""

    __slots__ = ("_credentials", "_names")
    secret = True

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._names: frozenset[str] | None = None

    def take(self, response: Response) -> bool:
        if not isinstance(response, Capability):
            return False
        self._names = response.names
        return True

    def result(self, final: Tagged) -> frozenset[str] | None:
        return capabilities_of(final.code) or self._names

    def refused(self, final: Tagged) -> EmailEngineError:
        text = without(self.words(final), self._credentials)
        code = final.code.name if final.code is not None else None
        meant = refusals.read(final.status, final.code, text, login=True)
        told: _Told = {"meaning": meant.meaning, "retry_after": meant.retry_after, "alert": meant.alert}
        if meant.meaning.passes or meant.meaning is Meaning.QUOTA:
            return NotNow(f"The mail server does not let us in now: {text}", code=code, **told)
        if meant.meaning is Meaning.NOT_UNDERSTOOD:
            return NotUnderstood(f"The mail server does not understand {self.word}: {text}", code=code)
        return AuthenticationRefused(text or "The mail server refused the credentials", code=code, **told)

    def words(self, final: Tagged) -> str:
        """The server's words, with what it said before."""
        return final.text


class _Told(TypedDict):
    meaning: Meaning
    retry_after: float | None
    alert: str | None


class NotUnderstood(ProtocolFault):
    """The server took a login for no command at all, which says nothing about the credentials."""


class Authenticate(_Login):
    """A SASL dialogue. With `initial` its first response goes with the command (SASL-IR)."""

    __slots__ = ("_dialogue", "_fault", "_initial", "_left")

    def __init__(self, dialogue: sasl.Dialogue, credentials: Credentials, *, initial: bool) -> None:
        super().__init__(credentials)
        self._dialogue = dialogue
        self._initial = dialogue.initial if initial else None
        self._left = _MOST_CHALLENGES
        self._fault: WeMisusedProtocol | None = None

    @property
    def word(self) -> str:  # type: ignore[override]  # of the class elsewhere
        return f"AUTHENTICATE {self._dialogue.mechanism}"

    def line(self) -> Sequence[Piece]:
        line = b"AUTHENTICATE " + self._dialogue.mechanism.encode("ascii")
        if self._initial is not None:
            line += b" " + sasl.b64(self._initial, initial=True)
        return [line]

    def answer(self, challenge: bytes) -> bytes | None:
        self._left -= 1
        if self._left < 0:
            return b"*"
        if self._initial is None and self._dialogue.initial is not None:
            self._initial = self._dialogue.initial
            return sasl.b64(self._initial)
        try:
            return sasl.b64(self._dialogue.respond(sasl.unb64(challenge)))
        except WeMisusedProtocol as fault:
            self._fault = fault
            return b"*"  # RFC 9051 6.2.2: cancels the exchange

    def result(self, final: Tagged) -> frozenset[str] | None:
        if not self._dialogue.proven:
            raise ProtocolFault("The mail server lets us in without proof that it knows the password")
        return super().result(final)

    def refused(self, final: Tagged) -> EmailEngineError:
        if self._fault is not None and not self._dialogue.proven:
            kind = ProtocolFault if self._dialogue.judged else NotUnderstood
            return kind(f"Login is not possible: {self._fault}")
        return super().refused(final)

    def words(self, final: Tagged) -> str:
        why = self._dialogue.why
        return f"{final.text} ({why})".lstrip() if why is not None and why not in final.text else final.text


class LogIn(_Login):
    """LOGIN with a password."""

    __slots__ = ()
    word = "LOGIN"

    def line(self) -> Sequence[Piece]:
        return write.command(
            b"LOGIN", write.string(self._credentials.user), write.string(self._credentials.password or "")
        )


class Identify(Command["Mapping[str, str | None]"]):
    """ID: who we are, and who the server is."""

    __slots__ = ("_fields", "_told")
    word = "ID"
    together = True

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(list(fields.items())[:30])  # RFC 2971 3.3
        self._told: Mapping[str, str | None] = {}

    def line(self) -> Sequence[Piece]:
        pairs: list[bytes] = []
        for name, value in self._fields.items():
            try:
                pairs += [write.quoted(name[:30]), write.quoted(value[:1000])]
            except WeMisusedProtocol:
                del pairs[len(pairs) // 2 * 2 :]
        return write.command(b"ID", write.parenthesised(pairs) if pairs else b"NIL")

    def take(self, response: Response) -> bool:
        if not isinstance(response, Id):
            return False
        self._told = response.fields or {}
        return True

    def result(self, final: Tagged) -> Mapping[str, str | None]:
        return self._told


class Enable(Command["frozenset[str]"]):
    """ENABLE (RFC 5161); the value is what is enabled now."""

    __slots__ = ("_names", "_on")
    word = "ENABLE"
    together = True

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._on: frozenset[str] = frozenset()

    def line(self) -> Sequence[Piece]:
        return [b"ENABLE " + " ".join(self._names).encode("ascii")]

    def take(self, response: Response) -> bool:
        if not isinstance(response, Enabled):
            return False
        self._on |= response.names
        return True

    def result(self, final: Tagged) -> frozenset[str]:
        return self._on


class Namespaces(Command["Namespace | None"]):
    """NAMESPACE (RFC 2342); None where the server says OK and tells nothing."""

    __slots__ = ("_told",)
    word = "NAMESPACE"
    together = True

    def __init__(self) -> None:
        self._told: Namespace | None = None

    def line(self) -> Sequence[Piece]:
        return [b"NAMESPACE"]

    def take(self, response: Response) -> bool:
        if not isinstance(response, Namespace):
            return False
        self._told = response
        return True

    def result(self, final: Tagged) -> Namespace | None:
        return self._told

    def refused(self, final: Tagged) -> EmailEngineError:
        refused = super().refused(final)
        if isinstance(refused, ServerRefused) and refused.meaning is Meaning.CREDENTIALS:
            # Exchange takes a login that opens no mailbox, and says so at the first command behind it
            return AuthenticationRefused(refused.message, code=refused.code, meaning=refused.meaning)
        return refused


class Logout(Plain):
    __slots__ = ()
    word = "LOGOUT"

    def line(self) -> Sequence[Piece]:
        return [b"LOGOUT"]


def without(text: str, credentials: Credentials) -> str:
    """A server's words without our secret, should it quote it: as it is, as we wrote it, or within base64."""
    for secret in (credentials.password, credentials.access_token):
        if secret:
            raw = secret.encode("utf-8", "replace")
            text = _BASE64.sub(partial(_unless_it_holds, raw), text)
            text = text.replace(secret, "***").replace(secret.replace("\\", "\\\\").replace('"', '\\"'), "***")
    return text


def _unless_it_holds(secret: bytes, found: re.Match[str]) -> str:
    try:
        inside = b64decode(found[1] + "=" * (-len(found[1]) % 4))
    except ValueError:
        return found[0]
    return "***" if secret in inside else found[0]
