"""Access tokens from the command line, in a Redis of the operator's and in the daemon's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from emailengine.api.access import Access, AccessRules, Admitted, Presented
from emailengine.api.routing import Grant
from emailengine.commands.tokens import delete, issue, listed
from emailengine.errors import Forbidden, InvalidInput
from emailengine.model.token import token_id
from emailengine.store.tokens import TokenStore
from tests.integration.daemon import Daemon
from tests.integration.processes import ROOT
from tests.redis_server import RedisCase, redis_url


def command(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of `emailengine tokens …`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("EENGINE_", "REDIS_URL"))}
    ran = subprocess.run(
        [sys.executable, "-bb", "-m", "emailengine.commands.main", "tokens", *arguments],
        capture_output=True, text=True, env=inherited | {"PYTHONPATH": str(ROOT)} | environment, timeout=60,
    )  # fmt: skip
    return ran.returncode, ran.stdout, ran.stderr


class TokenTests(RedisCase):
    async def admit(self, tokens: TokenStore, value: str, scope: str, account: str | None) -> Admitted:
        shown = Presented([f"Bearer {value}".encode()], None, "192.0.2.1", [b"x"], [], None, False, "")
        grant = Grant(action="read", group="account", scope="metrics" if scope == "metrics" else "api")
        return await Access(AccessRules(), tokens).admit(shown, grant, account)

    async def test_issue(self) -> None:
        """A token opens what its scopes and account say, and its value is kept nowhere."""
        tokens = TokenStore(redis=self.redis, keys=self.keys)
        whole = await issue(tokens, None, [], None)
        self.assertRegex(whole, r"\A[0-9a-f]{64}\Z")
        for scope in ("api", "metrics"):
            self.assertEqual((await self.admit(tokens, whole, scope, None)).token, token_id(whole))
        narrow = await issue(tokens, "for graphs", ["metrics"], "alice")
        await self.admit(tokens, narrow, "metrics", "alice")
        for scope, account in (("api", "alice"), ("metrics", "bob")):
            with self.assertRaises(Forbidden):
                await self.admit(tokens, narrow, scope, account)
        kept = b"".join(await self.redis.call("HGETALL", self.keys.tokens()))
        self.assertNotIn(whole.encode(), kept)

    async def test_list_and_delete(self) -> None:
        """A line for each token, whatever its description holds; one goes by its id or by its value."""
        tokens = TokenStore(redis=self.redis, keys=self.keys)
        first = await issue(tokens, "two\nlines\x1b[1m", ["api", "metrics"], "alice")
        second = await issue(tokens, None, [], None)
        lines = await listed(tokens)
        self.assertEqual(len(lines), 2)
        told = next(line for line in lines if line.startswith(str(token_id(first))))
        self.assertRegex(told, r"\A[0-9a-f]{64}  \d{4}-\S+Z  api,metrics  alice  two lines \[1m\n\Z")
        other = next(line for line in lines if line.startswith(str(token_id(second))))
        self.assertRegex(other, r"  \*  -  Generated at \S+Z\n\Z")
        await delete(tokens, str(token_id(first)))
        await delete(tokens, second)
        self.assertEqual(await listed(tokens), [])
        for unknown in (second, str(token_id(first)), "x"):
            with self.assertRaises(InvalidInput):
                await delete(tokens, unknown)


class CommandTests(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ee-tokens-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def test_configured_redis(self) -> None:
        """With a Redis configured no daemon is needed, and the value is all there is on stdout."""
        where = ("--dbs.redisPrefix=commands",)
        status, value, said = command(
            "issue", "-d", "x", "-s", "api", "-s", "metrics", "-a", "al", *where, EENGINE_REDIS=redis_url()
        )
        self.assertEqual((status, said), (0, ""))
        self.assertRegex(value, r"\A[0-9a-f]{64}\Z")
        id_ = str(token_id(value))
        status, told, said = command("list", f"--dbs.redis={redis_url()}", *where)
        self.assertEqual((status, said, told.count("\n")), (0, "", 1))
        self.assertTrue(told.startswith(id_) and told.endswith("  api,metrics  al  x\n"), told)
        self.assertEqual(command("delete", id_, f"--dbs.redis={redis_url()}", *where), (0, "", ""))
        self.assertEqual(
            command("delete", id_, f"--dbs.redis={redis_url()}", *where),
            (1, "", "emailengine: there is no such token; see emailengine tokens list\n"),
        )

    def test_refused(self) -> None:
        """What is wrong is one line and status 1."""
        for arguments, said in {
            (): "tokens can issue, list or delete, not ''; see emailengine tokens --help",
            ("issue", "-s", "admin"): "--scope must be one of *, api, metrics, smtp, imap-proxy, mcp, not 'admin'",
            ("issue", "-a", ""): "--account must be the id of an account",
            ("delete",): "tokens delete needs the id of one token",
            ("list", "--dbs.redos=x"): "unknown option --dbs.redos (did you mean dbs.redis?)",
            ("list", "--dbs.redis=x://"): "dbs.redis is not a Redis URL: unknown scheme 'x'; write it as "
            "redis://[user:password@]host:port/db, rediss://… or unix:///path?db=0",
        }.items():
            self.assertEqual(command(*arguments), (1, "", f"emailengine: {said}\n"))

    def test_own_redis(self) -> None:
        """Without a configured Redis the running daemon's is used: its first token closes the door to all others."""
        daemon = Daemon(self.directory).start()
        self.addCleanup(daemon.kill)
        where = f"--state-dir={daemon.state}"
        self.assertEqual(daemon.call("GET", "/v1/accounts")[0], 200)
        status, value, said = command("issue", where)
        self.assertEqual((status, said), (0, ""))
        self.assertEqual(daemon.call("GET", "/v1/accounts")[0], 401)
        self.assertEqual(daemon.call("GET", "/v1/accounts", Authorization=f"Bearer {value}")[0], 200)
        self.assertEqual(command("delete", where, value), (0, "", ""))
        self.assertEqual(daemon.call("GET", "/v1/accounts", Authorization=f"Bearer {value}")[0], 401)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(
            command("issue", where),
            (1, "", f"emailengine: no Redis is configured, and no daemon runs on the state directory {daemon.state}: "
                    "start it, or give --dbs.redis or --state-dir\n"),
        )  # fmt: skip
