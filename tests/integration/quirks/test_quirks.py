"""Each test is an oddity of a server that once lost an event, cost a login or made the daemon blind."""

from __future__ import annotations

import http.client
import json

from tests.integration.processes import eventually
from tests.integration.quirks.case import QuirksCase
from tests.integration.quirks.server import Folder


class QuirksTests(QuirksCase):
    def test_idle_refused(self) -> None:
        """A server that offers IDLE and refuses it is polled, over the same connection."""
        server = self.serve()
        server.answers["IDLE"] = "TAG NO not today"
        self.connect(server)
        self.daemon.ask("PUT", f"/v1/account/{self.account}/sync", {"sync": True})
        server.deliver()
        self.wait_for(1)
        self.assertEqual(server.logins, 1)

    def test_idle_ended(self) -> None:
        """IDLE that the server ends is begun again at once."""
        server = self.serve()
        self.connect(server)
        (session,) = eventually(lambda: [one for one in server.sessions if one.idling], "IDLE is on")
        session.end_idle()
        eventually(lambda: session.idling, "IDLE is on again")
        server.deliver()
        self.wait_for(1)

    def test_list_refused(self) -> None:
        """LIST that is refused the second time leaves the account as it is (Exchange does that)."""
        server = self.serve()
        self.connect(server)
        server.answers["LIST"] = "TAG NO ask me later"
        before = len(server.said)
        self.daemon.ask("PUT", f"/v1/account/{self.account}/sync", {"sync": True})
        eventually(lambda: any(one.startswith("LIST") for one in server.said[before:]), "LIST was asked")
        server.deliver()
        self.wait_for(1)
        self.assertEqual((server.logins, self.told("connectError")), (1, []))

    def test_message_that_cannot_be_shown(self) -> None:
        """A message whose content the server cannot show is told without it, and hides no other."""
        server = self.serve()
        self.connect(server)
        server.answers["UID FETCH 1:4294967295 (UID FLAGS INTERNALDATE RFC822.SIZE"] = "TAG NO [SERVERBUG] broken"
        server.answers["UID FETCH 1 (UID FLAGS"] = "TAG NO [SERVERBUG] broken"
        server.deliver(count=2)
        eventually(lambda: 2 in [one["data"]["uid"] for one in self.told()] or None, "the good one is told", 40)
        first = next(one["data"] for one in self.wait_for(2) if one["data"]["uid"] == 1)
        self.assertNotIn("subject", first)
        self.assertEqual(server.folders["INBOX"].uidnext, 3)

    def test_reply_that_cannot_be_read(self) -> None:
        """A reply that is cut short does not make the account log in again and again."""
        server = self.serve()
        self.connect(server)
        server.answers["UID FETCH 1:4294967295 (UID FLAGS INTERNALDATE RFC822.SIZE"] = [
            '* 1 FETCH (UID 1 FLAGS () BODYSTRUCTURE ("TEXT"\nTAG OK done'
        ]
        server.deliver()
        self.assertEqual(self.wait_for(1)[0]["data"]["subject"], "number 1")
        self.assertLessEqual(server.logins, 2)

    def test_rows_that_cannot_be_read(self) -> None:
        """A message of which not even the flags can be read hides no other, and is told when it can be."""
        server = self.serve()
        self.connect(server)
        server.cut = {2}
        server.deliver(count=4)
        self.assertEqual({one["data"]["uid"] for one in self.wait_for(3)}, {1, 3, 4})
        server.deliver()
        self.assertEqual({one["data"]["uid"] for one in self.wait_for(4)}, {1, 3, 4, 5})
        server.cut = set()
        self.daemon.ask("PUT", f"/v1/account/{self.account}/sync", {"sync": True})
        self.assertEqual({one["data"]["uid"] for one in self.wait_for(5)}, {1, 2, 3, 4, 5})
        self.assertEqual(len(self.told()), 5)
        eventually(lambda: server.sessions[0].idling, "the first session is the one that is watched")
        self.assertLessEqual(server.logins, 2)  # one of them to read content

    def test_folder_locked_at_first_sight(self) -> None:
        """A folder that does not open at first is read later, and its mail is announced then."""
        server = self.serve()
        server.folders["Work"] = Folder()
        server.deliver("Work", 3)
        server.answers['SELECT "WORK"'] = ["TAG NO [INUSE] locked"]
        self.connect(server)
        self.assertEqual(self.told(), [])
        self.daemon.ask("PUT", f"/v1/account/{self.account}/sync", {"sync": True})
        found = self.wait_for(3)
        self.assertEqual({one["path"] for one in found}, {"Work"})

    def test_client_gone(self) -> None:
        """A client that leaves while it registers an account leaves no half account behind."""
        server = self.serve()
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port)
        body = json.dumps(self.body(server)).encode()
        connection.request("POST", "/v1/account", body, {"Content-Type": "application/json"})
        connection.close()
        self.addCleanup(self.daemon.call, "DELETE", f"/v1/account/{self.account}")

        def settled() -> bool:
            status, told = self.daemon.call("GET", f"/v1/account/{self.account}")
            return status == 404 or told["state"] == "connected"

        eventually(settled, "it is connected, or was never made")
