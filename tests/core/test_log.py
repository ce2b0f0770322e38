"""The log: lines that programs read, whatever is thrown at it."""

from __future__ import annotations

import json
import time
from typing import Any

from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.log import LEVELS, LONGEST, JsonLog
from emailengine.errors import ConnectFailed


@frozen
class Credentials:
    user: str
    word: str

    def __str__(self) -> str:
        return self.user


class LogCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[bytes] = []

    def logger(self, level: str = "debug") -> Logger:
        return Logger("tests.log", observer=JsonLog(self.lines.append, level))

    def last(self) -> dict[str, Any]:
        line = self.lines[-1]
        self.assertEqual(line.count(b"\n"), 1)
        self.assertTrue(line.endswith(b"\n"))
        parsed: dict[str, Any] = json.loads(line)
        return parsed


class LineTests(LogCase):
    def test_members(self) -> None:
        """A line has level, time, process, component, text and the event's fields."""
        before = int(time.time() * 1000)
        self.logger().info("retry {attempt} of {account}", attempt=3, account="mü/1", extra=[1, {"a": None}])
        line = self.last()
        self.assertEqual((line["level"], line["component"], line["msg"]), (30, "tests.log", "retry 3 of mü/1"))
        self.assertEqual((line["attempt"], line["account"], line["extra"]), (3, "mü/1", [1, {"a": None}]))
        self.assertTrue(before <= line["time"] <= int(time.time() * 1000))
        self.assertEqual(
            set(line), {"level", "time", "pid", "hostname", "component", "msg", "attempt", "account", "extra"}
        )

    def test_failure(self) -> None:
        """A failure comes with its type, text, code and the whole way it took, its cause included."""
        try:
            try:
                raise ValueError("below")
            except ValueError as cause:
                raise ConnectFailed("no way", code="ECONNREFUSED") from cause
        except ConnectFailed:
            self.logger().failure("it broke", account="x")
        line = self.last()
        self.assertEqual((line["level"], line["msg"], line["account"]), (60, "it broke", "x"))
        error = line["err"]
        self.assertEqual((error["type"], error["message"], error["code"]), ("ConnectFailed", "no way", "ECONNREFUSED"))
        self.assertIn("test_failure", error["stack"])
        self.assertIn("ValueError: below", error["stack"])

    def test_objects(self) -> None:
        """An object is shown by its own text and never taken apart; one that cannot be shown costs nothing."""

        class Broken:
            def __str__(self) -> str:
                raise RuntimeError("no")

            __repr__ = __str__

        self.logger().info(
            "fields", who=Credentials("anna", "open-sesame"), broken=Broken(), big=2**70, odd=float("nan")
        )
        line = self.last()
        self.assertEqual((line["who"], line["broken"], line["big"]), ("anna", "<Broken>", str(2**70)))
        self.assertNotIn(b"open-sesame", self.lines[-1])

    def test_hidden(self) -> None:
        """Fields with the names of secrets, and tokens in URLs, are not written."""
        self.logger().info(
            "GET {uri}",
            uri="/v1/x?access_token=open-sesame&a=1",
            password="open-sesame",
            headers={"cookie": "open-sesame"},
        )
        self.assertNotIn(b"open-sesame", self.lines[-1])
        self.assertIn("&a=1", self.last()["msg"])

    def test_long(self) -> None:
        """A value without measure is cut."""
        self.logger().info("{text}", text="x" * 1_000_000)
        self.assertLess(len(self.lines[-1]), 3 * LONGEST)

    def test_bad_format(self) -> None:
        """A text that does not fit its fields still makes a line."""
        self.logger().info("{missing.attribute}")
        self.assertEqual(self.last()["level"], 30)

    def test_old_events(self) -> None:
        """What the older half of Twisted logs comes out as a line without its plumbing."""
        JsonLog(self.lines.append)(
            {"message": ("hello",), "time": 1.0, "system": "-", "isError": 0, "format": "%(a)s", "a": 1}
        )
        self.assertEqual({"a", "component", "hostname", "level", "msg", "pid", "time"}, set(self.last()))
        observer = JsonLog(self.lines.append)
        observer({"log_failure": Failure(ValueError("x")), "log_level": LogLevel.critical, "log_format": "y"})
        self.assertEqual(self.last()["err"]["type"], "ValueError")

    @given(st.dictionaries(st.text(st.characters(), max_size=5), st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner), max_leaves=8), max_size=4))  # fmt: skip
    @example({"\ud800": {"\ud800": "\ud800"}})
    def test_anything(self, fields: dict[str, Any]) -> None:
        """Whatever the fields hold, the line is JSON."""
        JsonLog(self.lines.append)({**fields, "log_format": "x", "log_level": LogLevel.info, "log_time": 1.5})
        self.assertEqual(self.last()["time"], 1500)


class LevelTests(LogCase):
    def test_filter(self) -> None:
        """Only events of the configured level and above are written."""
        written = {}
        for level in LEVELS:
            self.lines.clear()
            log = self.logger(level)
            for emit in (log.debug, log.info, log.warn, log.error, log.critical):
                emit("x")
            written[level] = [json.loads(line)["level"] for line in self.lines]
        self.assertEqual(
            written,
            {
                "silent": [],
                "fatal": [60],
                "error": [50, 60],
                "warn": [40, 50, 60],
                "info": [30, 40, 50, 60],
                "debug": [20, 30, 40, 50, 60],
                "trace": [20, 30, 40, 50, 60],
            },
        )

    def test_chatter(self) -> None:
        """What Twisted tells of itself is for those who look for a fault; its warnings are for everybody."""
        observer = JsonLog(self.lines.append, "info")
        Logger("twisted.internet.base", observer=observer).info("Main loop terminated.")
        Logger("ours.Factory", observer=observer).info("Starting factory {factory!r}", factory=self)
        Logger("log_legacy", observer=observer).info("(TCP Port 3000 Closed)")
        self.assertEqual(self.lines, [])
        Logger("twisted.internet.base", observer=observer).warn("careful")
        self.assertEqual(self.last()["msg"], "careful")

    def test_filtered_is_not_formatted(self) -> None:
        """What is not written is not made into text either."""

        class Never:
            def __str__(self) -> str:
                raise AssertionError("formatted")

        self.logger("info").debug("{value}", value=Never())
        self.assertEqual(self.lines, [])
