"""Changing, moving and removing messages."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from emailengine.errors import ConnectionLost, MissingExtension, ServerRefused, TooLarge
from emailengine.imap.session import Appended, Moved
from emailengine.wire.imap.responses import Exists, Vanished
from emailengine.wire.imap.uidset import UidSet
from tests.imap.case import OLD, SessionCase


class ChangeTests(SessionCase):
    def test_store(self) -> None:
        """The new flags come back as news."""
        self.ask(
            self.session.store(UidSet.of([4, 5]), "+", ["\\Seen", "$Done"]),
            ("UID STORE 4:5 +FLAGS (\\Seen $Done)", "* 1 FETCH (UID 4 FLAGS (\\Seen $Done))\n. OK"),
        )
        self.assertEqual(len(self.news), 1)
        self.ask(self.session.store(UidSet.of([4]), "", []), ("UID STORE 4 FLAGS ()", ". OK"))
        work = self.session.store(UidSet.of([4]), "-", ["\\Seen"])
        self.error(ServerRefused, work, ("UID STORE 4 -FLAGS (\\Seen)", ". NO read-only"))

    def test_append(self) -> None:
        """Where the message is, as far as the server tells."""
        said = 'APPEND "x" (\\Seen) "04-Mar-2026 09:15:02 +0000" {3+}\r\nabc'
        work = self.session.append("x", b"abc", ["\\Seen"], 1772615702.0)
        self.assertEqual(self.ask(work, (said, ". OK [APPENDUID 7 12] done")), Appended("x", 7, 12))
        work = self.session.append("x", b"abc", [], None)
        self.assertEqual(self.ask(work, ('APPEND "x" {3+}\r\nabc', "* 4 EXISTS\n. OK")), Appended("x", None, None))
        self.assertEqual(self.news, [Exists(4)])
        work = self.session.append("y", b"abc", [], None)
        error = self.error(ServerRefused, work, ('APPEND "y" {3+}\r\nabc', ". NO [TRYCREATE] no"))
        self.assertEqual(error.code, "TRYCREATE")

    def test_expunge(self) -> None:
        """Only the given messages go."""
        self.assertTrue(self.ask(self.session.expunge(UidSet.of([4])), ("UID EXPUNGE 4", "* VANISHED 4\n. OK")))
        self.assertTrue(self.ask(self.session.expunge(UidSet.of([]))))

    def test_some_gone(self) -> None:
        """That some messages are not there any more is no error."""
        said = ". NO Some of the requested messages no longer exist."
        self.ask(self.session.store(UidSet.of([4]), "+", ["x"]), ("UID STORE 4 +FLAGS (x)", said))

    def test_labels(self) -> None:
        """Gmail's labels, where there are any."""
        self.connect("IMAP4rev1 X-GM-EXT-1 LITERAL+")
        self.ask(
            self.session.store_labels(UidSet.of([4]), "+", ["\\Inbox", "Büro", 'a"b']),
            ('UID STORE 4 +X-GM-LABELS (\\Inbox "B&APw-ro" "a\\"b")', ". OK"),
        )
        self.ask(self.session.store_labels(UidSet.of([4]), "", []), ("UID STORE 4 X-GM-LABELS ()", ". OK"))
        self.connect(OLD)
        self.error(MissingExtension, self.session.store_labels(UidSet.of([4]), "+", ["x"]))

    def test_append_utf8(self) -> None:
        """8-bit headers go in their own form once that is agreed upon; NUL only where any octet may go."""
        self.connect("IMAP4rev1 LITERAL+", enabled="UTF8=ACCEPT", utf8=True)
        wide = "Subject: ü\r\n\r\nx"
        said = f'APPEND "Büro" UTF8 (~{{16+}}\r\n{wide})'
        self.ask(self.session.append("Büro", wide.encode(), [], None), (said, ". OK"))
        self.ask(self.session.append("x", b"a: b\r\n\r\nx", [], None), ('APPEND "x" {9+}\r\na: b\r\n\r\nx', ". OK"))
        self.connect("IMAP4rev1 LITERAL+ BINARY")
        self.ask(self.session.append("x", b"\0", [], None), ('APPEND "x" ~{1+}\r\n\0', ". OK"))
        self.connect("IMAP4rev1 LITERAL+")
        self.ask(self.session.append("x", b"\0", [], None), ('APPEND "x" {1+}\r\n\0', ". OK"))

    def test_append_limit(self) -> None:
        """A message that is too large is not sent, where the server tells what is."""
        self.connect("IMAP4rev1 APPENDLIMIT=3 LITERAL+")
        error = self.error(TooLarge, self.session.append("x", b"abcd", [], None))
        self.assertEqual(error.code, "TOOBIG")
        self.ask(self.session.append("x", b"abc", [], None), ('APPEND "x" {3+}\r\nabc', ". OK"))
        self.connect("IMAP4rev1 APPENDLIMIT")
        asked = ('STATUS "x" (APPENDLIMIT)', "* STATUS x (APPENDLIMIT 100)\n. OK")
        self.error(TooLarge, self.session.append("x", b"x" * 2_000_000, [], None), asked)
        result = self.start(self.session.append("x", b"x" * 2_000_000, [], None))
        self.peer.answer(
            ('STATUS "x" (APPENDLIMIT)', ". NO there is none"), ('APPEND "x" {2000000}', ". NO [TRYCREATE] x")
        )
        self.assertEqual(self.failureResultOf(result, ServerRefused).value.code, "TRYCREATE")


