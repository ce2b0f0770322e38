"""Secrets taken out of settings, and put back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.model.account import AccountSettings, Auth, HeaderField, ImapSettings, SmtpSettings
from emailengine.store.sealing import put_in, take_out, with_login, without_login

SECRET = st.text(max_size=4) | st.none()
AUTH = st.none() | st.builds(Auth, user=st.just("u"), pass_=SECRET, access_token=SECRET)
URL = st.none() | st.sampled_from(
    ("", "http://h", "http://u@h/", "https://u:p@h:1/a?b=c@d#e@f", "http://a@b@h", "http://h/x@y", "http://@h/", "h@x")
)
SETTINGS = st.builds(
    AccountSettings,
    account=st.just("a"),
    webhooks=URL,
    proxy=URL,
    webhooks_custom_headers=st.lists(st.builds(HeaderField, key=st.just("X"), value=st.text(max_size=3)), max_size=3),
    imap=st.none() | st.builds(ImapSettings, auth=AUTH),
    smtp=st.none() | st.builds(SmtpSettings, auth=AUTH),
)


class SealingTests(SynchronousTestCase):
    @given(SETTINGS)
    def test_round_trip(self, settings: AccountSettings) -> None:
        """Settings put together again are what they were, an empty secret being none; apart they hold no secret."""
        bare, secrets = take_out(settings)
        self.assertEqual(take_out(put_in(bare, secrets)), (bare, secrets))
        self.assertEqual(take_out(bare), (bare, {}))
        self.assertEqual(put_in(bare, secrets).webhooks, settings.webhooks)
        self.assertEqual(put_in(bare, secrets).proxy, settings.proxy)
        self.assertEqual(put_in(bare, secrets).webhooks_custom_headers, settings.webhooks_custom_headers)
        for block in (settings.imap, settings.smtp):
            if block is not None and block.auth is not None and block.auth.pass_:
                self.assertIn(block.auth.pass_, secrets.values())

    def test_login(self) -> None:
        """Only what stands before the host is a login."""
        self.assertEqual(without_login("https://u:p@h:1/a@b"), ("https://@h:1/a@b", "u:p"))
        self.assertEqual(without_login("https://a@b@h"), ("https://@h", "a@b"))
        for url in ("https://h/a@b", "https://h?x=a@b", "https://h#a@b", "", None):
            self.assertEqual(without_login(url), (url, None))
        self.assertEqual(with_login("https://@h:1/a://@b", "u:p"), "https://u:p@h:1/a://@b")
