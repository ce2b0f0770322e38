"""An account in, its mail out: the walk of the README as a test, over TLS, with nothing simulated."""

from __future__ import annotations

import base64
import hashlib
import hmac
import imaplib
import ssl
import tempfile
import time
import unittest
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from tests.integration.certificates import Authority
from tests.integration.daemon import Daemon
from tests.integration.dovecot import Dovecot
from tests.integration.postoffice import PostOffice
from tests.integration.processes import alive, children, eventually
from tests.integration.receiver import Receiver

ODD_ID = "team/anna:100% ü *"

QUOTA = """
mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=100M
}
"""


def message(subject: str, *, attachment: bytes | None = None, to: str = "anna@example.org") -> bytes:
    mail = EmailMessage()
    mail["From"] = "Bo Berg <bo@example.net>"
    mail["To"] = f"Anna <{to}>"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{hashlib.sha256(subject.encode()).hexdigest()[:16]}@example.net>"
    mail["Date"] = "Wed, 25 Nov 2026 10:00:00 +0100"
    mail.set_content(f"Hello Anna,\n\nthis is {subject}.\n")
    mail.add_alternative(f"<p>Hello Anna, this is <b>{subject}</b>.</p>", subtype="html")
    if attachment is not None:
        mail.add_attachment(attachment, maintype="application", subtype="pdf", filename="Angebot für Anna.pdf")
    return mail.as_bytes()


