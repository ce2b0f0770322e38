"""Which addresses webhooks may not reach."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectFailed
from emailengine.net.egress import Egress

_METADATA = ("169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200")
_DISGUISED = ("::ffff:169.254.169.254", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe")
_PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"),
    *("::1", "::", "fd12::1", "ff02::1", "::ffff:10.0.0.1", "240.0.0.1"),
)
_PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")


class EgressTests(SynchronousTestCase):
    def blocked(self, policy: str, address: str) -> bool:
        try:
            Egress(policy).check(address)
        except ConnectFailed as error:
            self.assertEqual((error.code, error.transient), ("EEGRESSBLOCKED", False))
            return True
        return False

    def test_link_local(self) -> None:
        """By default only link-local addresses and those with a cloud's secrets are closed, in any disguise."""
        self.assertEqual([one for one in (*_METADATA, *_DISGUISED) if not self.blocked(Egress().policy, one)], [])
        self.assertEqual([one for one in (*_PRIVATE, *_PUBLIC) if self.blocked(Egress().policy, one)], [])

    def test_private(self) -> None:
        """`private` closes everything that is not public."""
        closed = (*_METADATA, *_DISGUISED, *_PRIVATE)
        self.assertEqual([one for one in closed if not self.blocked("private", one)], [])
        self.assertEqual([one for one in _PUBLIC if self.blocked("private", one)], [])

    def test_unreadable(self) -> None:
        """What is no address is closed."""
        for one in ("", "example.com", "1.2.3", "0x7f000001"):
            self.assertTrue(self.blocked("link-local", one), one)

    def test_off(self) -> None:
        """`off` closes nothing."""
        for one in (*_METADATA, *_PRIVATE, "nonsense"):
            self.assertFalse(self.blocked("off", one))
