"""Commands about messages: FETCH, SEARCH, SORT, STORE, COPY, MOVE, EXPUNGE, APPEND."""

from __future__ import annotations

import re
import time
from datetime import datetime

from tests.integration.imap.server import fetching, searching
from tests.integration.imap.server.protocol import Client, command
from tests.integration.imap.server.store import Mailbox, Message
from tests.integration.imap.server.syntax import Atom, Bad, No, String, Token, astring, listed, number, told, word
from tests.integration.imap.server.view import messages_of

_SYSTEM = {f"\\{one.lower()}": f"\\{one}" for one in ("Answered", "Deleted", "Draft", "Flagged", "Seen")}
_PARTIAL = re.compile(r"(-?[1-9]\d*):(-?[1-9]\d*)")
Picked = list[tuple[int, Message]]


def _picked(client: Client, token: Token, *, uid: bool) -> Picked:
    view = client.selected
    search = searching.Search(view.messages, client.saved, client.has)
    if not uid and isinstance(token, Atom) and token != b"$":
        search.among(token, uid=False)
        greatest = max((int(one) for one in re.findall(rb"\d+", token)), default=0)
        if greatest > len(view.messages) or not view.messages:
            raise Bad("there is no such number")
    return view.pick(search.among(token, uid=uid), uid=True)


def _flags(token: Token) -> set[str]:
    found = set()
    for one in listed(token) if isinstance(token, list) else [token]:
        if not isinstance(one, Atom):
            raise Bad("a flag is expected")
        flag = one.decode("ascii")
        if flag.startswith("\\"):
            if flag.lower() not in _SYSTEM:
                raise Bad(f"no flag {flag}")
            flag = _SYSTEM[flag.lower()]
        found.add(flag)
    return found


def _writable(client: Client) -> None:
    if client.selected.read_only:
        raise No("[READ-ONLY] it was opened to be read")


@command("FETCH", state="selected")
def fetch(client: Client, given: list[Token]) -> str:
    return _fetch(client, given, uid=False)


@command("UID FETCH", state="selected")
def uid_fetch(client: Client, given: list[Token]) -> str:
    return _fetch(client, given, uid=True)


def _fetch(client: Client, given: list[Token], *, uid: bool) -> str:
    if len(given) not in (2, 3):
        raise Bad("FETCH takes a set and items")
    since: int | None = None
    vanished = False
    if len(given) == 3:
        modifiers = list(listed(given[2]))
        while modifiers:
            name = word(modifiers.pop(0))
            if name == "CHANGEDSINCE" and client.has("CONDSTORE") and modifiers:
                since = number(modifiers.pop(0))
                client.condstore = client.selected.condstore = True
            elif name == "VANISHED" and "QRESYNC" in client.enabled and uid:
                vanished = True
            else:
                raise Bad(f"no modifier {name}")
        if vanished and since is None:
            raise Bad("VANISHED needs CHANGEDSINCE")
    picked = _picked(client, given[0], uid=uid)
    items = fetching.items(given[1], uid=uid, modseq=since is not None, has=client.has)
    if items.modseq:
        client.condstore = client.selected.condstore = True
    view = client.selected
    if vanished and since is not None:
        gone = {uid for at, uid in view.mailbox.vanished if at > since}
        if gone:
            client.say(b"* VANISHED (EARLIER) " + told(gone))
    for seq, one in picked:
        if since is not None and one.modseq <= since:
            continue
        if items.sees and not view.read_only and "\\Seen" not in one.flags:
            one.flags.add("\\Seen")
            view.mailbox.touch(one)
            view.known[one.uid] = one.modseq
        elif items.flags:
            view.known[one.uid] = one.modseq
        client.say(b"* %d FETCH (%s)" % (seq, items.of(one)))
    return "that is all"


@command("SEARCH", state="selected")
def search(client: Client, given: list[Token]) -> str:
    return _search(client, given, uid=False)


@command("UID SEARCH", state="selected")
def uid_search(client: Client, given: list[Token]) -> str:
    return _search(client, given, uid=True)


