"""What `twistd emailengine` runs: the options, and the service made of them. The command `emailengine` runs the same.

A daemon that cannot start ends with one line on stderr and exit status 1. twistd knows no such end (it exits with 0
when the reactor stops), so the status is set when the interpreter exits.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent, globalLogBeginner
from twisted.python import usage
from twisted.python.failure import Failure
from zope.interface import implementer

from emailengine import __version__
from emailengine.config import KEYS, WITHOUT_EFFECT, Config, load, nearest
from emailengine.core.log import JsonLog, to_file, to_stdout
from emailengine.errors import ConfigurationInvalid, EmailEngineError

log = Logger()


def complain(text: str) -> None:
    """One line for whoever started us, also after Twisted has taken stderr for the log."""
    stream = sys.__stderr__
    if stream is not None:
        print(f"emailengine: {' '.join(text.split())}", file=stream, flush=True)


def give_up(text: str) -> NoReturn:
    """End before anything runs: one line and exit status 1."""
    complain(text)
    raise SystemExit(1)


_UNSEEN = "No effect"


class Options(usage.Options):
    """The command line. Names are those of the configuration file; `config` is the whole, read from everywhere."""

    synopsis = "Usage: twistd [options] emailengine [options]"
    longdesc = (
        "Without --dbs.redis a Redis server of its own is started. Options win over environment variables, these over "
        "the file given with --config. Listens on http://127.0.0.1:3000 unless told otherwise."
    )
    optParameters = [
        ["config", None, None, "Configuration file (TOML)"],
        *([key.name, None, None, key.help] for key in KEYS),
        *([name, None, None, _UNSEEN] for name in WITHOUT_EFFECT),
    ]

    config: Config
    environment: Mapping[str, str] = os.environ

    def parseOptions(self, options: Any = None) -> None:
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        except usage.UsageError as wrong:
            # twistd would print all its help, and this at the very end
            give_up(explained(str(wrong)))
        except ConfigurationInvalid as wrong:
            give_up(wrong.message)

    def parseArgs(self, *rest: str) -> None:
        if rest:
            raise usage.UsageError(f"unexpected argument {rest[0]!r}")

    def postOptions(self) -> None:
        given = {name: value for name, value in self.items() if value is not None and name != "config"}
        self.config = load(given, self.environment, self["config"])
        parent = getattr(self, "parent", None)
        if parent is not None and not parent.get("logger") and not parent.get("syslog"):
            global _open_log
            path = parent.get("logfile")
            level = self.config.log_level
            if path and path != "-":
                _open_log = lambda: to_file(path, level)  # noqa: E731
            elif parent.get("nodaemon") or parent.get("debug"):
                _open_log = lambda: to_stdout(level)  # noqa: E731
            else:
                _open_log = lambda: to_file("twistd.log", level)  # noqa: E731
            # a name and not the function: twistd looks it up itself
            parent["logger"] = "emailengine.tap.log_observer"

    def getUsage(self, width: int | None = None) -> str:
        """The help, without the options that are only known to be warned of."""
        whole: str = super().getUsage(width)
        return "\n".join(line for line in whole.split("\n") if not line.endswith(_UNSEEN))

    def opt_version(self) -> NoReturn:
        """Print the version and exit."""
        print(f"emailengine {__version__}")  # noqa: T201 - what the option is for
        raise SystemExit(0)


def explained(wrong: str) -> str:
    """What Twisted found wrong with a command line, with the nearest option where one is unknown."""
    words = wrong.split()
    if wrong.startswith("option ") and wrong.endswith(" not recognized"):
        name = words[1].removeprefix("--")
        return f"unknown option {words[1]}{nearest(name)}"
    return wrong


_open_log: Callable[[], JsonLog] = lambda: to_stdout("info")  # noqa: E731 - replaced when the options are known


def log_observer() -> JsonLog:
    """The log, as the options said; twistd calls this by name."""
    return _open_log()


class Ending:
    """
    How the process ends: with 0 after it was told to stop, or with the reason why the daemon could not start.

    Twisted would end with the signal that stopped it, as if it had been killed.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._stopping = False
        self.status = 0
        self._heed_signals()
        # when the reactor starts, Twisted sets its own
        reactor.callWhenRunning(self._heed_signals)

    def _heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._reactor.callFromThread(self._stop))

    def failed(self, error: Exception) -> None:
        """Say why, once, and stop the reactor, which stops what had started."""
        if self.status:
            return
        self.status = 1
        why = reason(error)
        if isinstance(error, EmailEngineError | CannotListenError):
            log.critical("the daemon cannot start: {reason}", reason=why)
        else:
            log.failure("the daemon cannot start: {reason}", failure=Failure(error), reason=why)
        complain(why)
        self._reactor.callWhenRunning(self._stop)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            log.info("stopping")
            # a failure may come from inside the start, which wants to return first
            self._reactor.callLater(0, self._reactor.stop)

    def at_exit(self) -> None:
        """For `atexit`: leave with our status where twistd would leave with 0."""
        if self.status:
            for stream in (sys.__stdout__, sys.__stderr__):
                if stream is not None:
                    stream.flush()
            os._exit(self.status)