class MoveTests(SessionCase):
    def test_move(self) -> None:
        """What leaves the folder is news; where it is now comes with an untagged OK or with the tagged one."""
        self.connect("IMAP4rev1 MOVE UIDPLUS QRESYNC CONDSTORE", enabled="QRESYNC")
        self.select()
        for told in (
            "* OK [COPYUID 9 4:5,8 20:22] moved\n* VANISHED 4:5,8\n. OK [HIGHESTMODSEQ 7] done",
            "* VANISHED 4:5,8\n. OK [COPYUID 9 4:5,8 20:22] done",
        ):
            moved = self.ask(self.session.move(UidSet.of([4, 5, 8]), "x"), ('UID MOVE 4:5,8 "x"', told))
            self.assertEqual(moved, Moved(9, {4: 20, 5: 21, 8: 22}))
        self.assertEqual(self.news, [Vanished(UidSet.of([4, 5, 8]), False)] * 2)
        error = self.error(
            ServerRefused, self.session.move(UidSet.of([4]), "y"), ('UID MOVE 4 "y"', ". NO [TRYCREATE] no")
        )
        self.assertEqual(error.code, "TRYCREATE")
        self.assertEqual(self.ask(self.session.move(UidSet.of([]), "x")), Moved(None, {}))

    def test_copy(self) -> None:
        """A copy, in as many commands as its set needs."""
        uids = UidSet.of(range(2, 4000, 2))
        result = self.start(self.session.copy(uids, "x"))
        while line := self.peer.heard():
            self.assertLess(len(line), 8000)
            tag, word = line.split(" ", 1)
            self.assertTrue(word.startswith("UID COPY "))
            asked = word.split()[2]
            self.peer.say(f"{tag} OK [COPYUID 9 {asked} {asked}] done")
        self.assertEqual(self.successResultOf(result), Moved(9, {uid: uid for uid in uids}))

    def test_no_move(self) -> None:
        """Without MOVE, or where it is only offered: copied, marked and expunged; only what was copied."""
        rest = (
            ('UID COPY 4:6 "x"', ". OK [COPYUID 9 4,6 20:21] done"),
            ("UID STORE 4,6 +FLAGS.SILENT (\\Deleted)", ". OK"),
            ("UID EXPUNGE 4,6", "* 1 EXPUNGE\n* 1 EXPUNGE\n. OK"),
        )
        for capabilities, before in (("UIDPLUS", ()), ("UIDPLUS MOVE", (('UID MOVE 4:6 "x"', ". BAD what"),))):
            self.connect(f"IMAP4rev1 {capabilities}")
            moved = self.ask(self.session.move(UidSet.of([4, 5, 6]), "x"), *before, *rest)
            self.assertEqual(moved, Moved(9, {4: 20, 6: 21}))

    def test_copy_refused(self) -> None:
        """What could not be copied is neither marked nor removed."""
        self.connect("IMAP4rev1 UIDPLUS")
        work = self.session.move(UidSet.of([4]), "x")
        self.assertEqual(self.error(ServerRefused, work, ('UID COPY 4 "x"', ". NO [TRYCREATE] no")).code, "TRYCREATE")
        work = self.session.move(UidSet.of([4]), "x")
        self.error(
            ServerRefused, work, ('UID COPY 4 "x"', ". OK"), ("UID STORE 4 +FLAGS.SILENT (\\Deleted)", ". NO no")
        )

    def test_no_uidplus(self) -> None:
        """With neither MOVE nor UIDPLUS, too."""
        self.connect(OLD)
        moved = self.ask(
            self.session.move(UidSet.of([4]), "x"),
            ('UID COPY 4 "x"', ". OK"),
            ("UID STORE 4 +FLAGS.SILENT (\\Deleted)", ". OK"),
            ("UID SEARCH DELETED", "* SEARCH 4\n. OK"),
            ("EXPUNGE", "* 1 EXPUNGE\n. OK"),
        )
        self.assertEqual(moved, Moved(None, {}))

    def test_name_is_no_syntax(self) -> None:
        """A folder's name says nothing but itself."""
        self.connect("IMAP4rev1 MOVE LITERAL+")
        self.ask(self.session.move(UidSet.of([4]), 'x" "y'), ('UID MOVE 4 "x\\" \\"y"', ". OK"))
        self.ask(self.session.move(UidSet.of([4]), "x\r\n1 NOOP"), ('UID MOVE 4 "x&AA0ACg-1 NOOP"', ". OK"))


