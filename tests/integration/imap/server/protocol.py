"""One connection: commands with their literals out of the octets, and each to its function."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import TypeAlias

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from tests.integration.imap.server.store import Account
from tests.integration.imap.server.syntax import Bad, No, String, Token, decoded, encoded, tokens
from tests.integration.imap.server.view import View

_LITERAL = re.compile(rb"(~?)\{(\d+)(\+?)\}\Z")
_TAG = re.compile(rb"([A-Za-z0-9.]+) (.+)\Z", re.DOTALL)
_LONGEST_LINE = 8192  # RFC 7162 4 wants no less of a server, and old ones take no more
_MINUS = 4096
_SEQUENCE_HOLDS = frozenset(("FETCH", "STORE", "SEARCH", "SORT"))


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REV2 = words(
    "BINARY ENABLE ESEARCH IDLE LIST-EXTENDED LIST-STATUS LITERAL- MOVE NAMESPACE SASL-IR SEARCHRES"
    " SPECIAL-USE STATUS=SIZE UIDPLUS UNSELECT CHILDREN"
)

Command: TypeAlias = "Callable[[Client, list[Token]], str]"


@define
class Entry:
    """A command: what does it, which extension it is of, and when it may be given."""

    run: Command
    needs: str | None
    state: str


COMMANDS: dict[str, Entry] = {}


def command(name: str, *, needs: str | None = None, state: str = "authenticated") -> Callable[[Command], Command]:
    """
    Register a function for a command. It gets the arguments and returns the text of the tagged OK.

    `state` is "any", "before" login, "authenticated" or "selected".
    """

    def register(run: Command) -> Command:
        COMMANDS[name] = Entry(run, needs, state)
        return run

    return register


@define(kw_only=True)
class Settings:
    """What the server is: its extensions, and which liberties of RFC 3501 it takes."""

    capabilities: frozenset[str]
    users: dict[str, str]
    delimiter: str = "/"
    prefix: str = ""
    uidnext: bool = True
    """Whether SELECT tells UIDNEXT."""
    refuse_id: bool = False
    charsets: tuple[str, ...] = ("US-ASCII", "UTF-8")
    accounts: dict[str, Account] = field(factory=dict)

    def account(self, user: str) -> Account:
        if user not in self.accounts:
            self.accounts[user] = Account(self.delimiter, self.prefix)
        return self.accounts[user]


class Client(Protocol):
    """Who is connected, and how far it came."""

    def __init__(self, settings: Settings, clock: IReactorTime) -> None:
        self.settings = settings
        self.clock = clock
        self.account: Account | None = None
        self.view: View | None = None
        self.enabled: set[str] = set()
        self.condstore = False
        self.saved: frozenset[int] = frozenset()
        self.waiting: Callable[[bytes], None] | None = None
        """Takes the next line, which is no command: of IDLE, of AUTHENTICATE."""
        self._buffer = b""
        self._pieces: list[bytes | String] = []
        self._need: int | None = None
        self._fault: Bad | None = None
        self.tag = b""
        self._name = ""
        self._idling = False
        self._scheduled = False
        self._deflate: zlib._Compress | None = None
        self._inflate: zlib._Decompress | None = None

    # octets

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]  # it is a TCP transport
        self.say(b"* OK [CAPABILITY %s] in memory" % self.offered())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.leave()

    def say(self, *lines: bytes) -> None:
        data = b"".join([line + b"\r\n" for line in lines])
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        assert self.transport is not None
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        if self._inflate is not None:
            data = self._inflate.decompress(data)
        self._buffer += data
        while self._step():
            pass

    def compress(self) -> None:
        """From here on both directions are deflated (RFC 4978)."""
        self._deflate = zlib.compressobj(wbits=-15)
        self._inflate = zlib.decompressobj(wbits=-15)
        self._buffer = self._inflate.decompress(self._buffer) if self._buffer else b""

    def _step(self) -> bool:
        """Take one line or literal off the buffer; False when it holds none."""
        if self._need is not None:
            if len(self._buffer) < self._need:
                return False
            self._pieces.append(String(self._buffer[: self._need]))
            self._buffer = self._buffer[self._need :]
            self._need = None
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        if self.waiting is not None and not self._pieces:
            take, self.waiting = self.waiting, None
            take(line)
            return True
        if len(line) > _LONGEST_LINE or b"\n" in line or b"\r" in line or b"\0" in line:
            self._fault = Bad("a line too long, or with octets that no line may hold")
        literal = _LITERAL.search(line)
        if literal is not None:
            self._pieces.append(line[: literal.start()])
            self._literal(literal)
            return True
        if line:
            self._pieces.append(line)
        self._whole()
        return True

    def _literal(self, match: re.Match[bytes]) -> None:
        size = int(match[2])
        if match[1] and not (self.has("BINARY") or self.has("UTF8=ACCEPT")):
            self._fault = Bad("no literal8 here")
        if match[3]:
            if not (self.has("LITERAL+") or (self.has("LITERAL-") and size <= _MINUS)):
                self._fault = Bad("this literal had to be asked for")
        elif self._fault is not None:
            self._whole()
            return
        else:
            self.say(b"+ go on")
        self._need = size

    def _whole(self) -> None:
        pieces, self._pieces = self._pieces, []
        fault, self._fault = self._fault, None
        start = pieces[0] if pieces and not isinstance(pieces[0], String) else b""
        match = _TAG.match(start)
        if match is None:
            self.say(b"* BAD not a command")
            return
        self.tag, pieces[0] = match[1], match[2]
        try:
            if fault is not None:
                raise fault
            done = self._run(tokens(pieces, utf8=self.utf8))
        except Bad as error:
            self.finish("BAD", str(error))
        except No as error:
            self.finish("NO", str(error))
        else:
            if done:
                self.finish("OK", done)

    # commands

    def _run(self, given: list[Token]) -> str:
        if not given or not isinstance(given[0], bytes):
            raise Bad("no command")
        name = given.pop(0).upper().decode("ascii", "replace")  # type: ignore[union-attr]  # no list
        if name == "UID" and given and isinstance(given[0], bytes):
            name += " " + given.pop(0).upper().decode("ascii", "replace")  # type: ignore[union-attr]  # no list
        entry = COMMANDS.get(name)
        if entry is None or (entry.needs is not None and not self.has(entry.needs)):
            raise Bad(f"no command {name} here")
        if entry.state == "before" and self.account is not None:
            raise Bad("you are logged in")
        if entry.state in ("authenticated", "selected") and self.account is None:
            raise Bad("log in first")
        if entry.state == "selected" and self.view is None:
            raise Bad("select a mailbox first")
        self._name = name
        return entry.run(self, given)

    def finish(self, status: str, text: str) -> None:
        """The tagged answer, and before it what the client has to be told."""
        self.tell(expunges=self._name not in _SEQUENCE_HOLDS)
        self.say(b"%s %s %s" % (self.tag, status.encode(), text.encode()))

    def later(self) -> Callable[[str, str], None]:
        """How to answer the command that runs now at another time; it returns "" then."""
        tag, name = self.tag, self._name

        def answer(status: str, text: str) -> None:
            self.tag, self._name = tag, name
            self.finish(status, text)

        return answer

    def has(self, name: str) -> bool:
        """Whether an extension was offered."""
        offered = self.settings.capabilities
        return name in offered or ("IMAP4REV2" in offered and name in _REV2)

    def offered(self) -> bytes:
        names = set(self.settings.capabilities)
        if self._deflate is not None:
            names.discard("COMPRESS=DEFLATE")
        return " ".join(["IMAP4rev1", *sorted(names)]).replace("IMAP4REV2", "IMAP4rev2").encode()

    @property
    def utf8(self) -> bool:
        return bool(self.enabled & {"UTF8=ACCEPT", "IMAP4REV2"})

    @property
    def user(self) -> Account:
        assert self.account is not None
        return self.account

    @property
    def selected(self) -> View:
        assert self.view is not None
        return self.view

    def name(self, token: Token) -> str:
        """A mailbox name that the client said."""
        if isinstance(token, list):
            raise Bad("the name of a mailbox is expected")
        return decoded(bytes(token), utf8=self.utf8)

    def written(self, name: str) -> bytes:
        return encoded(name, utf8=self.utf8)

    # news

    def look_at(self, view: View) -> None:
        self.view = view
        view.mailbox.watchers.append(self._changed)

    def leave(self) -> None:
        view, self.view = self.view, None
        self.saved = frozenset()
        if view is not None:
            view.mailbox.watchers.remove(self._changed)

    def idle(self, on: bool) -> None:
        self._idling = on
        if on:
            self._changed()

    def _changed(self) -> None:
        if self._idling and not self._scheduled:
            self._scheduled = True
            self.clock.callLater(0, self._tell_idle)

    def _tell_idle(self) -> None:
        self._scheduled = False
        if self._idling:
            self.tell(expunges=True)

    def tell(self, *, expunges: bool) -> None:
        """What is new in the selected mailbox."""
        if self.view is not None:
            gone = {one.uid for one in self.view.messages if one.gone}
            lines = self.view.news(expunges=expunges)
            if expunges:
                self.saved -= gone
            if lines:
                self.say(*lines)
