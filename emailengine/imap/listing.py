"""Listing of folders: in the best form that the server understands, and at the place where it keeps them."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterator, Sequence

import attrs
from attrs import define, field

from emailengine.errors import ProtocolFault, ServerRefused
from emailengine.imap.commands.list import FolderStatus, ListFolders, ListSubscribed, key
from emailengine.imap.connection import Connection
from emailengine.imap.offers import not_understood, status_items
from emailengine.imap.opening import unless_refused
from emailengine.imap.target import ListedFolder
from emailengine.wire.imap.responses import Namespace

_MOST_PLACES = 10  # personal namespaces that are looked at
_PLAINEST = ("MESSAGES", "RECENT", "UNSEEN", "UIDNEXT", "UIDVALIDITY")


@define
class _Form:
    """One way to ask for everything."""

    options: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    xlist: bool = False

    @property
    def plain(self) -> bool:
        return not self.options and not self.status


@define(eq=False)
class Listing:
    """
    How one server lists its folders.

    A form that the server did not understand is not tried again: some close the connection after a few such.
    """

    _connection: Connection
    _offers: Collection[str]
    _refused: set[tuple[bool, bool]] = field(factory=set, init=False)

    async def everything(self, namespaces: Namespace | None, status: Sequence[str]) -> list[ListedFolder]:
        """As `Session.list_folders`."""
        places = _places(namespaces)
        for form in self._forms(status):
            if form.plain:
                break
            try:
                listed = await self._at_all(form, places)
            except (ServerRefused, ProtocolFault) as error:
                self._connection.check()  # some servers offer more than they understand
                if isinstance(error, ServerRefused) and not_understood(error):
                    self._refused.add(_mark(form))
                continue
            if listed:
                if "SUBSCRIBED" not in form.options:
                    listed = await self._with_subscriptions(listed, places)
                return _tidy(listed, namespaces)
        xlist = "XLIST" in self._offers and "SPECIAL-USE" not in self._offers
        return _tidy(await self._plain(_Form(xlist=xlist), places), namespaces)

    async def status(self, path: str, items: Sequence[str]) -> dict[str, int | str]:
        """As `Session.status`, with the values that are no numbers."""
        utf8 = self._connection.utf8
        known = status_items(items, self._offers)
        plain = [one for one in known if one.upper() in _PLAINEST]
        if not known:
            return {}
        try:
            return await self._connection.run(FolderStatus(path, known, utf8=utf8))
        except ServerRefused as error:
            if not not_understood(error) or plain == known or not plain:
                raise
        return await self._connection.run(FolderStatus(path, plain, utf8=utf8))

    def _forms(self, status: Sequence[str]) -> Iterator[_Form]:
        offers = self._offers
        extended = "LIST-EXTENDED" in offers
        options: tuple[str, ...] = ("SUBSCRIBED",) if extended else ()
        if "SPECIAL-USE" in offers:
            options += ("SPECIAL-USE",)
        if extended and "CHILDREN" in offers:
            options += ("CHILDREN",)
        wanted = tuple(status_items(status, offers)) if extended and "LIST-STATUS" in offers else ()
        forms = [_Form(options, wanted)] if wanted else []
        if options:
            forms.append(_Form(options))
        for form in forms:
            if _mark(form) not in self._refused:
                yield form

    async def _at_all(self, form: _Form, places: Sequence[bytes]) -> list[ListedFolder]:
        listed = await self._at(form, b"*")
        return listed if _enough(listed) else await self._elsewhere(form, places, listed)

    async def _elsewhere(self, form: _Form, places: Sequence[bytes], listed: list[ListedFolder]) -> list[ListedFolder]:
        """All at the prefixes of our namespaces, and INBOX, which need not be at any."""
        if not places:
            return listed
        found = {key(one.entry.raw): one for one in listed}
        patterns = [place + b"*" for place in places]
        for pattern in patterns if b"INBOX" in found else [b"INBOX", *patterns]:
            for one in await self._at(form, pattern):
                found.setdefault(key(one.entry.raw), one)
        return list(found.values())

    def _at(self, form: _Form, pattern: bytes) -> Awaitable[list[ListedFolder]]:
        return self._connection.run(
            ListFolders(
                pattern=pattern,
                options=form.options,
                status=form.status,
                xlist=form.xlist,
                utf8=self._connection.utf8,
            )
        )

    async def _plain(self, form: _Form, places: Sequence[bytes]) -> list[ListedFolder]:
        """The old way: what is subscribed is asked for beside, and a server may not tell it."""
        connection = self._connection
        command = ListFolders(xlist=form.xlist, utf8=connection.utf8)
        listing, subscriptions = connection.run(command), connection.run(ListSubscribed(utf8=connection.utf8))
        try:
            listed = await listing
            subscribed = await unless_refused(connection, subscriptions) or frozenset()
        finally:
            subscriptions.addErrback(lambda _: None)
        if not _enough(listed) and places:
            listed = await self._elsewhere(form, places, listed)
            if not subscribed:
                return await self._with_subscriptions(listed, places)
        return _subscribed(listed, subscribed)

    async def _with_subscriptions(self, listed: Sequence[ListedFolder], places: Sequence[bytes]) -> list[ListedFolder]:
        connection = self._connection
        for pattern in [b"*", *[place + b"*" for place in places]]:
            told = await unless_refused(
                connection, connection.run(ListSubscribed(pattern=pattern, utf8=connection.utf8))
            )
            if told is None:
                break
            if told:
                return _subscribed(listed, told)
        return list(listed)


def _mark(form: _Form) -> tuple[bool, bool]:
    return bool(form.options), bool(form.status)


def _places(namespaces: Namespace | None) -> list[bytes]:
    """The prefixes of our own folders, where they are not at the root."""
    if namespaces is None:
        return []
    return [one.raw for one in namespaces.personal if one.raw][:_MOST_PLACES]


def _enough(listed: Sequence[ListedFolder]) -> bool:
    return any(key(one.entry.raw) != b"INBOX" for one in listed)


def _subscribed(listed: Sequence[ListedFolder], names: Collection[bytes]) -> list[ListedFolder]:
    return [attrs.evolve(one, subscribed=key(one.entry.raw) in names) for one in listed]


def _tidy(listed: Sequence[ListedFolder], namespaces: Namespace | None) -> list[ListedFolder]:
    """The names without a delimiter before them, which some servers put there; not where ours belong behind one."""
    names = {key(one.entry.raw) for one in listed}
    places = _places(namespaces)
    found: list[ListedFolder] = []
    for one in listed:
        entry = one.entry
        between = (entry.delimiter or "").encode("utf-8", "surrogateescape")
        bare = entry.raw.removeprefix(between)
        if (
            between
            and bare
            and bare != entry.raw
            and key(bare) not in names
            and not any(place.startswith(between) for place in places)
        ):
            entry = attrs.evolve(entry, raw=bare, name=entry.name.removeprefix(entry.delimiter or ""))
            names.add(key(bare))
            one = attrs.evolve(one, entry=entry)
        found.append(one)
    return found
