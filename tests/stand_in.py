"""twistd, or the command, with a service that does as told instead of the whole daemon.

`stand_in.py (twistd | emailengine) [options]`; STAND_IN is one of runs, fails, breaks, refuses, taken.
"""

import os
import sys
import types
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger

import emailengine
from emailengine.core.tasks import InOrder
from emailengine.errors import ConfigurationInvalid, StartupFailed

log = Logger()


class Part(Service):
    def __init__(self, reactor: Any, how: str) -> None:
        self.reactor = reactor
        self.how = how

    async def ready(self) -> None:
        await deferLater(self.reactor, 0)  # it takes a turn at least
        if self.how == "fails":
            raise StartupFailed("Redis does not answer (nowhere)")
        if self.how == "breaks":
            raise ValueError("a fault of ours")
        if self.how == "taken":
            port = 0
            for _ in range(2):
                port = self.reactor.listenTCP(port, Factory(), interface="127.0.0.1").getHost().port
        log.info("listening on {url}", url="http://127.0.0.1:3000")

    def stopService(self) -> Deferred[None]:
        # it takes a while, and says when it is over
        return deferLater(self.reactor, 0.1, lambda: log.info("stopped in order"))


def build(config: Any, reactor: Any, *, failed: Callable[[Exception], None]) -> IService:
    how = os.environ["STAND_IN"]
    if how == "refuses":
        raise ConfigurationInvalid("dbs.redis is not a Redis URL")
    whole = InOrder(failed)
    whole.addService(Part(reactor, how))
    return whole


def main() -> None:
    service: Any = types.ModuleType("emailengine.service")
    service.build = build
    sys.modules["emailengine.service"] = service
    emailengine.service = service
    del sys.argv[0]
    if sys.argv[0] == "twistd":
        from twisted.scripts.twistd import run

        run()
    else:
        from emailengine.commands.main import main as command

        sys.exit(command())


if __name__ == "__main__":
    main()
