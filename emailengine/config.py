"""Options, environment and file become one frozen `Config`; no default value of a setting stands anywhere else.

The names are those of the product we are compatible with. The order of precedence is ours: option, environment, file,
default. `KEYS` is the whole table: what is read, from where, and how. `WITHOUT_EFFECT` lists names that others know
and that change nothing here: they earn a warning. Every other name is refused, with the nearest known one.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
from attrs import field, frozen

from emailengine.core.log import LEVELS
from emailengine.errors import ConfigurationInvalid
from emailengine.model.token import TokenRecord

MIB = 1024 * 1024

Egress = Literal["off", "link-local", "private"]


@frozen(kw_only=True)
class PreparedToken:
    """A token to import at start unless its id exists. It holds no secret: the id is a hash."""

    id: str
    record: TokenRecord


@frozen(kw_only=True)
class Config:
    """What the daemon was told. Sizes are in bytes, durations in seconds. `repr` shows no secret."""

    state_dir: Path  # absolute; made when something is kept there
    redis_url: str | None = field(default=None, repr=False)  # None: start one of our own
    redis_prefix: str = "ee:"
    host: str = "127.0.0.1"
    port: int = 3000
    api_auth: str | None = field(default=None, repr=False)  # user:password
    secret: str | None = field(default=None, repr=False)  # None: nothing is encrypted at rest
    log_level: str = "info"
    max_size: int = 5 * MIB  # base64 text of one attachment, one text, raw
    max_body: int = MIB  # any request but those of `max_submit_body`
    max_submit_body: int = 50 * MIB  # submit, upload
    body_timeout: float = 10.0  # until such a body is there
    request_timeout: float = 10.0  # a request that says nothing itself
    cors_origins: frozenset[str] = frozenset()  # pages of these origins may use the API; `*` stands for all
    cors_max_age: float = 60.0
    imap_timeout: float = 60.0  # silence of an IMAP server while a command runs
    webhook_timeout: float = 30.0  # one delivery
    webhook_concurrency: int = 64  # deliveries at a time
    submit_concurrency: int = 32  # messages on their way at a time
    egress: Egress = "link-local"  # addresses that webhooks may not reach
    prepared_settings: Mapping[str, Any] | None = field(default=None, repr=False)  # set again at every start
    prepared_token: PreparedToken | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()  # for the log, once there is one


# Values. Each reader takes text, or what TOML made of it, and raises ValueError with the end of "… must be …".


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _optional(value: Any) -> str | None:
    return None if value == "" else _text(value)


def _login(value: Any) -> str | None:
    if value == "":
        return None
    user, colon, password = _text(value).partition(":")
    if not (user and colon and password):
        raise ValueError("user:password")
    return cast(str, value)


def _whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value.strip(), re.ASCII):
        return int(value)
    if type(value) is int and value >= 0:
        return value
    raise ValueError("a whole number")


def _port(value: Any) -> int:
    try:
        port = _whole(value)
    except ValueError:
        port = 65536
    if port > 65535:
        raise ValueError("a port number, 0 to 65535")
    return port


def _at_least_one(value: Any) -> int:
    number = _whole(value)
    if number < 1:
        raise ValueError("at least 1")
    return number


_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#@\s]+")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "mo": 30 * 86400.0, "h": 3600.0, "d": 86400.0, "y": 365 * 86400.0}


def duration(value: Any) -> float:
    """Seconds: a number is milliseconds; text may have a unit, whose first letters decide (`10 s`, `5 minutes`)."""
    if type(value) in (int, float) and value >= 0:
        return float(value) / 1000
    if isinstance(value, str):
        found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)", value.strip().lower(), re.ASCII)
        if found:
            unit = found[2]
            key = "ms" if not unit else unit[:2] if unit[:2] in ("ms", "mo") else unit[:1]
            if key in _UNITS:
                return float(found[1]) * _UNITS[key]
    raise ValueError("a duration, as 500 ms, 10 s, 5 m, 1 h or a number of milliseconds")


def _some_time(value: Any) -> float:
    seconds = duration(value)
    if seconds <= 0:
        raise ValueError("longer than nothing")
    return seconds


def size(value: Any) -> int:
    """Bytes: a number, or text with a unit of 1024 (`5M`, `50 MB`)."""
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str):
        found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgtp]?)b?", value.strip().lower(), re.ASCII)
        if found:
            return int(float(found[1]) * 1024 ** ("kmgtp".index(found[2]) + 1 if found[2] else 0))
    raise ValueError("a size, as 5M, 500k or a number of bytes")


def _level(value: Any) -> str:
    if isinstance(value, str) and value.strip().lower() in LEVELS:
        return value.strip().lower()
    raise ValueError("one of " + ", ".join(LEVELS))


def _egress(value: Any) -> Egress:
    if value in ("off", "link-local", "private"):
        return cast(Egress, value)
    raise ValueError("off, link-local or private")


def _prefix(value: Any) -> str:
    return _text(value).removesuffix(":") + ":"


def _origins(value: Any) -> frozenset[str]:
    listed = value.split() if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str) and _ORIGIN.fullmatch(one) for one in listed):
        raise ValueError("origins as browsers send them, https://app.example.com, with spaces between")
    return frozenset(listed)


def _state_dir(value: Any) -> Path:
    return Path(os.path.abspath(Path(_text(value)).expanduser()))


def _prepared_settings(value: Any) -> Mapping[str, Any] | None:
    if value == "":
        return None
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            value = None
    if not isinstance(value, dict):
        raise ValueError("a JSON object of settings")
    return cast("dict[str, Any]", value)


def _prepared_token(value: Any) -> PreparedToken | None:
    if value == "":
        return None
    try:
        text = _text(value).strip().rstrip("=")
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        # dates come as msgpack's own type or as text
        record = msgspec.to_builtins(msgspec.msgpack.decode(packed, type=dict[str, Any]))
        identity = record.pop("id")
        if not re.fullmatch(r"[0-9a-f]{64}", identity):
            raise ValueError
        return PreparedToken(id=identity, record=msgspec.convert(record, TokenRecord))
    except (ValueError, KeyError, TypeError, binascii.Error, msgspec.MsgspecError):
        raise ValueError("an exported token") from None


# Names


@frozen
class Key:
    """One thing that can be configured: its option and file key, its environment variables, the field it fills."""

    name: str
    environment: tuple[str, ...]
    field: str
    read: Callable[[Any], Any]
    help: str
    secret: bool = False


KEYS: tuple[Key, ...] = (
    Key("dbs.redis", ("EENGINE_REDIS", "REDIS_URL"), "redis_url", _optional,
        "Redis, as redis://host:6379/8; without it one of our own is started", secret=True),
    Key("dbs.redisPrefix", ("EENGINE_REDIS_PREFIX",), "redis_prefix", _prefix, "What every key in Redis begins with"),
    Key("state-dir", ("EENGINE_STATE_DIR",), "state_dir", _state_dir, "Where our own Redis keeps its data"),
    Key("api.host", ("EENGINE_HOST",), "host", _text, "Address to listen on (127.0.0.1)"),
    Key("api.port", ("EENGINE_PORT", "PORT"), "port", _port, "Port to listen on (3000)"),
    Key("api.auth", ("EENGINE_API_AUTH",), "api_auth", _login,
        "user:password that requests must bring (HTTP Basic)", secret=True),
    Key("api.maxSize", ("EENGINE_MAX_SIZE",), "max_size", size, "Largest attachment or text, as base64 (5M)"),
    Key("api.maxBodySize", ("EENGINE_MAX_BODY_SIZE",), "max_submit_body", size,
        "Largest body of submit and upload (50M)"),
    Key("api.maxPayloadTimeout", ("EENGINE_MAX_PAYLOAD_TIMEOUT",), "body_timeout", _some_time,
        "Time for such a body to arrive (10 s)"),
    Key("cors.origin", ("EENGINE_CORS_ORIGIN",), "cors_origins", _origins,
        "Web pages of these origins may use the API (none)"),
    Key("cors.maxAge", ("EENGINE_CORS_MAX_AGE",), "cors_max_age", duration,
        "How long browsers remember that (60 s)"),
    Key("service.commandTimeout", ("EENGINE_TIMEOUT",), "request_timeout", _some_time,
        "Time for a request, unless X-EE-Timeout gives it more (10 s)"),
    Key("service.secret", ("EENGINE_SECRET",), "secret", _optional,
        "Encrypts passwords and tokens in Redis", secret=True),
    Key("log.level", ("EENGINE_LOG_LEVEL",), "log_level", _level, f"{', '.join(LEVELS)} (info)"),
    Key("imap.socketTimeout", ("EENGINE_IMAP_SOCKET_TIMEOUT",), "imap_timeout", _some_time,
        "Silence after which an IMAP server is given up (60 s)"),
    Key("webhooks.timeout", ("EENGINE_WEBHOOK_TIMEOUT",), "webhook_timeout", _some_time,
        "Time for one webhook delivery (30 s)"),
    Key("webhooks.egressPolicy", ("EENGINE_WEBHOOK_EGRESS_POLICY",), "egress", _egress,
        "Addresses that webhooks may not reach: off, link-local, private (link-local)"),
    Key("queues.notify", ("EENGINE_NOTIFY_QC",), "webhook_concurrency", _at_least_one, "Webhooks at a time (64)"),
    Key("queues.submit", ("EENGINE_SUBMIT_QC",), "submit_concurrency", _at_least_one, "Messages sent at a time (32)"),
    Key("settings", ("EENGINE_SETTINGS",), "prepared_settings", _prepared_settings,
        "Settings as JSON, stored again at every start", secret=True),
    Key("preparedToken", ("EENGINE_PREPARED_TOKEN",), "prepared_token", _prepared_token,
        "An exported access token, imported unless it exists", secret=True),
)  # fmt: skip

_ONE_PROCESS = "everything runs in one process"
_LATER = "that feature does not exist yet"
_OTHERWISE = "it is not needed here"

WITHOUT_EFFECT: Mapping[str, tuple[str, str]] = {
    # option and file key: its environment variable, and why it changes nothing
    "workers.imap": ("EENGINE_WORKERS", _ONE_PROCESS),
    "workers.api": ("EENGINE_WORKERS_API", _ONE_PROCESS),
    "workers.webhooks": ("EENGINE_WORKERS_WEBHOOKS", _ONE_PROCESS),
    "workers.submit": ("EENGINE_WORKERS_SUBMIT", _ONE_PROCESS),
    "workers.export": ("EENGINE_WORKERS_EXPORT", _ONE_PROCESS),
    "service.setupDelay": ("EENGINE_CONNECTION_SETUP_DELAY", _OTHERWISE),
    "service.fetchBatchSize": ("EENGINE_FETCH_BATCH_SIZE", _OTHERWISE),
    "queues.export": ("EENGINE_EXPORT_QC", _LATER),
    "submitDelay": ("EENGINE_SUBMIT_DELAY", _LATER),
    "api.tls": ("EENGINE_API_TLS", "put a proxy that speaks TLS in front"),
    "api.proxy": ("EENGINE_API_PROXY", "X-Forwarded-For is never believed"),
    "log.raw": ("EENGINE_LOG_RAW", "raw protocol is never logged"),
    "mcp.enabled": ("EENGINE_MCP_ENABLED", _LATER),
    "smtp.enabled": ("EENGINE_SMTP_ENABLED", _LATER),
    "smtp.secret": ("EENGINE_SMTP_SECRET", _LATER),
    "smtp.port": ("EENGINE_SMTP_PORT", _LATER),
    "smtp.host": ("EENGINE_SMTP_HOST", _LATER),
    "smtp.proxy": ("EENGINE_SMTP_PROXY", _LATER),
    "smtp.maxMessageSize": ("EENGINE_MAX_SMTP_MESSAGE_SIZE", _LATER),
    "imap-proxy.enabled": ("EENGINE_IMAP_PROXY_ENABLED", _LATER),
    "imap-proxy.secret": ("EENGINE_IMAP_PROXY_SECRET", _LATER),
    "imap-proxy.port": ("EENGINE_IMAP_PROXY_PORT", _LATER),
    "imap-proxy.host": ("EENGINE_IMAP_PROXY_HOST", _LATER),
    "imap-proxy.proxy": ("EENGINE_IMAP_PROXY_PROXY", _LATER),
    "preparedPassword": ("EENGINE_PREPARED_PASSWORD", _LATER),
    "preparedLicense": ("EENGINE_PREPARED_LICENSE", "this software needs no licence key"),
    "licensePath": ("", "this software needs no licence key"),
}

_ENVIRONMENT_WITHOUT_EFFECT: Mapping[str, str] = {
    **{name: why for name, why in WITHOUT_EFFECT.values() if name},
    "EENGINE_API_PROXY_ADDRESSES": "X-Forwarded-For is never believed",
    "EENGINE_ADMIN_ACCESS_ADDRESSES": _LATER,
    "EENGINE_REQUIRE_API_AUTH": "without api.auth and tokens only this machine is let in",
    "EENGINE_ENABLE_OAUTH_TOKENS_API": _LATER,
    "EENGINE_DISABLE_MESSAGE_BROWSER": _LATER,
    "EENGINE_DISABLE_SETUP_WARNINGS": _OTHERWISE,
    "EENGINE_CHUNK_SIZE": _OTHERWISE,
    "EENGINE_FETCH_TIMEOUT": _LATER,
    "EENGINE_MAX_IMAP_AUTH_FAILURE_TIME": _LATER,
    "EENGINE_DISABLE_COMPRESSION": _OTHERWISE,
    "EENGINE_DISABLE_THREAD_COLLAPSE": _LATER,
    "EENGINE_QUEUE_REMOVE_AFTER": "set queueKeep through the API",
    "EENGINE_QUEUE_KEEP_FAILED": _LATER,
    "EENGINE_QUEUE_KEEP_FAILED_AGE": _LATER,
    "EENGINE_EXPORT_PATH": _LATER,
    "EENGINE_EXPORT_MAX_AGE": _LATER,
    "EENGINE_EXPORT_TIMEOUT": _LATER,
    "EENGINE_HTTP_PROXY_ENABLED": _LATER,
    "EENGINE_HTTP_PROXY_URL": _LATER,
    "EENGINE_TLS_MIN_VERSION": "set tls.minVersion at the account",
    "EENGINE_TLS_MIN_DH_SIZE": _OTHERWISE,
    "EENGINE_TLS_CIPHERS": _OTHERWISE,
    "EENGINE_TOKEN_LOG_ENTRIES": _LATER,
    "EENGINE_TOKEN_LOG_AGE": _LATER,
    "EENGINE_GMAIL_FALLBACK_POLL_INTERVAL": _LATER,
    "EENGINE_DOCUMENT_STORE_ENABLED": _OTHERWISE,
    "EENGINE_BEACON_DISABLED": "nothing is ever reported",
    "EENGINE_UPDATE_CHECK_DISABLED": "nothing is ever reported",
    "EENGINE_DOCEAN": _OTHERWISE,
    "EENGINE_INSTALL_SCRIPT": _OTHERWISE,
}
_PREFIXES_WITHOUT_EFFECT = ("EENGINE_API_TLS_", "EENGINE_SMTP_TLS_", "EENGINE_IMAPPROXY_TLS_")

FILE_VARIABLES = ("EENGINE_CONFIG", "NODE_CONFIG_PATH")
"""Environment variables that name the configuration file when `--config` does not."""

_BY_NAME = {key.name: key for key in KEYS}
_BY_VARIABLE = {variable: key for key in KEYS for variable in key.environment}


def load(options: Mapping[str, str], environment: Mapping[str, str], file: str | None = None) -> Config:
    """
    The configuration, or `ConfigurationInvalid` with one line that names the place and what is wrong.

    `options` has what the command line gave, by name, without those it did not; `file` is the TOML file it named.
    """
    warnings: list[str] = []
    file = file or next((environment[one] for one in FILE_VARIABLES if environment.get(one)), None)
    values: dict[str, Any] = {}
    # the weakest first
    for source in (
        _from_file(file, warnings) if file else iter(()),
        _from_environment(environment, warnings),
        _from_options(options, warnings),
    ):
        for key, place, raw in source:
            values[key.field] = _read(key, place, raw)
    if "state_dir" not in values:
        values["state_dir"] = _usual_state_dir(environment)
    return Config(**values, warnings=tuple(warnings))


def nearest(name: str) -> str:
    """` (did you mean …?)` for the known name that is most like `name`, or nothing."""
    environment = name.startswith("EENGINE_")
    known = [*_BY_VARIABLE, *_ENVIRONMENT_WITHOUT_EFFECT] if environment else [*_BY_NAME, *WITHOUT_EFFECT, "config"]
    folded = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[found[0]]}?)" if found else ""


def _read(key: Key, place: str, raw: Any) -> Any:
    try:
        return key.read(raw)
    except ValueError as wrong:
        shown = "" if key.secret else f", not {raw!r}"
        raise ConfigurationInvalid(f"{place} must be {wrong}{shown}") from None


def _from_options(options: Mapping[str, str], warnings: list[str]) -> Iterator[tuple[Key, str, Any]]:
    for name, raw in options.items():
        if name in _BY_NAME:
            yield _BY_NAME[name], f"--{name}", raw
        elif name in WITHOUT_EFFECT:
            warnings.append(f"--{name} has no effect: {WITHOUT_EFFECT[name][1]}")
        else:
            raise ConfigurationInvalid(f"unknown option --{name}{nearest(name)}")


def _from_environment(environment: Mapping[str, str], warnings: list[str]) -> Iterator[tuple[Key, str, Any]]:
    for key in KEYS:
        for variable in key.environment:
            raw = environment.get(variable)
            place = variable
            if not raw and environment.get(f"{variable}_FILE"):
                place = f"{variable}_FILE"
                raw = _content(place, environment[place])
            if raw:  # set to nothing is not set
                yield key, place, raw
                break
    for variable in environment:
        if not variable.startswith("EENGINE_") or variable in FILE_VARIABLES:
            continue
        plain = variable if variable in _BY_VARIABLE else variable.removesuffix("_FILE")
        if plain in _BY_VARIABLE:
            continue
        if plain in _ENVIRONMENT_WITHOUT_EFFECT:
            warnings.append(f"{variable} has no effect: {_ENVIRONMENT_WITHOUT_EFFECT[plain]}")
        elif variable.startswith(_PREFIXES_WITHOUT_EFFECT):
            warnings.append(f"{variable} has no effect: {_LATER}")
        else:
            raise ConfigurationInvalid(f"unknown environment variable {variable}{nearest(variable)}")


def _content(variable: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").removesuffix("\n")
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(f"{variable}: cannot read {path}: {_reason(error)}") from None


def _from_file(path: str, warnings: list[str]) -> Iterator[tuple[Key, str, Any]]:
    try:
        tree = tomllib.loads(Path(path).read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"{path} is not valid TOML: {error}") from None
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(f"cannot read the configuration file {path}: {_reason(error)}") from None
    for name, raw in _flat(tree, ""):
        if name in _BY_NAME:
            yield _BY_NAME[name], f"{name} in {path}", raw
        elif name in WITHOUT_EFFECT:
            warnings.append(f"{name} in {path} has no effect: {WITHOUT_EFFECT[name][1]}")
        else:
            raise ConfigurationInvalid(f"unknown key {name} in {path}{nearest(name)}")


def _flat(tree: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        whole = f"{above}{name}"
        if isinstance(value, dict) and whole not in _BY_NAME and whole not in WITHOUT_EFFECT:
            yield from _flat(value, f"{whole}.")
        else:
            yield whole, value


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"


def _usual_state_dir(environment: Mapping[str, str]) -> Path:
    """systemd's directory for the unit, else the user's place for state."""
    given = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return _state_dir(given)
    home = environment.get("XDG_STATE_HOME", "")
    if not os.path.isabs(home):  # the rule of that variable: a relative path is not valid
        base = Path("~").expanduser()
        if not base.is_absolute():
            raise ConfigurationInvalid("there is no home directory to keep state in: give --state-dir")
        home = str(base / ".local" / "state")
    return Path(home) / "emailengine"
