"""The README's tour, pasted into a shell as it is printed; only the ports are others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.integration.daemon import Daemon
from tests.integration.processes import ROOT, Running, eventually, free_port, listening, python

DIFFERENT_EACH_TIME = {
    *(
        "date",
        "id",
        "messageId",
        "inReplyTo",
        "queueId",
        "sendAt",
        "notifyFrom",
        "syncTime",
        "lastHeard",
        "message",
        "message-id",
    ),
    *("received", "counters", "connections", "size", "uidValidity", "encodedSize"),
}


def comparable(value: Any) -> Any:
    """The value without what differs each time."""
    if isinstance(value, dict):
        return {key: "…" if key in DIFFERENT_EACH_TIME else comparable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    return value


class Shell:
    """One shell for all blocks, so that its variables last."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
        )

    def run(self, block: str) -> str:
        """What the block prints."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{block}\necho '<over>'\n")
        self._process.stdin.flush()
        told = ""
        for line in self._process.stdout:
            if line.endswith("<over>\n"):
                return told + line.removesuffix("<over>\n")
            told += line
        raise AssertionError(f"the shell ended: {told}")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class TourTests(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ee-tour-"))
        self.directory.chmod(0o755)  # when root runs this, Dovecot's own user must get in
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.daemon = Daemon(self.directory)
        imap, imaps, smtp, self.hook = (free_port() for _ in range(4))
        mail = Running(
            python(
                ROOT / "etc/tour/mailserver.py",
                *("--dir", str(self.directory / "mail"), "--ports", str(imap), str(imaps), str(smtp)),
            ),
            self.directory / "mailserver.log",
        )
        self.addCleanup(mail.stop)
        self.receiver = Running(python(ROOT / "etc/tour/receiver.py", str(self.hook)), self.directory / "receiver.log")
        self.addCleanup(self.receiver.kill)
        self.daemon.start()
        self.addCleanup(self.daemon.kill)
        eventually(lambda: "IMAP on" in mail.output(), "the mail servers are up")
        eventually(lambda: listening(self.hook), "the receiver listens")
        ports = {"3000": self.daemon.port, "8080": self.hook, "1143": imap, "1993": imaps, "1587": smtp}
        readme = (ROOT / "README.md").read_text()
        tour = readme[readme.index("\n## A tour") : readme.index("\n## The API")]
        for printed, real in ports.items():
            tour = re.sub(rf"\b{printed}\b", str(real), tour)
        self.tour = tour

    def blocks(self) -> Iterator[tuple[str, str | None]]:
        """Each command, and what is printed directly below it."""
        for found in re.finditer(r"```sh\n(.*?)```\n(?:```(?:json)?\n(.*?)```)?", self.tour, re.DOTALL):
            yield found[1], found[2]

    def events(self) -> list[dict[str, Any]]:
        """What the receiver printed."""
        text = self.receiver.output()
        decoder = json.JSONDecoder()
        found = []
        at = text.find("{")
        while at >= 0:
            try:
                value, end = decoder.raw_decode(text, at)
            except json.JSONDecodeError:
                break  # it is just being printed
            found.append(value)
            at = text.find("{", end)
        return found

    def told(self, *names: str) -> Callable[[], bool]:
        """Whether the receiver has printed these events."""
        return lambda: all(names.count(one) <= [event["event"] for event in self.events()].count(one) for one in names)

    def test_as_printed(self) -> None:
        """Each command answers as printed, and the receiver prints the events that the text names."""
        shell = Shell(self.directory)
        self.addCleanup(shell.end)
        waits = {
            '"account": "alice"': self.told("accountInitialized"),
            "smtp://": self.told("messageNew"),
            "/submit": self.told("messageSent", "messageUpdated", "messageUpdated"),
            "DELETE": self.told("accountDeleted"),
        }
        count = 0
        for command, printed in self.blocks():
            count += 1
            answer = shell.run(command)
            if printed is None:
                self.assertEqual(answer, "", command)
            elif printed.startswith("{"):
                self.assertEqual(comparable(json.loads(answer)), comparable(json.loads(printed)), command)
            else:
                self.assertEqual(answer.splitlines()[-2:], printed.splitlines()[-2:], command)
            for part, done in waits.items():
                if part in command:
                    eventually(done, f"the events after {command}")
                    if part == "/submit":
                        eventually(lambda: self._sent() == 1, "the copy is in Sent")
        self.assertGreater(count, 10)
        self.events_as_printed()

    def events_as_printed(self) -> None:
        found = {event["event"]: event for event in self.events()}
        printed = [
            json.loads(one) for one in re.findall(r"(?:prints|now has):\n\n```json\n(.*?)```", self.tour, re.DOTALL)
        ]
        self.assertEqual([one["event"] for one in printed], ["messageNew", "messageSent"])
        for one in printed:
            self.assertEqual(comparable(found[one["event"]]), comparable(one))

    def _sent(self) -> int:
        total: int = self.daemon.ask("GET", "/v1/account/alice/messages?path=%5CSent")["total"]
        return total