def _search(client: Client, given: list[Token], *, uid: bool) -> str:
    view = client.selected
    tag = client.tag
    returns: list[str] | None = None
    partial: tuple[int, int] | None = None
    if given and given[0] == b"RETURN":
        if not client.has("ESEARCH") or len(given) < 2:
            raise Bad("no ESEARCH here")
        returns, partial = _returns(client, listed(given[1]))
        given = given[2:]
    elif "IMAP4REV2" in client.enabled:
        returns = ["ALL"]
    reader = searching.Search(view.messages, client.saved, client.has)
    if given and given[0] == b"CHARSET" and len(given) > 1:
        if "UTF8=ACCEPT" in client.enabled:
            raise Bad("all is UTF-8")  # RFC 6855 3
        reader.charset = _charset(client, given[1])
        given = given[2:]
    elif client.utf8:
        reader.charset = "utf-8"
    test = reader.read(list(given))
    found = [(seq, one) for seq, one in enumerate(view.messages, 1) if test(seq, one)]
    numbers = [one.uid if uid else seq for seq, one in found]
    highest = b""
    if reader.modseq:
        client.condstore = view.condstore = True
        highest = b" (MODSEQ %d)" % max((one.modseq for _, one in found), default=0) if found else b""
    if returns is None:
        client.say(b"* SEARCH" + b"".join([b" %d" % one for one in numbers]) + highest)
        return "that is all"
    parts = [b'* ESEARCH (TAG "%s")' % tag, *([b"UID"] if uid else [])]
    parts += _told(returns, partial, numbers)
    if highest:
        parts.append(highest.strip()[1:-1])
    if "SAVE" in returns:
        client.saved = frozenset(_saved(returns, [one.uid for _, one in found]))
    if returns != ["SAVE"]:
        client.say(b" ".join(parts))
    return "that is all"


def _charset(client: Client, token: Token) -> str:
    charset = astring(token).decode("ascii").upper()
    known = client.settings.charsets
    if charset not in known:
        raise No(f"[BADCHARSET ({' '.join(known)})] no such charset")
    return charset


def _returns(client: Client, given: list[Token]) -> tuple[list[str], tuple[int, int] | None]:
    options: list[str] = []
    partial = None
    given = list(given)
    while given:
        name = word(given.pop(0))
        if name == "PARTIAL" and client.has("PARTIAL") and given:
            match = _PARTIAL.fullmatch(word(given.pop(0)))
            if match is None or (int(match[1]) < 0) != (int(match[2]) < 0):
                raise Bad("no such part")
            partial = int(match[1]), int(match[2])
        elif name not in ("MIN", "MAX", "ALL", "COUNT") and not (name == "SAVE" and client.has("SEARCHRES")):
            raise Bad(f"no result option {name}")
        options.append(name)
    return options or ["ALL"], partial


def _told(returns: list[str], partial: tuple[int, int] | None, numbers: list[int]) -> list[bytes]:
    parts: list[bytes] = []
    if numbers and "MIN" in returns:
        parts.append(b"MIN %d" % numbers[0])
    if numbers and "MAX" in returns:
        parts.append(b"MAX %d" % numbers[-1])
    if numbers and "ALL" in returns:
        parts.append(b"ALL " + told(numbers))
    if "COUNT" in returns:
        parts.append(b"COUNT %d" % len(numbers))
    if partial is not None:
        low, high = sorted(partial, key=abs)
        there = numbers if low > 0 else numbers[::-1]
        page = there[abs(low) - 1 : abs(high)]
        parts.append(b"PARTIAL (%d:%d %s)" % (*partial, told(page) or b"NIL"))
    return parts


def _saved(returns: list[str], uids: list[int]) -> list[int]:
    """RFC 5182 2.1: with MIN or MAX alone only those are kept."""
    if uids and {"MIN", "MAX"} & set(returns) and not {"ALL", "COUNT", "PARTIAL"} & set(returns):
        return [uids[0]] * ("MIN" in returns) + [uids[-1]] * ("MAX" in returns)
    return uids


@command("UID SORT", needs="SORT", state="selected")
def uid_sort(client: Client, given: list[Token]) -> str:
    if len(given) < 3:
        raise Bad("SORT takes keys, a charset and criteria")
    reader = searching.Search(client.selected.messages, client.saved, client.has, _charset(client, given[1]))
    test = reader.read(list(given[2:]))
    found = [one for seq, one in enumerate(client.selected.messages, 1) if test(seq, one)]
    ordered = searching.sort(listed(given[0]), found)
    client.say(b"* SORT" + b"".join([b" %d" % one.uid for one in ordered]))
    return "in order"


@command("UID STORE", state="selected")
def uid_store(client: Client, given: list[Token]) -> str:
    return _store(client, given, uid=True)


@command("STORE", state="selected")
def store(client: Client, given: list[Token]) -> str:
    return _store(client, given, uid=False)


