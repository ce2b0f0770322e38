"""A session with an IMAP server: what an account talks to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from emailengine.core.deadline import bounded
from emailengine.core.turns import Turns
from emailengine.errors import EmailEngineError, MessageNotFound, ProtocolFault, ServerRefused, TimedOut
from emailengine.imap.commands.append import Append
from emailengine.imap.commands.auth import Logout
from emailengine.imap.commands.fetch import FetchSequence, FetchUids
from emailengine.imap.commands.idle import Idle, Noop
from emailengine.imap.commands.list import FolderStatus, ListFolders, ListSubscribed, key
from emailengine.imap.commands.quota import GetQuotaRoot, Storage
from emailengine.imap.commands.search import SearchUids
from emailengine.imap.commands.select import Select, Unselect
from emailengine.imap.commands.store import ExpungeAll, ExpungeUids, StoreFlags
from emailengine.imap.connection import Connection
from emailengine.imap.opening import open_connection, unless_refused
from emailengine.imap.target import Appended as Appended
from emailengine.imap.target import ImapTarget as ImapTarget
from emailengine.imap.target import ListedFolder as ListedFolder
from emailengine.imap.target import Selected as Selected
from emailengine.imap.wirelog import WireLog
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts
from emailengine.wire.imap import search
from emailengine.wire.imap.responses import Exists, Expunge, Fetched, Namespace, Response, Vanished
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import UidSet

_DONE = 30.0  # seconds for the answer to DONE
_GOODBYE = 5.0  # seconds for LOGOUT
_CLOSING = 3.0
_LONGEST_SET = 4000  # characters; servers refuse lines over 8192


async def open_session(
    *,
    clock: IReactorTime,
    dialer: Dialer,
    contexts: Contexts,
    target: ImapTarget,
    credentials: Credentials,
    news: Callable[[Response], None],
    client_id: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    silence: float | None = None,
    wire_log: WireLog | None = None,
) -> Session:
    """
    A session that is logged in.

    `timeout` is over all of that, `silence` over each answer afterwards; `client_id` is what ID tells of us. `wire_log`
    is told every line.

    `news` hears every response that no command takes, when it is read: EXISTS, EXPUNGE and FETCH also while commands
    run. CONDSTORE and QRESYNC are enabled where they are offered, so VANISHED may come in place of EXPUNGE.

    Raises ConnectFailed, TlsFailed, TimedOut, ConnectionLost or ProtocolFault; AuthenticationRefused when the server
    itself refused the credentials, with its response code, or offers no login that they fit (`ENOAUTH`).
    """
    ears = _Ears(news)
    opened = await open_connection(
        clock=clock,
        dialer=dialer,
        contexts=contexts,
        target=target,
        credentials=credentials,
        news=ears.hear,
        client_id=client_id,
        timeout=timeout,
        silence=silence,
        wire_log=wire_log,
    )
    return Session(
        clock=clock,
        connection=opened.connection,
        ears=ears,
        capabilities=opened.capabilities,
        server=opened.server,
        enabled=opened.enabled,
        namespaces=opened.namespaces,
    )


class _Ears:
    """Hears the news, keeps the selected folder's count right, and passes them on."""

    __slots__ = ("_news", "selected")

    def __init__(self, news: Callable[[Response], None]) -> None:
        self._news = news
        self.selected: Selected | None = None

    def hear(self, response: Response) -> None:
        selected = self.selected
        if selected is not None:
            if isinstance(response, Exists):
                selected.exists = response.n
            elif isinstance(response, Expunge):
                selected.exists = max(0, selected.exists - 1)
            elif isinstance(response, Vanished) and not response.earlier:
                selected.exists = max(0, selected.exists - len(response.uids))
        self._news(response)

    def nothing_selected(self) -> None:
        self.selected = None


