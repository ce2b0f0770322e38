"""A process that owns an embedded Redis and nothing else; the tests kill it. `owner.py STATE_DIR`"""

import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from emailengine.errors import StartupFailed
from emailengine.store.embedded import EmbeddedRedis


def main() -> None:
    embedded = EmbeddedRedis(reactor=reactor, state_dir=Path(sys.argv[1]))

    async def start() -> None:
        embedded.startService()
        try:
            await embedded.ready()
        except StartupFailed as error:
            print(f"refused: {error.message}", flush=True)
            reactor.stop()
        else:
            print(f"ready {embedded.pid} {embedded.url}", flush=True)

    reactor.addSystemEventTrigger("before", "shutdown", embedded.stopService)
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(start()))
    reactor.run()


if __name__ == "__main__":
    main()
