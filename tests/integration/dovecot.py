"""A private Dovecot 2.3: IMAP over TLS and IMAP with STARTTLS on free ports, mail in Maildirs that tests write into.

Works as root and as a normal user. Needs /usr/sbin/dovecot (package dovecot-imapd).
"""

from __future__ import annotations

import grp
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from emailengine.wire.imap import mutf7
from tests.integration.processes import Running, eventually, free_port, listening

BINARY = "/usr/sbin/dovecot"

_MAIL_ID = 5000  # whose the mail is, when we are root: Dovecot reads no mail as root

_CONFIG = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {log}
protocols = imap
listen = 127.0.0.1
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 0
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
mail_home = {home}/mail/%u
mail_location = maildir:~/Maildir
mail_fsync = never
mail_max_userip_connections = {connections}
mailbox_list_index = no
mailbox_idle_check_interval = 1 s
default_client_limit = 4096
default_process_limit = 2048
{internal}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
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
  service_count = 0
  process_min_avail = 1
  process_limit = 2
  client_limit = 4096
  vsz_limit = 0
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
service imap {{
  process_limit = 2048
  vsz_limit = 0
}}
service anvil {{
  chroot =
  client_limit = 8192
}}
service auth {{
  client_limit = 8192
}}
service stats {{
  client_limit = 8192
}}
"""


class Dovecot:
    """
    The server. `port` is IMAP over TLS, `plain_port` IMAP with STARTTLS, `log` its log.

    Without a certificate it speaks no TLS at all. `extra` are further lines of its configuration.
    """

    def __init__(
        self,
        directory: Path,
        *,
        certificate: Path | str | None = None,
        key: Path | str | None = None,
        users: Mapping[str, str] | None = None,
        max_connections: int = 100,
        extra: str = "",
    ) -> None:
        self.users = dict(users) if users is not None else {"anna": "secret"}
        self.log = directory / "dovecot.log"
        self.port = free_port()
        self.plain_port = free_port()
        self._serial = itertools.count(1)
        # Of its own and short: sockets are in it, and the mail's owner must be able to enter it.
        self._home = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self._home.chmod(0o755)
        root = os.getuid() == 0
        self._owner = (_MAIL_ID, _MAIL_ID) if root else (os.getuid(), os.getgid())
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        internal = (
            ""
            if root
            else (f"default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}")
        )
        (self._home / "users").write_text("".join(f"{one}:{word}::::::\n" for one, word in self.users.items()))
        for one in ("run", "state", "mail"):
            (self._home / one).mkdir()
        for one in self.users:
            self._make(self._home / "mail" / one)
            self._maildir(one, "INBOX")
        config = self._home / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                home=self._home,
                log=self.log.resolve(),
                ssl="yes" if certificate else "no",
                certificate=_tls(certificate, key),
                uid=self._owner[0],
                gid=self._owner[1],
                connections=max_connections,
                internal=internal,
                port=self.port if certificate else 0,
                plain_port=self.plain_port,
            )
            + extra
        )
        _allow_many_watches()
        self._config = config
        self._running: Running | None = None
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self) -> None:
        """Start it (again), on the same ports and with the same mail."""
        self._running = Running([BINARY, "-F", "-c", str(self._config)], self._home / "output.log")
        eventually(self._up, "Dovecot listens")

    def stop(self) -> None:
        """End it and every session; the mail goes too."""
        self.halt()
        eventually(self._removed, "the mail is removed")

    def halt(self) -> None:
        """End it and every session; the mail stays for the next `start`."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def deliver(self, user: str, message: bytes, folder: str = "INBOX") -> None:
        """Put a message into a folder, as a delivery agent does; the folder is made if it is not there."""
        maildir = self._maildir(user, folder)
        name = f"{time.time():.6f}.{os.getpid()}_{next(self._serial)}.{socket.gethostname()}"
        path = maildir / "tmp" / name
        path.write_bytes(message)
        self._give(path)
        path.rename(maildir / "new" / name)

    def fill(
        self, user: str, messages: list[bytes], *, flags: str = "S", folder: str = "INBOX", arrived: float | None = None
    ) -> None:
        """
        Put many messages into a folder at once, with flags as Maildir writes them (`S`: seen).

        The first came in at `arrived`, each further one a second later; without it the last comes in now.
        """
        maildir = self._maildir(user, folder)
        start = int(time.time()) - len(messages) if arrived is None else int(arrived)
        for n, message in enumerate(messages):
            name = f"{start + n}.M{n:06d}P{next(self._serial)}.host,S={len(message)}:2,{flags}"
            path = maildir / "cur" / name
            path.write_bytes(message)
            self._give(path)
            os.utime(path, (start + n, start + n))

    def kick(self, user: str) -> None:
        """Cut every connection of a user."""
        subprocess.run(["doveadm", "-c", str(self._config), "kick", user], check=False, capture_output=True)

    def doveadm(self, *arguments: str) -> str:
        """What the administrator's command says."""
        command = ["doveadm", "-c", str(self._config), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def _up(self) -> bool:
        assert self._running is not None
        if self._running.process.poll() is not None:
            told = self.log.read_text() if self.log.exists() else ""
            raise AssertionError(f"Dovecot ended: {self._running.output()}{told}")
        return listening(self.plain_port)

    def _removed(self) -> bool:
        # a session may still write something while it ends
        shutil.rmtree(self._home, ignore_errors=True)
        return not self._home.exists()

    def _maildir(self, user: str, folder: str) -> Path:
        maildir = self._home / "mail" / user / "Maildir"
        if folder != "INBOX":
            maildir = maildir / ("." + mutf7.encode(folder.replace("/", ".")).decode("ascii"))
        for path in (maildir, *(maildir / one for one in ("tmp", "new", "cur"))):
            if not path.exists():
                self._make(path)
        return maildir

    def _make(self, path: Path) -> None:
        path.mkdir()
        self._give(path)

    def _give(self, path: Path) -> None:
        if os.getuid() == 0:
            os.chown(path, *self._owner)


def _tls(certificate: Path | str | None, key: Path | str | None) -> str:
    if certificate is None or key is None:
        return ""
    return f"ssl_cert = <{Path(certificate).resolve()}\nssl_key = <{Path(key).resolve()}"


def _allow_many_watches() -> None:
    """Each connection in IDLE takes one of inotify's instances; where there are none left, Dovecot polls."""
    setting = Path("/proc/sys/fs/inotify/max_user_instances")
    try:
        if int(setting.read_text()) < 4096:
            setting.write_text("4096")
    except OSError:
        pass
