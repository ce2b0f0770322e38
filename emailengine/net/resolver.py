"""Names into addresses without threads: literals, the hosts file, then DNS, asked for IPv4 and IPv6 side by side.

What the system's own resolver reads is read here too, whenever it changed: `/etc/hosts`, and of `/etc/resolv.conf` the
servers, the search list and `ndots`. Answers are kept for as long as they say, at most five minutes, because thousands
of accounts have few mail servers. No timer is left when nothing is asked.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

from attrs import define, field
from twisted.internet.address import IPv4Address as Dialled4
from twisted.internet.address import IPv6Address as Dialled6
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IReactorTime, IResolutionReceiver
from twisted.logger import Logger
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import DNSNameError
from zope.interface import implementer

from emailengine.core.deadline import as_deferred, bounded
from emailengine.errors import ConnectFailed, TimedOut
from emailengine.net.hosts import read_host

log = Logger()
T = TypeVar("T")

Address: TypeAlias = IPv4Address | IPv6Address
Asking: TypeAlias = Callable[[str, int], Deferred[Any]]
"""A DNS question for a name and a record type; the answer is what twisted.names gives."""

_PATIENCE: Final = (1, 2, 4)
"""Seconds for each round of questions to all the servers."""
_LONG_PATIENCE: Final = 30.0
"""Seconds for all of them."""
_SECOND_FAMILY: Final = 0.3
"""Seconds that one family's answer waits for the other's."""
_LONGEST: Final = 300.0
_NEGATIVE: Final = 5.0
_NAMES: Final = 1000
_LOOK: Final = 1.0
"""Seconds between two looks at the files."""


def install(reactor: Any, *, hosts: str = "/etc/hosts", resolv: str = "/etc/resolv.conf") -> None:
    """Let everything on this reactor resolve names so. To be called before the first connection."""
    reactor.installNameResolver(NameResolver(reactor, hosts=hosts, resolv=resolv))


@implementer(IHostResolution)
@define(eq=False)
class Resolution:
    """A question under way. `temporary`: it found nothing because no server answered."""

    name: str
    temporary: bool = False
    _work: Deferred[None] | None = field(default=None, init=False)

    def cancel(self) -> None:
        """Stop looking: the receiver is told that it is complete."""
        if self._work is not None:
            self._work.cancel()


@implementer(IHostnameResolver)
class NameResolver:
    """The resolver that `install` puts into a reactor. `ask` replaces DNS in tests."""

    def __init__(self, reactor: Any, *, hosts: str, resolv: str, ask: Asking | None = None) -> None:
        self._clock: IReactorTime = reactor
        self._hosts = _File(hosts, parse_hosts)
        self._resolv = _File(resolv, parse_resolv)
        self._reactor = reactor
        self._dns: tuple[tuple[str, ...], Resolver] | None = None
        self._ask = ask or self._ask_dns
        self._known: OrderedDict[str, tuple[float, list[Address]]] = OrderedDict()

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[Any]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See IHostnameResolver; addresses come in the order in which to try them."""
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        wanted = (Dialled4, Dialled6) if addressTypes is None else tuple(addressTypes)

        def tell(found: Sequence[Address]) -> None:
            for one in found:
                kind = Dialled4 if isinstance(one, IPv4Address) else Dialled6
                if kind in wanted:
                    resolutionReceiver.addressResolved(kind(cast("Any", transportSemantics), str(one), portNumber))

        async def resolve() -> None:
            try:
                tell(await self.look_up(hostName))
            except ConnectFailed as error:
                resolution.temporary = error.transient
            except CancelledError:
                resolution.temporary = True
            except Exception:  # noqa: BLE001 - whoever waits must hear of the end
                log.failure("while resolving {name}", name=hostName)
                resolution.temporary = True
            resolutionReceiver.resolutionComplete()

        resolution._work = Deferred.fromCoroutine(resolve())
        return resolution

    async def look_up(self, written: str) -> list[Address]:
        """
        The addresses of a host, at least one.

        Raises ConnectFailed: `ENOTFOUND` when there is no such name, `EAI_AGAIN` when no server could tell.
        """
        host = read_host(written)
        if host.is_ip:
            return [ip_address(host.text)]
        found = self._hosts.read(self._clock).get(host.text)
        if found:
            return list(found)
        if host.text == "localhost" or host.text.endswith(".localhost"):  # RFC 6761 6.3
            return [IPv4Address("127.0.0.1"), IPv6Address("::1")]
        known = self._known.get(host.text)
        if known is None or known[0] <= self._clock.seconds():
            known = await self._from_dns(host.text, absolute=written.rstrip().endswith("."))
            self._remember(host.text, known)
        if not known[1]:
            raise ConnectFailed(f"The host {host.text} was not found", code="ENOTFOUND", transient=False)
        return list(known[1])

    def _remember(self, name: str, known: tuple[float, list[Address]]) -> None:
        self._known[name] = known
        self._known.move_to_end(name)
        if len(self._known) > _NAMES:
            self._known.popitem(last=False)

    async def _from_dns(self, name: str, *, absolute: bool) -> tuple[float, list[Address]]:
        """Until when to believe it, and the addresses; none if the name is nowhere."""
        config = self._resolv.read(self._clock)
        further = [] if absolute else [f"{name}.{domain}" for domain in config.search]
        names = [*further, name] if name.count(".") < config.ndots else [name, *further]
        for one in names:
            seconds, found = await self._both_families(one)
            if found:
                return self._clock.seconds() + seconds, found
        return self._clock.seconds() + _NEGATIVE, []

    async def _both_families(self, name: str) -> tuple[float, list[Address]]:
        """For how long to believe it, and the addresses. Raises ConnectFailed (`EAI_AGAIN`) when nobody tells."""
        questions = [as_deferred(self._one_family(name, kind)) for kind in (dns.AAAA, dns.A)]
        answers: list[tuple[float, list[Address]] | None] = []
        try:
            for first in (1, 0):  # IPv4 is the one that is nearly always there
                wait = _SECOND_FAMILY if answers and answers[0] and answers[0][1] else _LONG_PATIENCE
                try:
                    answers.append(await bounded(self._clock, wait, questions[first], f"The name server, for {name},"))
                except (TimedOut, ConnectFailed):
                    answers.append(None)
        finally:
            for question in questions:
                question.addErrback(lambda _: None)
                question.cancel()
        told = [one for one in answers if one is not None]
        if not told or (len(told) < 2 and not told[0][1]):
            raise ConnectFailed(f"No name server tells the address of {name}", code="EAI_AGAIN")
        return min(one[0] for one in told), _in_turn(*(one[1] for one in reversed(told)))

    async def _one_family(self, name: str, kind: int) -> tuple[float, list[Address]]:
        try:
            answers, _, _ = await self._ask(name, kind)
        except DNSNameError:
            return _NEGATIVE, []
        except CancelledError:
            raise
        except Exception as error:
            raise ConnectFailed(f"No name server tells the address of {name}", code="EAI_AGAIN") from error
        records = [one for one in answers if one.type == kind]
        seconds = min((float(one.ttl) for one in answers), default=_NEGATIVE)
        return min(max(seconds, 1.0), _LONGEST), [ip_address(one.payload.address) for one in records]

    def _ask_dns(self, name: str, kind: int) -> Deferred[Any]:
        servers = self._resolv.read(self._clock).servers
        if self._dns is None or self._dns[0] != servers:
            resolver = Resolver(servers=[(one, 53) for one in servers], timeout=_PATIENCE, reactor=self._reactor)
            self._dns = servers, resolver
        asked: Deferred[Any] = self._dns[1].query(dns.Query(name.encode("ascii"), kind, dns.IN))
        return asked


