#!/usr/bin/env python3
"""Mail servers to try emailengine with: Dovecot for IMAP, and SMTP that delivers into the same mailboxes.

    mailserver.py [--dir DIR] [--ports IMAP IMAPS SMTP]

Two mailboxes, alice@example.test and bob@example.test, password `secret`. IMAP on port 1143 (STARTTLS) and 1993 (TLS),
SMTP submission on port 1587 (STARTTLS), all on 127.0.0.1 and with a certificate nobody vouches for. Everything is below
DIR (/tmp/emailengine-tour), which is emptied first; nothing of the system's own Dovecot is touched. Runs in the
foreground until Ctrl-C, as root or as any other user. Needs Debian's dovecot-imapd; run it with the Python of the
environment that `make run` made: .venv/bin/python etc/tour/mailserver.py
"""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import defer, protocol, reactor, ssl
from twisted.mail import smtp
from twisted.mail.imap4 import LOGINCredentials, PLAINCredentials
from zope.interface import implementer

PORTS = (1143, 1993, 1587)  # IMAP, IMAP over TLS, SMTP
USERS = ("alice", "bob")
PASSWORD = "secret"
HERE = Path(__file__).resolve().parent

WELCOME = b"""\
From: Bob Example <bob@example.test>
To: Alice Example <alice@example.test>
Subject: Welcome
Message-ID: <welcome@example.test>
Date: Mon, 23 Nov 2026 09:00:00 +0000
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Gr\xc3\xbc\xc3\x9fe from Bob. This message was here before emailengine came.
"""


@define
class Boxes:
    """The mailboxes as Maildirs; Dovecot sees at once what is put into them."""

    home: Path
    uid: int
    gid: int

    def make(self) -> None:
        for user in USERS:
            for part in ("", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"):
                path = self.home / user / part
                path.mkdir(parents=True)
                os.chown(path, self.uid, self.gid)
        self.home.chmod(0o755)

    def put(self, user: str, message: bytes, *, age: float = 0.0) -> None:
        """Deliver a message, as of so many seconds ago."""
        box = self.home / user / "Maildir"
        name = f"{time.time():.6f}.{uuid.uuid4().hex}"
        written = box / "tmp" / name
        written.write_bytes(message)
        os.chown(written, self.uid, self.gid)
        os.utime(written, (time.time() - age,) * 2)
        written.rename(box / "new" / name)


@implementer(smtp.IMessage)
@define
class Message:
    boxes: Boxes
    user: str
    lines: list[bytes] = field(factory=list)

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line + b"\r\n")

    def eomReceived(self) -> defer.Deferred[bytes]:
        self.boxes.put(self.user, b"".join(self.lines))
        return defer.succeed(b"delivered")

    def connectionLost(self) -> None:
        pass


@implementer(smtp.IMessageDelivery)
@define
class Delivery:
    """Delivers to the two mailboxes, and nowhere else."""

    boxes: Boxes

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        return b"Received: by mail.example.test; " + smtp.rfc822date()

    def validateFrom(self, helo: Any, origin: smtp.Address) -> smtp.Address:
        return origin

    def validateTo(self, user: smtp.User) -> Any:
        name = user.dest.local.decode("ascii", "replace").lower()
        if user.dest.domain.lower() != b"example.test" or name not in USERS:
            raise smtp.SMTPBadRcpt(user)
        return lambda: Message(self.boxes, name)


@define
class Realm:
    boxes: Boxes

    def requestAvatar(self, avatar: Any, mind: Any, *interfaces: Any) -> Any:
        return smtp.IMessageDelivery, Delivery(self.boxes), lambda: None


class Submission(smtp.SMTPFactory):
    """SMTP that wants a login, by STARTTLS."""

    protocol = smtp.ESMTP  # type: ignore[assignment]
    noisy = False
    certificate: Any = None

    def buildProtocol(self, address: Any) -> Any:
        built = super().buildProtocol(address)
        built.host = b"mail.example.test"
        built.ctx = self.certificate
        built.challengers = {b"PLAIN": PLAINCredentials, b"LOGIN": LOGINCredentials}
        return built


