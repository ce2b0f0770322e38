"""Pages of other origins that may use the API in a browser: nobody's unless the operator names them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from emailengine.api.errors import Header

_HEADERS = b"Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match, X-EE-Timeout"
_EXPOSED = (
    b"Content-Disposition, Retry-After, WWW-Authenticate, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
)


@frozen
class Cors:
    """
    `origins` as browsers send them; `*` stands for all, but not with what a browser remembers.

    `max_age` in seconds is how long a preflight is good.
    """

    origins: frozenset[str] = frozenset()
    max_age: int = 60

    @property
    def allows_all(self) -> bool:
        return "*" in self.origins

    def names(self, origin: str) -> bool:
        """Whether an origin is in the list by its name."""
        return origin != "*" and origin in self.origins

    def headers(self, origin: str | None) -> list[Header]:
        """What goes with an answer to a page of that origin."""
        if not self.origins:
            return []
        vary = (b"vary", b"origin")
        if origin is None:
            return [vary]
        exposed = (b"access-control-expose-headers", _EXPOSED)
        if self.names(origin) and origin.isascii():
            return [
                vary,
                (b"access-control-allow-origin", origin.encode("ascii")),
                (b"access-control-allow-credentials", b"true"),
                exposed,
            ]
        if self.allows_all:
            return [vary, (b"access-control-allow-origin", b"*"), exposed]
        return [vary]

    def preflight(self, origin: str | None, methods: Iterable[str]) -> list[Header]:
        """The answer to a browser that asks before it sends a request."""
        headers = self.headers(origin)
        if len(headers) > 1:
            headers += [
                (b"access-control-allow-methods", ", ".join(methods).encode("ascii")),
                (b"access-control-allow-headers", _HEADERS),
                (b"access-control-max-age", b"%d" % self.max_age),
            ]
        return headers
