"""A small IMAP server without extensions, whose answers a test can replace: NO here, a broken reply there.

It knows what the daemon asks for, in the words in which it asks. `answers` maps the start of a command, in upper case,
to what is said instead: lines, with TAG for the tag; a list is used up from its front.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress

from emailengine.wire.imap.uidset import MAX_UID, UidSet

_MAIL = (
    b"From: Bo <bo@example.net>\r\nTo: anna@example.org\r\nSubject: number %d\r\n"
    b"Message-ID: <%d@example.net>\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n\r\nHello %d\r\n"
)
_PERSON = b'(("Bo" NIL "bo" "example.net"))'


class Folder:
    def __init__(self) -> None:
        self.uidvalidity = 7
        self.uidnext = 1
        self.messages: dict[int, float] = {}  # UID -> when it came


class QuirkyServer:
    """
    Listens on `port`; every login is good. `said` are the commands it got, of all connections.

    `tells` are the commands with which it tells of new messages: none of them need be as in the RFC. With `proxied` it
    is an HTTP proxy, too, that leads to nobody but itself: so it can have any name. `greeting` is its first word.
    """

    def __init__(
        self,
        capabilities: str = "IMAP4rev1 IDLE",
        *,
        tells: str = "IDLE NOOP STATUS STORE LIST LSUB SEARCH",
        proxied: bool = False,
        id_: str = "NIL",
    ) -> None:
        self.capabilities = capabilities
        self.tells = frozenset(tells.split())
        self.proxied = proxied
        self.id = id_
        self.greeting = "* OK at your service"
        self.uidnext = True  # told by SELECT and STATUS
        self.wants_id = False  # before it opens a folder
        self.backwards = False  # rows of FETCH from the last to the first
        self.bare_envelopes = False  # without addresses
        self.cut: set[int] = set()  # UIDs of messages whose every row ends too soon
        self.folders = {"INBOX": Folder()}
        self.answers: dict[str, list[str] | str] = {}
        self.said: list[str] = []
        self.lock = threading.RLock()
        self.sessions: list[_Session] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            session = _Session(self, connection)
            self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def stop(self) -> None:
        self._socket.close()
        for session in self.sessions:
            session.close()

    @property
    def logins(self) -> int:
        return sum(one.startswith("LOGIN") for one in self.said)

    def deliver(self, folder: str = "INBOX", count: int = 1) -> None:
        with self.lock:
            box = self.folders[folder]
            for _ in range(count):
                box.messages[box.uidnext] = time.time()
                box.uidnext += 1
            for session in self.sessions:
                if session.selected == folder:
                    session.news(len(box.messages))

    def answer(self, command: str) -> str | None:
        """What the test wants said to a command."""
        for start, wanted in list(self.answers.items()):
            if command.upper().startswith(start):
                if isinstance(wanted, str):
                    return wanted
                if wanted:
                    return wanted.pop(0)
        return None


class _Session:
    def __init__(self, server: QuirkyServer, connection: socket.socket) -> None:
        self._server = server
        self._socket = connection
        self.selected: str | None = None
        self.idling: str | None = None
        self.identified = False
        self._untold: int | None = None

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def news(self, exists: int) -> None:
        if self.idling is not None and "IDLE" in self._server.tells:
            self._say(f"* {exists} EXISTS")
        else:
            self._untold = exists

    def hello(self) -> None:
        self._say("* OK Still here :)")

    def end_idle(self) -> None:
        """As a server that wants no more of it."""
        tag, self.idling = self.idling, None
        if tag is not None:
            self._say(f"{tag} OK enough")

    def run(self) -> None:
        lines = self._socket.makefile("rb")
        try:
            if self._server.proxied:
                while lines.readline() not in (b"\r\n", b""):
                    pass
                self._say("HTTP/1.1 200 OK", "")
            self._say(self._server.greeting)
            if self._server.greeting.startswith("* BYE"):
                self._socket.shutdown(socket.SHUT_RDWR)
            for line in lines:
                with self._server.lock:
                    self._hear(line.decode().rstrip("\r\n"))
        except OSError:
            pass

    def _say(self, *lines: str | bytes) -> None:
        try:
            for line in lines:
                self._socket.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")
        except OSError:
            pass

    def _hear(self, line: str) -> None:
        if self.idling is not None:
            if line.upper() == "DONE":
                tag, self.idling = self.idling, None
                self._tell("DONE")
                self._say(f"{tag} OK done")
            return
        tag, _, command = line.partition(" ")
        self._server.said.append(command)
        instead = self._server.answer(command)
        if instead is not None:
            self._say(*instead.replace("TAG", tag).split("\n"))
            return
        word = command.upper().removeprefix("UID ").split(" ", 1)[0]
        self._tell(word)
        done = getattr(self, f"_{word.lower()}", lambda tag, command: "BAD what")(tag, command)
        if done:
            self._say(f"{tag} {done}")

    def _tell(self, word: str) -> None:
        if self._untold is not None and word in self._server.tells:
            self._say(f"* {self._untold} EXISTS")
            self._untold = None

    def _capability(self, tag: str, command: str) -> str:
        self._say(f"* CAPABILITY {self._server.capabilities}")
        return "OK done"

    def _login(self, tag: str, command: str) -> str:
        return "OK welcome"

    _noop = _lsub = _unselect = _store = _login

    def _id(self, tag: str, command: str) -> str:
        self.identified = True
        self._say(f"* ID {self._server.id}")
        return "OK done"

    def _enable(self, tag: str, command: str) -> str:
        self._say(f"* ENABLED {command.partition(' ')[2]}")
        return "OK done"

    def _idle(self, tag: str, command: str) -> str:
        self.idling = tag
        self._say("+ idling")
        return ""

    def _logout(self, tag: str, command: str) -> str:
        self._say("* BYE", f"{tag} OK done")
        self._socket.close()
        return ""

    def _list(self, tag: str, command: str) -> str:
        self._say(*(f'* LIST () "/" "{name}"' for name in self._server.folders))
        return "OK done"

    def _named(self, command: str) -> tuple[str, Folder | None]:
        name = command.split(" ", 1)[1].split(" (")[0].strip('"')
        return name, self._server.folders.get(name)

    def _status(self, tag: str, command: str) -> str:
        name, box = self._named(command)
        if box is None:
            return "NO [NONEXISTENT] no such folder"
        told = f"MESSAGES {len(box.messages)} UIDVALIDITY {box.uidvalidity} UNSEEN 0"
        if self._server.uidnext:
            told += f" UIDNEXT {box.uidnext}"
        self._say(f'* STATUS "{name}" ({told})')
        return "OK done"

    def _select(self, tag: str, command: str) -> str:
        self.selected = self._untold = None
        name, box = self._named(command)
        if box is None:
            return "NO [NONEXISTENT] no such folder"
        if self._server.wants_id and not self.identified:
            return "NO SELECT Unsafe Login. Please contact us for help"
        self.selected = name
        self._say(f"* {len(box.messages)} EXISTS", f"* OK [UIDVALIDITY {box.uidvalidity}] .")
        if self._server.uidnext:
            self._say(f"* OK [UIDNEXT {box.uidnext}] .")
        return "OK [READ-WRITE] done"

    def _search(self, tag: str, command: str) -> str:
        asked = re.search(r"SEARCH.* UID ([0-9:,]+)", command)
        uids = UidSet.of(self._messages()) & (UidSet.parse(asked[1]) if asked else UidSet.of_range(1, MAX_UID))
        self._say("* SEARCH " + " ".join(map(str, uids)))
        return "OK done"

    def _messages(self) -> dict[int, float]:
        return self._server.folders[self.selected].messages if self.selected is not None else {}

    def _fetch(self, tag: str, command: str) -> str:
        asked = re.fullmatch(r"(UID )?FETCH (\S+) \((.*)\)", command)
        assert asked is not None, command
        by_uid, numbers, items = bool(asked[1]), asked[2], asked[3].upper()
        messages = sorted(self._messages())
        if numbers == "*":
            numbers = str(len(messages))
        wanted = UidSet.parse(numbers)
        rows = list(enumerate(messages, 1))
        for seq, uid in reversed(rows) if self._server.backwards else rows:
            if (uid if by_uid else seq) in wanted:
                end = b"" if uid in self._server.cut else b")"
                self._say(b"* %d FETCH (%s%s" % (seq, b" ".join(self._told(uid, items)), end))
        return "OK done"

    def _told(self, uid: int, items: str) -> list[bytes]:
        whole = _MAIL % (uid, uid, uid)
        head, _, body = whole.partition(b"\r\n\r\n")
        head += b"\r\n\r\n"
        told = [b"UID %d" % uid]
        if "FLAGS" in items:
            told.append(b"FLAGS ()")
        if "INTERNALDATE" in items:
            moment = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(self._messages()[uid]))
            told.append(b'INTERNALDATE "%s"' % moment.encode())
        if "RFC822.SIZE" in items:
            told.append(b"RFC822.SIZE %d" % len(whole))
        if "ENVELOPE" in items:
            who = b"NIL" if self._server.bare_envelopes else _PERSON
            told.append(
                b'ENVELOPE ("Wed, 25 Nov 2026 10:00:00 +0000" "number %d" %s %s %s NIL NIL NIL NIL "<%d@example.net>")'
                % (uid, who, who, who, uid)
            )
        if "BODYSTRUCTURE" in items:
            told.append(b'BODYSTRUCTURE ("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" %d 1)' % len(body))
        if "BODY.PEEK[HEADER]" in items:
            told.append(b"BODY[HEADER] {%d}\r\n%s" % (len(head), head))
        if "BODY.PEEK[HEADER.FIELDS" in items:
            told.append(b"BODY[HEADER.FIELDS (FROM)] {%d}\r\n%s" % (len(head), head))
        if "BODY.PEEK[1]" in items:
            told.append(b"BODY[1] {%d}\r\n%s" % (len(body), body))
        return told
