"""What a plain installation contains."""

from __future__ import annotations

import configparser
import unittest

from tests.integration.processes import ROOT


class PackagingTests(unittest.TestCase):
    def setUp(self) -> None:
        self.setup = configparser.ConfigParser()
        self.setup.read(ROOT / "setup.cfg")

    def test_every_package(self) -> None:
        """Every package is listed, and every listed one is there."""
        listed = set(self.setup["options"]["packages"].split())
        there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "emailengine").rglob("__init__.py")}
        self.assertEqual(listed, there | {"twisted.plugins"})

    def test_every_file(self) -> None:
        """Files that are not Python are shipped where the package reads them."""
        shipped = {
            path
            for package, patterns in self.setup["options.package_data"].items()
            for pattern in patterns.replace(",", " ").split()
            for path in (ROOT / package.replace(".", "/")).glob(pattern)
        }
        there = {
            path
            for path in (ROOT / "emailengine").rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc") and path.name[0] != "."
        }
        self.assertEqual(shipped, there)

    def test_no_init_beside_the_plugin(self) -> None:
        """The directory of the plugin is no package: it would hide Twisted's own."""
        self.assertEqual([path.name for path in (ROOT / "twisted").rglob("*.py")], ["emailengine_plugin.py"])


class UnitTests(unittest.TestCase):
    def test_without_configuration(self) -> None:
        """The systemd unit needs no file that only some installations have."""
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read(ROOT / "systemd" / "emailengine.service")
        service = unit["Service"]
        self.assertTrue(service["EnvironmentFile"].startswith("-"))
        self.assertNotIn("Environment", service)
        self.assertNotIn("--config", service["ExecStart"])
