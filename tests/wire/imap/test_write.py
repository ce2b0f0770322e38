"""Commands as text: whatever the arguments, they stay arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.errors import WeMisusedProtocol
from emailengine.wire.imap import mutf7, search, write
from emailengine.wire.imap.fetch import internal_date
from emailengine.wire.imap.splitter import Splitter
from emailengine.wire.imap.tokens import Piece, Reader, Token, join
from emailengine.wire.imap.uidset import UidSet
from emailengine.wire.imap.write import Literal, LiteralMode

EVIL = st.text(alphabet='a1 "\\(){}[]<>%*$:,.-+~\r\n\t\0\x7féſK\u2028日\ud800\u2060', max_size=12) | st.sampled_from(
    [
        'x" NOT "y',
        "a\r\na2 LOGOUT",
        "a{3}\r\nabc",
        "{3+}\r\n",
        ") (ALL",
        "1:*",
        "$",
        "\\Seen)",
        "\\Seen\r\n",
        "NIL",
        "ALL",
    ]
)
END_OF_LINE = re.compile(rb"\r\n|\r|\n")
END_IN_LITERAL = re.compile(rb"\{([0-9]+)[+-]?\}\Z")
NUMBERS = st.integers() | st.floats()

# Everything that takes text, and everything that takes a number
TEXT_ARGUMENTS: list[Callable[[Any], Any]] = [
    *(write.astring, write.string, write.quoted, write.nstring, write.mailbox, write.flag, write.item),
    *(write.field_name, write.sequence, lambda one: write.flag_list([one, one]), lambda one: write.items([one, one])),
    *(lambda one: write.item(write.header_fields([one])), lambda one: write.item(write.header_fields(["a"], part=one))),
    *(search.flag, search.uid, search.sequence, search.from_, search.to, search.cc, search.bcc, search.subject),
    *(search.body, search.text, search.header, lambda one: search.header("X", one), search.email_id, search.thread_id),
    *(search.gmail_id, search.gmail_thread, search.gmail_raw, search.gmail_label, write.label),
    *(lambda one: write.label_list(["\\Inbox", one, one]), lambda one: write.sort_keys([one, one])),
    *(lambda one: write.result_options([one]), lambda one: write.message(one.encode("utf-8", "replace"))),
]
UTF8_ARGUMENTS: list[Callable[[Any], Any]] = [
    *(partial(write.mailbox, utf8=True), partial(write.label, utf8=True), partial(search.gmail_label, utf8=True)),
    *(lambda one: write.label_list([one, one], utf8=True), lambda one: write.mailbox(one.encode("utf-8", "replace"))),
]
NUMBER_ARGUMENTS: list[Callable[[Any], Any]] = [
    *(write.date, write.date_time, search.since, search.before, search.on, search.sent_since, search.sent_before),
]
WHOLE_NUMBERS: list[Callable[[int], Any]] = [
    *(write.number, search.younger, search.older, search.larger, search.smaller, search.modseq),
    *(lambda one: write.result_options(page=(one, -5)), lambda one: write.result_options(["ALL"], page=(1, one))),
    *(lambda one: write.qresync(one, 1), lambda one: write.qresync(1, one, UidSet.of([1, 3]))),
]


def pieces_of(value: Any) -> list[Piece]:
    return list(value) if isinstance(value, list) else [value]


def read(pieces: list[Piece]) -> list[Token]:
    """The command as a server reads it from the wire."""
    octets = b"".join(b"".join(burst) for burst in write.render(b"*", pieces, LiteralMode.PLUS))
    (back,) = Splitter().feed(octets)
    text, literals = join(back)
    return Reader(text, literals).rest()[1:]


def commands(octets: bytes) -> int:
    """How many commands a server sees that knows of line ends and literals, of nothing else, and is not strict."""
    count = pos = 0
    while pos < len(octets):
        end = END_OF_LINE.search(octets, pos)
        assert end is not None, "the last command has no end"
        literal = END_IN_LITERAL.search(octets[pos : end.start()])
        pos = end.end() + (int(literal[1]) if literal else 0)
        count += not literal
    return count


class InjectionTests(SynchronousTestCase):
    def unbroken(self, make: Callable[[Any], Any], value: Any) -> None:
        """The argument is refused, or it is text without line breaks and literals, and ends where it should."""
        try:
            pieces = pieces_of(make(value))
        except WeMisusedProtocol:
            return
        for one in pieces:
            if isinstance(one, Literal):
                self.assertTrue(one.binary or b"\0" not in one.data)
            elif make in UTF8_ARGUMENTS:
                one.decode("utf-8")
                self.assertFalse(any(octet < 0x20 or octet == 0x7F for octet in one), one)
            else:
                self.assertTrue(all(0x20 <= octet <= 0x7E for octet in one), one)
        for mode in LiteralMode:
            bursts = write.render(b"a1", write.command(b"X", pieces, b"END"), mode)
            self.assertEqual(commands(b"".join(b"".join(burst) for burst in bursts)), 1)
        alone = read(write.command(b"X", pieces))
        self.assertEqual(read(write.command(b"X", write.parenthesised([pieces]), b"END")), [b"X", alone[1:], b"END"])

    @given(EVIL)
    @example("ſ")  # a letter in any case, where only ASCII is meant
    @example("\n")
    def test_texts(self, value: str) -> None:
        """No text leaves its place in a command."""
        for make in [*TEXT_ARGUMENTS, *UTF8_ARGUMENTS]:
            self.unbroken(make, value)

    @given(NUMBERS)
    def test_moments(self, value: float) -> None:
        """No number is anything but a date."""
        for make in NUMBER_ARGUMENTS:
            self.unbroken(make, value)

    @given(st.integers())
    def test_numbers(self, value: int) -> None:
        """Nor anything but a number."""
        for make in WHOLE_NUMBERS:
            self.unbroken(make, value)

    @given(st.binary(max_size=30))
    def test_octets(self, raw: bytes) -> None:
        """Raw names and strings do not either, and are read as what they were."""
        for make in (write.astring, write.string, write.mailbox):
            self.unbroken(make, raw)
            if b"\0" not in raw:
                self.assertEqual(read([make(raw)]), [raw])

    @given(EVIL)
    def test_names(self, name: str) -> None:
        """The name of a mailbox arrives as its octets."""
        raw = mutf7.encode(name)
        assume(b"\0" not in raw)
        self.assertEqual(read([write.mailbox(name)]), [raw])


class WriteTests(SynchronousTestCase):
    def test_strings(self) -> None:
        """Atoms where they do, quotes where they must, literals for the rest."""
        for text, written in [
            ("INBOX", b"INBOX"),
            ("nil", b'"nil"'),
            ("", b'""'),
            ("a b", b'"a b"'),
            ('a"\\', b'"a\\"\\\\"'),
            ("a*", b'"a*"'),
            ("é", Literal("é".encode())),
            ("a\r\nb", Literal(b"a\r\nb")),
            ("x" * 1001, Literal(b"x" * 1001)),
        ]:
            self.assertEqual(write.astring(text), written)
        self.assertEqual(write.nstring(None), b"NIL")
        self.assertEqual(write.mailbox("Entwürfe"), b'"Entw&APw-rfe"')
        self.assertEqual(write.mailbox("R&D é\\", utf8=True), '"R&D é\\\\"'.encode())
        self.assertEqual(write.mailbox(b"\xfc", utf8=True), Literal(b"\xfc"))
        self.assertEqual(write.mailbox("é\n", utf8=True), Literal("é\n".encode()))

    def test_joined(self) -> None:
        """Parts are joined by one space each; texts beside each other become one piece."""
        self.assertEqual(
            write.command(b"A", [b"(b", Literal(b"c"), b")"], write.parenthesised([b"d", Literal(b"e")])),
            [b"A (b", Literal(b"c"), b") (d ", Literal(b"e"), b")"],
        )

    def test_render(self) -> None:
        """What the server must ask for waits for its `+`; what it takes at once does not."""
        small, large = Literal(b"ab"), Literal(b"x" * 4097, binary=True)
        pieces: list[Piece] = [b"X ", small, b" ", large, b" y"]
        long = b"x" * 4097
        self.assertEqual(
            write.render(b"a1", pieces, LiteralMode.SYNCHRONIZING),
            [[b"a1 X {2}\r\n"], [b"ab", b" ~{4097}\r\n"], [long, b" y\r\n"]],
        )
        self.assertEqual(
            write.render(b"a1", pieces, LiteralMode.MINUS),
            [[b"a1 X {2+}\r\n", b"ab", b" ~{4097}\r\n"], [long, b" y\r\n"]],
        )
        self.assertEqual(
            write.render(b"a1", pieces, LiteralMode.PLUS),
            [[b"a1 X {2+}\r\n", b"ab", b" ~{4097+}\r\n", long, b" y\r\n"]],
        )
        self.assertEqual(write.render(b"a1", [b"X ", Literal(b"")], LiteralMode.PLUS), [[b"a1 X {0+}\r\n", b"\r\n"]])

    def test_items(self) -> None:
        """Items, flags and sets in the forms we use; nothing else."""
        for item in ("UID", "BODY.PEEK[1.2]<0.65536>", "BODY.PEEK[HEADER.FIELDS (TO)]", "BODY[]", "BINARY.PEEK[1]"):
            self.assertEqual(write.item(item), item.encode())
        self.assertEqual(write.items(["UID", "FLAGS"]), b"(UID FLAGS)")
        self.assertEqual(write.flag_list([]), b"()")
        self.assertEqual(write.sequence("1:*,7"), b"1:*,7")
        self.assertEqual(write.sequence(UidSet.of([1, 2, 9])), b"1:2,9")
        self.assertEqual(
            write.header_fields(["Subject", "from"], part="1.2", leave_out=True),
            "BODY.PEEK[1.2.HEADER.FIELDS.NOT (SUBJECT FROM)]",
        )
        for wrong in (
            lambda: write.items([]),
            lambda: write.header_fields([]),
            lambda: write.sequence(UidSet()),
            lambda: write.sequence("1,"),
            lambda: write.number(-1),
            lambda: write.number(1 << 63),
            lambda: write.flag(""),
        ):
            self.assertRaises(WeMisusedProtocol, wrong)

    def test_extensions(self) -> None:
        """What the extensions add, as the server gets it."""
        for found, expected in [
            (write.label_list(["\\Inbox", "Büro"]), [b'(\\Inbox "B&APw-ro")']),
            (write.label_list(["Büro"], utf8=True), ['("Büro")'.encode()]),
            (write.label_list([]), [b"()"]),
            (write.sort_keys(["REVERSE ARRIVAL", "SUBJECT"]), b"(REVERSE ARRIVAL SUBJECT)"),
            (write.result_options(), b"RETURN ()"),
            (write.result_options(["SAVE", "COUNT"]), b"RETURN (SAVE COUNT)"),
            (write.result_options(page=(-1, -100)), b"RETURN (PARTIAL -1:-100)"),
            (write.sequence("$"), b"$"),
            (write.qresync(1, 2), b"(QRESYNC (1 2))"),
            (write.qresync(1, 2, UidSet()), b"(QRESYNC (1 2))"),
            (write.qresync(1, 2, UidSet.of([3, 5])), b"(QRESYNC (1 2 3,5))"),
            (write.qresync(1, 2, UidSet.of(range(3, 9000, 2))), b"(QRESYNC (1 2 3:8999))"),
            (write.message(b"S: x\r\n\r\n\xe9"), [Literal(b"S: x\r\n\r\n\xe9")]),
            (write.message(b"\0"), [Literal(b"\0", binary=True)]),
            (write.message(b"S: x\r\n\r\n\xe9", utf8=True), [Literal(b"S: x\r\n\r\n\xe9")]),
            (
                write.message(b"S: \xc3\xa9\r\n\r\n", utf8=True),
                [b"UTF8 (", Literal(b"S: \xc3\xa9\r\n\r\n", binary=True), b")"],
            ),
        ]:
            self.assertEqual(found, expected)
        for wrong in (
            lambda: write.sort_keys([]),
            lambda: write.sort_keys(["DATE\n"]),
            lambda: write.result_options(["PARTIAL"]),
            lambda: write.result_options(page=(-1, 5)),
            lambda: write.result_options(page=(0, 5)),
            lambda: write.qresync(0, 5),
            lambda: write.qresync(5, 0),
            lambda: write.label("\\A B"),
            lambda: write.item('BODY["]'),
            lambda: write.item("BODY[)]"),
        ):
            self.assertRaises(WeMisusedProtocol, wrong)

    @given(st.integers(-62135596800, 253402300799))
    def test_moments(self, seconds: int) -> None:
        """APPEND's moment is read back to the second; SEARCH's is its day."""
        written = write.date_time(seconds)
        self.assertEqual(internal_date(written.strip(b'"')), seconds)
        self.assertEqual(internal_date(write.date(seconds) + b" 00:00:00 +0000"), seconds // 86400 * 86400)


class SearchTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """Criteria as the server gets them."""
        for found, expected in [
            (search.flag("\\seen", there=False), [b"UNSEEN"]),
            (search.flag("$Forwarded"), [b"KEYWORD $Forwarded"]),
            (search.since(1772615702.0), [b"SINCE 4-Mar-2026"]),
            (search.younger(0), [b"YOUNGER 1"]),
            (search.uid(UidSet.of([3, 4])), [b"UID 3:4"]),
            (search.header("message-id", "<a@b>"), [b'HEADER message-id "<a@b>"']),
            (search.subject("é"), [b"SUBJECT ", Literal("é".encode())]),
            (search.gmail_label("\\Inbox"), [b"X-GM-LABELS \\Inbox"]),
            (search.gmail_label("Büro"), [b'X-GM-LABELS "B&APw-ro"']),
            (search.all_of([]), [b"ALL"]),
            (search.any_of([]), [b"NOT (ALL)"]),
            (search.any_of([search.from_("a")]), [b'FROM "a"']),
            (search.negated(search.any_of([[b"A"], [b"B"], [b"C"]])), [b"NOT (OR (A) (OR (B) (C)))"]),
            (search.all_of([search.from_("a"), search.to("b")]), [b'FROM "a" TO "b"']),
            (search.charset(search.body("é")), [b"CHARSET UTF-8"]),
            (search.charset(search.body("é"), utf8=True), []),
            (search.charset(search.gmail_label("é", utf8=True)), [b"CHARSET UTF-8"]),
            (search.charset(search.body("a\r\n")), []),
        ]:
            self.assertEqual(found, expected)
        self.assertRaises(WeMisusedProtocol, search.flag, "\\Recent")

    def test_many_alternatives(self) -> None:
        """A thousand alternatives nest ten deep, not a thousand."""
        (found,) = search.any_of([search.uid(str(one)) for one in range(1, 1001)])
        assert isinstance(found, bytes)
        depth = deepest = 0
        for octet in found:
            depth += (octet == 40) - (octet == 41)
            deepest = max(deepest, depth)
        self.assertEqual(found.count(b"OR "), 999)
        self.assertLessEqual(deepest, 11)

    def test_days(self) -> None:
        """The day after a moment cuts nothing off, and is the moment itself at midnight."""
        self.assertEqual(
            [search.day_after(one) for one in (0.0, 1.0, 86400.0, 86400.5)], [0.0, 86400.0, 86400.0, 172800.0]
        )
