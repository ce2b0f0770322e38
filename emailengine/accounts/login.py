"""From an account's settings to a session: where to dial, under which TLS policy, as whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define
from twisted.internet.interfaces import IReactorTime

from emailengine.accounts.wirelog import ProtocolLogs
from emailengine.errors import AccountUnavailable, AuthenticationRefused, EmailEngineError
from emailengine.imap.session import ImapTarget, Session, open_session
from emailengine.model.account import AccountSettings, Auth, Tls
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.wire.imap.responses import Response

IMAP_PORT, IMAPS_PORT = 143, 993


@define(kw_only=True, eq=False)
class Opening:
    """Opens sessions for accounts. `client_id` is what we tell mail servers of ourselves (RFC 2971)."""

    clock: IReactorTime
    dialer: Dialer
    contexts: Contexts
    ignore_certificates: Callable[[], bool]
    proxy: Callable[[], str | None]
    source: Callable[[str], str | None]  # account -> the address to connect from
    client_id: Callable[[], Mapping[str, str]]
    logs: ProtocolLogs
    silence: float = 60.0

    async def __call__(
        self, settings: AccountSettings, news: Callable[[Response], None], /, *, compress: bool
    ) -> Session:
        """A session, logged in. Raises as `imap.session.open_session`."""
        imap = settings.imap
        if imap is None or imap.auth is None:
            raise AuthenticationRefused("The account has no credentials for its mail server", code="NoCredentials")
        wire_log = self.logs.of(settings.account, settings.logs)
        try:
            return await open_session(
                clock=self.clock,
                dialer=self.dialer,
                contexts=self.contexts,
                target=imap_target(
                    settings,
                    ignore_certificates=self.ignore_certificates(),
                    proxy=self.proxy(),
                    local_address=self.source(settings.account),
                    compress=compress,
                ),
                credentials=credentials(imap.auth),
                news=news,
                client_id=self.client_id(),
                silence=self.silence,
                wire_log=wire_log,
            )
        except EmailEngineError as error:
            if wire_log is not None:
                wire_log.event(f"no session came about: {error.message}")
            raise


def watches_mail(settings: AccountSettings) -> bool:
    """Whether the account has a mailbox to keep connected."""
    return settings.imap is not None and not settings.imap.disabled and settings.imap.host is not None


def connects_otherwise(before: AccountSettings, after: AccountSettings) -> bool:
    """Whether connections made under some settings are not those that other settings ask for."""
    return any(getattr(before, name) != getattr(after, name) for name in ("imap", "path", "proxy", "logs"))


def imap_target(
    settings: AccountSettings,
    *,
    ignore_certificates: bool,
    proxy: str | None = None,
    local_address: str | None = None,
    compress: bool = False,
) -> ImapTarget:
    """Where the account's mailbox is. `proxy` is for accounts that have none of their own."""
    imap = settings.imap
    if imap is None or imap.host is None:
        raise AccountUnavailable("The account has no IMAP settings", code="NotSyncing")
    secure = bool(imap.secure)
    return ImapTarget(
        host=imap.host,
        port=imap.port or (IMAPS_PORT if secure else IMAP_PORT),
        secure=secure,
        tls=tls_policy(imap.tls, ignore_certificates=ignore_certificates),
        starttls="never" if secure else "auto",
        proxy=settings.proxy or proxy,
        local_address=local_address,
        rev2=not imap.disable_imap4rev2,
        compress=compress,
    )


def credentials(auth: Auth) -> Credentials:
    """Whom to log in as."""
    return Credentials(user=auth.user, password=auth.pass_ or None, access_token=auth.access_token or None)


def tls_policy(tls: Tls | None, *, ignore_certificates: bool) -> TlsPolicy:
    """The policy that the settings ask for; certificates are verified unless somebody said otherwise."""
    verify = (tls is None or tls.reject_unauthorized is not False) and not ignore_certificates
    minimum = tls.min_version if tls is not None and tls.min_version else "TLSv1.2"
    return TlsPolicy(verify=verify, min_version=minimum, ca=tls.ca if tls is not None else None)