def reason(error: Exception) -> str:
    """Why the daemon cannot start, for people."""
    if isinstance(error, EmailEngineError):
        return error.message
    if isinstance(error, CannotListenError):
        why = getattr(error.socketError, "strerror", None) or str(error.socketError)
        return f"cannot listen on {error.interface or 'any address'}, port {error.port}: {why}"
    return f"cannot start: {type(error).__name__}: {error}"


def build(config: Config, reactor: Any, failed: Callable[[Exception], None]) -> IService:
    """The daemon's service. What the configuration warns of is logged; nothing is opened yet."""
    gc.disable()  # what is made now stays: looking for garbage in it is a fifth of the time it takes
    try:
        from emailengine import service  # the parts are many, and `--help` needs none of them

        for warning in config.warnings:
            log.warn("{warning}", warning=warning)
        return service.build(config, reactor, failed=failed)
    finally:
        settle_memory()


def settle_memory() -> None:
    """
    Spare the collector what lives as long as the process, and let it look at the rest more rarely.

    A full collection over the objects of thousands of accounts stops everything for a third of a second.
    """
    gc.freeze()
    gc.set_threshold(50_000, 10, 20)
    gc.enable()


@implementer(ILogObserver)
class Announcer:
    """Tells people on stderr where the daemon listens, which it logs with the URL."""

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_format") == "listening on {url}" and sys.__stderr__ is not None:
            print(f"EmailEngine listens on {event['url']}", file=sys.__stderr__, flush=True)


def run_in_foreground(config: Config) -> int:
    """Run until a signal comes (0), or until it turns out that the daemon cannot start (1): the exit status."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    globalLogBeginner.beginLoggingTo([to_stdout(config.log_level), Announcer()])
    ending = Ending(reactor)
    try:
        service = build(config, reactor, ending.failed)
    except EmailEngineError as error:
        complain(reason(error))
        return 1
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.callWhenRunning(service.startService)
    reactor.run()
    return ending.status


def run_once(work: Callable[[Any], Coroutine[Any, Any, None]]) -> int:
    """
    Run `work`, which gets the reactor, and end with it: 0, or 1 with one line on stderr that says why it failed.

    What is logged as an error meanwhile is shown on stderr too.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    globalLogBeginner.beginLoggingTo([Grumbler()])
    status = 1

    def done(_: None) -> None:
        nonlocal status
        status = 0

    def failed(failure: Failure) -> None:
        error = failure.value
        complain(error.message if isinstance(error, EmailEngineError) else f"{type(error).__name__}: {error}")

    def start() -> None:
        over = Deferred.fromCoroutine(work(reactor)).addCallbacks(done, failed)
        # a failure may come at once, before the reactor runs
        over.addBoth(lambda _: reactor.callLater(0, reactor.stop))

    reactor.callWhenRunning(start)
    reactor.run()
    return status


@implementer(ILogObserver)
class Grumbler:
    """Shows errors on stderr, one line each."""

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) >= LogLevel.error:
            complain(formatEvent(event))


def makeService(options: Options) -> IService:
    """The service for twistd."""
    from twisted.internet import reactor

    ending = Ending(reactor)
    atexit.register(ending.at_exit)
    try:
        return build(options.config, reactor, ending.failed)
    except EmailEngineError as error:
        give_up(error.message)