def _in_turn(first: Sequence[Address], second: Sequence[Address] = ()) -> list[Address]:
    """RFC 8305 4: the families alternate, so that one that leads nowhere costs one attempt."""
    mixed: list[Address] = []
    for n in range(max(len(first), len(second))):
        mixed += first[n : n + 1]
        mixed += second[n : n + 1]
    return mixed


# Files


@define
class ResolvConf:
    """What `resolv.conf` says."""

    servers: tuple[str, ...] = ("127.0.0.1",)
    search: tuple[str, ...] = ()
    ndots: int = 1


def parse_hosts(text: str) -> dict[str, list[Address]]:
    """Addresses by lower-case name, in the order of the file. Lines that cannot be read are passed over."""
    found: dict[str, list[Address]] = {}
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        try:
            address = ip_address(fields[0].partition("%")[0]) if fields else None
        except ValueError:
            continue
        for name in fields[1:]:
            if address is not None:
                found.setdefault(name.lower().rstrip("."), []).append(address)
    return found


def parse_resolv(text: str) -> ResolvConf:
    """Servers, search list and `ndots`; the last `search` or `domain` counts."""
    config = ResolvConf()
    servers: list[str] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith(("#", ";")):
            continue
        if fields[0] == "nameserver":
            try:
                ip_address(fields[1].partition("%")[0])
            except ValueError:
                continue
            servers.append(fields[1])
        elif fields[0] in ("search", "domain"):
            names = [one.rstrip(".").lower() for one in fields[1:]]
            config.search = tuple([one for one in names if one])
        elif fields[0] == "options":
            for one in fields[1:]:
                name, _, value = one.partition(":")
                if name == "ndots" and value.isdigit():
                    config.ndots = min(int(value), 15)
    if servers:
        config.servers = tuple(servers)
    return config


class _File(Generic[T]):
    """A small file, read again when it changed. One that is not there is empty."""

    def __init__(self, path: str, parse: Callable[[str], T]) -> None:
        self._path = path
        self._parse = parse
        self._looked = float("-inf")
        self._stamp: tuple[int, ...] | None = None
        self._value = parse("")

    def read(self, clock: IReactorTime) -> T:
        now = clock.seconds()
        if now - self._looked >= _LOOK:
            self._looked = now
            try:
                told = os.stat(self._path)
                stamp: tuple[int, ...] | None = (told.st_mtime_ns, told.st_size, told.st_ino)
                if stamp != self._stamp:
                    with open(self._path, encoding="utf-8", errors="replace") as file:
                        self._value = self._parse(file.read())
            except OSError:
                stamp, self._value = None, self._parse("")
            self._stamp = stamp
        return self._value
