"""Run the daemon in the foreground: what twistd does, without its forks and files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.logger import ILogObserver, LogEvent, globalLogBeginner
from zope.interface import implementer

from emailengine.core.log import to_stdout
from emailengine.errors import EmailEngineError
from emailengine.tap import Ending, Options, build, complain, reason


class ForegroundOptions(Options):
    """The daemon's options, as the command shows them."""

    synopsis = "Usage: emailengine [run] [options]"


@implementer(ILogObserver)
class Announcer:
    """Tells people on stderr where the daemon listens, which it logs with the URL."""

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_format") == "listening on {url}" and sys.__stderr__ is not None:
            print(f"EmailEngine listens on {event['url']}", file=sys.__stderr__, flush=True)


def run(arguments: Sequence[str]) -> int:
    """Run until a signal comes (0), or until it turns out that the daemon cannot start (1)."""
    options = ForegroundOptions()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
    options.parseOptions(list(arguments))
    from twisted.internet import reactor as installed

    reactor: Any = installed
    globalLogBeginner.beginLoggingTo([to_stdout(options.config.log_level), Announcer()])
    ending = Ending(reactor)
    try:
        service = build(options.config, reactor, ending.failed)
    except EmailEngineError as error:
        complain(reason(error))
        return 1
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.callWhenRunning(service.startService)
    reactor.run()
    return ending.status
