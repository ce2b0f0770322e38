"""Builds the daemon: the only file that knows every part.

Nothing is opened here. The parts start in the order they are added and stop in reverse, each waited for.
"""

from __future__ import annotations

import random
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, field
from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred

import emailengine
from emailengine.accounts.census import Census
from emailengine.accounts.login import Opening
from emailengine.accounts.roster import Roster
from emailengine.accounts.shared import Shared
from emailengine.accounts.verbs.reading import TextWish
from emailengine.accounts.wirelog import ProtocolLogs
from emailengine.api import app
from emailengine.api.access import AccessRules
from emailengine.api.cors import Cors
from emailengine.api.site import Limits, RestPort
from emailengine.config import Config
from emailengine.core import metrics
from emailengine.core.lag import Lag
from emailengine.core.secrets import Vault
from emailengine.core.tasks import InOrder, Tasks
from emailengine.errors import InvalidInput, StartupFailed
from emailengine.mailing.downloading import Downloads
from emailengine.mailing.reading import Mailing
from emailengine.model import codec
from emailengine.model import settings as model_settings
from emailengine.net import resolver
from emailengine.net.dial import Dialer
from emailengine.net.egress import Egress
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.outbox.accept import Outbox
from emailengine.outbox.afterwards import Afterwards
from emailengine.outbox.route import common_proxy, source
from emailengine.outbox.sending import Sending
from emailengine.outbox.workers import Workers
from emailengine.outward.http import HttpClient
from emailengine.smtp.send import Senders
from emailengine.store import version
from emailengine.store.accounts import AccountStore
from emailengine.store.counters import CounterStore
from emailengine.store.embedded import EmbeddedRedis
from emailengine.store.figures import StoreFigures
from emailengine.store.folders import FolderStore
from emailengine.store.index import Index
from emailengine.store.keys import Keys
from emailengine.store.logs import LogStore
from emailengine.store.queue import Queue
from emailengine.store.redis import Redis
from emailengine.store.say import SayStore
from emailengine.store.settings import SettingsStore
from emailengine.store.tokens import TokenStore
from emailengine.webhooks.announcing import Announcer
from emailengine.webhooks.circuit import Backlog
from emailengine.webhooks.delivering import Deliverer
from emailengine.webhooks.payload import content_policy


def build(config: Config, reactor: Any, *, failed: Callable[[Exception], None]) -> IService:
    """The daemon. `failed` is told, once, why it could not start."""
    resolver.install(reactor)
    contexts = Contexts()
    dialer = Dialer(reactor=reactor, contexts=contexts)
    whole = InOrder(failed)
    add = whole.addService

    # the store
    redis_url = config.redis_url
    if redis_url is None:
        embedded = EmbeddedRedis(reactor=reactor, state_dir=config.state_dir)
        redis_url = embedded.url
        add(embedded)
    redis = Redis(
        redis_url,
        reactor=reactor,
        prefix=config.redis_prefix,
        tls=lambda host: contexts.creator(TlsPolicy(), host),
    )
    keys = Keys(config.redis_prefix)
    vault = Vault(config.secret)
    accounts = AccountStore(redis=redis, keys=keys, vault=vault)
    settings = SettingsStore(redis=redis, keys=keys, vault=vault)
    tokens = TokenStore(redis=redis, keys=keys)
    say = SayStore(redis=redis, keys=keys)
    counters = CounterStore(redis=redis, keys=keys)
    notify = Queue(redis=redis, keys=keys, name="notify", ordered=True)
    submit = Queue(redis=redis, keys=keys, name="submit", ordered=False)
    after = Queue(redis=redis, keys=keys, name="after", ordered=False)
    add(redis)
    add(
        Prepared(
            config=config, redis=redis, keys=keys, vault=vault, accounts=accounts, settings=settings, tokens=tokens
        )
    )
    add(Lag(reactor))

    # the accounts
    logs = ProtocolLogs(clock=reactor, store=LogStore(redis=redis, keys=keys), settings=settings)
    add(logs)
    census = Census()
    heard = _Heard()
    shared = Shared(
        clock=reactor,
        random=random.random,
        open_session=Opening(
            clock=reactor,
            dialer=dialer,
            contexts=contexts,
            ignore_certificates=lambda: bool(settings.value("ignoreMailCertErrors", False)),
            proxy=lambda: common_proxy(settings),
            source=lambda account: source(settings, "imapStrategy", account, random.random),
            client_id=lambda: _client_id(settings),
            logs=logs,
            silence=config.imap_timeout,
        ),
        accounts=accounts,
        folders=FolderStore(redis=redis, keys=keys),
        index=Index(redis=redis, keys=keys),
        said=lambda account: heard.said(account),
        became=census.moved,
        usable=lambda account: heard.usable(account),
        left=lambda account: heard.left(account),
        text_wish=lambda: _text_wish(settings),
        silence=config.imap_timeout,
    )
    roster = Roster(shared)
    add(roster)

    # the workers
    backlog = Backlog()
    http = HttpClient(reactor=reactor, contexts=contexts, egress=Egress(config.egress))
    announcer = Announcer(
        accounts=roster,
        say=say,
        queue=notify,
        settings=settings,
        clock=reactor,
        random=random.random,
        backlog=backlog,
    )
    heard.said, heard.usable = announcer.said, announcer.usable
    add(http)
    add(
        Deliverer(
            accounts=roster,
            queue=notify,
            settings=settings,
            http=http,
            clock=reactor,
            random=random.random,
            user_agent=f"emailengine-app/{emailengine.__version__}",
            backlog=backlog,
            counters=counters,
            timeout=config.webhook_timeout,
            posts=config.webhook_concurrency,
        )
    )
    add(announcer)
    hostname = socket.gethostname()
    mailing = Mailing(roster, reactor, Downloads(clock=reactor))
    senders = Senders(clock=reactor, dialer=dialer, contexts=contexts)
    sending = Sending(
        accounts=roster,
        queue=submit,
        after=after,
        statuses=accounts,
        settings=settings,
        senders=senders,
        clock=reactor,
        random=random.random,
        hostname=hostname,
        said=announcer.said,
    )
    afterwards = Afterwards(accounts=roster, queue=after, clock=reactor, random=random.random)
    add(Closing(senders.stop))
    add(Workers(name="after", queue=after, work=afterwards.work, clock=reactor))
    add(Workers(name="submit", queue=submit, work=sending.work, clock=reactor, places=config.submit_concurrency))

    # the port
    outbox = Outbox(
        accounts=roster,
        attachments=mailing,
        queue=submit,
        keys=keys,
        settings=settings,
        clock=reactor,
        hostname=hostname,
        most=config.max_size,
    )

    async def left(account: str) -> None:
        logs.forget(account)
        await outbox.forget(account)

    heard.left = left
    figures = StoreFigures(
        clock=reactor,
        redis=redis,
        counters=counters,
        queues={"notify": notify, "submit": submit},
        states=lambda: census.states,
        version=emailengine.__version__,
    )
    site = app.build(
        accounts=roster,
        mailing=mailing,
        outbox=outbox,
        logs=logs,
        settings=settings,
        tokens=tokens,
        figures=figures,
        clock=reactor,
        version=emailengine.__version__,
        access=AccessRules(basic=config.api_auth, interface=config.host),
        limits=Limits(
            body=config.max_body,
            large_body=config.max_submit_body,
            body_seconds=config.body_timeout,
            command_seconds=config.request_timeout,
        ),
        cors=Cors(config.cors_origins, int(config.cors_max_age)),
        registry=metrics.REGISTRY,
    )
    add(RestPort(reactor=reactor, site=site, interface=config.host, port=config.port))
    return whole


