"""Encryption at rest."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.core.secrets import SecretUnreadable, Vault

# one derivation costs 42 ms: the tests share the vaults
VAULT = Vault("correct horse", salt=b"0123456789abcdef")
OTHER = Vault("battery staple", salt=b"0123456789abcdef")


class VaultTests(SynchronousTestCase):
    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_round_trip(self, text: str) -> None:
        """What was sealed opens to the same text."""
        self.assertEqual(VAULT.open(VAULT.seal(text)), text)

    def test_form(self) -> None:
        """A sealed value is `$wd01$aes-256-gcm$tag$iv$salt$text` in hexadecimal, without the clear text."""
        sealed = VAULT.seal("pass")
        self.assertRegex(sealed, r"\A\$wd01\$aes-256-gcm\$[0-9a-f]{32}\$[0-9a-f]{24}\$[0-9a-f]{32}\$[0-9a-f]{8}\Z")
        self.assertNotIn("pass", sealed)

    def test_different_each_time(self) -> None:
        """The same text never gives the same value: nobody sees that two accounts share a password."""
        self.assertNotEqual(VAULT.seal("pass"), VAULT.seal("pass"))

    def test_salt_of_another_start(self) -> None:
        """A value that an earlier start sealed with its own salt opens, too."""
        self.assertEqual(VAULT.open(Vault("correct horse").seal("pass")), "pass")

    def test_clear_text(self) -> None:
        """A value without the mark is clear text."""
        for text in ("", "pass", "$", "$wd01$", "pa$$word$with$many$dollar$signs"):
            self.assertEqual(VAULT.open(text), text)

    def test_without_secret(self) -> None:
        """Without a secret texts stay as they are, and a sealed value says what is missing."""
        for secret in (None, ""):
            vault = Vault(secret)
            self.assertFalse(vault.active)
            self.assertEqual(vault.open(vault.seal("pass")), "pass")
            self.assertIn("secret", str(self.assertRaises(SecretUnreadable, vault.open, VAULT.seal("pass"))))

    def test_active(self) -> None:
        """A vault with a secret says so."""
        self.assertTrue(VAULT.active)

    def test_other_secret(self) -> None:
        """Another secret opens nothing; the error holds neither text nor value."""
        sealed = VAULT.seal("hunter2")
        error = self.assertRaises(SecretUnreadable, OTHER.open, sealed)
        self.assertNotIn("hunter2", str(error))
        self.assertNotIn(sealed[-10:], str(error))
        self.assertEqual((error.code, error.status, error.transient), ("InternalConfigError", 500, False))

    @given(position=st.integers(0, 200), digit=st.sampled_from("0123456789abcdef"))
    def test_changed(self, position: int, digit: str) -> None:
        """A value with a changed digit does not open."""
        sealed = VAULT.seal("a password")
        # the salt is left alone: each new one costs a derivation
        places = [at for at in range(18, len(sealed)) if sealed[at] != "$" and not 76 <= at <= 109]
        place = places[position % len(places)]
        changed = sealed[:place] + digit + sealed[place + 1 :]
        if changed != sealed:
            self.assertRaises(SecretUnreadable, VAULT.open, changed)

    def test_damaged(self) -> None:
        """A value that was cut, or is no hexadecimal, is damaged and not clear text."""
        sealed = VAULT.seal("pass")
        whole = sealed.split("$")
        for damaged in (
            sealed[:-1],
            sealed[:-8],
            sealed[:40],
            sealed[:18],
            sealed + "$00",
            sealed.replace("$wd01$aes-256-gcm$", "$wd01$aes-256-gcm$zz"),
            "$".join([*whole[:4], "", *whole[5:]]),
        ):
            self.assertRaises(SecretUnreadable, VAULT.open, damaged)

    def test_one_derivation(self) -> None:
        """All that one vault seals has one salt, so that a start costs one derivation."""
        salts = {re.split(r"\$", VAULT.seal("pass"))[5] for _ in range(3)}
        self.assertEqual(len(salts), 1)
