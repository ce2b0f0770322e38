"""The servers that the contract is held against, and how a test uses one of them with some extensions taken away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from attrs import define, field
from twisted.internet.task import deferLater

from emailengine.imap.session import ImapTarget, Session, open_session
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.wire.imap import search
from emailengine.wire.imap.responses import Response
from emailengine.wire.imap.uidset import MAX_UID, UidSet
from tests.integration.imap.relay import IMPLIED, USES, Relay

EVERYTHING = UidSet.of_range(1, MAX_UID)

_PATIENCE = 10.0  # seconds for news
_RENEWED = 0.5


@define(frozen=True, kw_only=True)
class Site:
    """A server that listens on `port`; `offers` is all that it lists after login, in upper case."""

    port: int
    offers: frozenset[str]
    user: Callable[[int], str] = lambda variant: "anna"
    """Who logs in where the variant of that number is tried."""
    prefix: str = ""
    delimiter: str = "/"
    special: Mapping[str, str] = field(factory=dict)
    """Special uses by path."""
    keywords: bool = True
    """Whether it keeps flags of the client's own."""
    charsets: bool = True
    """Whether SEARCH understands UTF-8."""

    errs: frozenset[str] = frozenset()
    """
    What it does in its own way, whatever is asked: some `names` are refused, `sizes` of parts count their headers,
    parts `end` with the line end that is the boundary's, `numbers` in UID SEARCH are taken for UIDs, `idle` may tell of
    the second of two changes only when it ends.
    """

    def variants(self) -> Iterable[tuple[str, frozenset[str]]]:
        """Names, and what is taken away: nothing, each extension with those that need it, all."""
        yield "with everything", frozenset()
        # RFC 9051 appendix E: what IMAP4rev2 holds cannot be missing beside it
        alone = frozenset(("COMPRESS=DEFLATE", "IMAP4REV2"))
        for name in sorted((self.offers & (USES.keys() | {"AUTH=PLAIN", "CHILDREN"})) - alone):
            needing = {one for one, needed in IMPLIED.items() if name in needed and one in self.offers}
            yield f"without {name}", alone | {name} | needing
        yield "without all", self.offers - {"IMAP4REV1"}


@define(eq=False)
class Place:
    """One variant of a site for one test: its sessions and folders are of no other's."""

    site: Site
    relay: Relay
    name: str
    number: int
    _reactor: Any
    sessions: list[Session] = field(factory=list)
    news: dict[int, list[Response]] = field(factory=dict)

    async def open(self) -> Session:
        """A further session; it is ended with the place."""
        news: list[Response] = []
        contexts = Contexts()
        session = await open_session(
            clock=self._reactor,
            dialer=Dialer(reactor=self._reactor, contexts=contexts),
            contexts=contexts,
            target=ImapTarget(host="127.0.0.1", port=self.relay.port, secure=False, tls=TlsPolicy(), starttls="never"),
            credentials=Credentials(user=self.site.user(self.number), password="secret"),
            news=news.append,
            client_id={"name": "contract"},
            timeout=20.0,
            silence=20.0,
        )
        self.sessions.append(session)
        self.news[id(session)] = news
        return session

    def path(self, *names: str) -> str:
        """A folder of this place by the names of its levels."""
        return self.site.prefix + self.site.delimiter.join((f"{self.name} {self.number}", *names))

    def heard(self, session: Session) -> list[Response]:
        """The news that a session brought, to be cleared at will."""
        return self.news[id(session)]

    async def filled(self, *messages: bytes, name: str = "box") -> tuple[Session, str, list[int]]:
        """A session that has a folder with these messages selected: it, the path, and their UIDs in order."""
        session = await self.open()
        path = self.path(name)
        await session.create(path)
        for one in messages:
            await session.append(path, one, [], None)
        await session.select(path)
        return session, path, list(await session.search(search.EVERY))

    async def second(self, path: str) -> Session:
        """Another session that has this folder selected."""
        session = await self.open()
        await session.select(path)
        return session

    async def hears(self, session: Session, act: Awaitable[object], look: Callable[[], object], what: str) -> None:
        """Do something, and wait in IDLE for the news of it, or ask for them where there is none."""
        waits = "IDLE" in session.capabilities
        if waits:
            await session.idle_start()
        await act
        end = self._reactor.seconds() + _PATIENCE
        renewal = self._reactor.seconds() + _RENEWED if "idle" in self.site.errs else end
        while not look():
            if self._reactor.seconds() > end:
                raise AssertionError(f"{what} not within {_PATIENCE:g} s: {self.heard(session)}")
            if not waits:
                await session.noop()
            elif self._reactor.seconds() > renewal:
                await session.idle_stop()
                await session.idle_start()
                renewal += _RENEWED
            await deferLater(self._reactor, 0.02)
        await session.idle_stop()
