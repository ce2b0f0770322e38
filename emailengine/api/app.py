"""The REST API as a whole: who may come in, the route, the call, the answer. `build` makes it of its parts."""

# mypy: disallow-untyped-calls=False
# (Twisted's request has no annotations, and seen through a subclass it is not excepted)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define
from klein import Klein
from prometheus_client import CollectorRegistry, Counter, Histogram
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from emailengine.api import inputs, streams
from emailengine.api.access import Access, AccessRules, Admitted, Presented
from emailengine.api.cors import Cors
from emailengine.api.errors import JSON_TYPE, Header, Refusal, phrase, plain, refusal
from emailengine.api.routes.accounts import AccountRoutes
from emailengine.api.routes.logs import LogRoutes
from emailengine.api.routes.mailboxes import MailboxRoutes
from emailengine.api.routes.messages import MessageRoutes
from emailengine.api.routes.operations import OperationRoutes
from emailengine.api.routes.outbox import OutboxRoutes
from emailengine.api.routes.pages import PageRoutes
from emailengine.api.routes.settings import SettingsRoutes
from emailengine.api.routing import Call, Page, Route
from emailengine.api.seams import Accounts, Download, Figures, Logs, Mailing, Outbox, SettingsStore, Tokens
from emailengine.api.site import ApiRequest, ApiSite, Limits, Present
from emailengine.core import metrics
from emailengine.core.clock import wall
from emailengine.core.deadline import Deadline
from emailengine.core.gates import Gate
from emailengine.core.turns import pause
from emailengine.errors import EmailEngineError, InvalidInput
from emailengine.model import codec
from emailengine.model.openapi import Operation, document

log = Logger()

LARGE = 4 * 1024 * 1024  # bytes of JSON that take the reactor long enough to be read one at a time

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_GONE = 499  # the status that the log and the metrics give to a client that did not wait


def build(
    *,
    accounts: Accounts,
    mailing: Mailing,
    outbox: Outbox,
    logs: Logs,
    settings: SettingsStore,
    tokens: Tokens,
    figures: Figures,
    clock: IReactorTime,
    version: str,
    access: AccessRules,
    limits: Limits | None = None,
    cors: Cors | None = None,
    registry: CollectorRegistry = metrics.REGISTRY,
    now: Callable[[], float] = wall,
) -> ApiSite:
    """The site that serves the whole API. `clock` is the reactor; give the site to a `RestPort`."""
    routes: list[Route[Any, Any, Any]] = [
        *AccountRoutes(accounts).table(),
        *MailboxRoutes(mailing).table(),
        *MessageRoutes(mailing).table(),
        *OutboxRoutes(outbox).table(),
        *LogRoutes(logs).table(),
        *SettingsRoutes(settings).table(),
        *OperationRoutes(figures, registry).table(),
    ]
    described = [operation(route) for route in routes if route.path.startswith("/v1/")]
    routes += PageRoutes(version, lambda: document(described, version)).table()
    app = App(
        routes,
        access=Access(access, tokens, now, cors),
        limits=limits or Limits(),
        cors=cors or Cors(),
        clock=clock,
    )
    return ApiSite(app.klein.resource(), app, app.present, clock)


def operation(route: Route[Any, Any, Any]) -> Operation:
    """A route as the published document describes it."""
    return Operation(
        method=route.method,
        path=route.path,
        about=route.about,
        area=route.area,
        at=route.at,
        query=route.query,
        body=route.body if route.has_body else None,
        answer=route.answer,
        content_type=route.content_type,
        once=route.once,
    )


class _Raw(BaseConverter):
    """A whole segment as it was sent: an account id may hold an escaped slash."""

    regex = "[^/]+"


@define
class _Found:
    route: Route[Any, Any, Any]
    raw: Mapping[str, str]


@define
class _Passed:
    """Who came in, and the query that is left once the credential is taken out of it."""

    who: Admitted
    query: Sequence[tuple[str, str]]


