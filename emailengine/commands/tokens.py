"""`emailengine tokens`: issue access tokens, list them, and take them away, in the Redis that the daemon uses.

Where none is configured that is the daemon's own, so the daemon has to run.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from twisted.python import usage

from emailengine.config import KEYS, Config, load
from emailengine.core.clock import wall
from emailengine.errors import ConfigurationInvalid, InvalidInput, StartupFailed
from emailengine.model.dates import iso
from emailengine.model.token import TokenRecord, token_id
from emailengine.net import resolver
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.store import version
from emailengine.store.embedded import socket_path
from emailengine.store.keys import Keys
from emailengine.store.redis import Redis
from emailengine.store.tokens import TokenStore
from emailengine.tap import explained, give_up, run_once

SCOPES = ("*", "api", "metrics", "smtp", "imap-proxy", "mcp")
_STORE = ("dbs.redis", "dbs.redisPrefix", "state-dir")


class StoreOptions(usage.Options):
    """Options that say which Redis it is. `config` is the whole configuration, read from everywhere."""

    optParameters = [
        ["config", None, None, "Configuration file (TOML)"],
        *([key.name, None, None, key.help] for key in KEYS if key.name in _STORE),
    ]

    config: Config
    environment: Mapping[str, str] = os.environ

    def postOptions(self) -> None:
        given = {name: self[name] for name in _STORE if self[name] is not None}
        self.config = load(given, self.environment, self["config"])


class IssueOptions(StoreOptions):
    """What `tokens issue` is told."""

    synopsis = "Usage: emailengine tokens issue [options]"
    optParameters = [
        ["description", "d", None, "What the token is for"],
        ["account", "a", None, "The only account the token opens"],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        self.scopes: list[str] = []

    def opt_scope(self, scope: str) -> None:
        """What the token is good for: * (the default), api, metrics, smtp, imap-proxy or mcp. May be repeated"""
        if scope not in SCOPES:
            raise usage.UsageError(f"--scope must be one of {', '.join(SCOPES)}, not {scope!r}")
        if scope not in self.scopes:
            self.scopes.append(scope)

    opt_s = opt_scope

    def postOptions(self) -> None:
        if self["account"] == "":
            raise usage.UsageError("--account must be the id of an account")
        super().postOptions()


class ListOptions(StoreOptions):
    """What `tokens list` is told."""

    synopsis = "Usage: emailengine tokens list [options]"


class DeleteOptions(StoreOptions):
    """What `tokens delete` is told."""

    synopsis = "Usage: emailengine tokens delete [options] <id or token>"

    def parseArgs(self, *given: str) -> None:
        if len(given) != 1:
            raise usage.UsageError("tokens delete needs the id of one token")
        (self["id"],) = given


USAGE = """Usage: emailengine tokens <issue | list | delete> [options]

  issue   make an access token and print it, once: only a hash of it is kept
  list    one line for each token: id, date, scopes, account, description
  delete  take away the token with that id, which may also be the token itself

Each has --help. They need the Redis of the daemon: without --dbs.redis its own one, while the daemon runs.
"""


def run(arguments: Sequence[str], out: TextIO | None = None) -> int:
    """Do what the arguments say; the exit status."""
    out = out or sys.stdout
    what, *rest = arguments or ("",)
    if what in ("--help", "-h", "help"):
        out.write(USAGE)
        return 0
    kinds = {"issue": IssueOptions, "list": ListOptions, "delete": DeleteOptions}
    if what not in kinds:
        give_up(f"tokens can issue, list or delete, not {what!r}; see emailengine tokens --help")
    if what == "delete" and rest and not rest[0].startswith("-"):
        rest = [*rest[1:], rest[0]]  # options may come after the id
    options: Any = kinds[what]()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
    try:
        options.parseOptions(rest)
    except usage.UsageError as wrong:
        give_up(explained(str(wrong)))
    except ConfigurationInvalid as wrong:
        give_up(wrong.message)

    async def work(reactor: Any) -> None:
        redis = open_store(options.config, reactor)
        redis.startService()
        try:
            await redis.ready()
            keys = Keys(options.config.redis_prefix)
            await version.check(redis, keys)
            tokens = TokenStore(redis=redis, keys=keys)
            if isinstance(options, IssueOptions):
                value = await issue(tokens, options["description"], options.scopes, options["account"])
                out.write(value)
            elif isinstance(options, DeleteOptions):
                await delete(tokens, options["id"])
            else:
                out.writelines(await listed(tokens))
        finally:
            await redis.stopService()

    return run_once(work)


def open_store(config: Config, reactor: Any) -> Redis:
    """The Redis of the configuration, not yet started. `StartupFailed` if it is the daemon's own and is not there."""
    resolver.install(reactor)
    contexts = Contexts()
    url = config.redis_url or own_redis(config.state_dir)
    return Redis(url, reactor=reactor, prefix=config.redis_prefix, tls=lambda host: contexts.creator(TlsPolicy(), host))


def own_redis(state_dir: Path) -> str:
    """The URL of the Redis that the daemon on this state directory runs. `StartupFailed` if it cannot be reached."""
    path = socket_path(state_dir)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise StartupFailed(
                f"no Redis is configured, and no daemon runs on the state directory {state_dir}: start it, "
                "or give --dbs.redis or --state-dir"
            ) from None
        except OSError as error:
            raise StartupFailed(
                f"cannot reach the daemon's own Redis in {state_dir}: {error.strerror}; be the user it runs as"
            ) from None
    return f"unix://{path}"


async def issue(tokens: TokenStore, description: str | None, scopes: Sequence[str], account: str | None) -> str:
    """Make a token and give its value, which is kept nowhere. Whether the account exists is not looked at."""
    value = secrets.token_hex(32)
    id_ = token_id(value)
    assert id_ is not None
    now = iso(wall())
    record = TokenRecord(
        created=now,
        description=description or f"Generated at {now}",
        scopes=list(scopes) or ["*"],
        account=account,
    )
    await tokens.add(id_, record)
    return value


async def listed(tokens: TokenStore) -> list[str]:
    """A line for each token, the oldest first."""
    lines = []
    for id_, record in await tokens.list():
        scopes = ",".join(record.scopes) if record.scopes is not None else "*"
        until = f"  expires {record.expires}" if record.expires else ""
        shown = (id_, record.created, scopes, record.account or "-", record.description + until)
        lines.append("  ".join(map(_plain, shown)) + "\n")
    return lines


async def delete(tokens: TokenStore, given: str) -> None:
    """Remove the token of that id, or of that value. `InvalidInput` if there is none."""
    if await tokens.remove(given.lower()):
        return
    id_ = token_id(given)
    if id_ is None or not await tokens.remove(id_):
        raise InvalidInput("there is no such token; see emailengine tokens list")


def _plain(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
