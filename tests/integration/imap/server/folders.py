"""Commands about mailboxes: LIST and its relatives, STATUS, SELECT, CREATE, DELETE, RENAME, SUBSCRIBE."""

from __future__ import annotations

import re

from tests.integration.imap.server.protocol import Client, command
from tests.integration.imap.server.store import Mailbox
from tests.integration.imap.server.syntax import Atom, Bad, No, Token, listed, number, ranges, string, word
from tests.integration.imap.server.view import View

_SELECTION = ("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE")
_STATUS = {
    "MESSAGES": None,
    "RECENT": None,
    "UIDNEXT": None,
    "UIDVALIDITY": None,
    "UNSEEN": None,
    "HIGHESTMODSEQ": "CONDSTORE",
    "SIZE": "STATUS=SIZE",
    "MAILBOXID": "OBJECTID",
}


def _named(client: Client, given: list[Token], count: int = 1) -> list[str]:
    if len(given) != count:
        raise Bad(f"this command takes {count} names")
    return [client.name(one) for one in given]


def _pattern(text: str, delimiter: str) -> re.Pattern[str]:
    one = f"[^{re.escape(delimiter)}]*"
    return re.compile("".join(".*" if c == "*" else one if c == "%" else re.escape(c) for c in text), re.DOTALL)


@command("LIST")
def list_(client: Client, given: list[Token]) -> str:
    chosen: list[str] = []
    extended = False
    if given and isinstance(given[0], list):
        extended = True
        chosen = [word(one) for one in listed(given.pop(0))]
    if len(given) < 2:
        raise Bad("LIST takes a reference and a pattern")
    reference, pattern = given.pop(0), given.pop(0)
    returned: list[Token] = []
    if given:
        extended = True
        if len(given) != 2 or word(given[0]) != "RETURN":
            raise Bad("only RETURN may follow")
        returned = listed(given[1])
    if (extended or isinstance(pattern, list)) and not client.has("LIST-EXTENDED"):
        raise Bad("no LIST-EXTENDED here")
    options, items = _options(client, returned)
    if not set(chosen) <= set(_SELECTION) or ("SPECIAL-USE" in chosen and not client.has("SPECIAL-USE")):
        raise Bad("no such selection option")
    between = string(client.user.delimiter.encode())
    patterns = listed(pattern) if isinstance(pattern, list) else [pattern]
    if patterns == [b""]:
        client.say(b"* LIST (\\Noselect) %s %s" % (between, client.written("")))
        return "that is the delimiter"
    wanted = [_pattern(client.name(reference) + client.name(one), client.user.delimiter) for one in patterns]
    for name, mailbox in sorted(client.user.mailboxes.items()):
        subscribed = name in client.user.subscribed
        if not any(one.fullmatch(name) for one in wanted):
            continue
        if ("SUBSCRIBED" in chosen and not subscribed) or ("SPECIAL-USE" in chosen and not mailbox.special_use):
            continue
        flags = []
        if client.has("CHILDREN") or "CHILDREN" in options:
            flags.append("\\HasChildren" if client.user.children(name) else "\\HasNoChildren")
        if subscribed and "SUBSCRIBED" in (*options, *chosen):
            flags.append("\\Subscribed")
        if mailbox.special_use and client.has("SPECIAL-USE"):
            flags.append(mailbox.special_use)
        client.say(b"* LIST (%s) %s %s" % (" ".join(flags).encode(), between, client.written(name)))
        if items:
            client.say(_status(client, mailbox, items))
    return "that is all"


def _options(client: Client, returned: list[Token]) -> tuple[list[str], list[str]]:
    """The return options, and the items of STATUS among them."""
    options: list[str] = []
    items: list[str] = []
    given = list(returned)
    while given:
        name = word(given.pop(0))
        if name == "STATUS" and client.has("LIST-STATUS") and given:
            items = [word(one) for one in listed(given.pop(0))]
        elif name in ("SUBSCRIBED", "CHILDREN") or (name == "SPECIAL-USE" and client.has(name)):
            options.append(name)
        else:
            raise Bad(f"no return option {name}")
    return options, items


@command("LSUB")
def lsub(client: Client, given: list[Token]) -> str:
    reference, pattern = _named(client, given, 2)
    wanted = _pattern(reference + pattern, client.user.delimiter)
    between = string(client.user.delimiter.encode())
    for name in sorted(client.user.subscribed):
        if wanted.fullmatch(name):
            client.say(b"* LSUB () %s %s" % (between, client.written(name)))
    return "that is all"


@command("STATUS")
def status(client: Client, given: list[Token]) -> str:
    if len(given) != 2:
        raise Bad("STATUS takes a mailbox and items")
    mailbox = client.user.find(client.name(given[0]))
    client.say(_status(client, mailbox, [word(one) for one in listed(given[1])]))
    return "that is all"