class OrderTests(SessionCase):
    """Calls side by side: each acts in the folder that is selected when it is its turn, to its end."""

    capabilities = "IMAP4rev1 UIDPLUS"

    def test_select_between(self) -> None:
        """A folder is selected between two moves, never within the second: its marks would be set elsewhere."""
        self.select()
        first = self.start(self.session.copy(UidSet.of([1]), "x"))
        selected = self.start(self.session.select("other"))
        second = self.start(self.session.move(UidSet.of([5]), "y"))
        self.peer.answer(
            ('UID COPY 1 "x"', ". OK"),
            ('SELECT "other"', ". OK"),
            ('UID COPY 5 "y"', ". OK"),
            ("UID STORE 5 +FLAGS.SILENT (\\Deleted)", ". OK"),
            ("UID EXPUNGE 5", ". OK"),
        )
        for one in (first, selected, second):
            self.successResultOf(one)

    def test_unselect_between(self) -> None:
        """CLOSE meets the folder that was made read-only for it, never one that is selected meanwhile."""
        self.select()
        left = self.start(self.session.unselect())
        selected = self.start(self.session.select("other"))
        self.peer.answer(('EXAMINE "INBOX"', ". OK"), ("CLOSE", ". OK"), ('SELECT "other"', ". OK"))
        for one in (left, selected):
            self.successResultOf(one)
        assert self.session.selected is not None
        self.assertEqual(self.session.selected.path, "other")

    def test_many_lost(self) -> None:
        """However many wait for their turn, all hear that the connection is lost."""
        self.select()
        results = [self.start(self.session.store(UidSet.of([1]), "+", ["\\Seen"])) for _ in range(1000)]
        self.peer.lose()
        for one in results:
            self.failureResultOf(one, ConnectionLost)

    def test_select_given_up(self) -> None:
        """Who gives up selecting lets the next one go on."""
        self.select()
        for sent in (True, False):
            waiting = [] if sent else [self.start(self.session.noop())]
            selected = self.start(self.session.select("other"))
            following = self.start(self.session.copy(UidSet.of([1]), "x"))
            selected.cancel()
            self.failureResultOf(selected, CancelledError)
            self.peer.answer(('SELECT "other"', ". OK") if sent else ("NOOP", ". OK"), ('UID COPY 1 "x"', ". OK"))
            for one in (*waiting, following):
                self.successResultOf(one)