class WalkTests(unittest.TestCase):
    """One daemon for all tests of the class; they do not depend on each other's order."""

    directory: ClassVar[Path]
    authority: ClassVar[Authority]
    mail: ClassVar[Dovecot]
    sink: ClassVar[Receiver]
    daemon: ClassVar[Daemon]
    post: ClassVar[PostOffice]
    registered: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp(prefix="ee-walk-"))
        cls.authority = Authority(cls.directory)
        pair = cls.authority.server()
        cls.mail = Dovecot(
            cls.directory,
            certificate=pair.certificate,
            key=pair.key,
            users={"anna": "secret", "odd": "secret"},
            extra=QUOTA,
        )
        cls.addClassCleanup(cls.mail.stop)
        cls.post = PostOffice(cls.directory, password="secret", certificate=str(pair.certificate), key=str(pair.key))
        cls.addClassCleanup(cls.post.stop)
        cls.sink = Receiver(cls.directory)
        cls.addClassCleanup(cls.sink.stop)
        cls.daemon = Daemon(cls.directory).start()
        cls.addClassCleanup(cls.daemon.kill)
        cls.mail.fill("anna", [message("an old letter")], arrived=time.time() - 3600)
        cls.daemon.ask(
            "POST",
            "/v1/settings",
            {
                "webhooksEnabled": True,
                "webhooks": cls.sink.url,
                "webhookEvents": ["*"],
                "notifyHeaders": ["*"],
                "serviceSecret": "a secret of ours",
            },
        )
        cls.registered = cls.register("anna", "anna")
        cls.daemon.wait_for_state("anna", "connected")

    @classmethod
    def register(cls, account: str, user: str, **more: Any) -> Any:
        tls = {"ca": cls.authority.ca}
        login = {"user": user, "pass": "secret"}
        body = {
            "account": account,
            "name": "Anna Ek",
            "email": "anna@example.org",
            "imap": {"host": "localhost", "port": cls.mail.port, "secure": True, "auth": login, "tls": tls},
            "smtp": {"host": "localhost", "port": cls.post.port, "secure": False, "auth": login, "tls": tls},
        }
        return cls.daemon.ask("POST", "/v1/account", body | more)

    def webhook(self, event: str, **wanted: Any) -> dict[str, Any]:
        """The one webhook of that event whose data has these values."""

        def look() -> Any:
            for row in self.sink.kept(event):
                data = row["body"]["data"]
                if all(data.get(name) == value for name, value in wanted.items()):
                    return row
            return None

        found: dict[str, Any] = eventually(look, f"webhook {event} with {wanted}")
        return found

    def arrive(self, subject: str, **more: Any) -> dict[str, Any]:
        """Deliver a message; the data of its messageNew."""
        self.mail.deliver("anna", message(subject, **more))
        data: dict[str, Any] = self.webhook("messageNew", subject=subject)["body"]["data"]
        return data

    def imap(self) -> imaplib.IMAP4_SSL:
        """Anna's own mail program."""
        context = ssl.create_default_context(cadata=self.authority.ca)
        box = imaplib.IMAP4_SSL("localhost", self.mail.port, ssl_context=context)
        box.login("anna", "secret")
        box.select("INBOX")
        self.addCleanup(box.logout)
        return box

    # the account

    def test_account_events(self) -> None:
        """A new account is told, then that it is connected for the first time."""
        self.assertEqual(self.registered, {"account": "anna", "state": "new"})
        added = self.webhook("accountAdded", account="anna")["body"]
        self.assertEqual(list(added), ["serviceUrl", "account", "date", "event", "data"])
        self.assertEqual(added["account"], "anna")
        self.assertEqual(self.webhook("accountInitialized")["body"]["data"], {"initialized": True})

    def test_account_is_shown_without_secrets(self) -> None:
        """Passwords come back masked, in the detail and nowhere else."""
        told = self.daemon.account("anna")
        self.assertEqual(told["imap"]["auth"], {"user": "anna", "pass": "******"})
        self.assertEqual((told["state"], told["type"], told["lastError"]), ("connected", "imap", None))
        self.assertNotIn('"secret"', str(self.daemon.ask("GET", "/v1/accounts")))
        self.assertNotIn("pass=secret", self.daemon.output())

    def test_quota(self) -> None:
        """The storage is told if it is asked for, in octets."""
        self.assertNotIn("quota", self.daemon.account("anna"))
        told = self.daemon.ask("GET", "/v1/account/anna?quota=true")["quota"]
        self.assertEqual((told["limit"], told["status"][-1]), (100 * 1024 * 1024, "%"))
        self.assertLess(told["usage"], told["limit"])

    def test_account_list(self) -> None:
        """Accounts are listed, filtered by state and by text."""
        names = [one["account"] for one in self.daemon.ask("GET", "/v1/accounts?state=connected")["accounts"]]
        self.assertIn("anna", names)
        self.assertEqual(self.daemon.ask("GET", "/v1/accounts?query=nobody-like-this")["accounts"], [])

    def test_odd_account_id(self) -> None:
        """An account id may hold any character, in every path."""
        path = f"/v1/account/{quote(ODD_ID, safe='')}"
        self.register(ODD_ID, "odd")
        self.daemon.wait_for_state(ODD_ID, "connected")
        self.assertEqual(self.daemon.ask("GET", path)["account"], ODD_ID)
        self.assertTrue(self.daemon.ask("GET", f"{path}/mailboxes")["mailboxes"])
        self.assertEqual(self.daemon.ask("GET", f"{path}/messages?path=INBOX")["total"], 0)
        self.assertEqual(self.daemon.ask("PUT", path, {"name": "Odd"}), {"account": ODD_ID})
        self.assertEqual(self.daemon.ask("DELETE", path), {"account": ODD_ID, "deleted": True})
        self.webhook("accountDeleted", account=ODD_ID)
        self.assertEqual(self.daemon.call("GET", path)[0], 404)

    def test_registered_again(self) -> None:
        """Registering an id again changes the account."""
        self.assertEqual(self.register("anna", "anna"), {"account": "anna", "state": "existing"})
        self.daemon.wait_for_state("anna", "connected")

    # reading

    def test_mailboxes(self) -> None:
        """Folders come with their roles, the inbox first."""
        found = self.daemon.ask("GET", "/v1/account/anna/mailboxes?counters=true")["mailboxes"]
        self.assertEqual((found[0]["path"], found[0]["specialUse"]), ("INBOX", "\\Inbox"))
        self.assertIn("\\Sent", [one.get("specialUse") for one in found])
        self.assertGreaterEqual(found[0]["status"]["messages"], 1)

    def test_old_mail_is_not_announced(self) -> None:
        """Mail that was there before the account is listed, and no webhook tells of it."""
        self.arrive("something after it")
        subjects = [one.get("subject") for one in self._list()["messages"]]
        self.assertIn("an old letter", subjects)
        told = [row["body"]["data"].get("subject") for row in self.sink.kept("messageNew")]
        self.assertNotIn("an old letter", told)

    def _list(self, query: str = "") -> Any:
        return self.daemon.ask("GET", f"/v1/account/anna/messages?path=INBOX{query}")

    def test_new_message(self) -> None:
        """A message that arrives is announced with its text and headers, signed, under an event id."""
        data = self.arrive("offer twelve")
        row = self.webhook("messageNew", subject="offer twelve")
        body = row["body"]
        self.assertEqual(list(body), ["serviceUrl", "account", "date", "path", "specialUse", "event", "data"])
        self.assertEqual((body["path"], body["specialUse"]), ("INBOX", "\\Inbox"))
        self.assertEqual(data["from"], {"name": "Bo Berg", "address": "bo@example.net"})
        self.assertEqual(data["text"]["plain"], "Hello Anna,\n\nthis is offer twelve.\n")
        self.assertIn("<b>offer twelve</b>", data["text"]["html"])
        self.assertEqual(data["headers"]["subject"], ["offer twelve"])
        self.assertTrue(data["unseen"])
        headers = row["headers"]
        digest = hmac.new(b"a secret of ours", row["text"].encode(), hashlib.sha256).digest()
        self.assertEqual(headers["x-ee-wh-signature"], base64.urlsafe_b64encode(digest).rstrip(b"=").decode())
        self.assertEqual((headers["x-ee-wh-attempts-made"], len(headers["x-ee-wh-event-id"])), ("0", 36))

    def test_list_and_pages(self) -> None:
        """A folder is listed newest first, in pages that cursors lead through."""
        for number in range(3):
            self.arrive(f"page filler {number}")
        first = self._list("&pageSize=2")
        self.assertEqual(len(first["messages"]), 2)
        self.assertGreater(first["messages"][0]["uid"], first["messages"][1]["uid"])
        following = self._list(f"&pageSize=2&cursor={first['nextPageCursor']}")
        self.assertEqual(following["page"], 1)
        self.assertLess(following["messages"][0]["uid"], first["messages"][1]["uid"])

    def test_detail_and_text(self) -> None:
        """One message, with its text if it is asked for; the text alone by its own id."""
        data = self.arrive("detail please")
        path = f"/v1/account/anna/message/{data['id']}"
        plain = self.daemon.ask("GET", path)
        self.assertNotIn("plain", plain["text"])
        full = self.daemon.ask("GET", f"{path}?textType=*")
        self.assertEqual(full["text"]["plain"], "Hello Anna,\n\nthis is detail please.\n")
        self.assertEqual(full["headers"]["message-id"], [data["messageId"]])
        text = self.daemon.ask("GET", f"/v1/account/anna/text/{data['text']['id']}?textType=plain&maxBytes=5")
        self.assertEqual(text, {"plain": "Hello", "hasMore": True})

    def test_attachment_and_source(self) -> None:
        """An attachment comes decoded under its name, a source as it stands on the server."""
        content = bytes(range(256)) * 4000
        data = self.arrive("with a file", attachment=content)
        (attachment,) = data["attachments"]
        status, headers, body = self.daemon.raw("GET", f"/v1/account/anna/attachment/{attachment['id']}")
        self.assertEqual((status, headers["content-type"], body), (200, "application/pdf", content))
        self.assertIn(
            "filename*=utf-8''Angebot%20f%C3%BCr%20Anna.pdf", headers["content-disposition"].replace("UTF-8", "utf-8")
        )
        status, headers, body = self.daemon.raw("GET", f"/v1/account/anna/message/{data['id']}/source")
        self.assertEqual((status, headers["content-type"]), (200, "message/rfc822"))
        self.assertIn(b"Subject: with a file", body)
        self.assertIn(base64.b64encode(content[:57]), body)

    def test_cut_connection(self) -> None:
        """A connection that is cut is made again at once, and what came meanwhile is announced."""
        self.arrive("before the cut")
        self.mail.kick("anna")
        self.arrive("after the cut")
        self.daemon.wait_for_state("anna", "connected")

    # changing

    def test_flags_from_both_sides(self) -> None:
        """A flag set over REST is set on the server; one set elsewhere is told."""
        data = self.arrive("flag me")
        done = self.daemon.ask("PUT", f"/v1/account/anna/message/{data['id']}", {"flags": {"add": ["\\Flagged"]}})
        self.assertEqual(done, {"flags": {"add": True}})
        box = self.imap()
        self.assertIn(b"\\Flagged", box.uid("FETCH", str(data["uid"]), "(FLAGS)")[1][0])
        told = self.webhook("messageUpdated", id=data["id"])["body"]["data"]["changes"]
        self.assertEqual(told, {"flags": {"added": ["\\Flagged"], "value": ["\\Flagged"]}})
        box.uid("STORE", str(data["uid"]), "+FLAGS", "(\\Seen)")
        wanted = {"flags": {"added": ["\\Seen"], "value": ["\\Flagged", "\\Seen"]}}
        self.webhook("messageUpdated", id=data["id"], changes=wanted)

    def test_deleted(self) -> None:
        """A message that is expunged elsewhere is told once."""
        data = self.arrive("short lived")
        box = self.imap()
        box.uid("STORE", str(data["uid"]), "+FLAGS", "(\\Deleted)")
        box.expunge()
        self.webhook("messageDeleted", id=data["id"], uid=data["uid"])
        self.arrive("after the deletion")
        same = [row for row in self.sink.kept("messageDeleted") if row["body"]["data"]["id"] == data["id"]]
        self.assertEqual(len(same), 1)
        status, answer = self.daemon.call("GET", f"/v1/account/anna/message/{data['id']}")
        self.assertEqual((status, answer["code"]), (404, "MessageNotFound"))

    # sending

    def test_reply(self) -> None:
        """A reply is queued, delivered over STARTTLS, kept in Sent, and marks what it answers."""
        data = self.arrive("please answer")
        queued = self.daemon.ask(
            "POST",
            "/v1/account/anna/submit",
            {"reference": {"message": data["id"], "action": "reply"}, "html": "<p>Gladly.</p>"},
        )
        self.assertEqual((queued["response"], len(queued["queueId"])), ("Queued for delivery", 19))
        sent = self.webhook("messageSent", queueId=queued["queueId"])["body"]["data"]
        self.assertEqual(sent["messageId"], queued["messageId"])
        self.assertEqual(sent["envelope"], {"from": "anna@example.org", "to": ["bo@example.net"]})
        record, mail = next(one for one in self.post.kept() if queued["messageId"].encode() in one[1])
        self.assertTrue(record["tls"])
        self.assertIn(b"Re: please answer", mail)
        self.assertIn(b"In-Reply-To: " + data["messageId"].encode(), mail)

        def answered() -> bool:
            return bool(self.daemon.ask("GET", f"/v1/account/anna/message/{data['id']}").get("answered"))

        eventually(answered, "the message is marked as answered")
        copies = eventually(
            lambda: [
                one
                for one in self.daemon.ask("GET", "/v1/account/anna/messages?path=%5CSent")["messages"]
                if one.get("messageId") == queued["messageId"]
            ],
            "the copy in Sent",
        )
        self.assertEqual(len(copies), 1)

    def test_refused_recipient(self) -> None:
        """What the server refuses for good is told as a failed attempt and as given up."""
        queued = self.daemon.ask(
            "POST",
            "/v1/account/anna/submit",
            {"to": [{"address": "refused@example.net"}], "subject": "no such user", "text": "Hello"},
        )
        failed = self.webhook("messageDeliveryError", queueId=queued["queueId"])["body"]["data"]
        self.assertEqual((failed["smtpResponseCode"], failed["job"]["attemptsMade"]), (550, 0))
        self.webhook("messageFailed", queueId=queued["queueId"])

    # the daemon

    def test_one_thread(self) -> None:
        """The daemon has one thread, whatever it does."""
        self.arrive("counting threads")
        self.daemon.raw("GET", "/metrics")
        self.assertEqual(self.daemon.threads, 1)

    def test_figures(self) -> None:
        """Health, statistics, metrics and the API document answer."""
        self.assertEqual(self.daemon.ask("GET", "/health"), {"success": True})
        stats = self.daemon.ask("GET", "/v1/stats")
        self.assertGreaterEqual(stats["connections"]["connected"], 1)
        self.assertGreaterEqual(stats["counters"]["events:accountAdded"], 1)
        self.assertIn(b"reactor_lag_seconds", self.daemon.raw("GET", "/metrics")[2])
        self.assertIn("/v1/account/{account}/messages", self.daemon.ask("GET", "/swagger.json")["paths"])

    def test_failing_receiver(self) -> None:
        """A webhook that is refused comes again under the same ids."""
        self.arrive("before the failure")
        self.sink.fail(1)
        self.mail.deliver("anna", message("told twice"))
        good = self.webhook("messageNew", subject="told twice")
        tries = [
            row for row in self.sink.kept("messageNew", ok=False) if row["body"]["data"]["subject"] == "told twice"
        ]
        self.assertEqual([row["status"] for row in tries], [500, 200])
        self.assertEqual(tries[0]["headers"]["x-ee-wh-event-id"], good["headers"]["x-ee-wh-event-id"])
        self.assertEqual(good["headers"]["x-ee-wh-attempts-made"], "1")


class StoppingTests(unittest.TestCase):
    def test_nothing_is_left(self) -> None:
        """SIGTERM ends the daemon and its Redis, with status 0."""
        directory = Path(tempfile.mkdtemp(prefix="ee-stop-"))
        daemon = Daemon(directory).start()
        below = children(daemon.pid)
        self.assertEqual(len(below), 1)
        self.assertEqual(daemon.stop(), 0)
        eventually(lambda: not any(alive(pid) for pid in below), "its Redis is gone")
