"""What a server means is what we read: values written as responses, in any portions, come back."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.imap import mutf7, write
from emailengine.wire.imap.body import Address, Envelope, Part
from emailengine.wire.imap.codes import Code
from emailengine.wire.imap.mailboxes import ListEntry, Namespace, NamespaceEntry, Quota, QuotaRoot, StatusData
from emailengine.wire.imap.responses import (
    Capability,
    Enabled,
    ESearch,
    Exists,
    Expunge,
    Fetched,
    Flags,
    Id,
    Recent,
    Response,
    Search,
    Sort,
    Status,
    Tagged,
    Vanished,
    parse,
)
from emailengine.wire.imap.splitter import Splitter
from emailengine.wire.imap.tokens import Piece
from emailengine.wire.imap.uidset import MAX_UID, UidSet
from emailengine.wire.imap.write import LiteralMode

Said = Piece | list[Piece]

NIL = b"NIL"
OCTETS = st.binary(min_size=1, max_size=12).map(lambda raw: raw.replace(b"\0", b"0")) | st.sampled_from(
    [b"NIL", b'a"b\\c', b"{3}", b"a\r\nb", b"(", b") x"]
)
STRING = st.none() | st.just(b"") | OCTETS
TEXT = OCTETS.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
WORD = st.sampled_from(["a", "mixed", "x-odd", "nil", "vnd.x+y"])
ATOM = st.sampled_from(["MESSAGES", "X-1", "STORAGE", "UIDNEXT"])
NUMBER = st.integers(0, (1 << 63) - 1)
UID = st.integers(1, MAX_UID)
UIDS = st.lists(UID | st.integers(1, 30), max_size=9).map(UidSet.of)
FLAGS = st.lists(st.sampled_from(["\\Seen", "\\Flagged", "$Forwarded", "klär"]), max_size=4, unique=True).map(tuple)


def maybe(value: bytes | str | None) -> Said:
    return write.nstring(value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value)


def listed(parts: Iterable[Said]) -> list[Piece]:
    return write.parenthesised(parts)


def flags_said(flags: Iterable[str]) -> bytes:
    return f"({' '.join(flags)})".encode()


PERSON = st.builds(Address, st.none() | OCTETS, st.none() | OCTETS, st.none() | OCTETS)
PEOPLE = st.lists(PERSON, max_size=2).map(tuple)
ENVELOPES = st.builds(Envelope, STRING, STRING, *[PEOPLE] * 6, STRING, STRING)
PARAMS = st.dictionaries(WORD, TEXT, max_size=2)


def envelope_said(one: Envelope) -> Said:
    people = [one.from_, one.sender, one.reply_to, one.to, one.cc, one.bcc]
    return listed(
        [
            *(maybe(one.date), maybe(one.subject)),
            *[
                listed([listed([maybe(a.name), NIL, maybe(a.mailbox), maybe(a.host)]) for a in some]) if some else NIL
                for some in people
            ],
            *(maybe(one.in_reply_to), maybe(one.message_id)),
        ]
    )


@st.composite
def parts(draw: st.DrawFn, number: str = "", leaf: str = "1", deep: int = 2) -> Part:
    kind = draw(st.sampled_from(["text", "other", *["multipart", "message"] * (deep > 0)]))
    dot = f"{number}." if number else ""
    disposition = draw(st.none() | st.sampled_from(["inline", "attachment"]))
    told: dict[str, Any] = {
        "params": draw(PARAMS),
        "disposition": disposition,
        "disposition_params": draw(PARAMS) if disposition else {},
        "language": draw(st.lists(st.sampled_from(["de", "en"]), max_size=2).map(tuple)),
        "location": draw(st.none() | TEXT),
    }
    if kind == "multipart":
        numbers = [f"{dot}{place}" for place in range(1, draw(st.integers(1, 3)) + 1)]
        children = tuple([draw(parts(one, one, deep - 1)) for one in numbers])
        return Part(number, "multipart", draw(WORD), children=children, **told)
    if kind == "message":
        told |= {"subtype": "rfc822", "envelope": draw(ENVELOPES), "lines": draw(NUMBER)}
        told |= {"children": (draw(parts(leaf, f"{leaf}.1", deep - 1)),)}
    elif kind == "text":
        told |= {"subtype": draw(WORD), "lines": draw(NUMBER)}
    else:
        told |= {"subtype": draw(WORD)}
        kind = draw(st.sampled_from(["image", "application"]))
    told |= {"content_id": draw(st.none() | TEXT), "description": draw(st.none() | TEXT)}
    told |= {"encoding": draw(WORD), "size": draw(NUMBER), "md5": draw(st.sampled_from([None, "abc="]))}
    return Part(leaf, kind, **told)


def params_said(params: dict[str, str]) -> Said:
    return listed([one for pair in params.items() for one in map(maybe, pair)]) if params else NIL


def part_said(one: Part) -> Said:
    disposition: Said = NIL
    if one.disposition is not None:
        disposition = listed([maybe(one.disposition), params_said(one.disposition_params)])
    language: Said = listed([maybe(word) for word in one.language]) if one.language else NIL
    end = [disposition, language, maybe(one.location)]
    if one.type == "multipart":
        return listed([*map(part_said, one.children), maybe(one.subtype), params_said(one.params), *end])
    middle: list[Said] = []
    if one.envelope is not None:
        middle = [envelope_said(one.envelope), part_said(one.children[0])]
    if one.lines is not None:
        middle.append(b"%d" % one.lines)
    start = [maybe(one.type), maybe(one.subtype), params_said(one.params), maybe(one.content_id)]
    start += [maybe(one.description), maybe(one.encoding), b"%d" % one.size]
    return listed([*start, *middle, maybe(one.md5), *end])


def tried(octets: bytes, cuts: list[int], *, utf8: bool = False) -> Response:
    """The response in these octets, which come in portions."""
    splitter = Splitter()
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    (pieces,) = [one for a, b in pairwise(edges) for one in splitter.feed(octets[a:b])]
    return parse(pieces, utf8=utf8)


CUTS = st.lists(st.integers(0, 500), max_size=5)


class RoundTripTests(SynchronousTestCase):
    def back(self, value: Response, cuts: list[int], *said: Said, utf8: bool = False) -> None:
        """What is said means the value."""
        bursts = write.render(b"*", write.command(*said), LiteralMode.SYNCHRONIZING)
        self.assertEqual(tried(b"".join(b"".join(one) for one in bursts), cuts, utf8=utf8), value)

    @given(st.data(), CUTS)
    def test_fetch(self, data: st.DataObject, cuts: list[int]) -> None:
        """Any items in any order."""
        found = Fetched(data.draw(UID))
        items: list[list[Said]] = []

        def item(name: str, values: st.SearchStrategy[Any], *said: Any) -> Any:
            value = data.draw(st.none() | values)
            if value is not None:
                items.append([name.encode(), *[one(value) for one in said]])
            return value

        found.uid = item("UID", UID, write.number)
        found.flags = item("FLAGS", FLAGS, flags_said)
        found.modseq = item("MODSEQ", NUMBER, lambda one: b"(%d)" % one)
        found.internal_date = item("INTERNALDATE", st.integers(0, 1 << 33), write.date_time)
        found.size = item("RFC822.SIZE", NUMBER, write.number)
        found.envelope = item("ENVELOPE", ENVELOPES, envelope_said)
        found.body = item("BODYSTRUCTURE", parts(), part_said)
        found.email_id = item("EMAILID", st.just("M1-_x"), lambda one: b"(M1-_x)")
        found.thread_id = item("X-GM-THRID", st.just("12"), lambda one: b"12")
        found.labels = item("X-GM-LABELS", st.just(("\\Inbox", "Büro", 'a"b')), write.label_list)
        found.preview = item("PREVIEW", st.sampled_from(["", "Grüße", "a\r\nb"]), maybe)
        sections: dict[str, bytes | None] = {}
        for name in ("BODY[]", "BODY[1.2]", "BODY[HEADER.FIELDS (SUBJECT TO)]", "BINARY[3]", "RFC822.HEADER"):
            content = item(name, OCTETS | st.just(b""), maybe)
            if content is not None:
                sections[name] = content
                if "FIELDS" in name:
                    sections["HEADER.FIELDS"] = content
        found.sections = sections
        size = item("BINARY.SIZE[3]", NUMBER, write.number)
        found.binary_sizes = {} if size is None else {"3": size}
        in_any_order = data.draw(st.permutations(items))
        flat = [one for words in in_any_order for one in words]
        self.back(found, cuts, write.number(found.seq), b"FETCH", listed(flat))

    @given(OCTETS, OCTETS, st.sampled_from(["/", ".", "\\", '"', None]), CUTS, st.booleans())
    def test_names(self, raw: bytes, old: bytes, delimiter: str | None, cuts: list[int], utf8: bool) -> None:
        """Everything that has the name of a mailbox in it."""
        name, between = mutf7.decode(raw, utf8=utf8), maybe(delimiter)
        said = write.mailbox(raw)
        entry = ListEntry(frozenset({"\\Sent", "x"}), delimiter, raw, name)
        self.back(entry, cuts, b"LIST", rb"(\sent x)", between, said, utf8=utf8)
        extended = ListEntry(
            entry.flags, delimiter, raw, name, {"OLDNAME": [old]}, "LSUB", mutf7.decode(old, utf8=utf8)
        )
        renamed = listed([b'"OLDNAME"', listed([write.mailbox(old)])])
        self.back(extended, cuts, b"LSUB", rb"(\Sent x)", between, said, renamed, utf8=utf8)
        status = StatusData(raw, name, {"MESSAGES": 3, "MAILBOXID": "F1"})
        self.back(status, cuts, b"STATUS", said, b"(MESSAGES 3 MAILBOXID (F1))", utf8=utf8)
        self.back(QuotaRoot(raw, name, ("", "x y")), cuts, b"QUOTAROOT", said, b'"" "x y"', utf8=utf8)
        space = NamespaceEntry(name, raw, delimiter, {"TRANSLATION": (old,)})
        entries = listed([listed([said, between, b'"TRANSLATION"', listed([write.mailbox(old)])])])
        if delimiter != "\\" and b'"\\")' not in raw + old:
            self.back(Namespace((), (space,), (space,)), cuts, b"NAMESPACE NIL", entries, entries, utf8=utf8)

    @given(st.lists(UID, max_size=9), st.none() | NUMBER, UIDS, UIDS, CUTS)
    def test_found(self, uids: list[int], modseq: int | None, some: UidSet, page: UidSet, cuts: list[int]) -> None:
        """Everything that tells which messages."""
        numbers = [b"%d" % one for one in uids]
        told = [] if modseq is None or modseq >= 10**18 else [b"(MODSEQ %d)" % modseq]
        end = modseq if told else None
        self.back(Search(uids, end), cuts, b"SEARCH", *numbers, *told)
        self.back(Sort(uids, end), cuts, b"SORT", *numbers, *told)
        self.back(Vanished(some, True), cuts, b"VANISHED (EARLIER)", str(some).encode())
        self.back(Vanished(some, False), cuts, b"VANISHED", str(some).encode())
        said = [b"PARTIAL (1:9 %s)" % (str(page).encode() or NIL), b"MIN 1 MAX 2 COUNT %d" % len(uids)]
        if some:
            said.append(b"ALL " + str(some).encode())
        found = ESearch(b"a1", True, some or None, 1, 2, len(uids), modseq, page)
        said += [] if modseq is None else [b"MODSEQ %d" % modseq]
        self.back(found, cuts, b'ESEARCH (TAG "a1") UID', *said)

    @given(st.dictionaries(ATOM, st.tuples(NUMBER, NUMBER)), st.dictionaries(WORD, st.none() | st.text()), UID, CUTS)
    def test_others(
        self, resources: dict[str, tuple[int, int]], names: dict[str, str | None], n: int, cuts: list[int]
    ) -> None:
        """The rest."""
        numbers = [b"%s %d %d" % (key.encode(), used, limit) for key, (used, limit) in resources.items()]
        self.back(Quota("a b", resources), cuts, b"QUOTA", b'"a b"', b"(" + b" ".join(numbers) + b")")
        names = {key: None if value is None else value.replace("\0", "") for key, value in names.items()}
        names = {key: value for key, value in names.items() if value is None or value.isprintable()}
        pairs = [one for key, value in names.items() for one in (maybe(key.upper()), maybe(value))]
        self.back(Id(names), cuts, b"ID", listed(pairs))
        for kind, word in ((Exists, b"EXISTS"), (Recent, b"RECENT"), (Expunge, b"EXPUNGE")):
            self.back(kind(n), cuts, write.number(n), word)
        self.back(Flags(("\\Seen", "x")), cuts, rb"FLAGS (\SEEN x)")
        self.back(Capability(frozenset(resources)), cuts, b"CAPABILITY", *[key.encode() for key in resources])
        self.back(Enabled(frozenset(resources)), cuts, b"ENABLED", *[key.encode().lower() for key in resources])

    @given(st.sampled_from(["OK", "NO", "BAD"]), OCTETS, st.text(alphabet='a [](){}"\\5é', max_size=20), CUTS)
    def test_statuses(self, status: str, argument: bytes, text: str, cuts: list[int]) -> None:
        """A code with any string in it, and any text after it."""
        quoted = b'"' + argument.translate(None, b'\r\n"\\') + b'"'
        code = Code("BADURL", [quoted[1:-1], b"5"], quoted + b" 5")
        line = b"%s [BADURL %s 5] %s\r\n" % (status.encode(), quoted, text.encode())
        self.assertEqual(tried(b"* " + line, cuts), Status(status, code, text.strip()))
        self.assertEqual(tried(b"a7 " + line, cuts), Tagged(b"a7", status, code, text.strip()))