class Dovecot(protocol.ProcessProtocol):
    """Ends the whole when Dovecot ends, and is waited for when the whole ends."""

    def __init__(self) -> None:
        self.ended: defer.Deferred[None] = defer.Deferred()
        self.stopping = False

    def processEnded(self, reason: Any) -> None:
        self.ended.callback(None)
        if not self.stopping:
            print("Dovecot has ended", file=sys.stderr)
            reactor.stop()

    def stop(self) -> defer.Deferred[None]:
        self.stopping = True
        if not self.ended.called:
            self.transport.signalProcess("TERM")
        return self.ended


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def rights() -> tuple[int, int]:
    """Who the mail belongs to: root's Dovecot wants somebody else for it."""
    if os.getuid():
        return os.getuid(), os.getgid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def prepare(directory: Path, uid: int, gid: int, imap: int, imaps: int) -> Path:
    """Everything Dovecot needs, below the directory; the result is its configuration."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    directory.chmod(0o755)
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(
        [*make.split(), "-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    names = [name for user in USERS for name in (user, f"{user}@example.test")]
    (directory / "users").write_text("".join(f"{name}:{PASSWORD}\n" for name in names))
    text = (HERE / "dovecot.conf").read_text()
    root = os.getuid() == 0
    values = {
        "dir": directory,
        "uid": uid,
        "gid": gid,
        "user": "dovecot" if root else pwd.getpwuid(uid).pw_name,
        "group": "dovecot" if root else grp.getgrgid(gid).gr_name,
        "imap": imap,
        "imaps": imaps,
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    config = directory / "dovecot.conf"
    config.write_text(text)
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "emailengine-tour")
    parser.add_argument("--ports", type=int, nargs=3, default=PORTS, metavar=("IMAP", "IMAPS", "SMTP"))
    options = parser.parse_args()
    directory = options.dir.resolve()
    imap, imaps, submission = options.ports
    dovecot = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if dovecot is None:
        sys.exit("Dovecot is missing: sudo apt-get install -y dovecot-imapd")
    taken = [port for port in options.ports if listening(port)]
    if taken:
        sys.exit(f"Something listens on port {taken[0]} already")
    uid, gid = rights()
    config = prepare(directory, uid, gid, imap, imaps)
    boxes = Boxes(directory / "mail", uid, gid)
    boxes.make()
    boxes.put("alice", WELCOME.replace(b"\n", b"\r\n"), age=3600.0)  # so that it is old mail to whoever registers now

    login = InMemoryUsernamePasswordDatabaseDontUse(
        **{name: PASSWORD.encode() for user in USERS for name in (user, f"{user}@example.test")}
    )
    factory = Submission(Portal(Realm(boxes), [login]))
    factory.certificate = ssl.DefaultOpenSSLContextFactory(str(directory / "key.pem"), str(directory / "cert.pem"))
    reactor.listenTCP(submission, factory, interface="127.0.0.1")
    server = Dovecot()
    reactor.spawnProcess(server, dovecot, [dovecot, "-F", "-c", str(config)], env=None, childFDs={1: 1, 2: 2})

    def tell(tries: int = 200) -> None:
        if listening(imap):
            print(
                f"IMAP on 127.0.0.1:{imap}, SMTP on 127.0.0.1:{submission}: alice and bob, password {PASSWORD}",
                flush=True,
            )
        elif tries:
            reactor.callLater(0.05, tell, tries - 1)
        else:
            print(f"Dovecot does not answer; see {directory}/dovecot.log", file=sys.stderr)
            reactor.stop()

    reactor.callWhenRunning(tell)
    reactor.addSystemEventTrigger("before", "shutdown", server.stop)
    reactor.run()


if __name__ == "__main__":
    main()
