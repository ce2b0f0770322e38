"""FETCH responses: the fast readings of usual lines agree with the reading of any line."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import TheyBrokeProtocol
from emailengine.wire.imap import body, usual
from emailengine.wire.imap.fetch import internal_date
from emailengine.wire.imap.responses import Fetch, parse
from emailengine.wire.imap.tokens import Reader, Token

WORD = st.sampled_from([b'"TEXT"', b'"plain"', b'"message"', b'"RFC822"', b'"global"', b'"8bit"', b'"x y"', b'" "'])
STRING = st.sampled_from(
    [b"NIL", b"nil", b'""', b'"a"', b'"NIL"', b'"a b"', b'"a)("', b'"x\\"y"', b'"\\\\"', b'"\xc3\xa9"', b'"\xe9"', b"x"]
)
NUMBER = st.sampled_from([b"0", b"7", b"007", b"123456789012345678", b"1234567890123456789", b"NIL", b'"5"'])
PARAMS = st.lists(STRING, max_size=5).map(lambda inner: b"(" + b" ".join(inner) + b")") | st.just(b"NIL")
DISPOSITION = st.just(b"NIL") | st.tuples(STRING, PARAMS).map(lambda two: b"(" + b" ".join(two) + b")") | STRING
EXTENSION = st.tuples(DISPOSITION, PARAMS | STRING, STRING, NUMBER).flatmap(
    lambda four: st.integers(0, 4).map(lambda count: list(four[:count]))
)
PERSON = st.lists(STRING, min_size=3, max_size=5).map(lambda four: b"(" + b" ".join(four) + b")")
PEOPLE = st.just(b"NIL") | st.lists(PERSON, max_size=3).map(lambda all_: b"(" + b"".join(all_) + b")")
ENVELOPE = st.tuples(STRING, STRING, *[PEOPLE] * 6, STRING, STRING).map(lambda ten: b"(" + b" ".join(ten) + b")")
LEAF = st.tuples(
    st.tuples(WORD | STRING, WORD | STRING, PARAMS, STRING, STRING, WORD | STRING, NUMBER).map(list),
    st.lists(NUMBER | ENVELOPE, max_size=2),
    st.lists(STRING, max_size=1),
    EXTENSION,
).map(lambda four: b"(" + b" ".join([one for part in four for one in part]) + b")")
STRUCTURE = st.recursive(
    LEAF,
    lambda inner: st.tuples(st.lists(inner, max_size=3), WORD | STRING, PARAMS, EXTENSION).map(
        lambda four: b"(" + b"".join(four[0]) + b" " + b" ".join([four[1], four[2], *four[3]]) + b")"
    ),
    max_leaves=5,
)
ITEM = st.one_of(
    st.sampled_from(
        [
            b"UID 7",
            b"UID 0",
            b"UID 4294967295",
            b"UID 4294967296",
            b"uid 7",
            b"UID x",
            b"MODSEQ (5)",
            b"MODSEQ (0)",
            b"X (a)",
        ]
    ),
    st.sampled_from(
        [b"MODSEQ (1234567890123456789)", b"RFC822.SIZE 12", b"RFC822.SIZE 1234567890123456789", b"BODY[] NIL"]
    ),
    st.sampled_from(
        [b'INTERNALDATE " 4-Mar-2026 09:15:02 +0100"', b'INTERNALDATE "x"', b"INTERNALDATE NIL", b"MODSEQ ()"]
    ),
    st.lists(
        st.sampled_from([rb"\Seen", rb"\SEEN", b"$X", b"NIL", b"\xe9", b"a\x0bb", b'"q"', b"(z)"]), max_size=3
    ).map(lambda flags: b"FLAGS (" + b" ".join(flags) + b")"),
    ENVELOPE.map(lambda one: b"ENVELOPE " + one),
    STRUCTURE.map(lambda one: b"BODYSTRUCTURE " + one),
    STRUCTURE.map(lambda one: b"BODY " + one),
)


class UsualTests(SynchronousTestCase):
    @given(st.lists(ITEM, max_size=5), st.sampled_from([b"1", b"0", b"4294967295"]))
    def test_items(self, items: list[bytes], seq: bytes) -> None:
        """A line in the usual form says what it says with more spaces, which no fast reading takes."""
        usual_form = parse([b"* " + seq + b" FETCH (" + b" ".join(items) + b")"])
        any_form = parse([b"* " + seq + b"  FETCH  (" + b"".join(b"  " + one for one in items) + b" )"])
        self.assertEqual(usual_form, any_form)

    @given(STRUCTURE, st.integers(1, 6))
    @example(b'("message" "rfc822" NIL NIL NIL "7bit" 9 NIL ("attachment" NIL))', 50)
    @example(b'("message" "rfc822" NIL NIL NIL "7bit" 9 5 NIL)', 50)
    @example(b'(("a" "b" NIL NIL NIL "7bit" 9)("a" "b" NIL NIL NIL "7bit" 9)"mixed")', 50)
    def test_structures(self, text: bytes, max_nesting: int) -> None:
        """What the fast reading takes of a structure is what the tokens say, and it ends in the same place."""
        fast = usual.part(text + b" rest", 0, max_nesting)
        if fast is not None:
            reader = Reader(text + b" rest", max_nesting=max_nesting)
            self.assertEqual((body.part(reader.value()), reader.pos), fast)

    @given(ENVELOPE)
    def test_envelopes(self, text: bytes) -> None:
        """The same for envelopes."""
        fast = usual.envelope(text + b" rest", 0)
        if fast is not None:
            reader = Reader(text + b" rest")
            self.assertEqual((body.envelope(reader.value()), reader.pos), fast)

    def test_usual_is_fast(self) -> None:
        """The forms that servers send most are taken by the fast readings: the tests above do not compare nothing."""
        leaf = b'("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 12 1 NIL ("inline" NIL) NIL NIL)'
        for text in (leaf, b"(" + leaf + leaf + b' "alternative" ("boundary" "x") NIL NIL NIL)'):
            self.assertIsNotNone(usual.part(text, 0, 50))
        self.assertIsNotNone(usual.envelope(b'("d" "s" ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL NIL "<i@x>")', 0))

    @given(st.lists(ITEM, max_size=3), st.integers(0, 200), st.binary(max_size=3))
    def test_damaged(self, items: list[bytes], place: int, damage: bytes) -> None:
        """A damaged line is read or refused, nothing else."""
        line = b"* 5 FETCH (" + b" ".join(items) + b")"
        place %= len(line)
        try:
            parse([line[:place] + damage + line[place + 1 :]])
        except TheyBrokeProtocol:
            pass


class PartTests(SynchronousTestCase):
    def test_walk(self) -> None:
        """Parts are walked in the order of the message, each with those around it."""
        found = parse(
            [
                b'* 1 FETCH (BODY ((("text" "plain" NIL NIL NIL "7bit" 1 1)("text" "html" NIL NIL NIL "7bit" 1 1) "alternative")'
                b'("a" "b" NIL NIL NIL "7bit" 1) "mixed"))'
            ]
        )
        assert isinstance(found, Fetch)
        assert found.body is not None
        self.assertEqual([one.number for one in found.body.walk()], ["", "1", "1.1", "1.2", "2"])
        self.assertEqual(
            [(one.number, [above.subtype for above in parents]) for one, parents in found.body.walk_with_parents()],
            [
                ("", []),
                ("1", ["mixed"]),
                ("1.1", ["mixed", "alternative"]),
                ("1.2", ["mixed", "alternative"]),
                ("2", ["mixed"]),
            ],
        )

    @given(st.recursive(st.none() | st.sampled_from([b"", b"text", b"7", b"NIL"]), st.lists, max_leaves=30))
    def test_any_tree(self, tree: Token) -> None:
        """Any tree is a structure and an envelope, or none."""
        found = body.part(tree)
        self.assertEqual(found is None, not isinstance(tree, list) or not tree)
        if found is not None:
            numbers = [one.number for one in found.walk() if one.type != "multipart"]
            self.assertEqual(len(numbers), len(set(numbers)))
        self.assertEqual(body.envelope(tree) is None, not isinstance(tree, list))


class DateTests(SynchronousTestCase):
    def test_dates(self) -> None:
        """INTERNALDATE in its own form and in careless ones; what is no date is none."""
        for text, seconds in [
            (b"01-Jan-1970 00:00:00 +0000", 0.0),
            (b" 1-Jan-1970 01:00:00 +0100", 0.0),
            (b"1-JAN-1970 00:00:00.123 +00:00", 0.0),
            (b"29-Feb-2024 23:59:60 -0130", 1709256600.0),
            (b"29-Feb-2023 00:00:00 +0000", None),
            (b"00-Jan-2023 00:00:00 +0000", None),
            (b"01-Jan-0000 00:00:00 +0000", None),
            (b"01-Foo-2023 00:00:00 +0000", None),
            (b"01-Jan-2023 24:00:00 +0000", None),
            (b"01-Jan-2023 00:00:00", None),
            (b"", None),
        ]:
            self.assertEqual(internal_date(text), seconds, text)
