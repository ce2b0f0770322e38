"""Reading messages: what the server tells of them, and the octets of their parts, in pieces or as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from attrs import define

from emailengine.errors import MessageNotFound, ServerRefused
from emailengine.imap.commands.fetch import PART_NUMBER, Decoded, FetchSequence, FetchUids, StreamPart
from emailengine.imap.commands.store import gone
from emailengine.imap.connection import Connection
from emailengine.imap.offers import fetch_items
from emailengine.wire.imap.responses import Fetched
from emailengine.wire.imap.uidset import UidSet


@define(eq=False)
class Reading:
    """What reads messages of the selected folder; `texts` cuts a set into what fits into a command."""

    _connection: Connection
    _offers: Collection[str]
    _texts: Callable[[UidSet], Iterable[str]]

    async def rows(self, uids: UidSet, items: Sequence[str], changed_since: int | None) -> list[Fetched]:
        """As `Session.fetch`."""
        known = fetch_items(items, self._offers) or ["UID"]
        found: list[Fetched] = []
        for numbers in self._texts(uids):
            found += await self._found(FetchUids(numbers, uids, known, changed_since=changed_since))
        return found

    async def numbered(self, numbers: str, items: Sequence[str]) -> list[Fetched]:
        """As `Session.fetch_sequence`."""
        return await self._found(FetchSequence(numbers, fetch_items(items, self._offers) or ["UID"]))

    async def _found(self, command: FetchUids | FetchSequence) -> list[Fetched]:
        try:
            return await self._connection.run(command)
        except ServerRefused as error:
            if not gone(error):
                raise
            return command.found

    async def part(self, uid: int, section: str, offset: int, size: int, *, binary: bool) -> bytes:
        """As `Session.fetch_part`."""
        if binary and "BINARY" in self._offers and PART_NUMBER.fullmatch(section):
            try:
                return Decoded(await self._octets("BINARY", uid, section, offset, size))
            except ServerRefused as error:  # RFC 3516 4.3: UNKNOWN-CTE, for one
                if error.meaning.passes:
                    raise
        return await self._octets("BODY", uid, section, offset, size)

    async def stream(self, uid: int, section: str, write: Callable[[bytes], object]) -> int:
        """As `Session.stream_part`."""
        command = StreamPart(uid, section, write)
        try:
            count = await self._connection.run(command)
        except ServerRefused as error:
            if gone(error):
                raise _not_there() from error
            raise
        finally:
            command.stop()
            if command.asked:  # else the pause is another one's
                self._connection.resume()
        if command.failed is not None:
            raise command.failed
        return count

    async def _octets(self, word: str, uid: int, section: str, offset: int, size: int) -> bytes:
        item = f"{word}.PEEK[{section}]<{offset}.{size}>"
        try:
            rows = await self._connection.run(FetchUids(str(uid), UidSet.of([uid]), [item]))
        except ServerRefused as error:
            if gone(error):
                raise _not_there() from error
            raise
        if not rows:
            raise _not_there()
        told = rows[0].sections
        # asked for one, it tells one: some name it as it was asked for, with PEEK
        data = told.get(f"{word}[{section.upper()}]") or next((told[one] for one in told if one.startswith(word)), None)
        if data is None:
            return b""
        if len(data) > size:  # a server that knows no parts of parts
            return data[offset : offset + size]
        return data


def _not_there() -> MessageNotFound:
    return MessageNotFound("The message is not there any more")
