"""Texts with a form: dates, mail addresses, URLs, proxies, host names, IP addresses.

Each check returns the text normalised. They raise `ValueError` with a text that goes on after the field's name:
`must be an e-mail address`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from emailengine.model.dates import iso, parse_iso
from emailengine.model.proxy import proxy_url

# letters, digits, `_`, and all that is not ASCII; what is not meant is listed, since large ranges compile slowly
_SIGN = r"\x00-,./:-@\[-^`{-\x7f"
_LABEL = rf"[^{_SIGN}\-]([^{_SIGN}]{{0,61}}[^{_SIGN}\-])?"
_HOST = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(\.{_LABEL})*\.?")
_LOCAL = re.compile(r"""[^\x00-\x20\x7f()<>@,;:\\"\[\]]+|"([^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*\"""")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


def moment(text: str) -> str:
    """An ISO date, as UTC with milliseconds."""
    try:
        return iso(parse_iso(text.strip()))
    except ValueError:
        raise ValueError("must be an ISO 8601 date") from None


def hostname(text: str) -> str:
    """A host name or an IP address."""
    name = text.strip()
    if not _HOST.fullmatch(name):
        return ip_address(name, "must be a host name or an IP address")
    return name


def ip_address(text: str, complaint: str = "must be an IP address") -> str:
    """An IP address, without a prefix length."""
    try:
        found = str(ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError(complaint) from None
    if _CONTROL.search(found):  # in the zone of an IPv6 address anything passes
        raise ValueError(complaint)
    return found


def email(text: str) -> str:
    """A mail address: something, an @, a host name or an address literal (RFC 5321 4.1.2, with RFC 6531's letters)."""
    address = text.strip()
    local, at, domain = address.rpartition("@")
    if not at or len(address) > 320 or not _LOCAL.fullmatch(local):
        raise ValueError("must be an e-mail address")
    if domain.startswith("[") and domain.endswith("]"):
        ip_address(domain[1:-1].removeprefix("IPv6:"), "must be an e-mail address")
    elif not _HOST.fullmatch(domain):
        raise ValueError("must be an e-mail address")
    return address


def _url(*schemes: str) -> Callable[[str], str]:
    listed = ", ".join(schemes)

    def url(text: str) -> str:
        address = text.strip()
        complaint = f"must be a URL of the kind {listed}"
        try:
            parts = urlsplit(address)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError(complaint) from None
        if parts.scheme.lower() not in schemes or _CONTROL.search(address):
            raise ValueError(complaint)
        if parts.scheme.lower() != "mailto" and not host:
            raise ValueError(complaint)
        return address

    return url


FORMATS: Mapping[str, Callable[[str], str]] = {
    "date": moment,
    "email": email,
    "hostname": hostname,
    "ip": ip_address,
    "proxy": proxy_url,
    "url": _url("http", "https"),
    "link": _url("http", "https", "mailto"),
}

Text256 = Annotated[str, Meta(max_length=256)]
Text1024 = Annotated[str, Meta(max_length=1024)]
Name = Annotated[str, Meta(min_length=1, max_length=256, extra={"trim": True})]
Moment = Annotated[str, Meta(extra={"as": "date"}, extra_json_schema={"format": "date-time"})]
Email = Annotated[str, Meta(extra={"as": "email"}, extra_json_schema={"format": "email"})]
EmailOrBlank = Annotated[str, Meta(extra={"as": "email", "blank": True}, extra_json_schema={"format": "email"})]
Url = Annotated[
    str, Meta(max_length=4096, extra={"as": "url", "blank": True, "trim": True}, extra_json_schema={"format": "uri"})
]
ProxyUrl = Annotated[
    str, Meta(max_length=4096, extra={"as": "proxy", "blank": True, "trim": True}, extra_json_schema={"format": "uri"})
]
Host = Annotated[str, Meta(max_length=256, extra={"as": "hostname"}, extra_json_schema={"format": "hostname"})]
Ip = Annotated[str, Meta(max_length=64, extra={"as": "ip"})]
Port = Annotated[int, Meta(ge=1, le=65535)]
"""Field types that several Structs share."""
