"""How an account's mail leaves: through which server, as whom, under which name, and who keeps a copy of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

from emailengine.accounts.login import credentials, tls_policy
from emailengine.errors import NotFound
from emailengine.model.account import AccountSettings
from emailengine.net.sources import source_address
from emailengine.outbox.mail import Mail
from emailengine.outbox.neighbours import Settings
from emailengine.smtp.target import Login, SmtpTarget

# Providers that put what is sent through them into the Sent folder themselves
_OUTLOOK = ("office365.com",)
_GMAIL = ("gmail.com", "googlemail.com")


def smtp_target(
    settings: AccountSettings, *, ignore_certificates: bool, proxy: str | None = None, local_address: str | None = None
) -> SmtpTarget:
    """
    Where the account's mail goes. STARTTLS is used wherever it is offered. `NotFound` without an SMTP server.

    `proxy` is for accounts that have none of their own.
    """
    smtp = settings.smtp
    if smtp is None or smtp.host is None:
        raise NotFound("The account has no SMTP server to send through", code="SMTPUnavailable")
    return SmtpTarget(
        host=smtp.host,
        port=smtp.port or (465 if smtp.secure else 587),
        secure=bool(smtp.secure),
        tls=tls_policy(smtp.tls, ignore_certificates=ignore_certificates),
        proxy=settings.proxy or proxy,
        local_address=local_address,
    )


def common_proxy(settings: Settings) -> str | None:
    """The installation's proxy, if it is switched on. `SecretUnreadable` if its login cannot be read."""
    return settings.value("proxyUrl") or None if settings.value("proxyEnabled", False) else None


def source(
    settings: Settings,
    strategy: Literal["imapStrategy", "smtpStrategy"],
    account: str,
    random: Callable[[], float],
    wanted: str | None = None,
) -> str | None:
    """
    The address of this machine that an account's connections are made from; None leaves it to the system.

    `wanted` is taken if it is one of those that the installation names.
    """
    addresses = settings.value("localAddresses") or ()
    if wanted in addresses:
        return wanted
    return source_address(addresses, settings.value(strategy, "default"), account, random)


def smtp_login(settings: AccountSettings) -> Login | None:
    """Whom to log in as; None for a server that asks nobody."""
    auth = settings.smtp.auth if settings.smtp is not None else None
    return None if auth is None else credentials(auth)


def ehlo_name(account: AccountSettings, settings: Settings, hostname: str) -> str:
    """The name we introduce ourselves with: the account's, the installation's, that of its URL, or the host's."""
    url = settings.value("serviceUrl")
    named = urlsplit(url).hostname if isinstance(url, str) else None
    return account.smtp_ehlo_name or settings.value("smtpEhloName") or named or hostname


def wants_copy(mail: Mail, settings: AccountSettings, *, gmail: bool) -> bool:
    """
    Whether the message is uploaded to the Sent folder.

    Yes, unless the account says otherwise, or the provider that it was sent through keeps a copy; the message's own
    word goes before both. Never without a mailbox. `gmail`: the mailbox is known to be Gmail's.
    """
    if settings.imap is None or settings.imap.disabled:
        return False
    if mail.copy is not None:
        return mail.copy
    return settings.copy is not False and not _kept_by_provider(settings, gmail)


def _kept_by_provider(settings: AccountSettings, gmail: bool) -> bool:
    mailbox = (settings.imap.host if settings.imap is not None else None) or ""
    relay = (settings.smtp.host if settings.smtp is not None else None) or ""
    if gmail or _within(mailbox, _GMAIL):
        return _within(relay, _GMAIL)
    return _within(mailbox, _OUTLOOK) and _within(relay, _OUTLOOK)


def _within(host: str, domains: tuple[str, ...]) -> bool:
    host = host.lower().rstrip(".")
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def copy_path(mail: Mail) -> str:
    """The folder for the Sent copy: a path, or the role that the account's settings or its server give a folder."""
    return mail.sent_mail_path or "\\Sent"
