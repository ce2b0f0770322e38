"""Registering, changing and showing accounts, with plain values."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import InvalidInput
from emailengine.model.account import (
    MASK,
    AccountSettings,
    AccountUpdate,
    Auth,
    HeaderField,
    ImapSettings,
    Registration,
    SmtpSettings,
    Tls,
    registered,
    updated,
    without_login,
)
from emailengine.model.accountview import Live, listed, shown
from emailengine.model.codec import encode, read
from emailengine.model.settings import Settings

NOW = "2026-01-01T00:00:00.000Z"
IMAP = {"host": "imap.example.com", "port": 993, "secure": True, "auth": {"user": "me", "pass": "pass-word"}}
STORED = AccountSettings(
    account="a/b",
    name="Me",
    email="me@example.com",
    path=["INBOX"],
    webhooks="https://me:hook-login@example.com/h",
    webhooks_custom_headers=[HeaderField(key="X-A", value="header-value")],
    proxy="socks5://me:proxy-login@proxy.example.com:1080",
    notify_from=NOW,
    imap=ImapSettings(
        host="imap.example.com",
        port=993,
        secure=True,
        auth=Auth(user="me", pass_="pass-word"),
        tls=Tls(reject_unauthorized=False, min_version="TLSv1.2"),
        resync_delay=60,
    ),
    smtp=SmtpSettings(
        host="smtp.example.com", port=465, secure=True, auth=Auth(user="me", access_token="access-token")
    ),
)


def register(body: dict[str, Any], stored: AccountSettings | None = None) -> AccountSettings:
    return registered(read({"account": "a/b", "name": "Me"} | body, Registration), stored, account="a/b", now=NOW)


def update(body: dict[str, Any], stored: AccountSettings = STORED) -> AccountSettings:
    return updated(read(body, AccountUpdate), stored)


def faults(call: Any, body: dict[str, Any], *stored: Any) -> list[str]:
    try:
        call(body, *stored)
    except InvalidInput as error:
        return sorted(one["message"].split('"')[1] for one in error.extra["fields"])
    return []


class RegistrationTests(SynchronousTestCase):
    def test_new(self) -> None:
        """A new account has what was sent, and announces messages from now on."""
        settings = register({"imap": IMAP, "path": "INBOX", "email": "", "smtp": False})
        self.assertEqual(
            settings,
            AccountSettings(
                account="a/b",
                name="Me",
                path=["INBOX"],
                notify_from=NOW,
                imap=ImapSettings(
                    host="imap.example.com", port=993, secure=True, auth=Auth(user="me", pass_="pass-word")
                ),
            ),
        )
        self.assertIsNone(register({"notifyFrom": None}).notify_from)
        self.assertEqual(register({"notifyFrom": "2020-01-01"}).notify_from, "2020-01-01T00:00:00.000Z")

    def test_indexer(self) -> None:
        """The one indexer there is may be asked for; the other that clients know is told apart from nonsense."""
        self.assertEqual(register({"imapIndexer": "full"}).imap_indexer, "full")
        for value, said in {"fast": "is not available yet", "quick": "must be one of [full]"}.items():
            for type_, body in ((Registration, {"account": "a", "name": "A"}), (AccountUpdate, {})):
                error = self.assertRaises(InvalidInput, read, body | {"imapIndexer": value}, type_)
                (fault,) = error.extra["fields"]
                self.assertIn(f'"imapIndexer" {said}', fault["message"])

    def test_again(self) -> None:
        """Registered again, only what was sent changes, and a server that was sent is replaced as a whole."""
        settings = register({"name": "New", "imap": IMAP}, STORED)
        self.assertEqual(settings, replace(STORED, name="New", imap=read(IMAP, ImapSettings)))

    def test_faults(self) -> None:
        """All that is missing or wrong is told at once."""
        self.assertEqual(faults(lambda body: read(body, Registration), {}), ["account", "name"])
        body = {
            "account": " ",
            "name": "x" * 257,
            "email": "no",
            "proxy": "ftp://proxy.example.com",
            "imap": {"host": "a b", "port": 0, "auth": {"user": "u"}},
            "smtp": {"port": 465},
            "webhooksCustomHeaders": [{"key": "X\r\nY", "value": "a\nb"}],
            "oauth2": {},
            "invented": 1,
        }
        wanted = ["account", "email", "imap.auth.pass", "imap.host", "imap.port", "invented", "name", "oauth2", "proxy", "smtp.host", "webhooksCustomHeaders[0].key", "webhooksCustomHeaders[0].value"]  # fmt: skip
        self.assertEqual(faults(lambda body: read(body, Registration), body), wanted)

    def test_servers(self) -> None:
        """A server needs what it is reached with, a disabled one does not; a password and a token exclude each other."""
        self.assertEqual(faults(register, {"imap": {}}), ["imap.auth", "imap.host", "imap.port"])
        self.assertEqual(faults(register, {"imap": {"disabled": True}, "smtp": {"host": "h", "port": 25}}), [])
        both = {"user": "u", "pass": "p", "accessToken": "t"}
        self.assertEqual(faults(register, {"imap": IMAP | {"auth": both}}), ["imap.auth.pass"])
        self.assertEqual(register({}).type, "invalid")
        self.assertEqual(register({"imap": {"disabled": True}, "smtp": {"host": "h", "port": 25}}).type, "sending")
        self.assertEqual(register({"imap": IMAP}).type, "imap")


class UpdateTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """What is not sent stays."""
        self.assertEqual(update({}), STORED)

    def test_removed(self) -> None:
        """Null and blank remove, false drops a server, `*` watches all folders again."""
        self.assertEqual(update({"email": None, "webhooks": ""}), replace(STORED, email=None, webhooks=None))
        self.assertEqual(update({"imap": False, "smtp": None}), replace(STORED, imap=None, smtp=None))
        for blank in ("", None):
            self.assertIsNone(update({"proxy": blank}).proxy)
        for path in ("*", ["*"], ["INBOX", "*"], [], None):
            self.assertIsNone(update({"path": path}).path)

    def test_whole(self) -> None:
        """A server is replaced as a whole, and must be whole."""
        self.assertEqual(update({"imap": IMAP}).imap, read(IMAP, ImapSettings))
        self.assertEqual(
            faults(update, {"imap": {"host": "other"}, "smtp": {"secure": True}}), ["imap.auth", "imap.port"]
        )

    def test_partial(self) -> None:
        """With `partial`, members that are not sent stay, down to the TLS options."""
        assert STORED.imap is not None
        change = {"imap": {"partial": True, "host": "other", "tls": {"minVersion": "TLSv1.3"}}}
        tls = Tls(reject_unauthorized=False, min_version="TLSv1.3")
        self.assertEqual(update(change), replace(STORED, imap=replace(STORED.imap, host="other", tls=tls)))
        self.assertEqual(faults(update, {"imap": {"partial": True, "auth": {"user": "me"}}}), ["imap.auth.pass"])
        self.assertEqual(faults(update, {"imap": {"partial": True, "auth": False}}), ["imap.auth"])
        without = replace(STORED, imap=None)
        self.assertEqual(faults(update, {"imap": {"partial": True, "host": "h"}}, without), ["imap.auth", "imap.port"])


class MaskTests(SynchronousTestCase):
    def test_nothing_shown(self) -> None:
        """No view of an account, and no text of it in a log, holds a secret."""
        views = encode(shown(STORED, Live())) + encode(listed(STORED, Live())) + repr(STORED).encode()
        for secret in (b"pass-word", b"access-token", b"hook-login", b"proxy-login"):
            self.assertNotIn(secret, views)
            self.assertNotIn(secret, repr(STORED.imap).encode())
        self.assertNotIn(b"header-value", encode(shown(STORED, Live())))
        self.assertNotIn("header-value", repr(STORED.webhooks_custom_headers))
        body = {"webhooks": "https://u:hook-login@h/", "proxy": "http://u:proxy-login@h"}
        for sent in (
            read(body | {"account": "a", "name": "A"}, Registration),
            read(body, AccountUpdate),
            read({"proxyUrl": body["proxy"], "webhooks": body["webhooks"]}, Settings),
        ):
            self.assertNotIn("-login", repr(sent))

    def test_sent_back(self) -> None:
        """What was shown can be sent back whole, and changes nothing."""
        view = shown(STORED, Live())
        body = {
            "webhooks": view.webhooks,
            "proxy": view.proxy,
            "webhooksCustomHeaders": [{"key": "X-A", "value": MASK}],
            "imap": IMAP | {"auth": {"user": "me", "pass": MASK}, "tls": {"rejectUnauthorized": False, "minVersion": "TLSv1.2"}, "resyncDelay": 60},
            "smtp": {"host": "smtp.example.com", "port": 465, "secure": True, "auth": {"user": "me", "accessToken": MASK}},
        }  # fmt: skip
        self.assertEqual(update(body), STORED)
        self.assertEqual(register(body, STORED), STORED)

    def test_refused(self) -> None:
        """A mask is refused where no such secret is stored: for a new account, another user, server or header."""
        masked = {"imap": IMAP | {"auth": {"user": "me", "pass": MASK}}}
        self.assertEqual(faults(register, masked), ["imap.auth.pass"])
        other: list[dict[str, Any]] = [
            {"imap": IMAP | {"auth": {"user": "you", "pass": MASK}}},
            {"smtp": {"partial": True, "auth": {"user": "me", "pass": MASK}}},
            {"webhooks": f"https://{MASK}:{MASK}@evil.example/h"},
            {"proxy": f"socks5://{MASK}:{MASK}@evil.example:1080"},
            {"webhooksCustomHeaders": [{"key": "X-B", "value": MASK}]},
        ]
        for body in other:
            self.assertEqual(len(faults(update, body)), 1, body)

    def test_login(self) -> None:
        """Only the login of a URL is masked."""
        self.assertEqual(without_login("https://u:p@h:1/a@b?c"), f"https://{MASK}:{MASK}@h:1/a@b?c")
        self.assertEqual(without_login("https://h/a@b"), "https://h/a@b")
