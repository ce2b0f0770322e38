"""Settings that can be changed while the daemon runs. One table of keys; the query and the answer are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from emailengine.model.account import HeaderField, masked_headers, unmasked_headers, unmasked_url, without_login
from emailengine.model.formats import Host, Ip, ProxyUrl, Text256, Text1024, Url
from emailengine.model.shape import Answer, Record, Request

_LENIENT = Meta(extra={"lenient": True})
_Switch = Annotated[bool, _LENIENT]
_SINGLE = Meta(extra={"single": True})
_Strategy = Literal["default", "dedicated", "random"]
_Count = Annotated[int, Meta(ge=0)]
_Link = Annotated[str, Meta(max_length=4096, extra={"as": "link", "blank": True}, extra_json_schema={"format": "uri"})]

_AGENTS = "access for agents"
_EXPORTS = "exports"
_PAGES = "public pages"
_HTTP_PROXIES = "proxies for webhooks"
_SERVERS = "SMTP and IMAP servers"
_AI = "text models"
_STORE = "document store"
_REPORTS = "error reports to third parties"

LATER: Mapping[str, str] = {
    "notificationBaseUrl": "notifications from mail providers",
    "trackSentMessages": "tracking",
    "trackClicks": "tracking",
    "trackOpens": "tracking",
    "resolveGmailCategories": "Gmail API",
    "gmailSubscriptionTtl": "Gmail API",
    "authServer": "external authentication server",
    "tokenAuditLog": "log of token use",
    "httpProxyEnabled": _HTTP_PROXIES,
    "httpProxyUrl": _HTTP_PROXIES,
    "notifyWebSafeHtml": "web-safe HTML",
    "notifyAttachments": "attachments in webhooks",
    "notifyAttachmentSize": "attachments in webhooks",
    "notifyCalendarEvents": "calendar events in webhooks",
    "templateHeader": _PAGES,
    "templateHtmlHead": _PAGES,
    "pageBrandName": _PAGES,
    "scriptEnv": "webhook routes",
    "enableApiProxy": "trust in X-Forwarded-For",
    "locale": "quoting of the original message",
    "timezone": "quoting of the original message",
    "mcpEnabled": _AGENTS,
    "mcpOAuthEnabled": _AGENTS,
    "sentryEnabled": _REPORTS,
    "sentryDsn": _REPORTS,
    "exportMaxConcurrent": _EXPORTS,
    "exportMaxGlobalConcurrent": _EXPORTS,
    "exportMaxMessages": _EXPORTS,
    "exportMaxSize": _EXPORTS,
    "gmailExportBatchSize": _EXPORTS,
    "outlookExportBatchSize": _EXPORTS,
    "smtpServerEnabled": _SERVERS,
    "smtpServerPort": _SERVERS,
    "smtpServerHost": _SERVERS,
    "smtpServerProxy": _SERVERS,
    "smtpServerAuthEnabled": _SERVERS,
    "smtpServerPassword": _SERVERS,
    "smtpServerTLSEnabled": _SERVERS,
    "imapProxyServerEnabled": _SERVERS,
    "imapProxyServerPort": _SERVERS,
    "imapProxyServerHost": _SERVERS,
    "imapProxyServerProxy": _SERVERS,
    "imapProxyServerPassword": _SERVERS,
    "imapProxyServerTLSEnabled": _SERVERS,
    "generateEmailSummary": _AI,
    "generateRiskAssessment": _AI,
    "openAiAPIKey": _AI,
    "openAiModel": _AI,
    "openAiAPIUrl": _AI,
    "openAiTemperature": _AI,
    "openAiTopP": _AI,
    "openAiMaxTokens": _AI,
    "openAiPrompt": _AI,
    "openAiGenerateEmbeddings": _AI,
    "openAiPreProcessingFn": _AI,
    "documentStoreChatModel": _STORE,
    "documentStoreEnabled": _STORE,
    "documentStoreUrl": _STORE,
    "documentStoreIndex": _STORE,
    "documentStoreAuthEnabled": _STORE,
    "documentStoreUsername": _STORE,
    "documentStorePassword": _STORE,
    "documentStoreGenerateEmbeddings": _STORE,
    "documentStorePreProcessingEnabled": _STORE,
}
"""Keys that clients of the anchor know and whose feature does not exist here: read as null, refused when written."""


class LogSettings(Record, kw_only=True, omit_defaults=False):
    """Protocol logs: of `all` accounts, or of those that ask for one; how many lines of an account are kept."""

    all: bool = False
    max_log_lines: Annotated[int, Meta(ge=0, le=1_000_000)] = 10_000


class Settings(Request, kw_only=True):
    """
    The body of POST /v1/settings: keys that are not sent stay.

    `webhook_events` may hold `*`; `notify_text_size` is in bytes; `queue_keep` counts finished jobs that are kept.
    `proxy_url` is the way to mail servers for accounts without a proxy of their own, if it is enabled.
    `local_addresses` are those of this machine to connect to mail servers from, chosen as the strategies say.
    """

    later: ClassVar[Mapping[str, str]] = LATER

    webhooks_enabled: _Switch | UnsetType = UNSET
    webhooks: Url | UnsetType = UNSET
    webhook_events: list[Text256] | UnsetType = UNSET
    webhooks_custom_headers: list[HeaderField] | UnsetType = UNSET
    notify_headers: list[Text256] | UnsetType = UNSET
    notify_text: _Switch | UnsetType = UNSET
    notify_text_size: _Count | UnsetType = UNSET
    inbox_new_only: _Switch | UnsetType = UNSET
    service_url: Url | UnsetType = UNSET
    service_secret: Text1024 | UnsetType = UNSET
    ignore_mail_cert_errors: _Switch | UnsetType = UNSET
    imap_indexer: Literal["full"] | UnsetType = UNSET
    proxy_enabled: _Switch | UnsetType = UNSET
    proxy_url: ProxyUrl | UnsetType = UNSET
    local_addresses: Annotated[list[Ip], _SINGLE] | UnsetType = UNSET
    imap_strategy: _Strategy | UnsetType = UNSET
    smtp_strategy: _Strategy | UnsetType = UNSET
    logs: LogSettings | UnsetType = UNSET
    smtp_ehlo_name: Host | UnsetType | None = UNSET
    queue_keep: _Count | UnsetType = UNSET
    delivery_attempts: _Count | UnsetType = UNSET
    imap_client_name: Text1024 | UnsetType = UNSET
    imap_client_version: Text1024 | UnsetType = UNSET
    imap_client_vendor: Text1024 | UnsetType = UNSET
    imap_client_support_url: _Link | UnsetType = UNSET

    def __repr__(self) -> str:
        return "Settings()"  # there are logins and a secret in it


KEYS: Mapping[str, str] = {one.encode_name: one.name for one in msgspec.structs.fields(Settings)}
"""The keys that exist: names on the wire and in `Settings`."""

SECRET = frozenset(("serviceSecret",))
"""Keys that are sealed in Redis and shown as true or false only."""

URLS = frozenset(("webhooks", "proxyUrl"))
"""Keys whose value is a URL with a login that is sealed in Redis and shown masked."""

MASKED = frozenset((*URLS, "webhooksCustomHeaders"))
"""Keys that are shown with a mask, so that it may come back."""

SettingsQuery: Any = msgspec.defstruct(
    "SettingsQuery",
    [(name, _Switch, False) for name in (*KEYS.values(), "event_types")]
    + [(name, _Switch, msgspec.field(name=name, default=False)) for name in LATER],
    bases=(Request,),
    kw_only=True,
    module=__name__,
)
"""The query of GET /v1/settings: the keys that are asked for. Those of later features may be asked for too: null."""

SettingsAnswer: Any = msgspec.defstruct(
    "SettingsAnswer",
    [
        (one.name, (bool if one.encode_name in SECRET else one.type) | None | UnsetType, UNSET)
        for one in msgspec.structs.fields(Settings)
    ]
    + [("event_types", list[str] | UnsetType, UNSET)],
    bases=(Answer,),
    kw_only=True,
    module=__name__,
)
"""The answer of GET /v1/settings, for the published document."""


class SettingsUpdated(Answer, kw_only=True):
    """The keys that were written."""

    updated: list[str]


def asked(query: Any) -> list[str]:
    """The names on the wire that a `SettingsQuery` asks for, without `eventTypes`."""
    there = [name for name, attribute in KEYS.items() if getattr(query, attribute)]
    return there + [name for name in LATER if getattr(query, name)]


def changes(sent: Settings, stored: Mapping[str, Any]) -> dict[str, Any]:
    """
    What to write: plain values by their names on the wire. Pure.

    `stored` has the present values of those that are `MASKED` (or None). A value that is still masked
    as it was shown is left out, another one with a mask is refused (`InvalidInput`). `serviceUrl` is cut to its
    origin, a blank `serviceSecret` is ignored.
    """
    wanted: dict[str, Any] = {}
    for name, attribute in KEYS.items():
        value = getattr(sent, attribute)
        if value is not UNSET:
            wanted[name] = value
    if not wanted.get("serviceSecret", "x"):
        del wanted["serviceSecret"]
    if wanted.get("serviceUrl"):
        parts = urlsplit(wanted["serviceUrl"])
        wanted["serviceUrl"] = f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}"
    for name in URLS & wanted.keys():
        if unmasked_url(name, wanted[name], stored.get(name)) != wanted[name]:
            del wanted[name]
    if "webhooksCustomHeaders" in wanted:
        known = msgspec.convert(stored.get("webhooksCustomHeaders") or [], list[HeaderField], from_attributes=True)
        wanted["webhooksCustomHeaders"] = msgspec.to_builtins(unmasked_headers(wanted["webhooksCustomHeaders"], known))
    if "logs" in wanted:
        wanted["logs"] = msgspec.to_builtins(wanted["logs"])
    return wanted


def shown(name: str, value: Any) -> Any:
    """A stored value as clients see it: secrets as true or false, logins and header values masked. None stays None."""
    if name in SECRET:
        return bool(value)
    if value is None:
        return None
    if name in URLS:
        return without_login(value)
    if name == "webhooksCustomHeaders":
        return masked_headers(msgspec.convert(value, list[HeaderField], from_attributes=True))
    return value
