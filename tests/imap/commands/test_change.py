"""Commands that change something, with values alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.imap.commands.append import Append
from emailengine.imap.commands.command import Command
from emailengine.imap.commands.copy import CopyUids, Moved, MoveUids, joined
from emailengine.imap.commands.folders import Create, Delete, Rename, Subscribe, Unsubscribe
from emailengine.imap.commands.list import FolderStatus, ListFolders
from emailengine.imap.commands.quota import GetQuotaRoot
from emailengine.imap.commands.select import Select
from emailengine.imap.commands.store import ExpungeUids, StoreFlags, StoreLabels
from emailengine.imap.offers import append_limit, meant
from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap.responses import Tagged, parse
from emailengine.wire.imap.tokens import Literal, Piece


def final(line: bytes) -> Tagged:
    told = parse([line])
    assert isinstance(told, Tagged)
    return told


def told_of(*lines: bytes) -> Moved:
    """What MOVE makes of untagged lines and its last one."""
    command = MoveUids("1", "x")
    for line in lines[:-1]:
        command.take(parse([line]))
    return command.result(final(lines[-1]))


class CopyTests(SynchronousTestCase):
    def test_where(self) -> None:
        """COPYUID is believed wherever it stands, pairs follow the order written, and what cannot be read is nothing."""
        for lines, moved in (
            ((b"1 OK [COPYUID 9 4:6 12:10] x",), Moved(9, {4: 12, 5: 11, 6: 10})),
            ((b"* OK [COPYUID 9 4 12] x", b"1 OK [HIGHESTMODSEQ 3] x"), Moved(9, {4: 12})),
            ((b"* OK [COPYUID 9 4 12] x", b"* OK [COPYUID 9 5 13] x", b"1 OK x"), Moved(9, {4: 12, 5: 13})),
            ((b"1 OK [COPYUID 9 4:5 12] x",), Moved(9, {})),
            ((b"1 OK [COPYUID 9 * 12] x",), Moved(None, {})),
            ((b"1 OK [COPYUID 9 1:4000000000 1:4000000000] x",), Moved(None, {})),
            ((b"1 OK",), Moved(None, {})),
        ):
            self.assertEqual(told_of(*lines), moved, lines)

    def test_news(self) -> None:
        """What leaves the folder, and what other codes say, is not the command's."""
        command = CopyUids("1", "x")
        for line in (b"* 1 EXPUNGE", b"* VANISHED 4", b"* 3 EXISTS", b"* OK [HIGHESTMODSEQ 4] x", b"* OK hello"):
            self.assertFalse(command.take(parse([line])), line)

    def test_joined(self) -> None:
        """UIDs of a target that was made anew meanwhile name nothing."""
        self.assertEqual(joined([Moved(9, {1: 2}), Moved(None, {}), Moved(9, {3: 4})]), Moved(9, {1: 2, 3: 4}))
        self.assertEqual(joined([Moved(9, {1: 2}), Moved(10, {3: 4})]), Moved(10, {3: 4}))


class InjectionTests(SynchronousTestCase):
    @given(st.text(), st.booleans())
    def test_names(self, name: str, utf8: bool) -> None:
        """Whatever a folder is called: it is one quoted string or literal of the command, or is not said at all."""

        def nothing() -> None:
            pass

        commands: list[Command[Any]] = [
            Create(name, utf8=utf8),
            Delete(name, utf8=utf8),
            Rename(name, name, utf8=utf8),
            Subscribe(name, utf8=utf8),
            Unsubscribe(name, utf8=utf8),
            CopyUids("1", name, utf8=utf8),
            MoveUids("1", name, utf8=utf8),
            FolderStatus(name, ["MESSAGES"], utf8=utf8),
            GetQuotaRoot(name, utf8=utf8),
            Select(name, read_only=False, condstore=True, leaving=nothing, utf8=utf8),
            Append(name, b"x", ["\\Seen"], 0.0, utf8=utf8),
            StoreLabels("1", "+", [name], utf8=utf8),
        ]
        for command in commands:
            try:
                pieces = command.line()
            except WeMisusedProtocol:
                continue
            self.assert_flat(pieces)

    def assert_flat(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, Literal):
                continue
            self.assertNotIn(b"\n", piece)
            self.assertNotIn(b"\r", piece)
            self.assertNotIn(b"\0", piece)
            outside = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
            self.assertEqual(outside.count(b'"') % 2, 0, piece)

    def test_others(self) -> None:
        """Flags, sets and items that would be more than themselves are not said."""
        for command in (
            StoreFlags("1", "+", ["a) b"]),
            StoreFlags("1\r\n2", "+", ["a"]),
            StoreLabels("1", "+", ["\\a b"]),
            ExpungeUids("1 2"),
            FolderStatus("x", ["MESSAGES) x"]),
            ListFolders(status=["MESSAGES) x"]),
            Append("x", b"", ["a b"], None),
        ):
            self.assertRaises(WeMisusedProtocol, command.line)


class OffersTests(SynchronousTestCase):
    def test_implied(self) -> None:
        """IMAP4rev2 brings much along where it is spoken; beside IMAP4rev1 it must be enabled first."""
        self.assertIn("MOVE", meant(frozenset(["IMAP4REV2"]), ()))
        both = frozenset(["IMAP4REV1", "IMAP4REV2"])
        self.assertEqual(meant(both, ()), both)
        self.assertIn("MOVE", meant(both, ("IMAP4REV2",)))
        self.assertIn("CONDSTORE", meant(frozenset(["QRESYNC"]), ()))

    def test_limit(self) -> None:
        """A limit is a number; anything else is none."""
        for said, limit in (("APPENDLIMIT=35000", 35000), ("APPENDLIMIT", None), ("APPENDLIMIT=", None), ("X=1", None)):
            self.assertEqual(append_limit([said, "IDLE"]), limit, said)
