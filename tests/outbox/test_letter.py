"""From a request to a message."""

from __future__ import annotations

import email
import email.message
import email.policy
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import InvalidInput
from emailengine.model import codec
from emailengine.model.account import AccountSettings, Auth, SmtpSettings
from emailengine.model.message import Address, MessageDetail
from emailengine.model.submission import SubmitRequest
from emailengine.outbox.letter import Circumstances, Letter, Quoted, new_message_id, original_of, own_mailbox, write
from emailengine.outbox.raw import rewrite
from emailengine.wire.mime.reply import Action, Original
from emailengine.wire.mime.words import Mailbox

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
ACCOUNT = AccountSettings(account="a", name="Ann Ö", email="ann@corp.example")
BO = Mailbox("Bo", "bo@x.example")
ORIGINAL = Original(
    message_id="<m1@x.example>",
    references="<m0@x.example>",
    subject="Hello",
    from_=(BO,),
    to=(Mailbox("", "ANN@corp.example"), Mailbox("", "cy@x.example")),
    cc=(Mailbox("", "di@x.example"),),
)


def request(**fields: Any) -> SubmitRequest:
    return codec.read(fields, SubmitRequest)


def around(settings: AccountSettings = ACCOUNT, quoted: Quoted | None = None) -> Circumstances:
    return Circumstances(settings=settings, now=NOW, hostname="host.example", quoted=quoted)


