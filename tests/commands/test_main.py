"""The command line besides the daemon."""

from __future__ import annotations

import contextlib
import io
import re
import unittest

from emailengine import __version__
from emailengine.commands.license import in_use
from emailengine.commands.main import main


def command(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(arguments)
    return status, out.getvalue()


class MainTests(unittest.TestCase):
    def test_version(self) -> None:
        """The version, in every way people ask for it."""
        for given in ("version", "-v"):
            self.assertEqual(command(given), (0, f"emailengine {__version__}\n"))

    def test_help(self) -> None:
        """The help names the commands and the options of the daemon."""
        for given in ("help", "--help", "-h"):
            status, text = command(given)
            self.assertEqual(status, 0)
            for word in ("license", "tokens", "--api.port=", "--dbs.redis=", "--config="):
                self.assertIn(word, text)

    def test_unknown_command(self) -> None:
        """An unknown command is refused."""
        self.assertEqual(command("licence"), (1, ""))
        self.assertEqual(command("serve"), (1, ""))
        self.assertEqual(command("license", "export"), (1, ""))


class LicenseTests(unittest.TestCase):
    def test_lines(self) -> None:
        """One line for each package in use: name, version, licence; those for tests are not in use."""
        status, text = command("license")
        self.assertEqual(status, 0)
        first, *lines = text.splitlines()
        self.assertEqual(first, f"emailengine {__version__}: MIT")
        named = {}
        for line in lines:
            found = re.fullmatch(r"  (\S+) (\d\S*)\s+(\S.*)", line)
            assert found is not None, line
            named[found[1].lower()] = found[3]
        self.assertEqual(named["twisted"], "MIT")
        self.assertLess({"klein", "msgspec", "cryptography", "werkzeug", "zope.interface"}, set(named))
        self.assertNotIn("not named", named.values())
        self.assertFalse({"pytest", "mypy", "hypothesis", "sphinx"} & set(named))

    def test_not_installed(self) -> None:
        """A package that is not there is left out."""
        self.assertEqual(in_use("no-such-package-here"), [])
