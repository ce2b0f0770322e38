"""Response codes and the free text behind them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.imap.codes import Code, split
from emailengine.wire.imap.uidset import UidSet


def code(text: bytes) -> Code:
    found, _ = split(text)
    assert found is not None
    return found


class CodeTests(SynchronousTestCase):
    @given(st.binary(max_size=40) | st.text(alphabet='[]() "\\aN1', max_size=30).map(str.encode))
    @example(b'[X "a]b" (c]d)] e')
    def test_never_fails(self, text: bytes) -> None:
        """Any text gives a code and a text, or only a text; every property of a code can be asked for."""
        found, rest = split(text)
        if found is None:
            self.assertEqual(rest, text.strip().decode("utf-8", "replace"))
        else:
            self.assertTrue(found.name)
            self.assertEqual(found.words, frozenset(one.upper() for one in found.flags))
            _ = found.number, found.text, found.append_uid, found.copy_uid

    def test_brackets(self) -> None:
        """A bracket inside a quoted string or a list does not end a code; a careless code ends at the first."""
        self.assertEqual(split(b'[X "a]b" (c]d)] e'), (Code("X", [b"a]b", [b"c]d"]], b'"a]b" (c]d)'), "e"))
        self.assertEqual(split(b'[X "a] b'), (Code("X", [b'"a'], b'"a'), "b"))
        self.assertEqual(split(b"[X (a] b"), (Code("X", [b"(a"], b"(a"), "b"))
        self.assertEqual(split(b"[x]"), (Code("X", [], b""), ""))
        self.assertEqual(split(b"[x y"), (None, "[x y"))

    def test_values(self) -> None:
        """The codes we ask for."""
        self.assertEqual(code(b"[UIDNEXT 4392] x").number, 4392)
        self.assertEqual(code(rb"[PERMANENTFLAGS (\Seen \*)]").flags, ("\\Seen", "\\*"))
        self.assertEqual(code(b"[CAPABILITY IMAP4rev1 idle] x").words, {"IMAP4REV1", "IDLE"})
        self.assertEqual(code(b"[MAILBOXID (F1)] x").text, "F1")
        self.assertEqual(code(b"[APPENDUID 38505 3955:3957] x").append_uid, (38505, UidSet.of_range(3955, 3957)))
        self.assertEqual(
            code(b"[COPYUID 1 304,319:320 3956:3958] x").copy_uid, (1, [(304, 3956), (319, 3957), (320, 3958)])
        )
        self.assertEqual(code(b"[COPYUID 1 2:1 8,5] x").copy_uid, (1, [(2, 8), (1, 5)]))

    def test_unreadable_values(self) -> None:
        """A code that says nothing readable says nothing; sets of different sizes pair nothing."""
        for text in (
            b"[APPENDUID 1]",
            b"[APPENDUID x 1]",
            b"[APPENDUID 1 *]",
            b"[APPENDUID 1 (2)]",
            b"[COPYUID 1 2 3]",
        ):
            self.assertIsNone(code(text).append_uid)
        for text in (b"[COPYUID 1 2]", b"[COPYUID x 1 1]", b"[COPYUID 1 * 1]", b"[COPYUID 1 1:4294967295 1]"):
            self.assertIsNone(code(text).copy_uid)
        self.assertEqual(code(b"[COPYUID 1 1:3 4:5]").copy_uid, (1, []))
        self.assertIsNone(code(b"[UIDNEXT]").number)