@define
class _Heard:
    """Who is told of what happens to accounts: the announcer and the outbox, which are built after them."""

    said: Callable[[str], None] = field(init=False)
    usable: Callable[[str], None] = field(init=False)
    left: Callable[[str], Awaitable[object]] = field(init=False)


class Prepared(Service):
    """The store, ready to be worked with: of our format, with its settings read and seeded."""

    def __init__(
        self,
        *,
        config: Config,
        redis: Redis,
        keys: Keys,
        vault: Vault,
        accounts: AccountStore,
        settings: SettingsStore,
        tokens: TokenStore,
    ) -> None:
        self._config = config
        self._redis = redis
        self._keys = keys
        self._vault = vault
        self._accounts = accounts
        self._settings = settings
        self._tokens = tokens
        self._tasks = Tasks("store")

    async def ready(self) -> None:
        """Return once it is; `StartupFailed` for data that is not ours or settings that are not valid."""
        await version.check(self._redis, self._keys)
        self._vault.use_salt(await version.salt(self._redis, self._keys))
        await self._settings.ready()
        await self._seed()
        if self._config.prepared_settings is not None:
            await self._settings.write(_checked(self._config.prepared_settings))
        token = self._config.prepared_token
        if token is not None and await self._tokens.find(token.id) is None:
            await self._tokens.add(token.id, token.record)
        self._tasks = Tasks("store")
        self._tasks.start("sweep", self._accounts.sweep())

    async def _seed(self) -> None:
        """What a new installation begins with."""
        seeds: Mapping[str, Any] = {
            "serviceSecret": secrets.token_hex(16),
            "queueKeep": 0,
            "notifyText": True,
            "notifyTextSize": 2 * 1024 * 1024,
        }
        there = await self._settings.read(list(seeds))
        missing = {name: value for name, value in seeds.items() if there.get(name) is None}
        if missing:
            await self._settings.write(missing)

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._tasks.stop())


class Closing(Service):
    """Something that is to be closed when its turn in the order comes."""

    def __init__(self, close: Callable[[], Any]) -> None:
        self._close = close

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._close())


def _checked(prepared: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return model_settings.changes(codec.read(dict(prepared), model_settings.Settings), {})
    except InvalidInput as wrong:
        raise StartupFailed(f"The prepared settings (EENGINE_SETTINGS) are not valid: {wrong.message}") from None


def _client_id(settings: SettingsStore) -> dict[str, str]:
    """What mail servers are told of us (RFC 2971)."""
    told = {"name": "EmailEngine", "version": emailengine.__version__, "vendor": None, "support-url": None}
    for name, key in (
        ("name", "imapClientName"),
        ("version", "imapClientVersion"),
        ("vendor", "imapClientVendor"),
        ("support-url", "imapClientSupportUrl"),
    ):
        told[name] = settings.value(key, told[name])
    return {name: value for name, value in told.items() if value}


def _text_wish(settings: SettingsStore) -> TextWish | None:
    """What is read of a new message's text along with the news; None where nobody wants to be told of it."""
    if not settings.value("webhooksEnabled", False):
        return None
    if not {"*", "messageNew"} & set(settings.value("webhookEvents", None) or ()):
        return None
    return content_policy(settings.value).wish or TextWish(kinds=())
