"""From settings to targets: what an account's session is opened with."""

from __future__ import annotations

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.login import connects_otherwise, imap_target
from emailengine.model.account import AccountSettings, Auth, ImapSettings, Tls
from emailengine.net.tls import TlsPolicy

ACCOUNT = AccountSettings(account="a", imap=ImapSettings(host="h", port=993, auth=Auth(user="u", pass_="p")))


class TargetTests(SynchronousTestCase):
    def test_proxy(self) -> None:
        """The way is the account's proxy, else the installation's; its login is not shown."""
        own = replace(ACCOUNT, proxy="socks5://u:hunter2@p")
        target = imap_target(own, ignore_certificates=False, proxy="http://common")
        self.assertEqual(target.proxy, "socks5://u:hunter2@p")
        self.assertNotIn("hunter2", repr(target))
        self.assertEqual(imap_target(ACCOUNT, ignore_certificates=False, proxy="http://common").proxy, "http://common")
        self.assertIsNone(imap_target(ACCOUNT, ignore_certificates=False, proxy=None).proxy)

    def test_source(self) -> None:
        """The address to connect from is handed on."""
        target = imap_target(ACCOUNT, ignore_certificates=False, local_address="192.0.2.1")
        self.assertEqual(target.local_address, "192.0.2.1")

    def test_policy(self) -> None:
        """The account's TLS options make the policy."""
        assert ACCOUNT.imap is not None
        for tls, policy in (
            (None, TlsPolicy()),
            (Tls(reject_unauthorized=False), TlsPolicy(verify=False)),
            (Tls(min_version="TLSv1", ca="x"), TlsPolicy(min_version="TLSv1", ca="x")),
        ):
            settings = replace(ACCOUNT, imap=replace(ACCOUNT.imap, tls=tls))
            self.assertEqual(imap_target(settings, ignore_certificates=False, proxy=None).tls, policy)
        self.assertFalse(imap_target(ACCOUNT, ignore_certificates=True, proxy=None).tls.verify)

    def test_connects_otherwise(self) -> None:
        """What a connection depends on makes a new one; all else does not."""
        assert ACCOUNT.imap is not None
        for after in (
            replace(ACCOUNT, proxy="http://p"),
            replace(ACCOUNT, logs=True),
            replace(ACCOUNT, path=["INBOX"]),
            replace(ACCOUNT, imap=replace(ACCOUNT.imap, port=143)),
        ):
            self.assertTrue(connects_otherwise(ACCOUNT, after))
        self.assertFalse(connects_otherwise(ACCOUNT, replace(ACCOUNT, name="x", webhooks="http://h")))
