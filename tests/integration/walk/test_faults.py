"""Kills for real: the daemon in the middle of its work, and its Redis."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
import unittest
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from tests.integration.certificates import Authority
from tests.integration.daemon import Daemon
from tests.integration.dovecot import Dovecot
from tests.integration.processes import alive, children, eventually
from tests.integration.receiver import Receiver

MESSAGES = 10_000
ANNOUNCED = 1_000


class FaultCase(unittest.TestCase):
    """A mailbox of 10 000 messages, the newest thousand of which are to be announced."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ee-fault-"))
        authority = Authority(self.directory)
        pair = authority.server()
        self.ca = authority.ca
        self.mail = Dovecot(self.directory, certificate=pair.certificate, key=pair.key, users={"anna": "secret"})
        self.addCleanup(self.mail.stop)
        self.sink = Receiver(self.directory)
        self.addCleanup(self.sink.stop)
        messages = [
            b"From: bo@example.net\r\nTo: anna@example.org\r\nSubject: number %d\r\n"
            b"Message-ID: <%d@example.net>\r\n\r\nHello\r\n" % (number, number)
            for number in range(MESSAGES)
        ]
        now = int(time.time())
        self.mail.fill("anna", messages[:-ANNOUNCED], arrived=now - 86400 * 30)
        self.mail.fill("anna", messages[-ANNOUNCED:], arrived=now - 3600)
        self.daemon = Daemon(self.directory).start()
        self.addCleanup(self.daemon.kill)
        self.daemon.ask(
            "POST", "/v1/settings", {"webhooksEnabled": True, "webhooks": self.sink.url, "webhookEvents": ["*"]}
        )

    def register(self) -> None:
        self.daemon.ask(
            "POST",
            "/v1/account",
            {
                "account": "anna",
                "name": "Anna",
                "notifyFrom": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 86400)),
                "imap": {
                    "host": "localhost",
                    "port": self.mail.port,
                    "secure": True,
                    "auth": {"user": "anna", "pass": "secret"},
                    "tls": {"ca": self.ca},
                },
            },
        )

    def check(self) -> None:
        """Every message that had to be announced was, under one event id; the index is that of the server."""
        self.daemon.wait_for_state("anna", "connected", 60)

        def complete() -> bool:
            return len({row["body"]["data"]["uid"] for row in self.sink.kept("messageNew")}) >= ANNOUNCED

        eventually(complete, "all new messages are announced", 120)
        ids: dict[tuple[str, Any], set[str]] = defaultdict(set)
        for row in self.sink.kept():
            ids[row["body"]["event"], row["body"]["data"].get("uid")].add(row["headers"]["x-ee-wh-event-id"])
        new = {uid for event, uid in ids if event == "messageNew"}
        self.assertEqual(new, set(range(MESSAGES - ANNOUNCED + 1, MESSAGES + 1)))
        self.assertEqual([key for key, found in ids.items() if len(found) > 1 and key[1] is not None], [])
        inbox = self.daemon.ask("GET", "/v1/account/anna/mailboxes")["mailboxes"][0]
        self.assertEqual((inbox["path"], inbox["messages"]), ("INBOX", MESSAGES))
        # the index is right: nothing is found to be new, changed or gone when everything is compared
        before = len(self.sink.kept(ok=False))
        self.daemon.ask("PUT", "/v1/account/anna/sync", {"sync": True})
        self.mail.deliver("anna", b"From: bo@example.net\r\nSubject: the last\r\n\r\nHello\r\n")
        eventually(
            lambda: [row for row in self.sink.kept("messageNew") if row["body"]["data"].get("subject") == "the last"],
            "the last message is announced",
        )
        after = [row["body"] for row in self.sink.kept(ok=False)[before:]]
        told = [(one["event"], one["data"].get("subject")) for one in after if one["event"].startswith("message")]
        self.assertEqual(told, [("messageNew", "the last")])


def _gone(pids: list[int]) -> bool:
    return not any(alive(pid) for pid in pids)


class KilledDaemonTests(FaultCase):
    def test_killed_again_and_again(self) -> None:
        """kill -9 in the middle of a first sync and of its webhooks, eight times: nothing is lost or doubled."""
        self.register()
        chance = random.Random(5)
        for _ in range(8):
            below = children(self.daemon.pid)
            time.sleep(chance.uniform(0.02, 0.5))  # not timing: where the blow falls is meant to be anywhere
            self.daemon.kill()
            eventually(partial(_gone, below), "no process is left behind")
            self.daemon.start()
        self.check()


class KilledRedisTests(FaultCase):
    def test_redis_killed(self) -> None:
        """kill -9 of the daemon's own Redis: it is started again, and the work goes on where it was."""
        self.register()
        for pause in (0.1, 0.4, 0.8):
            (redis,) = eventually(lambda: children(self.daemon.pid), "its Redis runs")
            time.sleep(pause)  # as above
            os.kill(redis, signal.SIGKILL)
            eventually(partial(_gone, [redis]), "the old one is gone")
            eventually(lambda: children(self.daemon.pid), "a new one runs")
        eventually(lambda: self.daemon.call("GET", "/v1/account/anna")[0] == 200, "the daemon works again")
        self.check()
        self.assertEqual(self.daemon.stop(), 0)