def _store(client: Client, given: list[Token], *, uid: bool) -> str:
    _writable(client)
    given = list(given)
    unchanged: int | None = None
    if len(given) == 4:
        modifier = listed(given.pop(1))
        if len(modifier) != 2 or word(modifier[0]) != "UNCHANGEDSINCE" or not client.has("CONDSTORE"):
            raise Bad("no such modifier")
        unchanged = number(modifier[1])
        client.condstore = client.selected.condstore = True
    if len(given) != 3:
        raise Bad("STORE takes a set, an item and flags")
    what = word(given[1])
    mode = what[0] if what[0] in "+-" else ""
    name = what.removeprefix(mode).removesuffix(".SILENT")
    silent = what.endswith(".SILENT")
    labels = name == "X-GM-LABELS" and client.has("X-GM-EXT-1")
    if name != "FLAGS" and not labels:
        raise Bad(f"no item {what}")
    wanted = {astring(one).decode() for one in listed(given[2])} if labels else _flags(given[2])
    view = client.selected
    refused = []
    for seq, one in _picked(client, given[0], uid=uid):
        if unchanged is not None and one.modseq > unchanged:
            refused.append(one.uid if uid else seq)
            continue
        old = one.labels if labels else one.flags
        new = old | wanted if mode == "+" else old - wanted if mode == "-" else set(wanted)
        if labels:
            one.labels = new
        else:
            one.flags = new
        if new != old:
            view.mailbox.touch(one)
        if silent:
            view.known[one.uid] = one.modseq
        elif labels:
            items = fetching.items([Atom(b"X-GM-LABELS")], uid=uid, modseq=False, has=client.has)
            client.say(b"* %d FETCH (%s)" % (seq, items.of(one)))
        else:
            client.say(view.flags(seq, one, uid=uid))
    return f"[MODIFIED {told(refused).decode()}] not all" if refused else "stored"


@command("UID COPY", state="selected")
def uid_copy(client: Client, given: list[Token]) -> str:
    picked, target = _from_to(client, given, uid=True)
    return f"{_copied(client, picked, target)}copied"


@command("COPY", state="selected")
def copy(client: Client, given: list[Token]) -> str:
    picked, target = _from_to(client, given, uid=False)
    return f"{_copied(client, picked, target)}copied"


def _from_to(client: Client, given: list[Token], *, uid: bool) -> tuple[Picked, Mailbox]:
    if len(given) != 2:
        raise Bad("a set and a mailbox are expected")
    picked = _picked(client, given[0], uid=uid)
    return picked, client.user.find(client.name(given[1]), code="[TRYCREATE] ")


def _copied(client: Client, picked: Picked, target: Mailbox) -> str:
    """Copies the messages; the response code that says where they are now."""
    copies = []
    for _, one in picked:
        copies.append(target.add(one.data, one.flags, one.arrived, email_id=one.email_id, labels=one.labels).uid)
    if not copies or not client.has("UIDPLUS"):
        return ""
    old = told(one.uid for _, one in picked).decode()
    return f"[COPYUID {target.uidvalidity} {old} {told(copies).decode()}] "


@command("UID MOVE", needs="MOVE", state="selected")
def uid_move(client: Client, given: list[Token]) -> str:
    _writable(client)
    picked, target = _from_to(client, given, uid=True)
    code = _copied(client, picked, target)
    if code:
        client.say(b"* OK %smoved" % code.encode())
    client.selected.mailbox.remove(messages_of(picked))
    return "moved"


@command("EXPUNGE", state="selected")
def expunge(client: Client, given: list[Token]) -> str:
    _writable(client)
    if given:
        raise Bad("EXPUNGE takes nothing")
    mailbox = client.selected.mailbox
    mailbox.remove([one for one in mailbox.messages if "\\Deleted" in one.flags])
    return "removed"


@command("UID EXPUNGE", needs="UIDPLUS", state="selected")
def uid_expunge(client: Client, given: list[Token]) -> str:
    _writable(client)
    if len(given) != 1:
        raise Bad("UID EXPUNGE takes a set")
    picked = _picked(client, given[0], uid=True)
    client.selected.mailbox.remove([one for _, one in picked if "\\Deleted" in one.flags and not one.gone])
    return "removed"


@command("APPEND")
def append(client: Client, given: list[Token]) -> str:
    if len(given) < 2:
        raise Bad("APPEND takes a mailbox and a message")
    given = list(given)
    name = client.name(given.pop(0))
    flags = _flags(given.pop(0)) if isinstance(given[0], list) else set()
    arrived = time.time()
    if len(given) > 1 and isinstance(given[0], String):
        try:
            arrived = datetime.strptime(given.pop(0).decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()  # type: ignore[union-attr]  # no list
        except ValueError:
            raise Bad("not a moment") from None
    if len(given) == 2 and given[0] == b"UTF8" and client.utf8:
        given = listed(given[1])
    if len(given) != 1 or not isinstance(given[0], String):
        raise Bad("a message is expected, as a literal")
    data = bytes(given[0])
    if not data:
        raise No("an empty message")
    mailbox = client.user.find(name, code="[TRYCREATE] ")
    message = mailbox.add(data, flags, float(int(arrived)))
    if client.view is not None and client.view.mailbox is mailbox:
        client.tell(expunges=False)
    return f"[APPENDUID {mailbox.uidvalidity} {message.uid}] there" if client.has("UIDPLUS") else "there"
