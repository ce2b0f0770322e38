"""What replies and forwards take over."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire.mime import reply
from emailengine.wire.mime.reply import Action, Original, Recipients
from emailengine.wire.mime.words import Mailbox


def box(address: str) -> Mailbox:
    return Mailbox("", address)


class ThreadTests(SynchronousTestCase):
    def test_subject(self) -> None:
        """A prefix is added once; other languages' prefixes do not count; no subject stays none."""
        for action, original, expected in [
            (Action.REPLY, "Hi", "Re: Hi"),
            (Action.REPLY_ALL, "RE: Hi", "RE: Hi"),
            (Action.REPLY, "Fwd: Hi", "Re: Fwd: Hi"),
            (Action.FORWARD, "Hi", "Fwd: Hi"),
            (Action.FORWARD, "fwd:Hi", "fwd:Hi"),
            (Action.FORWARD, "Fw: Hi", "Fwd: Fw: Hi"),
            (Action.REPLY, "AW: Hi", "Re: AW: Hi"),
            (Action.REPLY, " ", None),
            (Action.REPLY, None, None),
        ]:
            self.assertEqual(reply.subject(action, original), expected)

    def test_references(self) -> None:
        """The old references come first, the message itself last, each once and in brackets."""
        original = Original(message_id="m@x", in_reply_to="<p@x>", references="<a@x>\r\n <b@x> <a@x> <m@x> c@x")
        self.assertEqual(reply.references(original), ("<a@x>", "<b@x>", "<c@x>", "<m@x>"))
        self.assertEqual(reply.references(Original(message_id="<m@x>", in_reply_to="<p@x>")), ("<p@x>", "<m@x>"))
        self.assertEqual(reply.references(Original(message_id="<m@x>", in_reply_to="<p@x> <q@x>")), ("<m@x>",))
        self.assertEqual(reply.references(Original(references="<a@x>")), ("<a@x>",))
        self.assertEqual(reply.references(Original()), ())

    def test_long_thread(self) -> None:
        """Of a long thread the first id and the latest remain."""
        ids = reply.references(Original(message_id="<m@x>", references=" ".join(f"<{n}@x>" for n in range(500))))
        self.assertEqual(len(ids), 100)
        self.assertEqual((ids[0], ids[1], ids[-2], ids[-1]), ("<0@x>", "<402@x>", "<499@x>", "<m@x>"))

    def test_in_reply_to(self) -> None:
        """A forward has none."""
        original = Original(message_id="m@x")
        self.assertEqual(reply.in_reply_to(Action.REPLY, original), "<m@x>")
        self.assertIsNone(reply.in_reply_to(Action.FORWARD, original))
        self.assertIsNone(reply.in_reply_to(Action.REPLY, Original()))


class RecipientTests(SynchronousTestCase):
    ORIGINAL = Original(
        from_=[box("from@x")], reply_to=[box("")], to=[box("me@x"), box("other@x")], cc=[box("cc@x"), box("OTHER@x")]
    )

    def test_reply(self) -> None:
        """A reply goes to Reply-To, else From; recipients of the request replace them."""
        self.assertEqual(reply.recipients(Action.REPLY, self.ORIGINAL), Recipients((box("from@x"),)))
        listed = Original(from_=[box("from@x")], reply_to=[box("list@x")])
        self.assertEqual(reply.recipients(Action.REPLY, listed), Recipients((box("list@x"),)))
        self.assertEqual(reply.recipients(Action.REPLY, listed, to=[]), Recipients())
        self.assertEqual(
            reply.recipients(Action.REPLY, listed, to=[box("a@x")], cc=[box("c@x")], bcc=[box("b@x")]),
            Recipients((box("a@x"),), (box("c@x"),), (box("b@x"),)),
        )

    def test_reply_all(self) -> None:
        """A reply to all merges, leaves ourselves out and names nobody twice, whatever the case."""
        self.assertEqual(
            reply.recipients(
                Action.REPLY_ALL,
                self.ORIGINAL,
                own=["Me@X"],
                to=[box("new@x"), box("cc@x")],
                cc=[box("From@x"), box("more@x")],
                bcc=[box("secret@x"), box("new@x")],
            ),
            Recipients(
                (box("from@x"), box("other@x"), box("new@x"), box("cc@x")), (box("more@x"),), (box("secret@x"),)
            ),
        )

    def test_forward(self) -> None:
        """A forward adds nobody."""
        self.assertEqual(reply.recipients(Action.FORWARD, self.ORIGINAL), Recipients())
        self.assertEqual(reply.recipients(Action.FORWARD, self.ORIGINAL, to=[box("a@x")]), Recipients((box("a@x"),)))