def parsed(letter: Letter) -> email.message.EmailMessage:
    found = email.message_from_bytes(b"".join(letter.pieces), policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    return found


def quoting(action: Action) -> Circumstances:
    return around(quoted=Quoted(action, ORIGINAL))


class WriteTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """A request with a recipient and a text is enough: the rest comes from the account and the moment."""
        letter = write(request(to={"address": "bo@x.example"}, subject="Hi", text="Hello"), around(), [])
        message = parsed(letter)
        self.assertEqual(message["From"], "Ann Ö <ann@corp.example>")
        self.assertEqual(message["To"], "bo@x.example")
        self.assertEqual(message["Date"], "Tue, 14 Nov 2023 22:13:20 +0000")
        self.assertEqual(message["Message-ID"], letter.message_id)
        self.assertTrue(letter.message_id.endswith("@corp.example>"))
        self.assertEqual((letter.sender, letter.recipients), ("ann@corp.example", ["bo@x.example"]))
        self.assertEqual((letter.subject, letter.scheduled, letter.attempts), ("Hi", NOW, None))

    def test_envelope(self) -> None:
        """The envelope is everybody in the header, each once, the hidden ones too; or what the request says."""
        lists = {
            "to": [{"address": "a@x.example"}, {"address": "b@x.example"}],
            "cc": [{"address": "b@x.example"}],
            "bcc": [{"address": "c@x.example"}],
        }
        letter = write(request(**lists, text="x"), around(), [])
        self.assertEqual(letter.recipients, ["a@x.example", "b@x.example", "c@x.example"])
        self.assertEqual(parsed(letter)["Bcc"], "c@x.example")
        letter = write(request(**lists, envelope={"from": "", "to": "z@x.example"}, text="x"), around(), [])
        self.assertEqual((letter.sender, letter.recipients), ("", ["z@x.example"]))
        self.assertTrue(letter.message_id.endswith("@host.example>"))
        self.assertEqual(parsed(letter)["To"], "a@x.example, b@x.example")
        letter = write(request(**lists, envelope={"to": "z@x.example"}, text="x"), around(), [])
        self.assertEqual((letter.sender, letter.recipients), ("ann@corp.example", ["z@x.example"]))

    def test_no_recipient(self) -> None:
        """A message for nobody is refused at once, a forward without recipients too."""
        for circumstances in (around(), quoting(Action.FORWARD)):
            error = self.assertRaises(InvalidInput, write, request(text="x"), circumstances, [])
            self.assertEqual([one["key"] for one in error.extra["fields"]], ["to"])
            self.assertEqual(error.status, 400)

    def test_schedule(self) -> None:
        """A scheduled message bears its date; one of the past leaves at once."""
        letter = write(request(to={"address": "b@x.example"}, sendAt="2030-01-01T10:00:00Z", text="x"), around(), [])
        self.assertEqual(parsed(letter)["Date"], "Tue, 01 Jan 2030 10:00:00 +0000")
        self.assertEqual(letter.scheduled, 1893492000.0)
        letter = write(request(to={"address": "b@x.example"}, sendAt="2020-01-01", text="x"), around(), [])
        self.assertEqual(letter.scheduled, NOW)

    def test_own_fields(self) -> None:
        """Message-ID, Reply-To and headers of the request are used."""
        sent = request(
            to={"address": "b@x.example"},
            messageId="own@id.example",
            replyTo={"address": "desk@corp.example"},
            headers={"x-one": ["1", "2"], "list-id": "l"},
            deliveryAttempts=3,
            text="x",
        )
        letter = write(sent, around(), [])
        message = parsed(letter)
        self.assertEqual(letter.message_id, "<own@id.example>")
        self.assertEqual(letter.attempts, 3)
        self.assertEqual(message["Reply-To"], "desk@corp.example")
        self.assertEqual(message.get_all("X-One"), ["1", "2"])
        self.assertEqual(message["List-ID"], "l")

    def test_reply(self) -> None:
        """A reply goes to the author, in the thread; a `to` of the request replaces the author."""
        letter = write(request(text="x"), quoting(Action.REPLY), [])
        message = parsed(letter)
        self.assertEqual((message["To"], message["Subject"]), ("Bo <bo@x.example>", "Re: Hello"))
        self.assertEqual(message["In-Reply-To"], "<m1@x.example>")
        self.assertEqual(message["References"], "<m0@x.example> <m1@x.example>")
        letter = write(request(text="x", subject="Own", to={"address": "z@x.example"}), quoting(Action.REPLY), [])
        self.assertEqual((letter.recipients, letter.subject), (["z@x.example"], "Own"))

    def test_reply_all(self) -> None:
        """A reply to all goes to everybody but us, and to whom the request adds."""
        letter = write(request(text="x", cc={"address": "new@x.example"}), quoting(Action.REPLY_ALL), [])
        message = parsed(letter)
        self.assertEqual(message["To"], "Bo <bo@x.example>, cy@x.example")
        self.assertEqual(message["Cc"], "di@x.example, new@x.example")

    def test_forward(self) -> None:
        """A forward keeps the thread's References, but answers nothing."""
        message = parsed(write(request(text="x", to={"address": "z@x.example"}), quoting(Action.FORWARD), []))
        self.assertEqual(message["Subject"], "Fwd: Hello")
        self.assertIsNone(message["In-Reply-To"])
        self.assertEqual(message["References"], "<m0@x.example> <m1@x.example>")

    def test_own_address(self) -> None:
        """Without an address of its own an account's login may be one; else the request must name it."""
        smtp = SmtpSettings(host="h", port=25, auth=Auth(user="me@corp.example", pass_="x"))
        self.assertEqual(own_mailbox(AccountSettings(account="a", smtp=smtp)).address, "me@corp.example")
        error = self.assertRaises(InvalidInput, own_mailbox, AccountSettings(account="a"))
        self.assertEqual([one["key"] for one in error.extra["fields"]], ["from"])

    def test_message_id(self) -> None:
        """A Message-ID is ASCII, in the sender's domain, or in ours."""
        for sender, domain in [
            ("a@B.example", "b.example"),
            ("a@bücher.example", "xn--bcher-kva.example"),
            ("", "host.example"),
            ("a@", "host.example"),
        ]:
            self.assertTrue(new_message_id(sender, "host.example").endswith(f"@{domain}>"), sender)

    def test_original(self) -> None:
        """What a reply needs is in the detail of the message; addresses without one are nobody."""
        detail = MessageDetail(
            id="x",
            path="INBOX",
            uid=1,
            flags=[],
            subject="S",
            message_id="<m@x>",
            from_=Address(name="B", address="b@x"),
            to=[Address(name="group"), Address(name="", address="c@x")],
            headers={"references": ["<a@x> <b@x>"]},
        )
        found = original_of(detail)
        self.assertEqual(found.references, "<a@x> <b@x>")
        self.assertEqual((found.from_, found.to), ((Mailbox("B", "b@x"),), (Mailbox("", "c@x"),)))


RAW = (
    b"From: Someone <some@one.example>\r\nTo: to@x.example\r\nBcc: hid@x.example\r\n"
    b"X-EE-Send-At: 2030-01-01T10:00:00Z\r\nX-EE-Delivery-Attempts: 4\r\nX-EE-Gateway: g\r\nX-Ee-Other: stays\r\n"
    b"Subject: Raw\r\nMessage-ID: <raw@one.example>\r\nDate: Mon, 1 Jan 2001 00:00:00 +0000\r\n"
    b"Content-Type: text/plain\r\n\r\nBody \xff\n.line\r\n"
)


class RewriteTests(SynchronousTestCase):
    def test_untouched(self) -> None:
        """A complete message is sent as it is, but for what steered its sending, and with CRLF."""
        letter = rewrite(RAW, request(), around())
        written = b"".join(letter.pieces)
        head, _, body = written.partition(b"\r\n\r\n")
        self.assertEqual(body, b"Body \xff\r\n.line\r\n")
        self.assertNotIn(b"X-EE-Send-At", head)
        self.assertNotIn(b"X-EE-Delivery", head)
        self.assertNotIn(b"X-EE-Gateway", head)
        for line in (
            b"X-Ee-Other: stays",
            b"From: Someone <some@one.example>",
            b"Bcc: hid@x.example",
            b"MIME-Version: 1.0",
        ):
            self.assertIn(line, head.split(b"\r\n"))
        self.assertEqual((letter.sender, letter.recipients), ("some@one.example", ["to@x.example", "hid@x.example"]))
        self.assertEqual((letter.message_id, letter.subject), ("<raw@one.example>", "Raw"))
        self.assertEqual((letter.scheduled, letter.attempts), (1893492000.0, 4))
        self.assertIn(b"Date: Tue, 01 Jan 2030 10:00:00 +0000", head.split(b"\r\n"))

    def test_replaced(self) -> None:
        """The request's fields replace the message's; an empty list takes the field out."""
        sent = request(
            **{"from": {"address": "me@x.example"}},
            to=[{"address": "new@x.example"}],
            bcc=[],
            subject="New",
            messageId="<new@x>",
            headers={"X-More": "1", "References": "<r@x>", "Content-Type": "text/html"},
        )
        message = parsed(rewrite(RAW, sent, around()))
        self.assertEqual((message["From"], message["To"]), ("me@x.example", "new@x.example"))
        self.assertIsNone(message["Bcc"])
        self.assertEqual((message["Subject"], message["Message-ID"]), ("New", "<new@x>"))
        self.assertEqual((message["X-More"], message["References"]), ("1", "<r@x>"))
        self.assertEqual(message.get_all("Content-Type"), ["text/plain"])

    def test_completed(self) -> None:
        """What no message may lack is added; the account's own address only where there is no From."""
        letter = rewrite(b"To: b@x.example\nSubject: x", request(), around())
        message = parsed(letter)
        self.assertEqual(message["From"], "Ann Ö <ann@corp.example>")
        self.assertEqual(message["Message-ID"], letter.message_id)
        self.assertEqual(message["Date"], "Tue, 14 Nov 2023 22:13:20 +0000")
        self.assertEqual((message["MIME-Version"], message["Subject"]), ("1.0", "x"))

    def test_kept_date(self) -> None:
        """A message that leaves now keeps its date."""
        raw = RAW.replace(b"X-EE-Send-At: 2030-01-01T10:00:00Z\r\n", b"X-EE-Send-At: soon\r\n")
        self.assertEqual(parsed(rewrite(raw, request(), around()))["Date"], "Mon, 01 Jan 2001 00:00:00 +0000")

    def test_reply(self) -> None:
        """A raw reply gets its thread; its own subject and recipients stay, and missing ones are found."""
        message = parsed(rewrite(RAW, request(), quoting(Action.REPLY)))
        self.assertEqual((message["To"], message["Subject"]), ("to@x.example", "Raw"))
        self.assertEqual(message["In-Reply-To"], "<m1@x.example>")
        message = parsed(rewrite(b"MIME-Version: 1.0\r\n\r\nx", request(), quoting(Action.REPLY)))
        self.assertEqual((message["To"], message["Subject"]), ("Bo <bo@x.example>", "Re: Hello"))

    def test_refused(self) -> None:
        """What is no message, is for nobody, or is all header is refused."""
        for raw in (b"", b"\r\n\r\nbody", b"no header here", b"Subject: x\r\n\r\nx", b"A: b\r\n" * 200_000):
            error = self.assertRaises(InvalidInput, rewrite, raw, request(), around())
            self.assertEqual(error.status, 400)
