"""The log: one JSON object a line, with numbered levels, on stdout or in a file.

Everything that is logged through `twisted.logger` comes here. Members: `level` (20 debug … 60 fatal), `time` in
milliseconds, `pid`, `hostname`, `component`, `msg`, the event's own fields, and `err` with `type`, `message`, `stack`
and `code` when there is a failure. Only plain values are written: an object is shown by its `str`, never taken apart.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

LEVELS: Mapping[str, int] = {
    "silent": 100,
    "fatal": 60,
    "error": 50,
    "warn": 40,
    "info": 30,
    "debug": 20,
    "trace": 10,
}
"""What may be configured, and the lowest number that is then written."""

LONGEST = 16384  # characters of one value; a log line is read by people and by collectors with limits of their own
DEEPEST = 4  # lists and objects inside each other

_NUMBERS = {
    LogLevel.debug: 20,
    LogLevel.info: 30,
    LogLevel.warn: 40,
    LogLevel.error: 50,
    LogLevel.critical: 60,
}
# what the older half of Twisted puts into an event beside its fields
_TWISTEDS = frozenset(("message", "time", "system", "isError", "format", "failure", "why", "logLevel", "printed"))
_PLUMBING = _TWISTEDS | {"level", "msg", "pid", "hostname", "component", "err"}
_HIDDEN = frozenset(("password", "pass", "secret", "access_token", "authorization", "cookie", "api_auth"))
_IN_URL = re.compile(rb"(access_token=)[^&\s\"\\]+")


@implementer(ILogObserver)
class JsonLog:
    """Writes events of at least the given level. What is below it costs one look-up."""

    def __init__(self, write: Callable[[bytes], object], level: str = "info") -> None:
        self._write = write
        self._least = LEVELS[level]
        self._pid = os.getpid()
        self._hostname = socket.gethostname()
        self._encoder = msgspec.json.Encoder()

    def __call__(self, event: LogEvent) -> None:
        number = _NUMBERS.get(event.get("log_level"), 30)
        if number == 30 and _is_chatter(event):
            number = 20
        if number < self._least:
            return
        failure = event.get("log_failure")
        line: dict[str, Any] = {
            "level": number,
            "time": int(event.get("log_time", 0.0) * 1000),
            "pid": self._pid,
            "hostname": self._hostname,
            "component": event.get("log_namespace", ""),
        }
        for name, value in event.items():
            if not name.startswith("log_") and name not in _PLUMBING:
                line[plain(name)] = "[hidden]" if name in _HIDDEN else plain(value)
        line["msg"] = plain(formatEvent(event))
        if failure is not None:
            line["err"] = _error(failure)
        written = self._encoder.encode(line)
        if b"access_token=" in written:
            written = _IN_URL.sub(rb"\1[hidden]", written)
        self._write(written + b"\n")


def _is_chatter(event: LogEvent) -> bool:
    """Twisted tells of every factory and port, thus of every connection, as if it were news."""
    namespace = event.get("log_namespace", "")
    if namespace == "log_legacy" or namespace.startswith("twisted."):
        return True
    return (event.get("log_format") or "").startswith(("Starting factory", "Stopping factory"))


def plain(value: Any, depth: int = 0) -> Any:
    """`value` as JSON can hold it: cut, flat enough, and without surprises."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    elif depth < DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one, depth + 1) for one in value]
    elif depth < DEEPEST and type(value) is dict:
        return {
            plain(str(name)): "[hidden]" if name in _HIDDEN else plain(one, depth + 1) for name, one in value.items()
        }
    elif not isinstance(value, str):
        try:
            value = str(value)
        except Exception:  # noqa: BLE001 - a value that cannot be shown must not cost the line
            value = f"<{type(value).__name__}>"
    if len(value) > LONGEST:
        value = value[:LONGEST] + "…"
    # half a surrogate pair, as file names and mail have them, is no JSON
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _error(failure: Failure) -> dict[str, Any]:
    error = failure.value
    stack = failure.getTraceback()
    cause = error.__cause__ if error is not None else None
    if cause is not None:
        stack += "\nCaused by:\n" + "".join(traceback.format_exception(cause))
    shown = {"type": type(error).__name__, "message": plain(failure.getErrorMessage()), "stack": plain(stack)}
    code = getattr(error, "code", None)
    if isinstance(code, (str, int)):
        shown["code"] = code
    return shown


def to_stdout(level: str) -> JsonLog:
    """A log on the process's own stdout, also after Twisted has put itself in its place."""
    stream = sys.__stdout__
    if stream is None:
        return JsonLog(lambda line: None, level)
    raw = stream.buffer
    dead = False

    def write(line: bytes) -> None:
        nonlocal dead
        if dead:
            return
        try:
            raw.write(line)
            raw.flush()
        except OSError:  # the reader is gone; the daemon has other work than to tell itself so
            dead = True

    return JsonLog(write, level)


def to_file(path: str, level: str) -> JsonLog:
    """A log in a file, which is kept in pieces of 10 MB."""
    file = LogFile.fromFullPath(path, rotateLength=10_000_000)

    def write(line: bytes) -> None:
        file.write(line.decode())

    return JsonLog(write, level)
