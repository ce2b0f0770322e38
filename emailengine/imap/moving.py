r"""Moving and removing messages, also on servers that can only remove all that is marked `\Deleted`.

Nothing here ever lets a server remove a message that was not named. Where the server has no UIDPLUS, EXPUNGE removes
whatever is marked, so the mark is first taken from all others. That is looked at again before EXPUNGE is sent; if
somebody keeps marking others, or the server does not let us take their marks, nothing is removed: the messages stay,
marked. EXPUNGE and what gives the others their marks back leave in one piece, so a connection that ends in the middle
can cost the others their marks while nothing is removed, and never a message. What no client can prevent is that
another one marks a message in the moment between our last look and EXPUNGE.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from emailengine.core.gates import Gate
from emailengine.errors import ServerRefused
from emailengine.imap.commands.command import Command
from emailengine.imap.commands.copy import CopyUids, Moved, MoveUids, joined
from emailengine.imap.commands.store import ExpungeAll, ExpungeUids, MarkAgain, StoreFlags, gone
from emailengine.imap.connection import Connection
from emailengine.imap.finding import Finding
from emailengine.imap.offers import not_understood
from emailengine.wire.imap import search
from emailengine.wire.imap.uidset import EMPTY, UidSet

log = Logger()
T = TypeVar("T")

_LOOKS = 3  # at what is marked, before the messages are left as they are
_LONGEST_SET = 4000
_DELETED = ("\\Deleted",)


@define(eq=False)
class Moving:
    """
    What changes or takes away messages of the selected folder.

    `texts` cuts a set into what fits into a command; `selected` gives the selected folder, to be compared.
    """

    _connection: Connection
    _offers: Collection[str]
    _finding: Finding
    _texts: Callable[[UidSet], Iterable[str]]
    _selected: Callable[[], object]
    _turns: Gate | None = field(default=None, init=False)
    """There is one only while somebody is here."""

    async def copy(self, uids: UidSet, path: str) -> Moved:
        """As `Session.copy`."""
        return await self.alone(self._copy(uids, path))

    async def move(self, uids: UidSet, path: str) -> Moved:
        """As `Session.move`."""
        return await self.alone(self._move(uids, path))

    async def expunge(self, uids: UidSet) -> bool:
        """As `Session.expunge`."""
        return await self.alone(self._expunge(uids, self._selected()))

    async def store(self, uids: UidSet, make: Callable[[str], Command[None]]) -> None:
        """As `Session.store`, by commands that are made for each part of the set."""
        await self.alone(self._store(uids, make))

    async def alone(self, work: Coroutine[Any, Any, T]) -> T:
        """What several commands do in one folder, or to select another: one at a time, in the order of the calls."""
        turns = self._turns
        if turns is None:
            turns = self._turns = Gate(1)
        try:
            await turns.acquire()
        except CancelledError:
            work.close()
            raise
        try:
            return await work
        finally:
            turns.release()
            if self._turns is turns and turns.free and not turns.waiting:
                self._turns = None

    async def _store(self, uids: UidSet, make: Callable[[str], Command[None]]) -> None:
        for one in self._texts(uids):
            try:
                await self._connection.run(make(one))
            except ServerRefused as error:
                if not gone(error):
                    raise

    async def _copy(self, uids: UidSet, path: str) -> Moved:
        run, utf8 = self._connection.run, self._connection.utf8
        return joined([await run(CopyUids(one, path, utf8=utf8)) for one in self._texts(uids)])

    async def _move(self, uids: UidSet, path: str) -> Moved:
        done: list[Moved] = []
        connection = self._connection
        if "MOVE" in self._offers:
            try:
                for one in self._texts(uids):
                    done.append(await connection.run(MoveUids(one, path, utf8=connection.utf8)))
                return joined(done)
            except ServerRefused as error:
                if not not_understood(error) or done:
                    raise
        copied = await self._copy(uids, path)
        if copied.uids:
            uids = uids & UidSet.of(copied.uids)  # only what is certainly there may go here
        await self._store(uids, partial(StoreFlags, mode="+", flags=_DELETED, silent=True))
        await self._expunge(uids, self._selected())
        return copied

    async def _expunge(self, uids: UidSet, folder: object) -> bool:
        if not uids:
            return True
        if self._selected() is not folder:  # another one's UIDs: nothing here is named by them
            return False
        if "UIDPLUS" not in self._offers:
            return await self._expunge_all_but_others(uids, folder)
        for one in self._texts(uids):
            await self._connection.run(ExpungeUids(one))
        return True

    async def _expunge_all_but_others(self, uids: UidSet, folder: object) -> bool:
        connection = self._connection
        taken = EMPTY
        expunged: Deferred[None] | None = None
        restored: list[Deferred[None]] = []
        try:
            for _ in range(_LOOKS):
                marked = await self._finding.uids(search.flag("\\Deleted"), None)
                others = marked - uids
                if not others:
                    if marked and self._selected() is folder:
                        expunged = connection.run(ExpungeAll())
                    break
                taken |= others
                for one in others.texts(_LONGEST_SET):
                    await connection.run(StoreFlags(one, "-", _DELETED, silent=True))
        except ServerRefused as error:
            if not taken:
                raise
            log.warn("messages stay, marked as deleted: others lose no mark here ({why})", why=error.message)
        finally:
            if self._selected() is folder:
                texts = taken.texts(_LONGEST_SET)
                restored = [connection.run(MarkAgain(one)).addErrback(_could_not) for one in texts]
        try:
            if expunged is not None:
                await expunged
        except ServerRefused:
            await _all(restored)
            raise
        await _all(restored)
        return expunged is not None or not (marked & uids)


def _all(waiting: list[Deferred[None]]) -> Deferred[None]:
    """Fires when all have an answer, whatever it is. Cancelling it leaves them alone."""
    over: Deferred[None] = Deferred(lambda _: None)

    def told(results: object) -> None:
        if not over.called:
            over.callback(None)

    DeferredList(waiting).addCallback(told)
    return over


def _could_not(failure: Failure) -> None:
    log.warn("messages of others have lost their mark as deleted: {why}", why=failure.getErrorMessage())