def _status(client: Client, mailbox: Mailbox, items: list[str]) -> bytes:
    told = []
    for name in items:
        needs = _STATUS.get(name, "no extension")
        if needs is not None and not client.has(needs):
            raise Bad(f"no item {name}")
        if name == "HIGHESTMODSEQ":
            client.condstore = True
        values: dict[str, int | str] = {
            "MESSAGES": len(mailbox.messages),
            "RECENT": 0,
            "UIDNEXT": mailbox.uidnext,
            "UIDVALIDITY": mailbox.uidvalidity,
            "UNSEEN": sum("\\Seen" not in one.flags for one in mailbox.messages),
            "HIGHESTMODSEQ": mailbox.modseq,
            "SIZE": sum(len(one.data) for one in mailbox.messages),
            "MAILBOXID": f"({mailbox.mailbox_id})",
        }
        told.append(f"{name} {values[name]}")
    if not told:
        raise Bad("STATUS of nothing")
    return b"* STATUS %s (%s)" % (client.written(mailbox.name), " ".join(told).encode())


@command("SELECT")
def select(client: Client, given: list[Token]) -> str:
    return _open(client, given, read_only=False)


@command("EXAMINE")
def examine(client: Client, given: list[Token]) -> str:
    return _open(client, given, read_only=True)


def _open(client: Client, given: list[Token], *, read_only: bool) -> str:
    if not given or len(given) > 2:
        raise Bad("SELECT takes a mailbox")
    left = client.view is not None
    client.leave()
    resync: list[Token] | None = None
    parameters = list(listed(given[1])) if len(given) == 2 else []
    while parameters:
        name = word(parameters.pop(0))
        if name == "CONDSTORE" and client.has("CONDSTORE"):
            client.condstore = True
        elif name == "QRESYNC" and "QRESYNC" in client.enabled and parameters:
            resync = listed(parameters.pop(0))
        else:
            raise Bad(f"no parameter {name}")
    mailbox = client.user.find(client.name(given[0]))
    if left and "QRESYNC" in client.enabled:
        client.say(b"* OK [CLOSED] the other one")
    view = View(mailbox, read_only, client.condstore, "QRESYNC" in client.enabled)
    client.look_at(view)
    permanent = b"" if read_only else b"\\Answered \\Deleted \\Draft \\Flagged \\Seen \\*"
    client.say(
        b"* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen)",
        b"* %d EXISTS" % len(view.messages),
        b"* 0 RECENT",
        b"* OK [PERMANENTFLAGS (%s)] these stay" % permanent,
        b"* OK [UIDVALIDITY %d] valid" % mailbox.uidvalidity,
    )
    unseen = next((seq for seq, one in enumerate(view.messages, 1) if "\\Seen" not in one.flags), None)
    if unseen is not None:
        client.say(b"* OK [UNSEEN %d] the first" % unseen)
    if client.settings.uidnext:
        client.say(b"* OK [UIDNEXT %d] the next" % mailbox.uidnext)
    if client.has("CONDSTORE"):
        client.say(b"* OK [HIGHESTMODSEQ %d] the highest" % mailbox.modseq)
    if client.has("OBJECTID"):
        client.say(b"* OK [MAILBOXID (%s)] its own" % mailbox.mailbox_id.encode())
    if client.utf8 and "IMAP4REV2" in client.enabled:
        client.say(b"* LIST () %s %s" % (string(client.user.delimiter.encode()), client.written(mailbox.name)))
    if resync is not None:
        _resync(client, view, resync)
    return "[READ-ONLY] look" if read_only else "[READ-WRITE] go on"


def _resync(client: Client, view: View, given: list[Token]) -> None:
    if not 2 <= len(given) <= 4:
        raise Bad("QRESYNC takes two to four values")
    uidvalidity, modseq = number(given[0]), number(given[1])
    if uidvalidity != view.mailbox.uidvalidity:
        return
    uids = None
    if len(given) > 2 and isinstance(given[2], Atom):
        pairs = ranges(given[2])
        uids = {uid for low, high in pairs for uid in range(low or 1, min(high or 1, view.mailbox.uidnext) + 1)}
    lines = view.since(modseq, uids)
    if lines:
        client.say(*lines)


@command("UNSELECT", needs="UNSELECT", state="selected")
def unselect(client: Client, given: list[Token]) -> str:
    client.leave()
    return "left"


@command("CLOSE", state="selected")
def close(client: Client, given: list[Token]) -> str:
    view = client.selected
    client.leave()
    if not view.read_only:
        view.mailbox.remove([one for one in view.mailbox.messages if "\\Deleted" in one.flags])
    return "closed"


@command("CREATE")
def create(client: Client, given: list[Token]) -> str:
    (name,) = _named(client, given)
    mailbox = client.user.create(name)
    return f"[MAILBOXID ({mailbox.mailbox_id})] made" if client.has("OBJECTID") else "made"


@command("DELETE")
def delete(client: Client, given: list[Token]) -> str:
    (name,) = _named(client, given)
    if client.view is not None and client.view.mailbox is client.user.find(name):
        raise No("[INUSE] it is selected")
    client.user.delete(name)
    return "deleted"


@command("RENAME")
def rename(client: Client, given: list[Token]) -> str:
    old, new = _named(client, given, 2)
    client.user.rename(old, new)
    return "renamed"


@command("SUBSCRIBE")
def subscribe(client: Client, given: list[Token]) -> str:
    (name,) = _named(client, given)
    client.user.subscribed.add(client.user.find(name).name)
    return "subscribed"


@command("UNSUBSCRIBE")
def unsubscribe(client: Client, given: list[Token]) -> str:
    (name,) = _named(client, given)
    client.user.subscribed.discard(client.user.key(name))
    return "unsubscribed"