class ForeignMessagesTests(SessionCase):
    """A server whose EXPUNGE removes whatever is marked: 4 is ours, 7 and 8 are not."""

    capabilities = OLD
    look = "UID SEARCH DELETED"
    unmark = "UID STORE 7 -FLAGS.SILENT (\\Deleted)"
    mark = "UID STORE 7 +FLAGS.SILENT (\\Deleted)"

    def begin(self) -> Deferred[Any]:
        return self.start(self.session.expunge(UidSet.of([4])))

    def spoken(self) -> list[str]:
        """The commands heard since, without their tags; each is answered with OK."""
        lines = [line.split(" ", 1) for line in self.peer.heard().splitlines()]
        for tag, _ in lines:
            self.peer.say(f"{tag} OK")
        return [words for _, words in lines]

    def test_none(self) -> None:
        """Where no others are marked, EXPUNGE does it; where ours are not, nothing needs to be done."""
        said = (self.look, "* SEARCH 4\n. OK")
        self.assertTrue(self.ask(self.session.expunge(UidSet.of([4])), said, ("EXPUNGE", "* 1 EXPUNGE\n. OK")))
        self.assertTrue(self.ask(self.session.expunge(UidSet.of([4])), (self.look, ". OK")))

    def test_others(self) -> None:
        """Others lose their mark for that moment, and get it back with the same octets that expunge ours."""
        result = self.begin()
        self.peer.answer((self.look, "* SEARCH 4 7\n. OK"), (self.unmark, ". OK"), (self.look, "* SEARCH 4\n. OK"))
        self.assertEqual(self.spoken(), ["EXPUNGE", self.mark])
        self.assertTrue(self.successResultOf(result))

    def test_only_others(self) -> None:
        """When ours are not marked there is no EXPUNGE, and the others are as they were."""
        result = self.begin()
        self.peer.answer((self.look, "* SEARCH 7\n. OK"), (self.unmark, ". OK"), (self.look, ". OK"))
        self.assertEqual(self.spoken(), [self.mark])
        self.assertTrue(self.successResultOf(result))

    def test_more_meanwhile(self) -> None:
        """Another one that is marked meanwhile is seen, and kept out of it as well."""
        result = self.begin()
        self.peer.answer(
            (self.look, "* SEARCH 4 7\n. OK"),
            (self.unmark, ". OK"),
            (self.look, "* SEARCH 4 8\n. OK"),
            ("UID STORE 8 -FLAGS.SILENT (\\Deleted)", ". OK"),
            (self.look, "* SEARCH 4\n. OK"),
        )
        self.assertEqual(self.spoken(), ["EXPUNGE", "UID STORE 7:8 +FLAGS.SILENT (\\Deleted)"])
        self.assertTrue(self.successResultOf(result))

    def test_without_end(self) -> None:
        """When others are marked again and again, ours stay."""
        result = self.begin()
        for _ in range(3):
            self.peer.answer((self.look, "* SEARCH 4 7\n. OK"), (self.unmark, ". OK"))
        self.assertEqual(self.spoken(), [self.mark])
        self.assertFalse(self.successResultOf(result))

    def test_not_allowed(self) -> None:
        """When the server does not let us take a mark, ours stay, and what was taken comes back."""
        result = self.begin()
        self.peer.answer((self.look, "* SEARCH 4 7\n. OK"), (self.unmark, ". NO [NOPERM] no"))
        self.assertEqual(self.spoken(), [self.mark])
        self.assertFalse(self.successResultOf(result))

    def test_refused(self) -> None:
        """When EXPUNGE is refused, the others have their mark back all the same."""
        result = self.begin()
        self.peer.answer((self.look, "* SEARCH 4 7\n. OK"), (self.unmark, ". OK"), (self.look, "* SEARCH 4\n. OK"))
        expunge, mark = self.peer.heard().splitlines()
        self.assertEqual(mark.split(" ", 1)[1], self.mark)
        self.peer.say(f"{expunge.split()[0]} NO no", f"{mark.split()[0]} OK")
        self.failureResultOf(result, ServerRefused)

    def test_given_up(self) -> None:
        """Who gives up in the middle leaves the others with their marks."""
        result = self.begin()
        self.peer.answer((self.look, "* SEARCH 4 7\n. OK"))
        (line,) = self.peer.heard().splitlines()
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.peer.say(f"{line.split()[0]} OK")
        self.assertEqual(self.spoken(), [self.mark])

    def test_given_up_late(self) -> None:
        """Also when only the answers are missing."""
        result = self.begin()
        self.peer.answer((self.look, "* SEARCH 4 7\n. OK"), (self.unmark, ". OK"), (self.look, "* SEARCH 4\n. OK"))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.spoken(), ["EXPUNGE", self.mark])
        self.ask(self.session.noop(), ("NOOP", ". OK"))

    def test_lost(self) -> None:
        """A connection that ends before EXPUNGE was sent has removed nothing."""
        result = self.begin()
        self.peer.answer((self.look, "* SEARCH 4 7\n. OK"), (self.unmark, ". OK"))
        self.assertNotIn("EXPUNGE", self.peer.heard())
        self.peer.lose()
        self.failureResultOf(result, ConnectionLost)

    def test_another_folder(self) -> None:
        """No other folder is selected until all is done in this one."""
        result = self.begin()
        selected = self.start(self.session.select("x"))
        self.peer.answer((self.look, "* SEARCH 4 7\n. OK"), (self.unmark, ". OK"), (self.look, "* SEARCH 4\n. OK"))
        self.assertEqual(self.spoken(), ["EXPUNGE", self.mark])
        self.assertTrue(self.successResultOf(result))
        self.peer.answer(('SELECT "x"', ". OK"))
        self.successResultOf(selected)

    def test_another_folder_before(self) -> None:
        """A folder that is about to be selected is not the one to expunge from, nor to take marks from."""
        self.select()
        first = self.start(self.session.noop())
        selected = self.start(self.session.select("x"))
        result = self.begin()
        self.peer.answer(("NOOP", ". OK"), ('SELECT "x"', ". OK"))
        self.successResultOf(first)
        self.successResultOf(selected)
        self.assertFalse(self.successResultOf(result))
        self.assertEqual(self.peer.heard(), "")

    def test_side_by_side(self) -> None:
        """Of two calls the second waits for the first, lest each take the marks from the other's."""
        first, second = self.begin(), self.start(self.session.expunge(UidSet.of([7])))
        self.peer.answer((self.look, "* SEARCH 4 7\n. OK"), (self.unmark, ". OK"), (self.look, "* SEARCH 4\n. OK"))
        self.assertEqual(self.spoken(), ["EXPUNGE", self.mark])
        self.assertTrue(self.successResultOf(first))
        self.peer.answer((self.look, "* SEARCH 7\n. OK"), ("EXPUNGE", ". OK"))
        self.assertTrue(self.successResultOf(second))
