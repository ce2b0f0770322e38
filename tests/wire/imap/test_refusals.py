"""What servers mean, by the words that they are known to say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import Meaning
from emailengine.wire.imap import codes
from emailengine.wire.imap.refusals import LOCKOUT, LONGEST, Refusal, read

# Answers to LOGIN and AUTHENTICATE.
CREDENTIALS = (
    "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
    "NO [ALERT] Invalid credentials (Failure)",
    "NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)",
    "NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)",
    "NO [WEBALERT https://accounts.google.com/signin/continue] Web login required.",
    "NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page. (Failure)",
    "NO [ALERT] IMAP access is disabled for your domain. Please contact your domain administrator. (Failure)",
    "NO [AUTHENTICATIONFAILED] AUTHENTICATE failed.",
    "NO LOGIN failed.",
    "NO AUTHENTICATE failed.",
    "NO LOGIN BasicAuthBlocked",
    "BAD User is authenticated but not connected.",
    "NO [AUTHENTICATIONFAILED] Authentication failed.",
    "NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.",
    "NO [EXPIRED] Password expired",
    "NO [CONTACTADMIN] Account is disabled, try again later",
    "NO [AUTHORIZATIONFAILED] Authorization failed",
    "NO [AUTHENTICATIONFAILED] LOGIN Invalid credentials",
    "NO [AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled sc=7Zb2x1_imap",
    "NO [AUTHENTICATIONFAILED] Authentication failed. Please verify your account by going to https://x.example",
    "NO Application password is REQUIRED",
    "NO [AUTHENTICATIONFAILED] Incorrect username, password or access token",
    "NO Login failed: authentication failure",
    "NO Login incorrect",
    "NO Invalid login or password, please try again later",
    "NO Invalid authentication credentials; try again later",
    "NO Invalid password. Too many failed attempts will lock the account",
    "NO LOGIN Login error or password error",
    "NO Unsafe Login. Please contact kefu@188.com for help",
    "NO Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or"
    " system is busy. More information at https://help.mail.qq.com/detail/0/1010",
    "NO Login fail. Please using weixin token or authorization code to login. system is busy",
    "NO authentication failed",
    "no",
    "BAD Login failed",
    "BAD authentication has failed: wrong",
    "BAD [AUTHENTICATIONFAILED] no",
)
NOT_NOW = (
    ("NO [ALERT] Too many simultaneous connections. (Failure)", Meaning.LIMIT),
    ("NO [AUTHENTICATIONFAILED] Too many simultaneous connections. (Failure)", Meaning.LIMIT),
    (
        "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        Meaning.LIMIT,
    ),
    ("BYE Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", Meaning.LIMIT),
    ("BYE Too many connections from your IP", Meaning.LIMIT),
    ("NO [LIMIT] Sessions limit reached", Meaning.LIMIT),
    ("NO Maximum allowed connections exceeded", Meaning.LIMIT),
    ("NO [ALERT] Exceeded the number of concurrent IMAP connections, the limit of connections is 15", Meaning.LIMIT),
    ("NO [LIMIT] LOGIN Rate limit hit.", Meaning.THROTTLED),
    ("NO [AUTHENTICATIONFAILED]", Meaning.CREDENTIALS),
    ("NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", Meaning.THROTTLED),
    ("BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", Meaning.THROTTLED),
    ("NO Too many login attempts, please wait 5 minutes", Meaning.THROTTLED),
    ("NO Too many failed login attempts", Meaning.THROTTLED),
    ("NO Too many invalid login attempts", Meaning.THROTTLED),
    ("NO Too many wrong passwords, try again later", Meaning.THROTTLED),
    ("NO [ALERT] Your account has been temporarily locked", Meaning.THROTTLED),
    ("NO [UNAVAILABLE] Temporary authentication failure. [mx1:2023-01-01 10:00:00]", Meaning.UNAVAILABLE),
    ("NO Temporary authentication failure.", Meaning.UNAVAILABLE),
    ("NO [SERVERBUG] AUTHENTICATE Server error - Please try again later", Meaning.UNAVAILABLE),
    ("NO [UNAVAILABLE] LOGIN internal server error sc=1", Meaning.UNAVAILABLE),
    ("NO System Error (Failure)", Meaning.UNAVAILABLE),
    ("NO Server Unavailable. 15", Meaning.UNAVAILABLE),
    ("BYE Server Unavailable. 15", Meaning.UNAVAILABLE),
    ("BYE [UNAVAILABLE] Service is down", Meaning.UNAVAILABLE),
    ("BYE Server shutting down.", Meaning.UNAVAILABLE),
    ("BYE Temporary System Error", Meaning.UNAVAILABLE),
    ("BYE Disconnected: Auth process broken", Meaning.UNAVAILABLE),
    ("NO [INUSE] Mailbox in use", Meaning.IN_USE),
    ("NO Mailbox is locked by another session", Meaning.IN_USE),
    ("NO [OVERQUOTA] Mailbox is full", Meaning.QUOTA),
    ("BAD Command unknown: AUTHENTICATE", Meaning.NOT_UNDERSTOOD),
    ("BAD", Meaning.NOT_UNDERSTOOD),
    ("BAD Authentication aborted by client.", Meaning.NOT_UNDERSTOOD),
    ("BAD Invalid SASL argument. a12mb", Meaning.NOT_UNDERSTOOD),
    ("BYE Login failed", Meaning.CREDENTIALS),
    ("BYE Session expired, please login again.", Meaning.OTHER),
    ("BYE Session invalidated - AccessTokenExpired", Meaning.OTHER),
)
# Answers to everything else.
OTHERS = (
    ("NO [TRYCREATE] No folder foo (Failure)", Meaning.TRY_CREATE),
    ("NO [trycreate] Mailbox doesn't exist: foo", Meaning.TRY_CREATE),
    ("NO [NONEXISTENT] Unknown Mailbox: foo (Failure)", Meaning.MISSING),
    ("NO Mailbox does not exist, or must be subscribed to.", Meaning.MISSING),
    ("NO foo doesn't exist.", Meaning.MISSING),
    ("NO [ALREADYEXISTS] Mailbox already exists", Meaning.EXISTS),
    ("NO Mailbox already exists", Meaning.EXISTS),
    ("NO [NOPERM] Permission denied", Meaning.NOT_ALLOWED),
    ("NO Permission denied", Meaning.NOT_ALLOWED),
    ("NO [CANNOT] Invalid mailbox name: Name must not have '/' characters", Meaning.IMPOSSIBLE),
    ("NO [OVERQUOTA] Quota exceeded (mailbox for user is full)", Meaning.QUOTA),
    ("NO Over quota", Meaning.QUOTA),
    ("NO [LIMIT] FETCH Rate limit hit", Meaning.THROTTLED),
    ("NO [LIMIT] Too many keywords", Meaning.LIMIT),
    ("NO [TOOBIG] Message is too large", Meaning.TOO_BIG),
    ("NO [SERVERBUG] Internal error occurred. Refer to server log for more information. [x]", Meaning.UNAVAILABLE),
    ("NO [INUSE] Timeout (180s) while waiting for lock", Meaning.IN_USE),
    ("NO Some of the requested messages no longer exist.", Meaning.GONE),
    ("NO [EXPUNGEISSUED] Some of the requested messages are gone", Meaning.GONE),
    ("BAD User is authenticated but not connected.", Meaning.CREDENTIALS),
    ("BAD Request is throttled. Suggested Backoff Time: 299 milliseconds", Meaning.THROTTLED),
    ("BAD Command Argument Error. 11", Meaning.NOT_UNDERSTOOD),
    ("NO [CLIENTBUG] You cannot do that", Meaning.NOT_UNDERSTOOD),
    ("NO FETCH failed", Meaning.OTHER),
    ("NO Invalid password-like thing", Meaning.OTHER),
    ("NO", Meaning.OTHER),
)


def told(line: str, *, login: bool = False) -> Refusal:
    status, _, rest = line.partition(" ")
    code, text = codes.split(rest.encode())
    return read(status.upper(), code, text, login=login)


class RefusalTests(SynchronousTestCase):
    def test_login(self) -> None:
        """Wrong credentials are nothing else, and nothing else is wrong credentials."""
        for line in CREDENTIALS:
            self.assertIs(told(line, login=True).meaning, Meaning.CREDENTIALS, line)
        for line, meaning in NOT_NOW:
            self.assertIs(told(line, login=True).meaning, meaning, line)

    def test_others(self) -> None:
        """The answers to other commands, with a code and without."""
        for line, meaning in OTHERS:
            self.assertIs(told(line).meaning, meaning, line)

    def test_wait(self) -> None:
        """How long to stay away, in seconds, where the server tells; a lockout is waited for though it does not."""
        for line, seconds in (
            ("BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", 92.415),
            ("NO [UNAVAILABLE] Try again in 2 minutes", 120.0),
            ("NO Too many login attempts, please wait 5 minutes", 300.0),
            ("NO [LIMIT] Rate limit hit, retry after 30s", 30.0),
            ("NO [UNAVAILABLE] try again in 999999999 hours", LONGEST),
            ("NO Too many failed login attempts", LOCKOUT),
            ("NO Too many failed login attempts, try again in 1 hour", 3600.0),
            ("NO [LIMIT] LOGIN Rate limit hit.", None),
            ("NO [AUTHENTICATIONFAILED] wait 5 minutes", None),
            ("NO [UNAVAILABLE] see you at 10 s", None),
        ):
            self.assertEqual(told(line, login=True).retry_after, seconds, line)

    def test_alert(self) -> None:
        """What a person must read is kept, and only that."""
        self.assertEqual(told("NO [ALERT] Read me", login=True).alert, "Read me")
        self.assertIsNone(told("NO [AUTHENTICATIONFAILED] no", login=True).alert)

    @given(st.sampled_from(["NO", "BAD", "BYE"]), st.one_of(st.none(), st.text(max_size=12)), st.text(), st.booleans())
    def test_any_text(self, status: str, code: str | None, text: str, login: bool) -> None:
        """Any words mean something."""
        self.assertIsInstance(read(status, code, text, login=login).meaning, Meaning)
