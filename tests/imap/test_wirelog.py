"""What an account's protocol log is told of a connection, and what not."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.imap.commands.append import Append
from emailengine.imap.commands.auth import Authenticate, LogIn
from emailengine.imap.commands.fetch import FetchUids
from emailengine.imap.commands.idle import Idle, Noop
from emailengine.imap.connection import Connection
from emailengine.imap.wirelog import LONGEST
from emailengine.net.credentials import Credentials
from emailengine.wire import sasl
from emailengine.wire.imap.uidset import UidSet
from tests.imap.peer import Peer


class _Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def said(self, line: str) -> None:
        self.lines.append(f"C: {line}")

    def heard(self, line: str) -> None:
        self.lines.append(f"S: {line}")

    def event(self, text: str) -> None:
        self.lines.append(f"-- {text}")


class LinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.log = _Log()
        clock = Clock()
        self.connection = Connection(clock, "mail.example.com", lambda response: None, wire_log=self.log)
        self.peer = Peer(self.connection)
        self.peer.say("* OK hello")
        self.log.lines.clear()

    def tearDown(self) -> None:
        self.peer.lose()

    def run_(self, command: Any) -> None:
        self.connection.run(command).addErrback(lambda _: None)

    def plain(self, password: str, *, initial: bool) -> Authenticate:
        dialogue = sasl.begin("PLAIN", user="anna", password=password, access_token=None, host="x", port=1)
        return Authenticate(dialogue, Credentials(user="anna", password=password), initial=initial)

    def test_a_session(self) -> None:
        """Every line, with literals as their length, and what happens to the connection."""
        log = _Log()
        connection = Connection(Clock(), "mail.example.com", lambda response: None, wire_log=log)
        peer = Peer(connection)
        peer.say("* OK hello")
        connection.run(FetchUids("1:2", UidSet.of_range(1, 2), ["UID", "BODY.PEEK[1]"]))
        peer.say(
            "* 1 FETCH (UID 1 BODY[1] {6}", "secret)", "* 2 FETCH (UID 2 BODY[1] ~{3}", "x\0y FLAGS ())", "1 OK done"
        )
        connection.run(Append("x", b"secret", ["\\Seen"], None))
        peer.say("+ go on", "2 OK")
        connection.run(Idle())
        peer.say("+ idling", "* 1 EXISTS")
        connection.compress().addErrback(lambda _: None)
        peer.say("3 OK", "4 OK")
        peer.lose()
        expected = """
            -- connected to mail.example.com
            S: * OK hello
            C: 1 UID FETCH 1:2 (UID BODY.PEEK[1])
            S: * 1 FETCH (UID 1 BODY[1] {6})
            S: * 2 FETCH (UID 2 BODY[1] ~{3} FLAGS ())
            S: 1 OK done
            C: 2 APPEND "x" (\\Seen) {6}
            S: + go on
            S: 2 OK
            C: 3 IDLE
            S: + idling
            S: * 1 EXISTS
            C: DONE
            S: 3 OK
            C: 4 COMPRESS DEFLATE
            S: 4 OK
            -- DEFLATE started
            -- The connection to mail.example.com was closed
        """
        self.assertEqual(log.lines, [line.strip() for line in expected.strip().splitlines()])

    def test_secrets(self) -> None:
        """Of a login nothing is shown but its name, in whatever form it goes."""
        quoted = LogIn(Credentials(user="anna", password='pass "word"'))
        literal = LogIn(Credentials(user="anna", password="pässword"))
        for command in (quoted, literal, self.plain("password", initial=True)):
            self.run_(command)
            self.peer.say("+ ok")
            for n in range(1, 9):
                self.peer.say(f"{n} NO")
        self.run_(self.plain("password", initial=False))
        self.peer.say("+ VXNlcjo=", "4 OK")
        said = [line for line in self.log.lines if line.startswith("C: ")]
        self.assertEqual(
            said,
            [
                "C: 1 LOGIN ***",
                "C: 2 LOGIN ***",
                "C: 3 AUTHENTICATE PLAIN ***",
                "C: ***",
                "C: 4 AUTHENTICATE PLAIN",
                "C: ***",
            ],
        )
        self.assertIn("S: + ***", self.log.lines)
        self.assertNotIn("word", "".join(self.log.lines))
        self.assertNotIn("VXNlcjo", "".join(self.log.lines))

    def test_repeated(self) -> None:
        """Nor is what a server repeats of it, quoted or decoded; what else it says is shown."""
        self.run_(LogIn(Credentials(user="anna", password='se"cret')))
        self.peer.say("* OK wait", r'* BAD what is "anna" "se\"cret"?', '1 BAD not se"cret c2UiY3JldA==')
        self.run_(self.plain("geheim", initial=True))
        blob = b64encode(b"\0anna\0geheim").decode()
        self.peer.say(f"* BAD {blob}?", "2 NO [AUTHENTICATIONFAILED] geheim is wrong")
        self.run_(LogIn(Credentials(user="anna", password="a1")))
        self.peer.say("3 OK a1 is a12, ok")
        self.run_(Noop())
        self.peer.say("4 OK anna may know that")
        self.assertEqual(
            [line for line in self.log.lines if line.startswith("S: ")],
            [
                "S: * OK wait",
                'S: * BAD what is "***" "***"?',
                "S: 1 BAD not *** ***",
                "S: * BAD ***?",
                "S: 2 NO [AUTHENTICATIONFAILED] *** is wrong",
                "S: 3 OK *** is a12, ok",
                "S: 4 OK anna may know that",
            ],
        )

    def test_repeated_at_the_end(self) -> None:
        """Nor what is repeated when the login is over, be it in the reason why the connection ended."""
        self.run_(self.plain("geheim", initial=True))
        self.peer.say("1 NO no", "* BYE geheim is wrong")
        self.peer.lose()
        self.assertEqual(
            self.log.lines[-2:], ["S: * BYE *** is wrong", "-- mail.example.com closed the connection: *** is wrong"]
        )

    def test_content(self) -> None:
        """Message content that is no literal is shown as its length, too; an envelope as it is."""
        for told, shown in (
            ('BODY[1] "secret"', "BODY[1] {6}"),
            ('UID 3 BODY[1.2]<0> "se\\"cret) " FLAGS ()', "UID 3 BODY[1.2]<0> {9} FLAGS ()"),
            ('body[HEADER.FIELDS ("X]Y")] "secret"', 'body[HEADER.FIELDS ("X]Y")] {6}'),
            ("BODY[1] secret FLAGS ()", "BODY[1] {6} FLAGS ()"),
            ('BODY[1]"secret" RFC822"secret"', "BODY[1]{6} RFC822{6}"),
            ("BODY[1] NIL BODY[2] nil", "BODY[1] NIL BODY[2] nil"),
            ('RFC822.TEXT "secret" RFC822.SIZE 5 RFC822 "secret"', "RFC822.TEXT {6} RFC822.SIZE 5 RFC822 {6}"),
            ('BINARY[1] "" PREVIEW "secret"', "BINARY[1] {0} PREVIEW {6}"),
            ('ENVELOPE (NIL "a subject" NIL)', 'ENVELOPE (NIL "a subject" NIL)'),
            ("BODY[1] {6}\r\nsecret", "BODY[1] {6}"),
        ):
            self.peer.say(f"* 1 FETCH ({told})")
            self.assertEqual(self.log.lines.pop(), f"S: * 1 FETCH ({shown})")
        self.peer.say('* 1 FETCH (BODY[1] "secret')
        self.assertNotIn("secret", self.log.lines.pop())
        self.peer.say(f'* 1 FETCH (BODY[1] "{"secret" * 9999}" FLAGS ())')
        self.assertEqual(self.log.lines.pop(), "S: * 1 FETCH (BODY[1] {...}")

    def test_long_lines(self) -> None:
        """A long line is cut, and what is no text is shown somehow."""
        self.peer.say("* SEARCH " + "1 " * 500_000)
        self.connection.dataReceived(b"* OK \xff\xfe\r\n")
        self.run_(FetchUids("1," * 999 + "1", UidSet.of([1]), ["UID"]))
        lines = self.log.lines
        self.assertEqual([len(line) for line in lines], [LONGEST + 3, 16, LONGEST + 3])
        self.assertTrue(lines[0].startswith("S: * SEARCH 1 1 1 "))
        self.assertEqual(lines[1], r"S: * OK \xff\xfe")

    def test_ends(self) -> None:
        """The log ends with the reason."""
        self.peer.say("* BYE too late")
        self.peer.lose()
        self.assertEqual(self.log.lines[-1], "-- mail.example.com closed the connection: too late")
