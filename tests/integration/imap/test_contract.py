"""The contract of mailboxes, held against Dovecot, pymap and the server in memory, in two shapes."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.integration.dovecot import BINARY, Dovecot
from tests.integration.imap.mailbox_contract import MailboxContract
from tests.integration.imap.server.listening import EVERYTHING, InProcessServer
from tests.integration.imap.server.protocol import Settings
from tests.integration.imap.sites import Site
from tests.integration.pymap import Pymap


def offers(port: int, user: str) -> frozenset[str]:
    """What a server lists after login."""
    client = imaplib.IMAP4("127.0.0.1", port)
    client.login(user, "secret")
    told = client.capability()[1][0]
    client.logout()
    return frozenset(told.decode().upper().split())


@pytest.fixture(scope="class")
def dovecot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    users = {f"u{n}": "secret" for n in range(40)}
    server = Dovecot(tmp_path_factory.mktemp("dovecot"), users=users, extra=_QUOTA)
    try:
        request.cls.site = Site(
            port=server.plain_port,
            offers=offers(server.plain_port, "u39"),
            user=lambda variant: f"u{variant}",
            special={one: f"\\{one}" for one in ("Drafts", "Sent", "Trash", "Junk")},
        )
        yield
    finally:
        server.stop()


_QUOTA = """
mail_plugins = $mail_plugins quota
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=1G
}
"""


@pytest.mark.usefixtures("dovecot")
@pytest.mark.skipif(not Path(BINARY).exists(), reason="needs Dovecot (package dovecot-imapd)")
class DovecotTests(MailboxContract):
    __test__ = True


@pytest.fixture(scope="class")
def pymap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    server = Pymap(tmp_path_factory.mktemp("pymap"))
    try:
        request.cls.site = Site(
            port=server.port,
            offers=offers(server.port, "anna"),
            keywords=False,
            errs=frozenset(("sizes", "end", "numbers", "idle")),
        )
        yield
    finally:
        server.stop()


@pytest.mark.usefixtures("pymap")
@pytest.mark.skipif(find_spec("pymap") is None, reason="needs pymap")
class PymapTests(MailboxContract):
    __test__ = True


class _InProcess(MailboxContract):
    """A server for each test, with other settings for other classes."""

    def settings(self) -> Settings:
        raise NotImplementedError

    def setUp(self) -> None:
        settings = self.settings()
        server = InProcessServer(settings, cast("Any", reactor))
        server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        self.site = Site(
            port=server.port,
            offers=settings.capabilities | {"IMAP4REV1"},
            prefix=settings.prefix,
            delimiter=settings.delimiter,
            user=lambda variant: f"u{variant}",
            special={settings.prefix + one: f"\\{one}" for one in ("Drafts", "Sent", "Trash", "Junk")},
            charsets="UTF-8" in settings.charsets,
        )


USERS = {f"u{n}": "secret" for n in range(60)}


class InProcessTests(_InProcess):
    """With every extension."""

    __test__ = True

    def settings(self) -> Settings:
        return Settings(capabilities=EVERYTHING - {"XLIST"}, users=USERS)


class BareTests(_InProcess):
    """With few extensions, all folders below INBOX, and without what RFC 3501 leaves to the server."""

    __test__ = True

    def settings(self) -> Settings:
        return Settings(
            capabilities=frozenset(("ID", "LITERAL-", "NAMESPACE", "XLIST")),
            users=USERS,
            delimiter=".",
            prefix="INBOX.",
            uidnext=False,
            refuse_id=True,
            charsets=("US-ASCII",),
        )
