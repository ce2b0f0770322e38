"""How mail leaves, and who keeps a copy."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import NotFound
from emailengine.model.account import AccountSettings, Auth, ImapSettings, SmtpSettings, Tls
from emailengine.net.tls import TlsPolicy
from emailengine.outbox.mail import Mail
from emailengine.outbox.route import common_proxy, copy_path, ehlo_name, smtp_login, smtp_target, source, wants_copy


def account(imap: str | None = "imap.x.example", smtp: str | None = "smtp.x.example", **more: Any) -> AccountSettings:
    return AccountSettings(
        account="a",
        imap=None if imap is None else ImapSettings(host=imap, port=993, auth=Auth(user="u", pass_="p")),
        smtp=None if smtp is None else SmtpSettings(host=smtp, port=587),
        **more,
    )


def mail(**more: Any) -> Mail:
    return Mail(
        account="a",
        generation=1,
        message_id="<m>",
        sender="",
        recipients=[],
        created=0,
        scheduled=0,
        attempts=1,
        **more,
    )


class Fixed:
    def __init__(self, **values: Any) -> None:
        self.values = values

    def value(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


class CopyTests(SynchronousTestCase):
    def test_rule(self) -> None:
        """The request goes before the account, both before the provider; without a mailbox there is no copy."""
        plain, gmail = account(), account("imap.gmail.com", "smtp.gmail.com")
        outlook = account("outlook.office365.com", "smtp.office365.com")
        for message, settings, known_gmail, expected in [
            (mail(), plain, False, True),
            (mail(), account(copy=False), False, False),
            (mail(copy=True), account(copy=False), False, True),
            (mail(copy=False), account(copy=True), False, False),
            (mail(), gmail, False, False),
            (mail(copy=True), gmail, True, True),
            (mail(), account("imap.gmail.com", "smtp.gmail.com", copy=True), True, False),
            (mail(), outlook, False, False),
            (mail(), account("imap.gmail.com", "relay.x.example"), False, True),
            (mail(), account("notgmail.com", "notgmail.com"), False, True),
            (mail(copy=True), account(imap=None), False, False),
            (mail(copy=True), AccountSettings(account="a", imap=ImapSettings(disabled=True)), False, False),
        ]:
            self.assertEqual(wants_copy(message, settings, gmail=known_gmail), expected, (message.copy, settings))

    def test_path(self) -> None:
        """The request may name the folder."""
        self.assertEqual(copy_path(mail()), "\\Sent")
        self.assertEqual(copy_path(mail(sent_mail_path="Out/2024")), "Out/2024")


class TargetTests(SynchronousTestCase):
    def test_target(self) -> None:
        """The server is the account's; its certificate is checked unless the account or the installation says no."""
        target = smtp_target(account(), ignore_certificates=False)
        self.assertEqual(
            (target.host, target.port, target.secure, target.starttls), ("smtp.x.example", 587, False, "auto")
        )
        self.assertEqual(target.tls, TlsPolicy(verify=True))
        self.assertEqual(smtp_target(account(), ignore_certificates=True).tls, TlsPolicy(verify=False))
        lax = AccountSettings(
            account="a", smtp=SmtpSettings(host="h", port=465, secure=True, tls=Tls(reject_unauthorized=False))
        )
        target = smtp_target(lax, ignore_certificates=False)
        self.assertTrue(target.secure)
        self.assertEqual(target.tls, TlsPolicy(verify=False))

    def test_proxy(self) -> None:
        """The way is the account's proxy, else the installation's where that is switched on; its login is not shown."""
        on = Fixed(proxyEnabled=True, proxyUrl="socks5://u:hunter2@p")
        self.assertEqual(common_proxy(on), "socks5://u:hunter2@p")
        for off in (Fixed(), Fixed(proxyEnabled=True, proxyUrl=""), Fixed(proxyUrl="http://p")):
            self.assertIsNone(common_proxy(off))
        target = smtp_target(account(), ignore_certificates=False, proxy=common_proxy(on))
        self.assertEqual(target.proxy, "socks5://u:hunter2@p")
        self.assertNotIn("hunter2", repr(target))
        own = smtp_target(account(proxy="http://own"), ignore_certificates=False, proxy=common_proxy(on))
        self.assertEqual(own.proxy, "http://own")

    def test_source(self) -> None:
        """The address to connect from is chosen as the installation says, for each protocol."""
        one = Fixed(localAddresses=["192.0.2.1", "192.0.2.2"], smtpStrategy="random")
        self.assertEqual(source(one, "smtpStrategy", "a", lambda: 0.9), "192.0.2.2")
        self.assertEqual(source(one, "smtpStrategy", "a", lambda: 0.9, "192.0.2.1"), "192.0.2.1")
        self.assertEqual(source(one, "smtpStrategy", "a", lambda: 0.9, "203.0.113.1"), "192.0.2.2")
        self.assertIsNone(source(one, "imapStrategy", "a", lambda: 0.9))
        self.assertIsNone(source(Fixed(), "smtpStrategy", "a", lambda: 0.9))
        target = smtp_target(account(), ignore_certificates=False, local_address="192.0.2.2")
        self.assertEqual(target.local_address, "192.0.2.2")

    def test_none(self) -> None:
        """Without an SMTP server nothing can be sent."""
        error = self.assertRaises(NotFound, smtp_target, account(smtp=None), ignore_certificates=False)
        self.assertEqual((error.code, error.status), ("SMTPUnavailable", 404))

    def test_login(self) -> None:
        """The login is the account's; a server without one asks nobody."""
        self.assertIsNone(smtp_login(account()))
        login = smtp_login(
            AccountSettings(account="a", smtp=SmtpSettings(host="h", port=1, auth=Auth(user="u", access_token="t")))
        )
        assert login is not None
        self.assertEqual((login.user, login.password, login.access_token), ("u", None, "t"))

    def test_ehlo(self) -> None:
        """The name is the account's, else the installation's, else that of its URL, else the host's."""
        own = account(smtp_ehlo_name="own.example")
        both = Fixed(smtpEhloName="set.example", serviceUrl="https://url.example:8080")
        self.assertEqual(ehlo_name(own, both, "host"), "own.example")
        self.assertEqual(ehlo_name(account(), both, "host"), "set.example")
        self.assertEqual(ehlo_name(account(), Fixed(serviceUrl="https://url.example:8080"), "host"), "url.example")
        self.assertEqual(ehlo_name(account(), Fixed(), "host"), "host")
