"""SMTP text: dot stuffing, replies, addresses, parameters."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.wire import smtp
from emailengine.wire.errors import TheyBrokeProtocol, WeMisusedProtocol

BODY = st.binary(max_size=200) | st.text(alphabet=".\r\na", max_size=60).map(str.encode)


def stuffed(body: bytes) -> bytes:
    """Line by line, the way the rule is written."""
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join([(b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines]) + b".\r\n"


class DotStufferTests(SynchronousTestCase):
    @given(BODY, st.lists(st.integers(0, 200), max_size=10))
    @example(b".", [])
    @example(b"a\r\n.\r\nMAIL FROM:<x@y>\r\n", [2, 3, 4])
    @example(b"a\r", [2])
    def test_any_cut(self, body: bytes, cuts: list[int]) -> None:
        """Whatever the body and the cuts, the result is that of the rule applied at once."""
        stuffer = smtp.DotStuffer()
        found = b""
        start = 0
        for cut in [*sorted(cuts), len(body)]:
            if cut >= start:
                found += stuffer.feed(body[start:cut])
                start = cut
        self.assertEqual(found + stuffer.finish(), stuffed(body))

    @given(BODY)
    def test_server_side(self, body: bytes) -> None:
        """A server that reads up to the first lone dot gets exactly the normalised body, and nothing is left."""
        stuffer = smtp.DotStuffer()
        wire = stuffer.feed(body) + stuffer.finish()
        lines = wire.split(b"\r\n")
        end = lines.index(b".")
        self.assertEqual(lines[end + 1 :], [b""])
        text = b"".join([line.removeprefix(b".") + b"\r\n" for line in lines[:end]])
        expected = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if expected and not expected.endswith(b"\n"):
            expected += b"\n"
        self.assertEqual(text, expected.replace(b"\n", b"\r\n"))

    def test_around_a_chunk(self) -> None:
        """A dot at the start of a line is doubled at every offset around a chunk of 16384 octets."""
        for offset in range(16380, 16388):
            for end in (b"\r\n", b"\n", b"\r"):
                body = b"x" * offset + end + b".\r\nRCPT TO:<x@y>\r\n"
                stuffer = smtp.DotStuffer()
                wire = stuffer.feed(body[:16384]) + stuffer.feed(body[16384:]) + stuffer.finish()
                self.assertEqual(wire, stuffed(body))


class ReplyTests(SynchronousTestCase):
    def test_replies(self) -> None:
        """Lines join into replies; enhanced codes show; text is without control characters."""
        reader = smtp.ReplyReader()
        self.assertIsNone(reader.feed(b"250-mx.example.com"))
        self.assertFalse(reader.between)
        self.assertIsNone(reader.feed(b"250-SIZE 1000"))
        reply = reader.feed(b"250 HELP")
        assert reply is not None
        self.assertEqual(
            (reply.code, reply.lines, reply.positive), (250, ("mx.example.com", "SIZE 1000", "HELP"), True)
        )
        self.assertTrue(reader.between)
        reply = reader.feed(b"550 5.1.1 No \xffsuch\x07 user")
        assert reply is not None
        self.assertEqual(reply.enhanced, "5.1.1")
        self.assertEqual(reply.text, "550 5.1.1 No \ufffdsuch  user")
        for line in (b"250", b"250 "):
            reply = reader.feed(line)
            assert reply is not None
            self.assertEqual((reply.text, reply.enhanced), ("250", None))

    def test_broken(self) -> None:
        """What is no reply, and a reply without end, is the server's fault."""
        for line in (b"", b"hello", b"25", b"999 x", b"250x", b"HTTP/1.1 200 OK"):
            self.assertRaises(TheyBrokeProtocol, smtp.ReplyReader().feed, line)
        reader = smtp.ReplyReader(most_lines=3)
        reader.feed(b"250-a")
        reader.feed(b"250-b")
        self.assertRaises(TheyBrokeProtocol, reader.feed, b"250-c")

    def test_extensions(self) -> None:
        """Keywords come in capitals; both forms of AUTH join."""
        reply = smtp.Reply(250, ("mx", "size 100", "AUTH PLAIN login", "AUTH=XOAUTH2", "8bitmime", ""))
        offered = smtp.parse_extensions(reply)
        self.assertEqual(offered["SIZE"], "100")
        self.assertIn("8BITMIME", offered)
        self.assertEqual(smtp.mechanisms(offered), {"PLAIN", "LOGIN", "XOAUTH2"})
        self.assertEqual(smtp.mechanisms({}), frozenset())

    def test_permanence(self) -> None:
        """5xx is permanent, except 503."""
        self.assertEqual([smtp.is_permanent(code) for code in (421, 450, 503, 550)], [False, False, False, True])

    def test_assigned_ids(self) -> None:
        """Outlook and SES tell the id they gave; others do not."""
        for host, text, expected in [
            ("smtp.office365.com", "2.0.0 OK <AM0@x.prod.outlook.com> [Hostname=x]", "<AM0@x.prod.outlook.com>"),
            ("email-smtp.us-east-1.amazonaws.com", "Ok 0100-abc", "<0100-abc@email.amazonses.com>"),
            ("email-smtp.eu-west-1.amazonaws.com", "Ok 0102", "<0102@eu-west-1.amazonses.com>"),
            ("mail.example.com", "Ok 0102", None),
        ]:
            self.assertEqual(smtp.assigned_message_id(host, smtp.Reply(250, (text,))), expected)


class CommandTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """Addresses stand in brackets; domains outside ASCII become labels."""
        for address, expected in [
            ("", b"<>"),
            ("jo@example.com", b"<jo@example.com>"),
            ('"jo doe"@example.com', b'<"jo doe"@example.com>'),
            ("jo@[192.0.2.1]", b"<jo@[192.0.2.1]>"),
            ("jo@bücher.example", b"<jo@xn--bcher-kva.example>"),
            ("jö@example.com", "<jö@example.com>".encode()),
            ("a..b.@docomo.ne.jp", b"<a..b.@docomo.ne.jp>"),
        ]:
            self.assertEqual(smtp.path(address), expected)
        self.assertTrue(smtp.needs_utf8("jö@example.com"))
        self.assertFalse(smtp.needs_utf8("jo@bücher.example"))

    @given(st.text(max_size=30) | st.text(alphabet='a@<> \r\n"\\.:,', max_size=20))
    def test_no_injection(self, address: str) -> None:
        """Whatever the text, it is refused or stays one path on one line."""
        try:
            found = smtp.path(address)
        except WeMisusedProtocol:
            return
        self.assertTrue(found.startswith(b"<") and found.endswith(b">"))
        for forbidden in (b"\r", b"\n", b"\0"):
            self.assertNotIn(forbidden, found)
        if b'"' not in found:
            self.assertNotIn(b" ", found)
            self.assertEqual((found.count(b"<"), found.count(b">")), (1, 1))

    def test_refused_addresses(self) -> None:
        """What could end its brackets, or is no address, is refused."""
        for address in (
            "jo",
            "@x",
            "jo@",
            "a b@c",
            "a@b c",
            "a>@b",
            "a@b>",
            "a@b\r\nDATA",
            "a\n@b",
            "<a@b>",
            "a@b@",
            "a@[x",
            "\udcff@b",
            "a" * 400 + "@b",
        ):
            self.assertRaises(WeMisusedProtocol, smtp.path, address)

    def test_parameters(self) -> None:
        """Parameters are sent only where they are offered."""
        every = {"SIZE": "1000", "8BITMIME": "", "SMTPUTF8": "", "DSN": ""}
        dsn = smtp.Dsn(id="a+b=é", full=True, notify=["success", "delay", "bogus"], recipient="jo@example.com")
        self.assertEqual(
            smtp.mail_command("a@b", every, size=77, eight_bit=True, utf8=True, dsn=dsn),
            b"MAIL FROM:<a@b> SIZE=77 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+2Bb+3D+C3+A9",
        )
        self.assertEqual(smtp.mail_command("", {}, size=77, eight_bit=True, utf8=True, dsn=dsn), b"MAIL FROM:<>")
        self.assertEqual(
            smtp.rcpt_command("a@b", every, dsn=dsn),
            b"RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;jo@example.com",
        )
        self.assertEqual(
            smtp.rcpt_command("a@b", every, dsn=smtp.Dsn(notify=["never", "success"])), b"RCPT TO:<a@b> NOTIFY=NEVER"
        )
        self.assertEqual(smtp.rcpt_command("a@b", {}, dsn=dsn), b"RCPT TO:<a@b>")

    def test_greeting_names(self) -> None:
        """Host names and addresses are said in their form; all else as the loopback literal."""
        for name, expected in [
            ("mail.example.com", b"mail.example.com"),
            ("bücher.example.", b"xn--bcher-kva.example"),
            ("192.0.2.1", b"[192.0.2.1]"),
            ("2001:db8::1", b"[IPv6:2001:db8::1]"),
            ("[192.0.2.1]", b"[192.0.2.1]"),
            ("bad name\r\nX", b"[127.0.0.1]"),
            ("", b"[127.0.0.1]"),
        ]:
            self.assertEqual(smtp.greeting_name(name), expected)
