"""Commands that need no mailbox: CAPABILITY, LOGIN, AUTHENTICATE, ID, ENABLE, NAMESPACE, IDLE, COMPRESS, LOGOUT."""

from __future__ import annotations

import base64
import binascii

from tests.integration.imap.server.protocol import Client, command
from tests.integration.imap.server.syntax import Bad, No, String, Token, astring, string, word


def _none(given: list[Token]) -> None:
    if given:
        raise Bad("more than this command takes")


@command("CAPABILITY", state="any")
def capability(client: Client, given: list[Token]) -> str:
    _none(given)
    client.say(b"* CAPABILITY " + client.offered())
    return "that is all"


@command("NOOP", state="any")
def noop(client: Client, given: list[Token]) -> str:
    _none(given)
    return "nothing done"


@command("LOGOUT", state="any")
def logout(client: Client, given: list[Token]) -> str:
    _none(given)
    client.say(b"* BYE see you")
    client.leave()
    client.finish("OK", "logged out")
    assert client.transport is not None
    client.transport.loseConnection()
    return ""


@command("LOGIN", state="before")
def login(client: Client, given: list[Token]) -> str:
    if client.has("LOGINDISABLED"):
        raise No("[PRIVACYREQUIRED] not so")
    if len(given) != 2:
        raise Bad("LOGIN takes a user and a password")
    return _enter(client, astring(given[0]).decode(), astring(given[1]).decode())


def _enter(client: Client, user: str, password: str) -> str:
    if client.settings.users.get(user) != password:
        raise No("[AUTHENTICATIONFAILED] who are you?")
    client.account = client.settings.account(user)
    return f"[CAPABILITY {client.offered().decode()}] welcome"


@command("AUTHENTICATE", state="before")
def authenticate(client: Client, given: list[Token]) -> str:
    if not given or not client.has(f"AUTH={word(given[0])}") or word(given[0]) != "PLAIN":
        raise No("no such mechanism")
    if len(given) == 2 and client.has("SASL-IR"):
        return _plain(client, astring(given[1]))
    if len(given) != 1:
        raise Bad("no initial response here")
    answer = client.later()

    def take(line: bytes) -> None:
        try:
            answer("OK", _plain(client, line))
        except No as error:
            answer("NO", str(error))
        except Bad as error:
            answer("BAD", str(error))

    client.waiting = take
    client.say(b"+ ")
    return ""


def _plain(client: Client, line: bytes) -> str:
    if line == b"*":
        raise Bad("cancelled")
    try:
        _, user, password = base64.b64decode(line, validate=True).split(b"\0")
    except (binascii.Error, ValueError):
        raise Bad("not what PLAIN says") from None
    return _enter(client, user.decode(), password.decode())


@command("ID", needs="ID", state="any")
def identify(client: Client, given: list[Token]) -> str:
    if len(given) != 1 or (isinstance(given[0], list) and len(given[0]) % 2):
        raise Bad("ID takes a list of pairs, or NIL")
    if isinstance(given[0], list) and not all(isinstance(one, String) or one.upper() == b"NIL" for one in given[0]):  # type: ignore[union-attr]  # no lists in it, or BAD
        raise Bad("ID takes strings")
    if client.settings.refuse_id:
        raise No("that is nobody's business")
    client.say(b'* ID ("name" "memory" "vendor" NIL)')
    return "pleased to meet you"


@command("ENABLE", needs="ENABLE")
def enable(client: Client, given: list[Token]) -> str:
    if not given:
        raise Bad("ENABLE of nothing")
    if client.view is not None:
        raise Bad("too late: a mailbox is selected")
    on = []
    for one in map(word, given):
        if one in ("CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4REV2") and one in client.settings.capabilities:
            on.append(one)
    client.enabled |= set(on)
    if {"CONDSTORE", "QRESYNC"} & client.enabled:
        client.condstore = True
    client.say(" ".join(["* ENABLED", *on]).encode())
    return "enabled"


@command("NAMESPACE", needs="NAMESPACE")
def namespace(client: Client, given: list[Token]) -> str:
    _none(given)
    mine = string(client.user.prefix.encode()), string(client.user.delimiter.encode())
    client.say(b"* NAMESPACE ((%s %s)) NIL NIL" % mine)
    return "that is all"


@command("IDLE", needs="IDLE")
def idle(client: Client, given: list[Token]) -> str:
    _none(given)
    answer = client.later()

    def take(line: bytes) -> None:
        client.idle(False)
        if line.upper() == b"DONE":
            answer("OK", "awake")
        else:
            answer("BAD", "only DONE ends IDLE")

    client.waiting = take
    client.say(b"+ idling")
    client.idle(True)
    return ""


@command("COMPRESS", needs="COMPRESS=DEFLATE")
def compress(client: Client, given: list[Token]) -> str:
    if len(given) != 1 or word(given[0]) != "DEFLATE":
        raise Bad("only DEFLATE")
    if b"COMPRESS=DEFLATE" not in client.offered():
        raise No("[COMPRESSIONACTIVE] it is on")
    client.finish("OK", "from here on")
    client.compress()
    return ""


@command("GETQUOTAROOT", needs="QUOTA")
def quota_root(client: Client, given: list[Token]) -> str:
    if len(given) != 1:
        raise Bad("GETQUOTAROOT takes a mailbox")
    mailbox = client.user.find(client.name(given[0]))
    used = sum(len(one.data) for box in client.user.mailboxes.values() for one in box.messages)
    client.say(
        b'* QUOTAROOT %s ""' % client.written(mailbox.name),
        b'* QUOTA "" (STORAGE %d 1048576)' % (used // 1024),
    )
    return "that is all"


@command("XLIST", needs="XLIST")
def xlist(client: Client, given: list[Token]) -> str:
    uses = {"\\Junk": "\\Spam", "\\Flagged": "\\Starred"}
    if [astring(one) for one in given] != [b"", b"*"]:
        raise Bad("only everything")
    for name, mailbox in sorted(client.user.mailboxes.items()):
        use = uses.get(mailbox.special_use or "", mailbox.special_use)
        flags = ["\\HasChildren" if client.user.children(name) else "\\HasNoChildren", *([use] if use else [])]
        flags += ["\\Inbox"] if name == "INBOX" else []
        between = string(client.user.delimiter.encode())
        client.say(b"* XLIST (%s) %s %s" % (" ".join(flags).encode(), between, client.written(name)))
    return "that is all"
