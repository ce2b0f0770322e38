"""The servers that are known to be odd, and what any server may do: new mail is announced all the same, and listed."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from emailengine.model.dates import parse_iso
from tests.integration.processes import eventually
from tests.integration.quirks.case import QuirksCase
from tests.integration.quirks.relay import Relay
from tests.integration.quirks.server import Folder, QuirkyServer

SILENCE = 3  # seconds: IDLE is begun anew after 15, the server asked every 6, and given up after 1.5


class ServersCase(QuirksCase):
    environment: ClassVar[dict[str, str]] = {"EENGINE_IMAP_SOCKET_TIMEOUT": f"{SILENCE}s"}

    def announced(self, server: QuirkyServer, count: int = 1) -> None:
        """Mail that comes now is announced, each message once, and all of it can be listed."""
        server.deliver(count=count)
        total = len(server.folders["INBOX"].messages)
        eventually(lambda: len(self.of_inbox()) >= total, f"{total} messages are announced", 30)
        told = self.of_inbox()
        self.assertEqual([one["data"]["uid"] for one in told], list(range(1, total + 1)))
        self.assertEqual([one["subject"] for one in self.listed()], [f"number {n}" for n in range(total, 0, -1)])

    def of_inbox(self) -> list[dict[str, Any]]:
        return [one for one in self.told() if one["path"] == "INBOX"]


class WatchingTests(ServersCase):
    def test_cut_in_silence(self) -> None:
        """A connection over which nothing passes any more is made anew within the time that IDLE lasts and a bit."""
        server = self.serve()
        relay = Relay(server.port)
        self.addCleanup(relay.stop)
        self.connect(server, port=relay.port)
        self.announced(server)
        eventually(lambda: any(one.idling for one in server.sessions), "IDLE is on")
        before = self.detail()
        self.assertEqual(before["connections"], 1)
        relay.cut()
        server.deliver()
        began = time.monotonic()
        self.wait_for(2)
        self.assertLess(time.monotonic() - began, 5 * SILENCE + SILENCE / 2 + 5)
        self.assertEqual((relay.connections, server.logins), (2, 2))
        after = self.daemon.wait_for_state(self.account, "connected")
        self.assertGreater(after["lastHeard"], before["lastHeard"])
        self.assertEqual(self.told("authenticationError") + self.told("connectError"), [])

    def test_last_heard(self) -> None:
        """When the server was last heard of is shown, and follows what it says while it is watched."""
        server = self.serve()
        self.connect(server)
        (session,) = eventually(lambda: [one for one in server.sessions if one.idling], "IDLE is on")
        before = self.detail()["lastHeard"]
        with server.lock:
            session.hello()
        after = eventually(lambda: (told := self.detail()["lastHeard"]) > before and told, "it was heard")
        server.stop()
        eventually(lambda: self.detail()["connections"] == 0, "the connection is gone")
        self.assertAlmostEqual(parse_iso(self.detail()["lastHeard"]), parse_iso(after), delta=1)

    def test_yahoo(self) -> None:
        """Yahoo tells nothing in IDLE after a while: it does when IDLE is begun anew. Rows come in any order."""
        server = self.serve(tells="NOOP DONE", proxied=True, capabilities="IMAP4rev1 IDLE ID XYMHIGHESTMODSEQ")
        server.backwards = True
        self.connect(server, host="imap.mail.yahoo.com")
        self.announced(server, 3)

    def test_rambler(self) -> None:
        """Rambler, the same."""
        server = self.serve(tells="DONE", proxied=True)
        self.connect(server, host="imap.rambler.ru")
        self.announced(server)

    def test_coremail(self) -> None:
        """Coremail opens nothing for strangers, offers IDLE and means it not, and has nothing new at NOOP."""
        server = self.serve(tells="", proxied=True, capabilities="IMAP4rev1 IDLE ID", id_='("name" "x")')
        server.wants_id = True
        self.connect(server, host="imap.163.com")
        self.announced(server)
        self.assertNotIn("IDLE", server.said)

    def test_coremail_elsewhere(self) -> None:
        """Coremail under another name."""
        server = self.serve(
            tells="", capabilities="IMAP4rev1 IDLE ID", id_='("name" "Coremail Imap" "vendor" "Mailtech")'
        )
        server.wants_id = True
        self.connect(server)
        self.announced(server)
        self.assertNotIn("IDLE", server.said)

    def test_naver(self) -> None:
        """Naver tells what is new to SELECT alone; STATUS knows nothing of it."""
        server = self.serve(tells="", proxied=True)
        server.answers["STATUS"] = "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7 UNSEEN 0)\nTAG OK done"
        self.connect(server, host="imap.naver.com")
        self.announced(server)

    def test_no_idle(self) -> None:
        """A server that knows no IDLE is asked."""
        server = self.serve(capabilities="IMAP4rev1")
        self.connect(server)
        self.announced(server)


class NumbersTests(ServersCase):
    def test_no_uidnext(self) -> None:
        """A server that never tells UIDNEXT: no folder is begun anew, and none is selected again and again."""
        server = self.serve()
        server.uidnext = False
        server.folders["Work"] = Folder()
        server.deliver("Work", 2)
        self.connect(server)
        self.announced(server)
        self.look_around()
        self.announced(server)
        self.assertEqual(self.told("mailboxReset"), [])
        self.assertEqual(len(self.told("mailboxNew")), 2)
        self.assertLess(sum(one.startswith("SELECT") for one in server.said), 20)

    def test_rows_without_flags_or_uid(self) -> None:
        """FETCH rows that lack what was asked for are left out; the folder is not read again and again for them."""
        server = self.serve()
        self.connect(server)
        server.answers["UID FETCH"] = [
            "* 1 FETCH (FLAGS ())\n* 1 FETCH (UID 1)\n* 1 FETCH (BODY[] NIL)\nTAG OK done" for _ in range(3)
        ]
        server.deliver()
        eventually(lambda: not server.answers["UID FETCH"], "all were asked for")
        before = len(server.said)
        self.look_around()
        self.assertEqual([one["data"]["uid"] for one in self.wait_for(1)], [1])
        self.assertLess(len(server.said) - before, 30)
        self.announced(server)

    def test_phantom(self) -> None:
        """A folder that is listed and never opens is left alone after three refusals, until its numbers change."""
        server = self.serve()
        ghost = server.folders["Ghost"] = Folder()
        server.answers['SELECT "GHOST"'] = "TAG NO Mailbox doesn't exist: Ghost"
        self.connect(server, resyncDelay=1)

        def tries() -> int:
            return sum(one.startswith('SELECT "Ghost"') for one in server.said)

        for n in range(1, 4):
            eventually(lambda n=n: tries() == n, f"try number {n}")  # type: ignore[misc]  # of this turn
            if n < 3:
                self.look_around()
        self.announced(server)
        looks = sum(one.startswith("STATUS") and "Ghost" in one for one in server.said)
        eventually(
            lambda: sum(one.startswith("STATUS") and "Ghost" in one for one in server.said) > looks + 2,
            "it is looked at",
        )
        self.assertEqual((tries(), server.logins), (3, 1))
        self.assertEqual(self.told("authenticationError") + self.told("connectError"), [])
        with server.lock:
            del server.answers['SELECT "GHOST"']
            ghost.messages[1] = time.time()
            ghost.uidnext = 2
        eventually(lambda: any(one["path"] == "Ghost" for one in self.told()), "the folder is read")


class RefusalsTests(ServersCase):
    def test_no_status(self) -> None:
        """A folder whose STATUS is refused or cut is opened to see what is new in it, and one after the other if throttled."""
        cut = "* STATUS Work (MESSAGES\nTAG OK done"
        throttled = self.THROTTLED.replace("400 milli", "3 ")
        for answer, asked in (("TAG NO [CANNOT] not for this", 6), (throttled, 3), (cut, 6)):
            server = self.serve()
            for name in ("Work", "Play"):
                server.folders[name] = Folder()
            self.daemon.ask("POST", "/v1/account", self.body(server))
            self.daemon.wait_for_state(self.account, "connected")
            server.answers["STATUS"] = answer
            server.answers["LIST"] = '* LIST () "/\nTAG OK done'
            server.deliver("Work")
            server.deliver("Play")
            before = len(self.told())
            self.look_around()
            found = self.wait_for(before + 2)[before:]
            self.assertEqual({one["path"] for one in found}, {"Work", "Play"})
            self.assertLess(sum(one.startswith("STATUS") for one in server.said), asked)
            self.assertEqual(server.logins, 1)
            self.daemon.ask("DELETE", f"/v1/account/{self.account}")

    THROTTLED = "TAG BAD Request is throttled. Suggested Backoff Time: 400 milliseconds"

    def test_throttled(self) -> None:
        """Outlook's "Request is throttled": what was asked for is asked again after the time that it names."""
        server = self.serve()
        self.connect(server)
        self.announced(server)
        for command in ("SELECT", "UID FETCH 1:4294967295", "UID FETCH 2:4294967295", "LIST", "STATUS"):
            server.answers[command] = [self.THROTTLED] * 3
        self.look_around()
        self.announced(server)
        server.answers = {"FETCH": [self.THROTTLED] * 3}
        self.assertEqual(len(self.listed()), 2)
        self.assertEqual(server.answers["FETCH"], [])
        self.assertLessEqual(server.logins, 2)  # one of them for a listing

    def test_throttled_at_first(self) -> None:
        """Throttled before anything is known: the account is connected in the end, with few logins."""
        server = self.serve()
        server.answers["LIST"] = [self.THROTTLED] * 2
        server.answers["SELECT"] = [self.THROTTLED] * 2
        self.connect(server)
        self.announced(server)
        self.assertLessEqual(server.logins, 2)

    def test_gone(self) -> None:
        """Outlook's NO because some messages are gone is no failure: those that are there are told."""
        server = self.serve()
        self.connect(server)
        self.announced(server, 2)
        server.answers["FETCH 1:2"] = (
            "* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 9)\nTAG NO Some of the requested messages no longer exist."
        )
        self.assertEqual([one["uid"] for one in self.listed()], [2])

    def test_not_connected(self) -> None:
        """Exchange's "authenticated but not connected" is about the credentials, whichever command it answers."""
        refused = "TAG BAD User is authenticated but not connected."
        for command, capabilities in (("NAMESPACE", "IMAP4rev1 NAMESPACE"), ("LIST", "IMAP4rev1")):
            server = self.serve(capabilities=capabilities)
            server.answers[command] = refused
            self.daemon.ask("POST", "/v1/account", self.body(server))
            self.daemon.wait_for_state(self.account, "authenticationError")
            (said,) = self.wait_for(1, "authenticationError")[-1:]
            self.assertIn("not connected", said["data"]["response"])
            self.daemon.ask("DELETE", f"/v1/account/{self.account}")

    def test_lsub_and_the_second_list(self) -> None:
        """Exchange knows no LSUB at times, and does not list twice: neither costs a folder or a login."""
        server = self.serve()
        server.answers["LSUB"] = "TAG BAD Command Argument Error. 12"
        self.connect(server)
        server.answers["LIST"] = "TAG NO LIST failed."
        self.look_around()
        self.announced(server)
        self.assertEqual((server.logins, self.told("mailboxDeleted")), (1, []))

    def test_rev2_liar(self) -> None:
        """A server that offers IMAP4rev2 and cannot speak it is spoken to in IMAP4rev1 where the account says so."""
        server = self.serve(capabilities="IMAP4rev2 IMAP4rev1 IDLE ENABLE")
        server.answers["ENABLE IMAP4REV2"] = "* BYE confused\nTAG BAD what"
        self.connect(server, disableIMAP4rev2=True)
        self.announced(server)
        self.assertFalse(any("REV2" in one.upper() for one in server.said))

    def test_too_many_connections(self) -> None:
        """A server with room for one: requests take the first session, and nothing is wrong with the account."""
        server = self.serve()
        self.connect(server)
        self.announced(server)
        server.answers["LOGIN"] = "TAG NO [ALERT] Too many simultaneous connections. (Failure)"
        for _ in range(6):
            self.assertEqual(len(self.listed()), 1)
        self.announced(server)
        self.assertLessEqual(server.logins, 2)
        self.assertEqual(self.detail()["state"], "connected")
        self.assertEqual(self.told("authenticationError") + self.told("connectError"), [])

    def test_too_many_connections_at_first(self) -> None:
        """No room even for the first session is an error of the connection, not of the credentials."""
        for greeting, refused in (
            ("* BYE [LIMIT] Too many connections from your address", None),
            ("* OK hello", "TAG NO [LIMIT] Maximum number of connections from user+IP exceeded"),
        ):
            server = self.serve()
            server.greeting = greeting
            if refused is not None:
                server.answers["LOGIN"] = refused
            self.daemon.ask("POST", "/v1/account", self.body(server))
            self.daemon.wait_for_state(self.account, "connectError")
            self.daemon.ask("DELETE", f"/v1/account/{self.account}")
        self.assertEqual(self.told("authenticationError"), [])

    def test_in_use(self) -> None:
        """A mailbox that another has locked is no matter of credentials either."""
        server = self.serve()
        server.answers["LOGIN"] = "TAG NO [INUSE] Mailbox is locked by another session"
        self.connect(server, "connectError")
        self.assertEqual(self.told("authenticationError"), [])


class AddressesTests(ServersCase):
    def test_lark(self) -> None:
        """Lark's ENVELOPE has no addresses: they are told of the header, in listings and in what is announced."""
        server = self.serve(proxied=True)
        server.bare_envelopes = True
        self.connect(server, host="imap.larksuite.com")
        self.announced(server)
        bo: dict[str, Any] = {"name": "Bo", "address": "bo@example.net"}
        self.assertEqual(self.told()[0]["data"]["from"], bo)
        self.assertEqual(self.listed()[0]["from"], bo)
