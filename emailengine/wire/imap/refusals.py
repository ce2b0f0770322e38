"""What a server means by NO, BAD or BYE: its response code, or its words where it has none (RFC 5530, RFC 9051 7.1).

A code is believed before a text, with one exception: a text that speaks of too many connections, or of being too fast,
is more exact than the code beside it. What a login is refused with is about the credentials unless something in it says
otherwise.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from emailengine.errors import Meaning
from emailengine.wire.imap.codes import Code

LOCKOUT: Final = 900.0
"""Seconds to stay away after too many failed logins, where the server does not say: each try makes the lock last."""
LONGEST: Final = 86_400.0
"""The longest wait, in seconds, that a server is believed."""

_CODES: Final = {
    **dict.fromkeys(
        ("AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN", "WEBALERT"),
        Meaning.CREDENTIALS,
    ),
    **dict.fromkeys(("UNAVAILABLE", "SERVERBUG", "CORRUPTION"), Meaning.UNAVAILABLE),
    "INUSE": Meaning.IN_USE,
    "LIMIT": Meaning.LIMIT,
    "THROTTLED": Meaning.THROTTLED,
    "OVERQUOTA": Meaning.QUOTA,
    "TOOBIG": Meaning.TOO_BIG,
    "TRYCREATE": Meaning.TRY_CREATE,
    "NONEXISTENT": Meaning.MISSING,
    "ALREADYEXISTS": Meaning.EXISTS,
    "EXPUNGEISSUED": Meaning.GONE,
    "NOPERM": Meaning.NOT_ALLOWED,
    "CANNOT": Meaning.IMPOSSIBLE,
    "CLIENTBUG": Meaning.NOT_UNDERSTOOD,
}


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# Exchange says so when the password was right and the mailbox is not to be had with it.
_NO_MAILBOX = _any(r"authenticated but not connected")
_NOT_THESE = _any(
    r"(?<!too many )\b(?:invalid|incorrect|wrong|bad) (?:auth\w* )?"
    r"(?:login|user ?name|user|password|credential|account)",
    r"password (?:is |was )?(?:incorrect|invalid|wrong|expired|required|error)",
    r"credentials (?:are |were )?(?:invalid|incorrect|wrong)",
    r"app(?:lication)?[- ](?:specific )?password",
    r"authori[sz]ation code",
    r"via your web browser|web login|basicauthblocked|unsafe login",
    r"(?:not enabled|disabled) for (?:imap|your domain)|imap (?:access )?is disabled",
)
_FAILED = _any(
    r"(?:login|logon|authenticat\w*|authori[sz]ation|credentials?) (?:was |were |is |has )?"
    r"(?:failed|failure|incorrect|rejected|denied|refused)"
)
_CONNECTIONS = _any(
    r"too many (?:[\w-]+ ){0,3}(?:connections?|sessions?|clients|users)\b",
    r"max(?:imum|\.)? (?:allowed )?(?:number of )?(?:[\w-]+ ){0,2}(?:connections?|sessions?|logins)\b",
    r"(?:connections?|sessions?|logins) (?:limit|count)\b",
    r"(?:limit|number) (?:of|on) (?:[\w-]+ ){0,2}(?:connections?|sessions?)",
)
_LOCKED_OUT = _any(
    r"too many (?:[\w-]+ ){0,2}(?:failed|failures|invalid|incorrect|unsuccessful|bad|wrong)\b",
    r"temporarily (?:locked|blocked|suspended|disabled)",
)
_TOO_FAST = _any(
    r"throttl|backoff time|slow down",
    r"rate[- ]?limit|rate exceeded|request limit",
    r"too many (?:[\w-]+ ){0,2}(?:requests|commands|attempts|logins?|authentications?)\b",
    r"too (?:fast|frequent|often)|frequency",
    r"(?:bandwidth|command|download|transfer)s? (?:or bandwidth )?(?:limit|quota)",
)
_LOCKED = _any(r"mailbox (?:is )?(?:already )?(?:locked|in use)|lock(?:ed)? by (?:another|other)|waiting for lock")
_DOWN = _any(
    r"unavailable|not available|temporar|\blater\b",
    r"(?:internal|server|system|backend|unexpected|database) (?:\w+ )?error|error occurred",
    r"(?:server|system|service) (?:is )?(?:too )?(?:busy|down|overloaded|full)|overload",
    r"shut(?:ting|s)? ?down|maintenance|restart",
    r"(?:auth\w*|login) (?:process|server|service|backend) (?:broken|down|not|failed)|timed? ?out",
)
_FULL = _any(
    r"over ?quota|quota (?:is )?exceeded|exceed\w* (?:[\w-]+ ){0,3}quota|mailbox (?:is )?full|not enough (?:\w+ )?space"
)
_MISSING = _any(
    r"(?:mailbox|folder)\b.{0,200}?(?:do(?:es)?n['o]t|does not|not) (?:exist|found)|doesn't exist",
    r"no such (?:mailbox|folder)|(?:unknown|nonexistent|non-existent) (?:mailbox|folder)",
)
_EXISTS = _any(r"already exists")
_GONE = _any(r"messages? (?:[\w-]+ ){0,2}no longer exist")
_DENIED = _any(r"permission denied|access (?:is )?denied|not permitted")

_WAIT = re.compile(
    r"(?:backoff time:?|(?:retry|try|again|wait)[\w ]{0,30}?(?:after|in|for)?:?) *(\d{1,9}) *"
    r"(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|hours?)\b",
    re.IGNORECASE,
)
_UNITS: Final = {"mil": 0.001, "ms": 0.001, "sec": 1.0, "s": 1.0, "min": 60.0, "hou": 3600.0}

_LOGIN: Final = (
    (_NOT_THESE, Meaning.CREDENTIALS),
    (_LOCKED, Meaning.IN_USE),
    (_FULL, Meaning.QUOTA),
    (_DOWN, Meaning.UNAVAILABLE),
    (_FAILED, Meaning.CREDENTIALS),
)
_ELSE: Final = (
    (_GONE, Meaning.GONE),
    (_FULL, Meaning.QUOTA),
    (_EXISTS, Meaning.EXISTS),
    (_MISSING, Meaning.MISSING),
    (_DENIED, Meaning.NOT_ALLOWED),
    (_LOCKED, Meaning.IN_USE),
    (_DOWN, Meaning.UNAVAILABLE),
)
_MOST = 400  # characters of a text that are looked at


@frozen
class Refusal:
    """What was meant; `retry_after` in seconds where it is known, `alert` what a person shall read."""

    meaning: Meaning
    retry_after: float | None = None
    alert: str | None = None


def read(status: str, code: Code | str | None, text: str, *, login: bool = False) -> Refusal:
    """
    The meaning of NO, BAD or BYE with its response code and text.

    `login` is whether it answers LOGIN or AUTHENTICATE, or greets: then a NO that says nothing more is about the
    credentials; BAD and BYE are where they say so.
    """
    name = code.name if isinstance(code, Code) else code
    text = text[:_MOST]
    meaning, wait = _meant(status, name, text, login)
    told = _WAIT.search(text) if meaning.passes else None
    if told is not None:
        unit = told[2].lower()
        wait = min(LONGEST, int(told[1]) * _UNITS.get(unit[:3], _UNITS.get(unit, 1.0)))
    return Refusal(meaning, wait, text if name in ("ALERT", "WEBALERT") and text else None)


def _meant(status: str, name: str | None, text: str, login: bool) -> tuple[Meaning, float | None]:
    by_code = _CODES.get(name or "")
    vague = by_code is None or by_code.passes or by_code is Meaning.QUOTA
    if _NO_MAILBOX.search(text):
        return Meaning.CREDENTIALS, None
    if login and by_code is None and _NOT_THESE.search(text):
        return Meaning.CREDENTIALS, None
    if _CONNECTIONS.search(text) and (vague or login):
        return Meaning.LIMIT, None
    if vague and login and _LOCKED_OUT.search(text):
        return Meaning.THROTTLED, LOCKOUT
    if vague and _TOO_FAST.search(text):
        return Meaning.THROTTLED, None
    if by_code is not None:
        return by_code, None
    for pattern, meaning in _LOGIN if login else _ELSE:
        if pattern.search(text):
            return meaning, None
    if status == "BAD":
        return Meaning.NOT_UNDERSTOOD, None
    return (Meaning.CREDENTIALS if login and status == "NO" else Meaning.OTHER), None
