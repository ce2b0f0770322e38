#!/usr/bin/env python3
"""A mail server to try emailengine with: Dovecot for IMAP, and SMTP that delivers into the same mailboxes.

    mailserver.py [--dir DIR]

Two mailboxes, alice@example.test and bob@example.test, password `secret`. IMAP with STARTTLS on port 1143 and TLS on
1993, SMTP submission on port 1587, all on 127.0.0.1 with a certificate of their own. Runs in the foreground; Ctrl-C
ends it. Needs Debian's dovecot-imapd and dovecot-lmtpd, openssl, and Python's aiosmtpd. For trying things out only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

IMAP, IMAPS, SMTP, LMTP = 1143, 1993, 1587, 1024
USERS = ("alice", "bob")
PASSWORD = "secret"

CONFIG = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = yes
auth_mechanisms = plain login
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
mail_home = {dir}/mail/%n
mail_location = maildir:{dir}/mail/%n/Maildir
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/mail/%n allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service anvil {{
  chroot =
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
protocol lmtp {{
  auth_username_format = %n
  postmaster_address = postmaster@example.test
}}
"""

WELCOME = """From: Bob Example <bob@example.test>
To: Alice Example <alice@example.test>
Subject: Welcome
Message-ID: <welcome@example.test>
Date: Mon, 23 Nov 2026 09:00:00 +0000
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße from Bob. This message was here before emailengine came.
"""


class Delivering:
    """What SMTP accepts goes to the local mailboxes, and nowhere else."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.lower() not in {f"{user}@example.test" for user in USERS}:
            return "550 5.1.1 This server knows alice@example.test and bob@example.test"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, deliver, envelope.rcpt_tos, envelope.content)
        return "250 2.0.0 delivered"


def deliver(recipients: list[str], message: bytes) -> None:
    with smtplib.LMTP("127.0.0.1", LMTP) as lmtp:
        lmtp.sendmail("tour@example.test", recipients, message)


def wait(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "emailengine-tour")
    options = parser.parse_args()
    dovecot = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if dovecot is None:
        sys.exit("Dovecot is missing: sudo apt-get install -y dovecot-imapd dovecot-lmtpd")
    try:
        from aiosmtpd.smtp import SMTP as SmtpProtocol
        from aiosmtpd.smtp import AuthResult
    except ImportError:
        sys.exit("Python's aiosmtpd is missing: pip install aiosmtpd")
    shutil.rmtree(options.dir, ignore_errors=True)
    options.dir.mkdir(parents=True)
    # as root, Dovecot wants users of lower rights; else everything runs as whoever started this
    root = os.getuid() == 0
    user, group = ("dovecot", "dovecot") if root else (os.environ.get("USER", "nobody"), str(os.getgid()))
    uid, gid = (65534, 65534) if root else (os.getuid(), os.getgid())
    mail = options.dir / "mail"
    mail.mkdir(mode=0o777)
    mail.chmod(0o777)
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(
        [*make.split(), "-keyout", str(options.dir / "key.pem"), "-out", str(options.dir / "cert.pem")],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    config = options.dir / "dovecot.conf"
    config.write_text(
        CONFIG.format(
            dir=options.dir,
            user=user,
            group=group,
            uid=uid,
            gid=gid,
            password=PASSWORD,
            imap=IMAP,
            imaps=IMAPS,
            lmtp=LMTP,
        )
    )
    server = subprocess.Popen([dovecot, "-F", "-c", str(config)])
    try:
        wait(IMAP)
        wait(LMTP)
        deliver(["alice@example.test"], WELCOME.replace("\n", "\r\n").encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.dir / "cert.pem", options.dir / "key.pem")

        def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
            return AuthResult(success=data.password == PASSWORD.encode())

        async def serve() -> None:
            listening = await asyncio.get_running_loop().create_server(
                lambda: SmtpProtocol(
                    Delivering(),
                    tls_context=context,
                    authenticator=authenticate,
                    auth_required=True,
                    enable_SMTPUTF8=True,
                ),
                "127.0.0.1",
                SMTP,
            )
            print(f"IMAP on 127.0.0.1:{IMAP}, SMTP on 127.0.0.1:{SMTP}; alice and bob, password {PASSWORD}", flush=True)
            await listening.serve_forever()

        asyncio.run(serve())
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
