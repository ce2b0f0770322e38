"""A daemon with a Dovecot and an SMTP server, and accounts on them: for walks over one feature."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

from tests.integration.certificates import Authority
from tests.integration.daemon import Daemon
from tests.integration.dovecot import Dovecot
from tests.integration.postoffice import PostOffice

PASSWORD = "sesame-opens-it"
LETTER = b"From: bo@example.net\r\nTo: anna@example.org\r\nSubject: a letter\r\n\r\nwords of the body\r\n"


class AccountsCase(unittest.TestCase):
    """One daemon for all tests of the class; each test has accounts of its own."""

    directory: ClassVar[Path]
    authority: ClassVar[Authority]
    mail: ClassVar[Dovecot]
    post: ClassVar[PostOffice]
    daemon: ClassVar[Daemon]

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp(prefix="ee-log-"))
        cls.authority = Authority(cls.directory)
        pair = cls.authority.server()
        users = {"anna": PASSWORD, "bo": PASSWORD, "cy": PASSWORD}
        cls.mail = Dovecot(cls.directory, certificate=pair.certificate, key=pair.key, users=users)
        cls.addClassCleanup(cls.mail.stop)
        cls.post = PostOffice(cls.directory, password=PASSWORD, certificate=str(pair.certificate), key=str(pair.key))
        cls.addClassCleanup(cls.post.stop)
        cls.daemon = Daemon(cls.directory, EENGINE_SECRET="for what lies in the store").start()
        cls.addClassCleanup(cls.daemon.kill)
        cls.mail.fill("anna", [LETTER])

    def register(self, account: str, **more: Any) -> None:
        login = {"user": account, "pass": PASSWORD}
        tls = {"ca": self.authority.ca}
        body = {
            "account": account,
            "name": account,
            "email": f"{account}@example.org",
            "imap": {"host": "localhost", "port": self.mail.port, "secure": True, "auth": login, "tls": tls},
            "smtp": {"host": "localhost", "port": self.post.port, "secure": False, "auth": login, "tls": tls},
        }
        self.daemon.ask("POST", "/v1/account", body | more)
        self.daemon.wait_for_state(account, "connected")
