"""Connections to mail servers: every address of a name, a deadline over all of it, TLS where a policy is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define
from twisted.internet.interfaces import IProtocol

from emailengine.core.deadline import Deadline
from emailengine.net.tls import Contexts, TlsPolicy

P = TypeVar("P", bound=IProtocol)


@define(kw_only=True, eq=False)
class Dialer:
    reactor: Any
    contexts: Contexts

    async def connect(
        self,
        build: Callable[[], P],
        host: str,
        port: int,
        /,
        *,
        tls: TlsPolicy | None,
        deadline: Deadline,
        proxy: str | None = None,
        local_address: str | None = None,
    ) -> P:
        raise NotImplementedError
