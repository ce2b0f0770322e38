"""
Who may import what: the architecture as two tables, held against every import of the package.

An import counts wherever it stands: at the top, inside a function, or under TYPE_CHECKING, since a type that
is needed is knowledge of the other part too. A part that needs a higher one declares a Protocol instead.
"""

import ast
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import emailengine

PACKAGE = "emailengine"
HOME = Path(emailengine.__file__).parent

# Each room and the rooms it may look into; "*" is every room. Its own room, and errors.py, are open to all.
FLOORS: Mapping[str, str] = {
    "errors": "",
    "core": "",
    **dict.fromkeys(("model", "wire", "sync"), "core model wire sync"),
    "net": "core model wire sync",
    **dict.fromkeys(("imap", "smtp", "store", "outward"), "core model wire sync net"),
    "accounts": "core model wire sync net imap smtp store outward",
    **dict.fromkeys(("mailing", "outbox", "webhooks"), "core model wire sync net imap smtp store outward accounts"),
    "api": "core model store accounts mailing outbox webhooks",
    "config": "core model",
    "service": "core model wire sync net imap smtp store outward accounts mailing outbox webhooks api config",
    "tap": "core config service",
    "commands": "core model net store config tap",
}

# What only some may use, by the longest name that fits: modules outside of the package, and who may import them.
# What is not named here (attrs, msgspec.json in a store ...) is checked by nobody but the reader.
OUTSIDE: Mapping[str, str] = {
    "twisted": "core net imap smtp store outward accounts mailing outbox webhooks api service tap commands",
    "twisted.internet.reactor": "tap",
    "twisted.internet.threads": "",
    "twisted.mail.imap4": "imap.connection",
    "twisted.mail.smtp": "smtp",
    "twisted.names": "net",
    "twisted.web": "outward api",
    "zope": "core net imap smtp store outward accounts mailing outbox webhooks api service tap",
    "klein": "api",
    "werkzeug": "api",
    "treq": "outward",
    "txredisapi": "store",
    "hiredis": "store",
    "OpenSSL": "net smtp",
    "service_identity": "net smtp",
    "cryptography": "core net",
    "prometheus_client": "core api",
    "msgspec": "core model store accounts outbox webhooks mailing api config service commands",
    "nh3": "wire.mime mailing",
    "selectolax": "wire.mime mailing",
    "cchardet": "wire.mime",
    "asyncio": "",
    "concurrent": "",
    "multiprocessing": "",
    "threading": "",
}


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """
    Give the line and full name of everything the module imports.

    `from a import b` is given as `a.b`, whether b is a module or a name in one: the longest name decides.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                parts = module.split(".")
                here = parts[: len(parts) - node.level + is_package]
                start = ".".join([*here, start] if start else here)
            for alias in node.names:
                yield node.lineno, f"{start}.{alias.name}"


def within(name: str, places: str) -> bool:
    """Whether the dotted name is one of the places, or lies in one."""
    return any(name == place or name.startswith(place + ".") for place in places.split())


def rule_for(name: str) -> str | None:
    """The places that may import a name from outside of the package; None: all may."""
    fitting = [prefix for prefix in OUTSIDE if within(name, prefix)]
    return OUTSIDE[max(fitting, key=len)] if fitting else None


def breaches(home: Path) -> Iterable[str]:
    """Every import in a package tree that the tables do not allow, one line each."""
    for file in sorted(home.rglob("*.py")):
        relative = file.relative_to(home).with_suffix("")
        is_package = relative.name == "__init__"
        inner = ".".join(relative.parts[:-1] if is_package else relative.parts)
        module = f"{PACKAGE}.{inner}" if inner else PACKAGE
        room = inner.partition(".")[0]
        allowed = FLOORS.get(room)
        if room and allowed is None:
            yield f"{module}: the room {room} has no line in the table"
            continue
        for line, name in imported(ast.parse(file.read_bytes()), module, is_package):
            first, _, rest = name.partition(".")
            if first != PACKAGE:
                places = rule_for(name)
                if places is not None and not within(inner, places):
                    yield f"{module}:{line} imports {name}"
                continue
            other = rest.partition(".")[0]
            # `from emailengine import __version__` looks into no room
            if other in FLOORS and other not in (room, "errors") and not within(other, allowed or ""):
                yield f"{module}:{line} imports {name}"
            elif other not in FLOORS and other not in ("__version__", ""):
                yield f"{module}:{line} imports {name}, whose room has no line in the table"


class FloorTests(SynchronousTestCase):
    """The package as it stands."""

    def test_imports(self) -> None:
        """No file imports what its room may not."""
        found = list(breaches(HOME))
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_everything_is_read(self) -> None:
        """The rooms of the table are there, so that an empty walk cannot pass."""
        rooms = {path.stem for path in HOME.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        self.assertEqual(set(FLOORS) - rooms, set())

    def test_packages_hold_nothing(self) -> None:
        """Every `__init__.py` but the first is a docstring only, so importing a room runs nothing."""
        full = [
            str(file.relative_to(HOME))
            for file in HOME.rglob("__init__.py")
            if file.parent != HOME and len(ast.parse(file.read_bytes()).body) > 1
        ]
        self.assertEqual(full, [])


class PlantedTests(SynchronousTestCase):
    """The check itself: a small tree with one wrong import in it."""

    def planted(self, path: str, text: str) -> list[str]:
        """What is found when one file holds this text."""
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / "__init__.py").write_text('__version__ = "1"\n')
            file.write_text(text)
            return list(breaches(Path(name)))

    def test_violations(self) -> None:
        """Each of these is found, and named with its file and line."""
        for path, text in [
            ("core/tasks.py", "from emailengine.model import ids"),
            ("wire/imap/x.py", "from emailengine.imap.session import Session"),
            ("imap/session.py", "import emailengine.store.redis"),
            ("net/dial.py", "from emailengine.smtp import target"),
            ("accounts/x.py", "from emailengine.mailing.reading import Reading"),
            ("webhooks/x.py", "import re\nfrom emailengine.outbox.verdict import Verdict"),
            ("outbox/x.py", "from emailengine.webhooks import payload"),
            ("mailing/x.py", "from emailengine import outbox"),
            ("api/routes/x.py", "from emailengine.imap import session"),
            ("api/site.py", "from emailengine import service"),
            ("commands/main.py", "from emailengine.service import build"),
            ("store/x.py", "def f():\n    from emailengine.accounts.lane import Lane"),
            ("store/x.py", "if TYPE_CHECKING:\n    from emailengine.accounts.lane import Lane"),
            ("sync/plan.py", "from ..store import index"),
            ("wire/imap/x.py", "from ...api import seams"),
            ("api/x.py", "from twisted.internet import defer, reactor"),
            ("core/x.py", "from twisted.internet.reactor import callLater"),
            ("core/x.py", "from twisted.internet import threads"),
            ("wire/x.py", "from twisted.logger import Logger"),
            ("imap/session.py", "from twisted.mail.imap4 import IMAP4Client"),
            ("api/x.py", "import treq"),
            ("webhooks/x.py", "from txredisapi import Connection"),
            ("store/x.py", "import threading"),
            ("extras/x.py", "import re"),
            ("api/x.py", "from emailengine.extras import x"),
        ]:
            found = self.planted(path, text)
            self.assertEqual(len(found), 1, (path, text, found))
            self.assertTrue(found[0].startswith(PACKAGE + "." + path.removesuffix(".py").replace("/", ".")), found)

    def test_allowed(self) -> None:
        """None of these is."""
        for path, text in [
            ("store/index.py", "from emailengine.sync import rows\nfrom emailengine.errors import Outdated"),
            ("imap/connection.py", "from twisted.mail.imap4 import IMAP4Client\nfrom emailengine.net.tls import x"),
            ("wire/imap/fetch.py", "from . import tokens\nfrom .body import Part\nfrom ..errors import x"),
            ("wire/imap/__init__.py", "from . import tokens\nfrom .. import errors"),
            ("api/x.py", "from emailengine import __version__\nfrom emailengine.mailing import reading"),
            ("webhooks/x.py", "from emailengine.accounts.shaping import shape_detail"),
            ("tap.py", "from twisted.internet import reactor\nfrom emailengine import service"),
        ]:
            self.assertEqual(self.planted(path, text), [])
