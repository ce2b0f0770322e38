"""A session with an IMAP server: what an account talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from emailengine.core.deadline import bounded
from emailengine.errors import EmailEngineError, MissingExtension, ServerRefused, TimedOut, TooLarge
from emailengine.imap.commands.append import Append
from emailengine.imap.commands.auth import Logout
from emailengine.imap.commands.copy import Moved as Moved
from emailengine.imap.commands.fetch import Decoded as Decoded
from emailengine.imap.commands.folders import Create, Delete, Rename, Subscribe, Unsubscribe
from emailengine.imap.commands.idle import Idle, Noop
from emailengine.imap.commands.quota import GetQuotaRoot, Storage
from emailengine.imap.commands.select import Known as Known
from emailengine.imap.commands.select import Select, Unselect
from emailengine.imap.commands.store import StoreFlags, StoreLabels
from emailengine.imap.connection import Connection
from emailengine.imap.finding import Finding, older, younger
from emailengine.imap.hearing import Ears
from emailengine.imap.listing import Listing
from emailengine.imap.moving import Moving
from emailengine.imap.offers import append_limit, meant, not_understood
from emailengine.imap.opening import open_connection, shared
from emailengine.imap.reading import Reading
from emailengine.imap.target import Appended as Appended
from emailengine.imap.target import ImapTarget as ImapTarget
from emailengine.imap.target import ListedFolder as ListedFolder
from emailengine.imap.target import Selected as Selected
from emailengine.imap.wirelog import WireLog
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts
from emailengine.wire.imap.responses import Fetched, Namespace, Response
from emailengine.wire.imap.search import Criterion
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import UidSet

_DONE = 30.0  # seconds for the answer to DONE
_GOODBYE = 5.0  # seconds for LOGOUT
_CLOSING = 3.0
_LONGEST_SET = 4000  # characters; servers refuse lines over 8192
_ASK_LIMIT = 1 << 20  # octets of a message; below it every server that has a limit for each folder takes it


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
    itself refused the credentials, with its response code, or offers no login that they fit (`ENOAUTH`); NotNow when it
    lets nobody in: too many connections, too fast, out of order.
    """
    ears = Ears(news)
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
        encrypted=opened.encrypted,
    )