@define(kw_only=True, eq=False)
class Session:
    """
    An open session. Its methods may be called side by side; the commands go out one after the other.

    Every method raises ConnectionLost (or the TlsFailed or ProtocolFault that ended it) when the connection is or gets
    lost, and ServerRefused when the server answers NO or BAD. A call that is cancelled leaves the session usable.
    """

    _clock: IReactorTime
    _connection: Connection
    _ears: _Ears
    capabilities: frozenset[str]
    """What the server offers since login, in upper case."""
    server: Mapping[str, str | None] = field(factory=dict)
    """What it says of itself (RFC 2971)."""
    enabled: frozenset[str] = frozenset()
    """The extensions it said it has switched on, in upper case."""
    namespaces: Namespace | None = None
    """Where its folders are (RFC 2342); None where it did not tell."""
    _idle: tuple[Idle, Deferred[None]] | None = field(default=None, init=False)

    @property
    def selected(self) -> Selected | None:
        """The selected folder; None also while another one is being selected."""
        return self._ears.selected

    # living and ending

    @property
    def alive(self) -> bool:
        return self._connection.ended is None

    def check(self) -> None:
        """Raise why the connection ended, if it did."""
        self._connection.check()

    def on_lost(self, call: Callable[[], None]) -> None:
        """Call this once when the connection is over, for whatever reason; at once if it is."""
        if self.alive:
            self._connection.lost = call
        else:
            call()

    def abort(self, why: str) -> None:
        """End it at once; whoever waits for an answer gets ConnectionLost."""
        self._connection.abort(why)

    async def logout(self) -> None:
        """Say goodbye and return when the connection is gone, after some seconds at the latest. Never raises."""
        connection = self._connection
        try:
            await bounded(self._clock, _GOODBYE, connection.run(Logout()))
        except CancelledError:
            raise
        except EmailEngineError:
            pass
        finally:
            connection.abort("logged out")
        try:
            await bounded(self._clock, _CLOSING, connection.gone())
        except TimedOut:
            pass

    # waiting for news

    async def noop(self) -> None:
        """Ask for news, which come before this returns."""
        await self._connection.run(Noop())

    @property
    def idling(self) -> bool:
        """Whether IDLE is on; False once the server has ended it."""
        return self._idle is not None

    async def idle_start(self, ended_by_server: Callable[[], None] | None = None) -> None:
        """
        Begin IDLE; returns once the server has agreed. Any other command ends it first.

        `ended_by_server` is called when IDLE is over, by whomever. Raises ServerRefused where the server wants none.
        """
        if self._idle is not None:
            return
        command = Idle()
        over = self._connection.run(command)
        self._idle = command, over

        def ended(_: object) -> None:
            self._idle = None
            if ended_by_server is not None:
                ended_by_server()

        over.addErrback(command.failed)
        over.addBoth(ended)
        try:
            await command.started
        except CancelledError:
            if command.begun:
                self._connection.end_idle()
            else:
                over.cancel()
            raise

    async def idle_stop(self) -> None:
        """End IDLE and return when it has ended, and all its news were heard. No effect when it does not run."""
        if self._idle is None:
            self._connection.check()
            return
        _, over = self._idle
        self._connection.end_idle()
        ended: Deferred[None] = Deferred(lambda _: None)

        def tell(_: object) -> None:
            if not ended.called:
                ended.callback(None)

        over.addBoth(tell)
        try:
            await bounded(self._clock, _DONE, ended)
        except TimedOut:
            self._connection.abort("no answer to DONE")
        self._connection.check()

    # folders

    async def list_folders(self, status: Sequence[str] = ()) -> list[ListedFolder]:
        """
        Every folder, with its subscription, its special use where the server tells, and its numbers.

        The items in `status` come along where one command can bring them all; else `status` of the folders is None.
        """
        if "LIST-EXTENDED" in self.capabilities:
            try:
                return await self._connection.run(
                    ListFolders(capabilities=self.capabilities, extended=True, status=status)
                )
            except (ServerRefused, ProtocolFault):
                self._connection.check()  # some servers offer more than they understand
        xlist = "XLIST" in self.capabilities and "SPECIAL-USE" not in self.capabilities
        plain = ListFolders(capabilities=self.capabilities, extended=False, status=(), xlist=xlist)
        listing, subscriptions = self._connection.run(plain), self._connection.run(ListSubscribed())
        try:
            listed = await listing
            subscribed = await unless_refused(self._connection, subscriptions) or frozenset()
        finally:
            subscriptions.addErrback(lambda _: None)
        return [ListedFolder(one.entry, key(one.entry.raw) in subscribed, None) for one in listed]

    async def select(self, path: str, *, read_only: bool = False) -> Selected:
        """Select a folder, also anew. When it is refused, none is selected."""
        selected = await self._connection.run(
            Select(
                path,
                read_only=read_only,
                condstore="CONDSTORE" in self.capabilities,
                leaving=self._ears.nothing_selected,
            )
        )
        self._ears.selected = selected
        return selected

    async def unselect(self) -> None:
        """Leave the selected folder without removing anything from it."""
        selected = self._ears.selected
        if selected is None:
            return
        close = "UNSELECT" not in self.capabilities
        if close and not selected.read_only:
            await self.select(selected.path, read_only=True)
        await self._connection.run(Unselect(close=close, leaving=self._ears.nothing_selected))

    async def status(self, path: str, items: Sequence[str]) -> dict[str, int]:
        """Numbers of a folder by their upper-case names; those that the server does not tell are missing."""
        return await self._connection.run(FolderStatus(path, items))

    async def storage(self, path: str) -> Storage | None:
        """The storage that a folder counts against; None where the server does not tell."""
        if "QUOTA" not in self.capabilities:
            return None
        return await self._connection.run(GetQuotaRoot(path))

    # messages of the selected folder

    async def fetch(self, uids: UidSet, items: Sequence[str], *, changed_since: int | None = None) -> list[Fetched]:
        """
        What the server tells of these messages; those that are not there are missing.

        With `changed_since` only those that changed after this mod-sequence, where the server has CONDSTORE.
        """
        since = changed_since if "CONDSTORE" in self.capabilities else None
        found: list[Fetched] = []
        for numbers in uids.texts(_LONGEST_SET):
            command = FetchUids(numbers, uids, items, changed_since=since)
            rows = await self._connection.run(command)
            found += rows
        return found

    async def fetch_sequence(self, numbers: str, items: Sequence[str]) -> list[Fetched]:
        """As `fetch`, by sequence numbers as text: `1:20,25`, `*`."""
        return await self._connection.run(FetchSequence(numbers, items))

    async def fetch_part(self, uid: int, section: str, *, offset: int, size: int) -> bytes:
        """
        `size` octets of a part from `offset` on, fewer at its end, none behind it; the message stays unread.

        `section` is the part's number or what else FETCH knows; "" is the whole message. Raises MessageNotFound.
        """
        item = f"BODY.PEEK[{section}]<{offset}.{size}>"
        uids = UidSet.of([uid])
        rows = await self._connection.run(FetchUids(str(uid), uids, [item]))
        if not rows:
            raise MessageNotFound("The message is not there any more")
        data = rows[0].sections.get(f"BODY[{section.upper()}]") or b""
        if len(data) > size:  # a server that knows no parts of parts
            return data[offset : offset + size]
        return data

    async def search(self, criterion: Sequence[Piece]) -> UidSet:
        """The UIDs of the messages that meet a criterion made by `wire.imap.search`."""
        found = await self._connection.run(SearchUids(criterion, esearch="ESEARCH" in self.capabilities))
        return await found.joined(Turns(self._clock))

    async def store(self, uids: UidSet, mode: Literal["", "+", "-"], flags: Sequence[str]) -> None:
        """Set the flags of messages (""), or add to them ("+") or take from them ("-"). The new ones come as news."""
        for numbers in uids.texts(_LONGEST_SET):
            await self._connection.run(StoreFlags(numbers, mode, flags))

    async def append(self, path: str, data: bytes, flags: Sequence[str], internal_date: float | None) -> Appended:
        """Put a message into a folder. ServerRefused with the code `TRYCREATE` means that there is no such folder."""
        return await self._connection.run(Append(path, data, flags, internal_date))

    async def expunge(self, uids: UidSet) -> None:
        r"""
        Remove those of these messages that are marked `\Deleted`, and no others.

        Where the server can only remove all that are marked, the mark is taken from the others for that moment.
        """
        if "UIDPLUS" in self.capabilities:
            for numbers in uids.texts(_LONGEST_SET):
                await self._connection.run(ExpungeUids(numbers))
            return
        others = await self.search(search.flag("\\Deleted")) - uids
        await self.store(others, "-", ["\\Deleted"])
        try:
            await self._connection.run(ExpungeAll())
        finally:
            if self.alive:
                await self.store(others, "+", ["\\Deleted"])
