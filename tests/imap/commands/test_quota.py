"""GETQUOTAROOT with values alone."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.imap.commands.quota import GetQuotaRoot, Storage
from emailengine.wire.imap import responses
from emailengine.wire.imap.responses import Tagged

DONE = Tagged(b"1", "OK", None, "done")


class QuotaTests(SynchronousTestCase):
    def told(self, *lines: bytes) -> Storage | None:
        command = GetQuotaRoot("INBOX")
        self.assertEqual(b"".join(one for one in command.line() if isinstance(one, bytes)), b'GETQUOTAROOT "INBOX"')
        for line in lines:
            self.assertTrue(command.take(responses.parse([line])), line)
        self.assertFalse(command.take(responses.parse([b"* 3 EXISTS"])))
        return command.result(DONE)

    def test_storage(self) -> None:
        """STORAGE counts in units of 1024 octets; other resources say nothing of it."""
        told = self.told(b"* QUOTAROOT INBOX user", b'* QUOTA "user" (MESSAGE 5 100 STORAGE 10 512)')
        self.assertEqual(told, Storage(10 * 1024, 512 * 1024))

    def test_none(self) -> None:
        """A folder without a root, and a root without a limit on storage, tell nothing."""
        self.assertIsNone(self.told(b"* QUOTAROOT INBOX"))
        self.assertIsNone(self.told(b"* QUOTAROOT INBOX a", b"* QUOTA a ()", b"* QUOTA b (MESSAGE 5 100)"))
