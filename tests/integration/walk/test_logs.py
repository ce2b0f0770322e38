"""The protocol log of an account, with a real Dovecot."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.integration.processes import eventually
from tests.integration.walk.accounts import PASSWORD, AccountsCase


class LogTests(AccountsCase):
    def log(self, account: str) -> list[dict[str, Any]]:
        status, headers, body = self.daemon.raw("GET", f"/v1/logs/{account}")
        self.assertEqual(status, 200)
        self.assertTrue(headers["content-type"].startswith("text/plain"))
        if body == f"No logs found for {account}".encode():
            return []
        self.assertIn(f"logs.{account}.txt", headers["content-disposition"])
        self.assertNotIn(PASSWORD.encode(), body)
        for encoded in (f"\0{account}\0{PASSWORD}", PASSWORD):
            self.assertNotIn(base64.b64encode(encoded.encode()), body)
        return [json.loads(line) for line in body.splitlines()]

    def test_log(self) -> None:
        """What is said is written, who said it and when, and neither the password nor the content of a message."""
        self.register("anna", logs=True)
        (message,) = self.daemon.ask("GET", "/v1/account/anna/messages?path=INBOX")["messages"]
        source = self.daemon.call("GET", f"/v1/account/anna/message/{message['id']}/source")[1]
        self.assertIn(b"words of the body", source)
        lines = self.log("anna")
        said = [one["msg"] for one in lines if one["src"] == "c"]
        heard = [one["msg"] for one in lines if one["src"] == "s"]
        self.assertTrue(any("SELECT" in one or "EXAMINE" in one for one in said), said)
        self.assertTrue(any(one.startswith("* OK") for one in heard), heard)
        self.assertTrue(any("FETCH" in one for one in heard), heard)
        self.assertEqual([one for one in lines if "words of the body" in one["msg"]], [])
        self.assertTrue(all(one["time"].endswith("Z") and one["connection"] >= 1 for one in lines))
        self.assertEqual([one["time"] for one in lines], sorted(one["time"] for one in lines))

        self.daemon.ask("PUT", "/v1/account/anna", {"logs": False})
        eventually(lambda: not self.log("anna"), "the log is gone")
        self.daemon.wait_for_state("anna", "connected")
        self.assertEqual(self.log("anna"), [])
        self.daemon.ask("PUT", "/v1/account/anna", {"logs": True})
        eventually(lambda: self.log("anna"), "there is a log again")
        self.daemon.ask("DELETE", "/v1/account/anna")
        self.assertEqual(self.log("anna"), [])

    def test_all(self) -> None:
        """The installation may keep the logs of all accounts, and as much of them as it wants."""
        self.register("bo")
        self.assertEqual(self.log("bo"), [])
        self.daemon.ask("POST", "/v1/settings", {"logs": {"all": True, "maxLogLines": 5}})
        self.assertEqual(self.daemon.ask("GET", "/v1/settings?logs=true")["logs"], {"all": True, "maxLogLines": 5})
        self.daemon.ask("PUT", "/v1/account/bo/reconnect", {"reconnect": True})
        eventually(lambda: len(self.log("bo")) == 5, "five lines are kept")
        self.daemon.ask("POST", "/v1/settings", {"logs": {"all": False}})
        self.daemon.ask("PUT", "/v1/account/bo/reconnect", {"reconnect": True})
        eventually(lambda: not self.log("bo"), "the log is gone")

    def test_refused(self) -> None:
        """A wrong password shows up as what the server said, and not itself."""
        body = {
            "account": "dee",
            "name": "dee",
            "logs": True,
            "imap": {
                "host": "localhost",
                "port": self.mail.port,
                "secure": True,
                "auth": {"user": "cy", "pass": "not-the-word"},
                "tls": {"ca": self.authority.ca},
            },
        }
        self.daemon.ask("POST", "/v1/account", body)
        self.daemon.wait_for_state("dee", "authenticationError")
        lines = self.log("dee")
        self.assertTrue(any("AUTHENTICATIONFAILED" in one["msg"] for one in lines), lines)
        text = json.dumps(lines)
        for word in ("not-the-word", base64.b64encode(b"\0cy\0not-the-word").decode()):
            self.assertNotIn(word, text)