@define(kw_only=True, eq=False)
class Session:
    """
    An open session. Its methods may be called side by side; the commands go out one after the other.

    Every method raises ConnectionLost (or the TlsFailed or ProtocolFault that ended it) when the connection is or gets
    lost, and ServerRefused when the server answers NO or BAD. A call that is cancelled leaves the session usable.
    """

    _clock: IReactorTime
    _connection: Connection
    _ears: Ears
    capabilities: frozenset[str]
    """What the server offers since login, in upper case."""
    server: Mapping[str, str | None] = field(factory=dict)
    """What it says of itself (RFC 2971)."""
    enabled: frozenset[str] = frozenset()
    """The extensions it said it has switched on, in upper case."""
    namespaces: Namespace | None = None
    """Where its folders are (RFC 2342); None where it did not tell."""
    encrypted: bool = False
    """Whether TLS is on."""
    _idle: tuple[Idle, Deferred[None]] | None = field(default=None, init=False)
    _listing: Listing = field(init=False)
    _finding: Finding = field(init=False)
    _reading: Reading = field(init=False)
    _moving: Moving = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.capabilities = shared(meant(self.capabilities, self.enabled))
        self._listing = Listing(self._connection, self.capabilities)
        self._finding = Finding(self._clock, self._connection, self.capabilities)
        self._reading = Reading(self._connection, self.capabilities, self._texts)
        self._moving = Moving(self._connection, self.capabilities, self._finding, self._texts, lambda: self.selected)

    @property
    def selected(self) -> Selected | None:
        """The selected folder; None also while another one is being selected."""
        return self._ears.selected

    # living and ending

    @property
    def alive(self) -> bool:
        return self._connection.ended is None

    @property
    def heard_at(self) -> float:
        """When the server last sent anything, on the session's clock; at first, when the connection was made."""
        return self._connection.heard_at

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
        if self._idle is not None and not self._idle[0].ending:
            return
        command = Idle()
        over = self._connection.run(command)
        mine = self._idle = command, over

        def ended(_: object) -> None:
            if self._idle is mine:
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
        command, over = self._idle
        if not command.begun:
            over.cancel()
        self._connection.end_idle()
        ended: Deferred[None] = Deferred(lambda _: None)

        def tell(_: object) -> None:
            if not ended.called:
                ended.callback(None)

        over.addBoth(tell)
        began = self._clock.seconds()
        while not over.called and (left := _DONE - (self._clock.seconds() - max(began, self.heard_at))) > 0:
            with suppress(TimedOut):  # it may have much to tell before
                ended = Deferred(lambda _: None)
                await bounded(self._clock, left, ended)
        if not over.called:
            self._connection.abort("no answer to DONE")
        self._connection.check()

    # folders

    async def list_folders(self, status: Sequence[str] = ()) -> list[ListedFolder]:
        """
        Every folder, with its subscription, its special use where the server tells, and its numbers.

        The items in `status` come along where one command can bring them all; else `status` of the folders is None.
        Where nothing but INBOX is at the root, the folders are those of our namespaces. Some servers refuse to tell all
        this twice.
        """
        return await self._listing.everything(self.namespaces, status)

    async def select(self, path: str, *, read_only: bool = False, known: Known | None = None) -> Selected:
        """
        Select a folder, also anew. When it is refused, none is selected.

        With `known`, and where QRESYNC is enabled, `vanished` and `changed` tell what happened since.
        """
        return await self._moving.alone(self._select(path, read_only=read_only, known=known))

    async def _select(self, path: str, *, read_only: bool, known: Known | None = None) -> Selected:
        utf8, leaving = self._connection.utf8, self._ears.nothing_selected
        if known is not None and ("QRESYNC" not in self.enabled or known.uidvalidity < 1 or known.modseq < 1):
            known = None
        condstore = "CONDSTORE" in self.capabilities
        full = Select(path, read_only=read_only, condstore=condstore, leaving=leaving, known=known, utf8=utf8)
        try:
            selected = await self._connection.run(full)
        except ServerRefused as error:
            if not not_understood(error) or not (condstore or known):
                raise
            plain = Select(path, read_only=read_only, condstore=False, leaving=leaving, utf8=utf8)
            selected = await self._connection.run(plain)
        self._ears.selected = selected
        return selected

    async def unselect(self) -> None:
        """Leave the selected folder without removing anything from it."""
        await self._moving.alone(self._unselect())

    async def _unselect(self) -> None:
        selected = self._ears.selected
        if selected is None:
            return
        leaving = self._ears.nothing_selected
        if "UNSELECT" in self.capabilities:
            try:
                await self._connection.run(Unselect(close=False, leaving=leaving))
                return
            except ServerRefused as error:
                if not not_understood(error):
                    raise
                self._ears.selected = selected
        if not selected.read_only:
            await self._select(selected.path, read_only=True)
        try:
            await self._connection.run(Unselect(close=True, leaving=leaving))
        except ServerRefused:  # some will not close what was opened read-only
            with suppress(ServerRefused):  # RFC 3691: what cannot be selected leaves none selected
                await self._select(f"{selected.path} 0 not there", read_only=True)

    async def status(self, path: str, items: Sequence[str]) -> dict[str, int]:
        """Numbers of a folder by their upper-case names; those that the server does not tell are missing."""
        told = await self._listing.status(path, items)
        return {name: value for name, value in told.items() if isinstance(value, int)}

    async def mailbox_id(self, path: str) -> str | None:
        """What names a folder whatever it is called (OBJECTID); None where the server does not tell."""
        told = (await self._listing.status(path, ["MAILBOXID"])).get("MAILBOXID")
        return None if told is None else str(told)

    async def storage(self, path: str) -> Storage | None:
        """The storage that a folder counts against; None where the server does not tell."""
        if "QUOTA" not in self.capabilities:
            return None
        return await self._connection.run(GetQuotaRoot(path, utf8=self._connection.utf8))

    async def create(self, path: str) -> str | None:
        """Make a folder; its MAILBOXID where the server tells it."""
        return await self._connection.run(Create(path, utf8=self._connection.utf8))

    async def delete(self, path: str) -> None:
        """Remove a folder and all that is in it. It is left first, if it is the selected one."""
        await self._leave(path)
        await self._connection.run(Delete(path, utf8=self._connection.utf8))

    async def rename(self, old: str, new: str) -> None:
        """Give a folder, and those below it, another name. It is left first, if it is the selected one."""
        await self._leave(old)
        await self._connection.run(Rename(old, new, utf8=self._connection.utf8))

    async def subscribe(self, path: str) -> None:
        await self._connection.run(Subscribe(path, utf8=self._connection.utf8))

    async def unsubscribe(self, path: str) -> None:
        await self._connection.run(Unsubscribe(path, utf8=self._connection.utf8))

    async def _leave(self, path: str) -> None:
        if self._ears.selected is not None and self._ears.selected.path == path:
            await self.unselect()

    # messages of the selected folder

    async def fetch(self, uids: UidSet, items: Sequence[str], *, changed_since: int | None = None) -> list[Fetched]:
        """
        What the server tells of these messages; those that are not there are missing.

        Items that the server does not offer are not asked for. With `changed_since` only those messages that changed
        after this mod-sequence, where the server has CONDSTORE and the folder has mod-sequences.
        """
        selected = self._ears.selected
        counted = "CONDSTORE" in self.capabilities and (selected is None or selected.modseq is not None)
        return await self._reading.rows(uids, items, changed_since if counted else None)

    async def fetch_sequence(self, numbers: str, items: Sequence[str]) -> list[Fetched]:
        """As `fetch`, by sequence numbers as text: `1:20,25`, `*`."""
        return await self._reading.numbered(numbers, items)

    async def fetch_part(self, uid: int, section: str, *, offset: int, size: int, binary: bool = False) -> bytes:
        """
        `size` octets of a part from `offset` on, fewer at its end, none behind it; the message stays unread.

        `section` is the part's number or what else FETCH knows; "" is the whole message. With `binary` they are
        `Decoded` where the server can take the transfer encoding off, for all of the part or none of it. Raises
        MessageNotFound.
        """
        return await self._reading.part(uid, section, offset, size, binary=binary)

    async def stream_part(self, uid: int, section: str, write: Callable[[bytes], object]) -> int:
        """
        Give all octets of a part to `write` as they arrive; how many those were. The message stays unread.

        Who cannot keep up calls `pause` and `resume`. Cancelled, nothing further is written, and what still comes is
        thrown away. Raises MessageNotFound, and what `write` raises.
        """
        return await self._reading.stream(uid, section, write)

    def pause(self) -> None:
        """Read nothing until `resume`, which the end of `stream_part` is as well. Waiting so is not silence."""
        self._connection.pause()

    def resume(self) -> None:
        self._connection.resume()

    async def search(self, criterion: Sequence[Piece], *, within: UidSet | None = None, save: bool = False) -> UidSet:
        """
        The UIDs of the messages that meet a criterion made by `wire.imap.search`; only those in `within`, where given.

        With `save`, and where the server has SEARCHRES, it keeps the result, too: as long as this same set is given to
        other methods, and no other is saved or folder selected, they need not spell it out.
        """
        save = save and within is None and not {"SEARCHRES", "ESEARCH"} - self.capabilities
        if not save:
            return await self._finding.uids(criterion, within)
        self._ears.saved = None
        try:
            found = await self._finding.uids(criterion, None, save=True)
        except ServerRefused as error:
            if error.code != "NOTSAVED":
                raise
            return await self._finding.uids(criterion, None)
        self._ears.saved = found
        return found

    async def search_page(self, criterion: Sequence[Piece], first: int, last: int) -> UidSet:
        """
        The found ones from the `first` to the `last` place, in order of their UIDs; negative places count from the end.

        Where the server cannot tell less than all (PARTIAL), all are asked for.
        """
        return await self._finding.page(criterion, first, last)

    async def search_sorted(self, criterion: Sequence[Piece], keys: Sequence[str]) -> list[int] | None:
        """What is found, sorted by keys of RFC 5256 (`REVERSE ARRIVAL`); None where the server cannot sort so."""
        return await self._finding.sorted(criterion, keys)

    def younger(self, seconds: int) -> Criterion:
        """Arrived in the last so many seconds; where the server knows only days (no WITHIN), since the day of then."""
        return younger(self.capabilities, self._clock.seconds(), seconds)

    def older(self, seconds: int) -> Criterion:
        """Arrived so many seconds ago or earlier; where the server knows only days, on the day of then or earlier."""
        return older(self.capabilities, self._clock.seconds(), seconds)

    async def store(self, uids: UidSet, mode: Literal["", "+", "-"], flags: Sequence[str]) -> None:
        """
        Set the flags of messages (""), or add to them ("+") or take from them ("-"). The new ones come as news.

        That some of the messages are not there any more is no error.
        """
        await self._moving.store(uids, partial(StoreFlags, mode=mode, flags=flags))

    async def store_labels(self, uids: UidSet, mode: Literal["", "+", "-"], labels: Sequence[str]) -> None:
        """As `store`, of Gmail's labels. Raises MissingExtension elsewhere."""
        if "X-GM-EXT-1" not in self.capabilities:
            raise MissingExtension("The mail server has no labels")
        utf8 = self._connection.utf8
        await self._moving.store(uids, partial(StoreLabels, mode=mode, labels=labels, utf8=utf8))

    async def append(self, path: str, data: bytes, flags: Sequence[str], internal_date: float | None) -> Appended:
        """
        Put a message into a folder. ServerRefused with the code `TRYCREATE` means that there is no such folder.

        TooLarge, before anything is sent, where the server tells a limit that the message is over.
        """
        limit = append_limit(self.capabilities)
        if limit is None and "APPENDLIMIT" in self.capabilities and len(data) > _ASK_LIMIT:
            with suppress(ServerRefused):  # what is wrong with the folder is for APPEND to say
                limit = (await self.status(path, ["APPENDLIMIT"])).get("APPENDLIMIT")
        if limit is not None and len(data) > limit:
            raise TooLarge(f"The message has {len(data)} octets, the mail server takes {limit}", code="TOOBIG")
        return await self._connection.run(
            Append(
                path,
                data,
                flags,
                internal_date,
                utf8=self._connection.utf8,
                utf8_headers="UTF8=ACCEPT" in self.enabled,
                binary="BINARY" in self.capabilities,
            )
        )

    async def copy(self, uids: UidSet, path: str) -> Moved:
        """Copy messages. ServerRefused with the code `TRYCREATE` means that there is no such folder."""
        return await self._moving.copy(uids, path)

    async def move(self, uids: UidSet, path: str) -> Moved:
        r"""
        Move messages. ServerRefused with the code `TRYCREATE` means that there is no such folder.

        Where the server has no MOVE they are copied, marked `\Deleted` and expunged as by `expunge`: an error on the
        way leaves copies, and where expunging is not safe the old ones stay, marked.
        """
        return await self._moving.move(uids, path)

    async def expunge(self, uids: UidSet) -> bool:
        r"""
        Remove those of these messages that are marked `\Deleted`, and no others; whether they are gone.

        Where the server can only remove all that are marked, the mark is taken from the others for that moment. False
        where others could not be kept out of it: then nothing was removed. A connection lost in that moment may cost
        others their mark.
        """
        return await self._moving.expunge(uids)

    def _texts(self, uids: UidSet) -> Iterable[str]:
        """The set as what can stand in commands, each short enough."""
        return ("$",) if uids and uids is self._ears.saved else uids.texts(_LONGEST_SET)
