"""Start and end of the daemon, under twistd and in the foreground, as whoever started it sees them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from emailengine import __version__
from emailengine.tap import Options
from tests.integration.processes import ROOT, eventually

TWISTD = ("twistd", "--nodaemon", "--pidfile=", "emailengine")
COMMAND = ("emailengine",)


class Run:
    """A process that has been started, with stdout and stderr apart."""

    def __init__(self, directory: Path, how: str, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("EENGINE_", "PORT"))}
        environment |= {"PYTHONPATH": str(ROOT), "STAND_IN": how, "XDG_STATE_HOME": str(directory / "state")}
        self._paths = (directory / "out", directory / "err")
        with self._paths[0].open("wb") as out, self._paths[1].open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-bb", str(ROOT / "tests" / "stand_in.py"), *arguments],
                cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip

    @property
    def out(self) -> str:
        return self._paths[0].read_text()

    @property
    def err(self) -> str:
        return self._paths[1].read_text()

    def lines(self) -> list[dict[str, Any]]:
        """The log, every line of which must be JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    def listens(self) -> bool:
        return "listening on" in self.out

    def said(self) -> list[str]:
        return [line["msg"] for line in self.lines()]


class ProcessCase(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ee-tap-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def run_(self, how: str, *arguments: str) -> Run:
        run = Run(self.directory, how, *arguments)
        self.addCleanup(run.process.wait)
        self.addCleanup(run.process.kill)
        return run

    def assertGivesUp(self, how: str, arguments: tuple[str, ...], said: str) -> Run:
        """It ends with status 1 and exactly one line on stderr."""
        run = self.run_(how, *arguments)
        status = run.process.wait(20)
        self.assertEqual((status, run.err), (1, f"emailengine: {said}\n"), run.out)
        return run


class GivingUpTests(ProcessCase):
    def test_part_cannot_start(self) -> None:
        """A part that cannot start ends the daemon with one line and status 1, after the others have stopped."""
        for arguments in (TWISTD, COMMAND):
            run = self.assertGivesUp("fails", arguments, "Redis does not answer (nowhere)")
            self.assertIn("stopped in order", run.said())

    def test_daemonized(self) -> None:
        """In the background, where nobody reads stderr, the reason is in the log, at the level `fatal`."""
        for how, why in {
            "fails": "Redis does not answer (nowhere)",
            "taken": "cannot listen on 127.0.0.1, port",
            "breaks": "cannot start: ValueError: a fault of ours",
        }.items():
            run = self.run_(how, "twistd", f"--logfile={how}.log", "emailengine", "--log.level=error")
            self.assertEqual(run.process.wait(20), 0, run.err)
            log = self.directory / f"{how}.log"
            eventually(lambda log=log: log.exists() and log.read_text().endswith("\n"), "it logs")  # type: ignore[misc]
            eventually(lambda: not (self.directory / "twistd.pid").exists(), "it ends")
            (line,) = [json.loads(line) for line in log.read_text().splitlines()]
            self.assertEqual(line["level"], 60)
            self.assertIn(why, line["msg"])

    def test_port_in_use(self) -> None:
        """So does a port in use, which Twisted by itself survives."""
        for arguments in (TWISTD, COMMAND):
            run = self.run_("taken", *arguments)
            self.assertEqual(run.process.wait(20), 1)
            self.assertRegex(
                run.err, r"\Aemailengine: cannot listen on 127\.0\.0\.1, port \d+: Address already in use\n\Z"
            )

    def test_fault_of_ours(self) -> None:
        """A fault is one line too; its traceback is in the log."""
        for arguments in (TWISTD, COMMAND):
            run = self.assertGivesUp("breaks", arguments, "cannot start: ValueError: a fault of ours")
            (line,) = [line for line in run.lines() if "err" in line]
            self.assertIn("stand_in.py", line["err"]["stack"])

    def test_refused_while_building(self) -> None:
        """What is found wrong before anything runs ends it the same way."""
        for arguments in (TWISTD, COMMAND):
            self.assertGivesUp("refuses", arguments, "dbs.redis is not a Redis URL")

    def test_configuration(self) -> None:
        """Wrong options, unknown ones, and an unreadable file: one line, and nothing on stdout."""
        for arguments in (TWISTD, COMMAND):
            for option, said in {
                "--api.port=x": "--api.port must be a port number, 0 to 65535, not 'x'",
                "--api.prt=1": "unknown option --api.prt (did you mean api.port?)",
                "--config=/nowhere": "cannot read the configuration file /nowhere: No such file or directory",
            }.items():
                run = self.assertGivesUp("runs", (*arguments, option), said)
                self.assertEqual(run.out, "")
        self.assertGivesUp("runs", (*TWISTD, "now"), "unexpected argument 'now'")

    def test_pid_file(self) -> None:
        """twistd's pid file does not stay behind when the daemon gives up."""
        pid = self.directory / "x.pid"
        self.assertGivesUp("fails", ("twistd", "--nodaemon", f"--pidfile={pid}", "emailengine"),
                           "Redis does not answer (nowhere)")  # fmt: skip
        self.assertFalse(pid.exists())


class RunningTests(ProcessCase):
    def test_signals(self) -> None:
        """SIGTERM and Ctrl-C stop everything in order; the status is 0."""
        for arguments in (TWISTD, COMMAND):
            for number in (signal.SIGTERM, signal.SIGINT):
                run = self.run_("runs", *arguments)
                eventually(partial(Run.listens, run), "it listens")
                run.process.send_signal(number)
                run.process.send_signal(number)
                self.assertEqual(run.process.wait(20), 0, run.err)
                self.assertIn("stopped in order", run.said())

    def test_url(self) -> None:
        """In the foreground people are told the URL, on stderr; the log on stdout stays JSON."""
        run = self.run_("runs", *COMMAND, "run", "--log.level=silent")
        eventually(lambda: run.err, "it says where it listens")
        self.assertEqual(run.err, "EmailEngine listens on http://127.0.0.1:3000\n")
        run.process.terminate()
        self.assertEqual((run.process.wait(20), run.out), (0, ""))

    def test_log(self) -> None:
        """The log is JSON on stdout under twistd too, with the warnings of the configuration."""
        run = self.run_("runs", *TWISTD, "--workers.imap=4")
        eventually(run.listens, "it logs")
        run.process.terminate()
        self.assertEqual(run.process.wait(20), 0)
        self.assertEqual(
            [(line["level"], line["msg"]) for line in run.lines()],
            [
                (40, "--workers.imap has no effect: everything runs in one process"),
                (30, "listening on http://127.0.0.1:3000"),
                (30, "stopping"),
                (30, "stopped in order"),
            ],
        )
        self.assertEqual(run.err, "")

    def test_log_file(self) -> None:
        """With twistd's own --logfile the lines go there."""
        run = self.run_("runs", "twistd", "--nodaemon", "--pidfile=", "--logfile=here.log", "emailengine")
        log = self.directory / "here.log"
        eventually(lambda: log.exists() and "listening on" in log.read_text(), "it logs")
        run.process.terminate()
        self.assertEqual(run.process.wait(20), 0)
        self.assertEqual(run.out, "")
        self.assertTrue(all(json.loads(line)["level"] for line in log.read_text().splitlines()))

    def test_daemonized(self) -> None:
        """Plain twistd goes to the background and logs into twistd.log."""
        run = self.run_("runs", "twistd", "emailengine")
        self.assertEqual(run.process.wait(20), 0, run.err)
        log = self.directory / "twistd.log"
        eventually(lambda: log.exists() and "listening on" in log.read_text(), "it logs")
        pid = int((self.directory / "twistd.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not (self.directory / "twistd.pid").exists(), "it ends")
        self.assertIn("stopped in order", log.read_text())


class OptionsTests(unittest.TestCase):
    def test_version(self) -> None:
        """`--version` prints ours, not Twisted's."""
        for arguments in (TWISTD, COMMAND):
            told = subprocess.run(
                [sys.executable, str(ROOT / "tests" / "stand_in.py"), *arguments, "--version"],
                capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            self.assertEqual(told.stdout, f"emailengine {__version__}\n")

    def test_help(self) -> None:
        """The help has every option with an effect, and none without."""
        usage = Options().getUsage()
        self.assertIn("--api.port=", usage)
        self.assertNotIn("workers", usage)
        self.assertNotIn("No effect", usage)

    def test_plugin(self) -> None:
        """twistd finds the plugin, which names the module of the options."""
        (ours,) = [one for one in getPlugins(IServiceMaker) if one.tapname == "emailengine"]
        self.assertIs(ours.options, Options)