class App:
    """Routes requests to their functions. It is the `Door` of the site."""

    def __init__(
        self,
        routes: Sequence[Route[Any, Any, Any]],
        *,
        access: Access,
        limits: Limits,
        cors: Cors,
        clock: IReactorTime,
    ) -> None:
        self.limits = limits
        self.present = Present()
        self.klein = Klein()
        self._access = access
        self._cors = cors
        self._clock = clock
        self._large = Gate(1)
        self._meters: dict[tuple[str, int, str], tuple[Counter, Histogram]] = {}
        self._routes: dict[str, Route[Any, Any, Any]] = {}
        rules = self.klein.url_map
        rules.merge_slashes = False
        rules.strict_slashes = False
        rules.converters = {**rules.converters, "raw": _Raw}
        for route in routes:
            self._add(route)
        self.klein.handle_errors(HTTPException)(self._unrouted)  # type: ignore[arg-type]  # it is always our request

    def _add(self, route: Route[Any, Any, Any]) -> None:
        async def endpoint(request: ApiRequest, **raw: str) -> bytes | None:
            return await self._serve(route, request, raw)

        name = f"{route.method} {route.path}"
        self._routes[name] = route
        path = route.path.replace("{", "<raw:").replace("}", ">")
        self.klein.route(path, methods=[route.method], endpoint=name)(endpoint)

    # What the site asks while a body is still under way

    def limit(self, request: ApiRequest) -> int:
        found = self._find(request)
        return self.limits.large_body if found is not None and found.route.large else self.limits.body

    def knock(self, request: ApiRequest) -> Deferred[Any]:
        found = self._find(request)
        if found is None:
            return Deferred.fromCoroutine(_nobody())
        return Deferred.fromCoroutine(self._admit(found.route, request, found.raw))

    def refusal(self, request: ApiRequest, error: BaseException | None) -> Refusal:
        found = self._find(request)
        if found is not None and error is not None:
            self._report(found.route, error)
        answer = refusal(error, self._access.challenges)
        return Refusal(answer.status, (*answer.headers, *self._cors_headers(request)), answer.body)

    def answered(self, request: ApiRequest, status: int) -> None:
        found = self._find(request)
        if found is None:
            self._note(request, "unknown", status, None, None)
        else:
            self._note(request, found.route.path, status, _account(found.raw), None)

    async def announce(self) -> None:
        if not await self._access.unguarded():
            return
        if self._access.rules.loopback:
            log.warn("no access token and no --api.auth: everybody on this machine is let in, and nobody else")
        else:
            log.warn(
                "no access token and no --api.auth: nobody is let in, for {interface} is not a loopback address",
                interface=self._access.rules.interface,
            )

    def _find(self, request: ApiRequest) -> _Found | None:
        adapter = self.klein.url_map.bind("localhost")
        try:
            name, raw = adapter.match(request.raw_path, request.method.decode("latin-1"))
        except HTTPException:
            return None
        return _Found(self._routes[name], raw)

    # One request

    async def _serve(self, route: Route[Any, Any, Any], request: ApiRequest, raw: Mapping[str, str]) -> bytes | None:
        passed: _Passed | None = None
        status = _GONE
        self.present.add(request)
        try:
            try:
                if request.admission is not None:
                    passed = await request.admission
                if passed is None:
                    passed = await self._admit(route, request, raw)
                result, encoded = await self._run(route, request, raw, passed)
                if isinstance(result, Download):
                    self._dress(request, 200, (), passed.who.headers)
                    await streams.send(request, result, self._clock)
                    status = request.code
                    return None
                status, headers, body = _answer(result, encoded)
                self._dress(request, status, headers, passed.who.headers)
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - each becomes an answer
                self._report(route, error)
                answer = refusal(error, self._access.challenges)
                status, body = answer.status, answer.body
                self._dress(request, status, answer.headers, {} if passed is None else passed.who.headers)
            request.setHeader(b"content-length", b"%d" % len(body))
            return body
        finally:
            self.present.remove(request)
            self._note(request, route.path, status, _account(raw), passed)

    async def _admit(self, route: Route[Any, Any, Any], request: ApiRequest, raw: Mapping[str, str]) -> _Passed:
        headers = request.requestHeaders
        authorization = headers.getRawHeaders(b"authorization", [])
        query = inputs.pairs(inputs.raw_query(request.uri))
        token: str | None = None
        if not authorization and query:
            tokens = [value for name, value in query if name == "access_token"]
            if tokens:
                token = tokens[0] if len(tokens) == 1 else ""
                query = [one for one in query if one[0] != "access_token"]
        shown = Presented(
            authorization=authorization,
            access_token=token,
            peer=getattr(request.client, "host", ""),
            hosts=headers.getRawHeaders(b"host", []),
            names=(name.lower() for name, _ in headers.getAllRawHeaders()),
            content_type=inputs.media_type(request.text(b"content-type")) if request.has_body else None,
            has_body=request.has_body,
            referrer=request.text(b"referer") or "",
            origins=headers.getRawHeaders(b"origin", []),
            fetch_site=request.text(b"sec-fetch-site") or "",
        )
        return _Passed(await self._access.admit(shown, route.grant, _account(raw)), query)

    async def _run(
        self, route: Route[Any, Any, Any], request: ApiRequest, raw: Mapping[str, str], passed: _Passed
    ) -> tuple[object, bytes]:
        reading = inputs.Reading()
        body = await self._read_body(route, request, reading)
        at = reading.part(inputs.read_path, raw, route.at)
        query = reading.part(inputs.read_query, passed.query, route.query)
        asked, sent = request.text(b"x-ee-timeout"), request.text(b"idempotency-key")
        seconds = None if asked is None else reading.part(inputs.timeout, asked)
        key = None if sent is None else reading.part(inputs.idempotency_key, sent)
        reading.check()
        deadline = Deadline.after(self._clock, max(self.limits.command_seconds, seconds or 0.0))
        call = Call(at, query, body, deadline, key)
        running = Deferred.fromCoroutine(route.run(call))
        result = await (running if running.called else deadline.bound(running))
        if isinstance(result, (Page, Download)):
            return result, b""
        return result, codec.encode(result)

    async def _read_body(self, route: Route[Any, Any, Any], request: ApiRequest, reading: inputs.Reading) -> Any:
        if not route.has_body:
            return None
        kind = inputs.media_type(request.text(b"content-type"))
        if request.received:
            inputs.check_media(kind, request.text(b"content-encoding"))
        if request.received <= LARGE:
            return reading.part(inputs.read_body, request.content.read(), kind, route.body)
        async with self._large:
            body = reading.part(inputs.read_body, request.content.read(), kind, route.body)
            await pause(self._clock, 0)
            return body

    # Answers

    def _dress(
        self, request: ApiRequest, status: int, headers: Sequence[Header], more: Mapping[bytes, bytes] | None = None
    ) -> None:
        request.setResponseCode(status, phrase(status).encode("ascii"))
        for name, value in (*headers, *self._cors_headers(request), *(more or {}).items()):
            request.responseHeaders.addRawHeader(name, value)
        request.setHeader(b"cache-control", b"no-cache")

    def _cors_headers(self, request: ApiRequest) -> list[Header]:
        if not self._cors.origins or not request.raw_path.startswith("/v1/"):
            return []
        return self._cors.headers(request.text(b"origin"))

    def _report(self, route: Route[Any, Any, Any], error: BaseException) -> None:
        if not isinstance(error, EmailEngineError):
            log.failure("{method} {route} failed", Failure(error), method=route.method, route=route.path)
        elif error.status == 500:
            log.error(
                "{method} {route} failed: {error}",
                method=route.method,
                route=route.path,
                error=error.message,
                log_failure=Failure(error),
            )

    def _unrouted(self, request: ApiRequest, failure: Failure) -> bytes:
        """A path or a method that nothing stands behind; also the question of a browser or client what is possible."""
        error = failure.value
        methods = sorted(error.valid_methods or ()) if isinstance(error, MethodNotAllowed) else []
        allow = (b"allow", ", ".join([*methods, "OPTIONS"]).encode("ascii"))
        if methods and request.method == b"OPTIONS":
            status, body = 204, b""
            headers: list[Header] = [allow]
            if request.raw_path.startswith("/v1/") and request.text(b"access-control-request-method"):
                headers += self._cors.preflight(request.text(b"origin"), methods)
            self._dress_preflight(request, headers)
        else:
            answer = (
                plain(405, "The route does not know this method", allow) if methods else plain(404, "No such route")
            )
            status, body = answer.status, answer.body
            self._dress(request, status, answer.headers)
            request.setHeader(b"content-length", b"%d" % len(body))
        self._note(request, "unknown", status, None, None)
        return body

    def _dress_preflight(self, request: ApiRequest, headers: Sequence[Header]) -> None:
        request.setResponseCode(204, b"No Content")
        for name, value in headers:
            request.responseHeaders.addRawHeader(name, value)

    def _note(
        self, request: ApiRequest, template: str, status: int, account: str | None, passed: _Passed | None
    ) -> None:
        seconds = self._clock.seconds() - request.began
        method = request.method.decode("latin-1")
        counted = (method if method in _METHODS else "other", status, template)
        meters = self._meters.get(counted)
        if meters is None:
            meters = (metrics.api_call.labels(*counted), metrics.http_request.labels(template))
            self._meters[counted] = meters
        meters[0].inc()
        meters[1].observe(seconds)
        log.info(
            "{method} {path} {status} {ms} ms",
            method=method[:32],
            path=request.raw_path[:1024],
            status=status,
            ms=round(seconds * 1000, 1),
            account=account,
            who=None if passed is None else passed.who.who,
            token=None if passed is None else passed.who.token,
        )


def _account(raw: Mapping[str, str]) -> str | None:
    """The account in a path; None also for one that is refused when the path is read, if it comes to that."""
    try:
        return inputs.segment("account", raw["account"]).strip() if "account" in raw else None
    except InvalidInput:
        return None


async def _nobody() -> None:
    return None


def _answer(result: object, encoded: bytes) -> tuple[int, Sequence[Header], bytes]:
    if isinstance(result, Page):
        return result.status, ((b"content-type", result.content_type.encode("ascii")),), result.body
    return 200, (JSON_TYPE,), encoded
