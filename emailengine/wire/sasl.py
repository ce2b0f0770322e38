"""SASL: the texts a client sends to log in with PLAIN, LOGIN, SCRAM-SHA-256, XOAUTH2 or OAUTHBEARER.

Bytes in, bytes out, without transport encoding: IMAP and SMTP both carry them as base64 in one unfolded line, for which
`b64` and `unb64` are here. One `Dialogue` is one attempt. Its repr shows no secret; its responses are secrets.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection

from attrs import define, field

from emailengine.wire import scram
from emailengine.wire.errors import WeMisusedProtocol

PASSWORD_MECHANISMS = ("PLAIN", "LOGIN", scram.NAME)
TOKEN_MECHANISMS = ("OAUTHBEARER", "XOAUTH2")

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,40}")


@define
class Dialogue:
    """
    One authentication attempt.

    `initial` is the initial response, or None where the server speaks first (LOGIN). Each challenge of the server is
    given to `respond`, whose value is what to send next. After the last response the server decides.
    """

    mechanism: str
    initial: bytes | None = field(repr=False)
    _responses: list[bytes] = field(repr=False, factory=list)
    refusal: str | None = None
    """What the server said about a token it does not want: its JSON, at most 500 characters."""

    @property
    def why(self) -> str | None:
        """The server's word for why it refuses, from what it said in the dialogue; never more than one word."""
        try:
            told = json.loads(self.refusal or "")
        except (ValueError, RecursionError):
            return None
        status = told.get("status") if isinstance(told, dict) else None
        word = str(status) if isinstance(status, str | int) else ""
        return word if _WORD.fullmatch(word) else None

    @property
    def proven(self) -> bool:
        """Whether the server has shown all that it must before its OK may be believed."""
        return True

    @property
    def judged(self) -> bool:
        """Whether a NO to this dialogue is about the credentials; else the mechanism did not come that far."""
        return True

    def respond(self, challenge: bytes) -> bytes:
        """
        The answer to a decoded challenge.

        A challenge after all was said is, for the two token mechanisms, the server's account of its refusal; it wants
        an empty answer (XOAUTH2) or a single 0x01 (RFC 7628 3.2.3) before it says NO. Other mechanisms have nothing to
        add, and raise WeMisusedProtocol: the caller cancels the exchange with `*`.
        """
        if self._responses:
            return self._responses.pop(0)
        if self.mechanism in TOKEN_MECHANISMS:
            self.refusal = challenge[:500].decode("utf-8", "replace")
            return b"\x01" if self.mechanism == "OAUTHBEARER" else b""
        raise WeMisusedProtocol(f"{self.mechanism} has no answer to a further challenge")


@define
class _Scram(Dialogue):
    _exchange: scram.Exchange = field(kw_only=True, repr=False)
    _step: int = field(default=0, init=False)
    _proven: bool = field(default=False, init=False)
    _why: str | None = field(default=None, init=False)

    @property
    def why(self) -> str | None:
        return self._why

    @property
    def proven(self) -> bool:
        return self._proven

    @property
    def judged(self) -> bool:
        return self._step > 0

    def respond(self, challenge: bytes) -> bytes:
        if self._step == 0:
            proof = self._exchange.proof(challenge)
            self._step = 1
            return proof
        if self._step == 1:
            self._step = 2
            self._proven = self._exchange.check(challenge)
            self._why = scram.error_of(challenge)
            if self._proven or self._why is not None:
                return b""
        raise WeMisusedProtocol("the server cannot prove that it knows the password")


def choose(offered: Collection[str], *, password: bool, token: bool) -> str | None:
    """
    The best mechanism for what we hold, of those the server offers (upper case, without `AUTH=`); None if none fits.

    With a token, passwords are not considered. XOAUTH2 goes before OAUTHBEARER: where both are offered it is the one
    that works everywhere. So does PLAIN before SCRAM-SHA-256, which servers offer also for users whose password they
    keep in another form; it is for TLS, which hides the password.
    """
    wanted: tuple[str, ...] = ()
    if token:
        wanted = ("XOAUTH2", "OAUTHBEARER")
    elif password:
        wanted = PASSWORD_MECHANISMS
    for mechanism in wanted:
        if mechanism in offered:
            return mechanism
    return None


def begin(
    mechanism: str,
    *,
    user: str,
    password: str | None = None,
    access_token: str | None = None,
    host: str = "",
    port: int = 0,
    nonce: str | None = None,
) -> Dialogue:
    """
    Start an attempt with a mechanism that `choose` named.

    Raises WeMisusedProtocol if the mechanism is unknown, its secret is missing, or a value holds a character that the
    mechanism uses as a separator. `nonce` is for tests; else SCRAM makes one that nobody can guess.
    """
    if mechanism in PASSWORD_MECHANISMS:
        if password is None:
            raise WeMisusedProtocol(f"{mechanism} needs a password")
        if mechanism == "PLAIN":
            return Dialogue(mechanism, initial_plain(user, password))
        if mechanism == scram.NAME:
            exchange = scram.Exchange(user, password) if nonce is None else scram.Exchange(user, password, nonce)
            return _Scram(mechanism, exchange.first, exchange=exchange)
        return Dialogue(mechanism, None, [_octets(user, "\0"), _octets(password, "\0")])
    if mechanism in TOKEN_MECHANISMS:
        if access_token is None:
            raise WeMisusedProtocol(f"{mechanism} needs an access token")
        if mechanism == "XOAUTH2":
            return Dialogue(mechanism, initial_xoauth2(user, access_token))
        return Dialogue(mechanism, initial_oauthbearer(user, access_token, host, port))
    raise WeMisusedProtocol(f"{mechanism} is not a mechanism we know")


def initial_plain(user: str, password: str) -> bytes:
    """RFC 4616. The authorization identity stays empty: to name the user there makes some servers refuse."""
    return b"\0" + _octets(user, "\0") + b"\0" + _octets(password, "\0")


def initial_xoauth2(user: str, access_token: str) -> bytes:
    """The form Google and Microsoft published."""
    return b"user=" + _octets(user, "\x01") + b"\x01auth=Bearer " + _octets(access_token, "\x01\r\n ") + b"\x01\x01"


def initial_oauthbearer(user: str, access_token: str, host: str = "", port: int = 0) -> bytes:
    """RFC 7628 3.1, with the GS2 header of RFC 5801. Host and port are left out where not given."""
    name = _octets(user, "\x01\0").replace(b"=", b"=3D").replace(b",", b"=2C")
    pairs = [b"n,a=" + name + b","]
    if host:
        pairs.append(b"host=" + _octets(host, "\x01"))
    if port:
        pairs.append(b"port=%d" % port)
    pairs.append(b"auth=Bearer " + _octets(access_token, "\x01\r\n "))
    return b"\x01".join(pairs) + b"\x01\x01"


def b64(raw: bytes, *, initial: bool = False) -> bytes:
    """Base64 in one line. With `initial` an empty response is `=`, as SASL-IR and SMTP AUTH write it in the command."""
    if initial and not raw:
        return b"="
    return base64.b64encode(raw)


def unb64(line: bytes) -> bytes:
    """
    A challenge from its line.

    What is not base64 comes back as it is: some servers send their LOGIN prompts or error texts in the clear.
    """
    try:
        return base64.b64decode(line.strip(), validate=True)
    except binascii.Error:
        return line.strip()


def _octets(text: str, forbidden: str) -> bytes:
    if any(one in text for one in forbidden):
        raise WeMisusedProtocol("a character of the user name, password or token cannot be sent with this mechanism")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise WeMisusedProtocol("the user name, password or token is not valid text") from None
