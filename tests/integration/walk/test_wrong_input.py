"""What goes wrong for users: the documented status, body and account state for each."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

from tests.integration.certificates import Authority
from tests.integration.daemon import Daemon
from tests.integration.dovecot import Dovecot
from tests.integration.processes import eventually, free_port
from tests.integration.receiver import Receiver


class WrongInputTests(unittest.TestCase):
    directory: ClassVar[Path]
    authority: ClassVar[Authority]
    mail: ClassVar[Dovecot]
    sink: ClassVar[Receiver]
    daemon: ClassVar[Daemon]

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp(prefix="ee-wrong-"))
        cls.authority = Authority(cls.directory)
        pair = cls.authority.server()
        cls.mail = Dovecot(cls.directory, certificate=pair.certificate, key=pair.key, users={"anna": "secret"})
        cls.addClassCleanup(cls.mail.stop)
        cls.sink = Receiver(cls.directory)
        cls.addClassCleanup(cls.sink.stop)
        cls.daemon = Daemon(cls.directory).start()
        cls.addClassCleanup(cls.daemon.kill)
        cls.daemon.ask(
            "POST", "/v1/settings", {"webhooksEnabled": True, "webhooks": cls.sink.url, "webhookEvents": ["*"]}
        )
        cls.daemon.ask("POST", "/v1/account", cls.body("anna"))
        cls.daemon.wait_for_state("anna", "connected")

    @classmethod
    def body(cls, account: str, **imap: Any) -> dict[str, Any]:
        server = {
            "host": "localhost",
            "port": cls.mail.port,
            "secure": True,
            "auth": {"user": "anna", "pass": "secret"},
            "tls": {"ca": cls.authority.ca},
        }
        return {"account": account, "name": "Anna", "imap": server | imap}

    def refused(self, status: int, answer: Any, wanted: int, code: str | None = None) -> None:
        """The answer is the documented error body."""
        self.assertEqual((status, answer["statusCode"]), (wanted, wanted))
        self.assertTrue(answer["error"])
        self.assertTrue(answer["message"])
        if code is not None:
            self.assertEqual(answer["code"], code)

    def failed(self, account: str, state: str, code: str | None = None) -> Any:
        """The account's last error once it is in that state, which a webhook has told."""
        told = self.daemon.wait_for_state(account, state)
        if code is not None:
            self.assertEqual(told["lastError"]["serverResponseCode"], code)
        eventually(
            lambda: [row for row in self.sink.kept(state) if row["body"]["account"] == account], f"webhook {state}"
        )
        return told["lastError"]

    def test_unknown_account(self) -> None:
        """404, on every route that names an account."""
        for method, path, sent in (
            ("GET", "", None),
            ("PUT", "", {"name": "x"}),
            ("DELETE", "", None),
            ("GET", "/mailboxes", None),
            ("GET", "/messages?path=INBOX", None),
            ("GET", "/message/AAAAAQAAAAE", None),
            ("POST", "/submit", {"to": [{"address": "bo@example.net"}], "text": "x"}),
        ):
            status, answer = self.daemon.call(method, f"/v1/account/nobody{path}", sent)
            self.refused(status, answer, 404, "AccountNotFound")

    def test_bad_json(self) -> None:
        """400, and nothing is changed."""
        status, _, answer = self.daemon.raw(
            "POST", "/v1/account", b'{"account": ', {"Content-Type": "application/json"}
        )
        self.assertEqual(status, 400)
        self.assertIn(b'"statusCode":400', answer)

    def test_all_faults_at_once(self) -> None:
        """Unknown fields and wrong types are listed together, each with its name."""
        sent = {"account": 5, "colour": "red", "imap": {"host": "localhost", "port": "many", "secure": True}}
        status, answer = self.daemon.call("POST", "/v1/account", sent)
        self.refused(status, answer, 400)
        self.assertEqual({"account", "name", "colour", "port"} - {one["key"] for one in answer["fields"]}, set())
        self.assertEqual(self.daemon.call("GET", "/v1/account/5")[0], 404)

    def test_oversize_body(self) -> None:
        """413 while the body arrives, whether its length is told or not."""
        large = b'{"account":"' + b"x" * (2 * 1024 * 1024) + b'"}'
        try:
            status, _, answer = self.daemon.raw("POST", "/v1/account", large, {"Content-Type": "application/json"})
        except (BrokenPipeError, ConnectionResetError):
            return  # answered and closed before all was sent
        self.assertEqual(status, 413)
        self.assertIn(b"413", answer)

    def test_bad_message_ids(self) -> None:
        """404 for ids that are none, and for those of messages that are not there."""
        for message in ("nonsense", "AAAAAQAAAAE_", "AAAAAAAAAAA", "_____________________"):
            status, answer = self.daemon.call("GET", f"/v1/account/anna/message/{message}")
            self.refused(status, answer, 404, "MessageNotFound")

    def test_unknown_folder(self) -> None:
        """404 for a folder that the account does not have."""
        status, answer = self.daemon.call("GET", "/v1/account/anna/messages?path=Nowhere")
        self.refused(status, answer, 404, "FolderNotFound")

    def test_wrong_password(self) -> None:
        """`authenticationError` with the server's own code; its messages answer 503."""
        self.daemon.ask("POST", "/v1/account", self.body("locked", auth={"user": "anna", "pass": "wrong"}))
        error = self.failed("locked", "authenticationError", "AUTHENTICATIONFAILED")
        self.assertNotIn("wrong", error["response"])
        status, answer = self.daemon.call("GET", "/v1/account/locked/messages?path=INBOX")
        self.refused(status, answer, 503, "AuthenticationFails")
        self.assertEqual(answer["state"], "authenticationError")

    def test_password_corrected(self) -> None:
        """New credentials are tried at once."""
        self.daemon.ask("POST", "/v1/account", self.body("later", auth={"user": "anna", "pass": "wrong"}))
        self.failed("later", "authenticationError")
        self.daemon.ask(
            "PUT", "/v1/account/later", {"imap": {"partial": True, "auth": {"user": "anna", "pass": "secret"}}}
        )
        self.assertIsNone(self.daemon.wait_for_state("later", "connected")["lastError"])

    def test_unreachable_host(self) -> None:
        """`connectError` with the socket's word."""
        self.daemon.ask("POST", "/v1/account", self.body("nowhere", port=free_port()))
        self.failed("nowhere", "connectError", "ECONNREFUSED")

    def test_unknown_host(self) -> None:
        """`connectError` for a name that does not exist."""
        self.daemon.ask("POST", "/v1/account", self.body("nameless", host="no-such-host.invalid"))
        self.failed("nameless", "connectError")

    def test_expired_certificate(self) -> None:
        """`connectError` that says why the certificate is not acceptable; nothing was sent to that server."""
        pair = self.authority.server(expired=True)
        directory = self.directory / "expired"
        directory.mkdir()
        mail = Dovecot(directory, certificate=pair.certificate, key=pair.key, users={"anna": "secret"})
        self.addCleanup(mail.stop)
        self.daemon.ask("POST", "/v1/account", self.body("stale", port=mail.port))
        self.failed("stale", "connectError", "CERT_HAS_EXPIRED")
        self.daemon.ask("PUT", "/v1/account/stale", {"imap": {"partial": True, "tls": {"rejectUnauthorized": False}}})
        self.daemon.wait_for_state("stale", "connected")

    def test_untrusted_certificate(self) -> None:
        """A certificate of an unknown authority is refused unless somebody says otherwise."""
        self.daemon.ask("POST", "/v1/account", self.body("distrust", tls={}))
        self.failed("distrust", "connectError")

    def test_foreign_host_header(self) -> None:
        """Without credentials configured, a request under a foreign name is not let in."""
        status, _, _ = self.daemon.raw("GET", "/v1/accounts", None, {"Host": "rebinding.example"})
        self.assertIn(status, (401, 403))
