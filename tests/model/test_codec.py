"""Reading input with all its faults at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType, field
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import InvalidInput
from emailengine.model.account import AccountUpdate, Registration
from emailengine.model.codec import FAULT_LIMIT, encode, fault, read, read_json, read_pairs
from emailengine.model.settings import Settings
from emailengine.model.shape import Record, Request
from emailengine.model.submission import SubmitRequest


class Inner(Record, kw_only=True):
    open_ended: ClassVar[bool] = True

    some_number: Annotated[int, Meta(ge=1, le=9)]
    fraction: float = 0.0


class Outer(Request, kw_only=True):
    later: ClassVar[dict[str, str]] = {"proxy": "proxies"}

    name: Annotated[str, Meta(min_length=1, max_length=5, extra={"trim": True})]
    switch: bool = False
    lenient: Annotated[bool, Meta(extra={"lenient": True})] = False
    choice: Annotated[Literal["one", "two"], Meta(extra={"lower": True})] = "one"
    when: Annotated[str, Meta(extra={"as": "date"})] | None = None
    blank: Annotated[str, Meta(extra={"as": "email", "blank": True})] | UnsetType = UNSET
    list_: Annotated[list[Inner] | None, Meta(extra={"single": True})] = field(name="list", default=None)
    nothing: Annotated[Inner | None, Meta(extra={"false": True})] = None
    free: dict[str, Any] | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.switch and self.lenient:
            yield "lenient", "is not allowed beside switch"


def fields(call: Any, *arguments: Any) -> dict[str, str]:
    """The faults of a refusal: message by key."""
    try:
        call(*arguments)
    except InvalidInput as error:
        return {one["key"]: one["message"] for one in error.extra.get("fields", [])}
    raise AssertionError("nothing was refused")


class FaultTests(SynchronousTestCase):
    def test_all_at_once(self) -> None:
        """Every fault of a body is told in one answer, each with its path and its last name."""
        body = {
            "switch": "maybe",
            "choice": "three",
            "when": "soon",
            "blank": "x",
            "list": [{"someNumber": 0}, {"someNumber": "1", "fraction": "x"}, 7],
            "nothing": {},
            "proxy": "http://x",
            "other": 1,
        }
        with self.assertRaises(InvalidInput) as caught:
            read_json(json.dumps(body).encode(), Outer)
        found = {one["message"].split('"')[1]: one["key"] for one in caught.exception.extra["fields"]}
        self.assertEqual(
            found,
            {
                "switch": "switch",
                "choice": "choice",
                "when": "when",
                "blank": "blank",
                "list[0].someNumber": "someNumber",
                "list[1].fraction": "fraction",
                "list[2]": "2",
                "nothing.someNumber": "someNumber",
                "proxy": "proxy",
                "other": "other",
                "name": "name",
            },
        )
        self.assertEqual(caught.exception.status, 400)

    def test_rules(self) -> None:
        """What no single field can tell is looked at once the fields are good."""
        body = {"name": "a", "switch": True, "lenient": True}
        self.assertEqual(fields(read, body, Outer), {"lenient": '"lenient" is not allowed beside switch'})

    def test_later(self) -> None:
        """A feature that does not exist is refused by name, and switching it off is fine."""
        self.assertIn("is not available yet", fields(read, {"name": "a", "proxy": True}, Outer)["proxy"])
        for off in (None, False, "false"):
            self.assertEqual(read({"name": "a", "proxy": off}, Outer), Outer(name="a"))

    def test_no_json(self) -> None:
        """What is no JSON is one plain refusal; an empty body is an empty object."""
        for raw in (b"{", b"\xff", b'{"a":1}x', b"[" * 100_000, b'"\\ud800"'):
            with self.assertRaises(InvalidInput) as caught:
                read_json(raw, Outer)
            self.assertEqual(caught.exception.extra, {})
        for raw in (b"[]", b"1", b"null"):
            self.assertEqual(fields(read_json, raw, Outer), {"value": '"value" must be an object'})
        self.assertEqual(list(fields(read_json, b" \r\n", Outer)), ["name"])

    def test_many(self) -> None:
        """A body of nothing but faults does not give an answer of its size."""
        with self.assertRaises(InvalidInput) as caught:
            read({f"{'k' * 1000}{n}": 1 for n in range(10_000)}, Outer)
        self.assertEqual(len(caught.exception.extra["fields"]), FAULT_LIMIT)
        self.assertLess(len(encode(caught.exception.extra)), FAULT_LIMIT * 700)

    def test_one(self) -> None:
        """A fault that is found later looks the same."""
        self.assertEqual(
            fault("imap.auth.pass", "is wrong").extra,
            {"fields": [{"message": '"imap.auth.pass" is wrong', "key": "pass"}]},
        )


class ConversionTests(SynchronousTestCase):
    def test_converted(self) -> None:
        """Numbers, switches and dates given as text are converted, texts trimmed, a bare value makes a list."""
        read_ = read(
            {
                "name": " abc ",
                "switch": "Y",
                "choice": " TWO ",
                "when": "2021-03-22T15:13:31+02:00",
                "blank": "",
                "list": {"someNumber": " 7 ", "fraction": "1.5", "unknown": 1},
                "nothing": False,
                "free": {"a": [1]},
            },
            Outer,
        )
        wanted = Outer(
            name="abc",
            switch=True,
            choice="two",
            when="2021-03-22T13:13:31.000Z",
            blank="",
            list_=[Inner(some_number=7, fraction=1.5)],
            free={"a": [1]},
        )
        self.assertEqual(read_, wanted)

    def test_switches(self) -> None:
        """The words for yes and no; only a lenient switch takes those of a form."""
        for value, wanted in (("true", True), ("1", True), ("y", True), ("false", False), ("N", False), (0, False)):
            self.assertIs(read({"name": "a", "switch": value}, Outer).switch, wanted)
        wrong: list[object] = ["on", "", "yes", 1, 2, None, [], "0"]
        for one in wrong:
            self.assertEqual(list(fields(read, {"name": "a", "switch": one}, Outer)), ["switch"], one)
        self.assertTrue(read({"name": "a", "lenient": "on"}, Outer).lenient)
        self.assertFalse(read({"name": "a", "lenient": ""}, Outer).lenient)

    def test_numbers(self) -> None:
        """Whole numbers may be 7.0, never true, 7.5, infinite or beyond what every JSON reader keeps."""
        self.assertEqual(read({"someNumber": 7.0}, Inner), Inner(some_number=7))
        for value in (True, 7.5, "7.5", "", "0x7", "٧", 10, float("inf"), float("nan"), None):
            self.assertEqual(list(fields(read, {"someNumber": value}, Inner)), ["someNumber"], value)
        for value in (2**53, float("inf"), float("nan"), "1e3"):
            self.assertEqual(list(fields(read, {"someNumber": 1, "fraction": value}, Inner)), ["fraction"], value)

    def test_pairs(self) -> None:
        """A query is read like a body; a name that is there twice is a list."""
        self.assertEqual(read_pairs([("name", "a"), ("switch", "true")], Outer), Outer(name="a", switch=True))
        self.assertEqual(list(fields(read_pairs, [("name", "a"), ("name", "b")], Outer)), ["name"])

    JSON = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("auth", "imap", "host", "headers", "user", "x")), inner, max_size=3),
        max_leaves=8,
    )  # fmt: skip

    @given(st.sampled_from((Registration, AccountUpdate, Settings, SubmitRequest)), st.data())
    def test_anything(self, type_: Any, data: Any) -> None:
        """Whatever a client sends is read or refused; what was read is written as JSON and read again as the same."""
        names = st.sampled_from([one.encode_name for one in msgspec.structs.fields(type_)])
        value = data.draw(st.dictionaries(names, self.JSON, max_size=5))
        try:
            found = read(value, type_)
        except InvalidInput as error:
            self.assertTrue(error.extra["fields"])
            return
        try:
            written = encode(found)
        except UnicodeEncodeError:
            return  # half a character, which no JSON text can bring in
        self.assertEqual(read_json(written, type_), found)
