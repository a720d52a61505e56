"""The ASGI application: routes, guards, errors, request ids, metrics and health, put together once."""

import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

import structlog
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.types import ASGIApp
from starlette.types import Receive as AsgiReceive
from starlette.types import Scope as AsgiScope
from starlette.types import Send as AsgiSend
from starlette.websockets import WebSocket

from waymeet.http.authentication import Authenticator, Gate
from waymeet.http.bodies import ClientGone
from waymeet.http.builtin import builtin_endpoints
from waymeet.http.client_address import ClientAddresses
from waymeet.http.endpoint import Endpoint
from waymeet.http.errors import V1_ERRORS, ErrorForm, fields_of, headers_of, status_of
from waymeet.http.health import Check
from waymeet.http.limits import HttpLimits
from waymeet.http.metrics import UNMATCHED, Meter, RequestMetrics
from waymeet.http.rates import RateLimits
from waymeet.http.requests import Guards, Headers, Reply, Served, json_reply
from waymeet.http.router import Router, Row
from waymeet.http.streaming import send_stream
from waymeet.logs import REQUEST_ID
from waymeet.model.errors import WaymeetError
from waymeet.model.instant import Clock

WebSocketEndpoint = Callable[[WebSocket], Awaitable[None]]
Lifespan = Callable[[], AbstractAsyncContextManager[object]]


class Door(Protocol):
    """A family of routes with rules of its own for paths, and open to pages of any origin."""

    headers: Headers
    """Of each of its answers, refusals too."""
    preflight: Headers
    """Of its answers to OPTIONS, which browsers ask first."""

    def path(self, raw_path: bytes, headers: Mapping[bytes, bytes]) -> bytes | None:
        """The path to look for in the route table; `None` for a request that is none of its own."""


_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger(__name__)


def create_app(
    endpoints: Sequence[Endpoint[Any, Any]],
    *,
    authenticator: Authenticator,
    clock: Clock,
    rng: random.Random,
    limits: HttpLimits | None = None,
    checks: Mapping[str, Check] | None = None,
    notices: Mapping[str, Check] | None = None,
    web_sockets: Mapping[str, WebSocketEndpoint] | None = None,
    mounts: Mapping[str, ASGIApp] | None = None,
    door: Door | None = None,
    lifespan: Lifespan = nullcontext,
    registry: CollectorRegistry = REGISTRY,
    before_metrics: Callable[[], Awaitable[None]] | None = None,
    access_log: bool = False,
    version: str = "",
) -> "Application":
    """An ASGI application that answers `endpoints`, and beside them `/healthz`, `/readyz`, `/metrics`, `/openapi.json`
    and `/docs`.

    `checks` decide readiness, `notices` are only shown with them. `web_sockets` maps exact paths to functions that take
    the socket before it is accepted. `mounts` maps first segments such as `/dashboard` to applications of their own,
    which get paths unchanged. `door` decides which requests belong to its family of routes.
    The context of `lifespan` is entered before the first request and left after the last.
    `registry` is what `/metrics` shows; the application adds its own numbers to it. `before_metrics` is awaited each time
    before it is shown. `access_log` writes one line for each request.
    """
    limits = limits or HttpLimits()
    metrics = RequestMetrics()
    registry.register(metrics)
    guards = Guards(
        gate=Gate(
            authenticator,
            failures_per_second=limits.failures_per_second,
            tracked_addresses=limits.tracked_keys,
            monotonic=clock.monotonic,
        ),
        rates=RateLimits(
            limits.rates,
            burst_seconds=limits.burst_seconds,
            tracked_organisations=limits.tracked_keys,
            monotonic=clock.monotonic,
        ),
        body_bytes=limits.body_bytes,
        addresses=ClientAddresses(limits.trusted_proxies, limits.forwarding_header),
    )
    table = [
        *endpoints,
        *builtin_endpoints(endpoints, checks or {}, notices or {}, limits, registry, before_metrics, version),
    ]
    rows: list[Row[Served]] = []
    for endpoint in table:
        served = Served(endpoint, guards, metrics.meter(endpoint.method, endpoint.path))
        rows.append(Row(endpoint.method, endpoint.path, served))
        if endpoint.trailing_slash:
            rows.append(Row(endpoint.method, endpoint.path + "/", served))
    return Application(
        Router(rows),
        metrics,
        clock=clock,
        rng=rng,
        web_sockets=web_sockets or {},
        mounts=mounts or {},
        door=door,
        lifespan=lifespan,
        access_log=access_log,
    )


class Application:
    """Made by `create_app`."""

    def __init__(
        self,
        router: Router[Served],
        metrics: RequestMetrics,
        *,
        clock: Clock,
        rng: random.Random,
        web_sockets: Mapping[str, WebSocketEndpoint],
        mounts: Mapping[str, ASGIApp],
        door: Door | None,
        lifespan: Lifespan,
        access_log: bool,
    ) -> None:
        self._find = router.find
        self._metrics = metrics
        self._unmatched = metrics.meter("any", UNMATCHED)
        self._monotonic = clock.monotonic
        self._rng = rng
        self._web_sockets = dict(web_sockets)
        self._mounts = dict(mounts)
        self._door = door
        self._lifespan = lifespan
        self._access_log = access_log

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """The ASGI entry point."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
            return
        if self._mounts and (mounted := self._mounts.get("/" + scope["path"][1:].partition("/")[0])) is not None:
            await mounted(scope, receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._web_socket(scope, receive, send)

    async def _http(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        started = self._monotonic()
        self._metrics.in_flight += 1
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = self._request_id(headers.get(b"x-request-id"))
        REQUEST_ID.set(request_id)
        meter = self._unmatched
        form = V1_ERRORS
        raw_path: bytes = scope["raw_path"]
        door = self._door
        if door is not None:
            behind = door.path(raw_path, headers)
            if behind is None:
                door = None
            else:
                raw_path = behind
        try:
            try:
                if door is not None and scope["method"] == "OPTIONS":
                    await _send(Reply(204, b"", list(door.preflight)), request_id, receive, send)
                    return
                served, path = self._find(scope["method"], raw_path)
                meter = served.meter
                form = served.endpoint.error_form
                reply = await served.answer(scope, headers, path, receive, request_id)
            except WaymeetError as error:
                reply = _refusal(error, form)
            except ClientGone:
                return
            except Exception as error:
                _log.error("a request failed", route=meter.route, method=meter.method, exc_info=error)
                reply = _failure(request_id, form)
            if b"expect" in headers and reply.status >= 400:
                # The client has not sent its body and now never will: what it sends next would be taken for it.
                reply.headers.append((b"connection", b"close"))
            if door is not None:
                reply.headers.extend(header for header in door.headers if header not in reply.headers)
            if reply.stream is not None:
                # A stream may last for hours; what is measured is how long it took to begin.
                self._count(scope, meter, reply, self._monotonic() - started)
                await _send(reply, request_id, receive, send, with_body=scope["method"] != "HEAD")
                return
            await _send(reply, request_id, receive, send)
            self._count(scope, meter, reply, self._monotonic() - started)
        finally:
            self._metrics.in_flight -= 1

    def _count(self, scope: AsgiScope, meter: Meter, reply: Reply, seconds: float) -> None:
        meter.count(reply.status, seconds)
        if self._access_log:
            self._log_access(scope, meter.route, reply, seconds)

    def _request_id(self, given: bytes | None) -> str:
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return f"{self._rng.getrandbits(64):016x}"

    @staticmethod
    def _log_access(scope: AsgiScope, route: str, reply: Reply, seconds: float) -> None:
        _log.info(
            "request",
            method=scope["method"],
            route=route,
            # Of the request as it came only what tells it apart: a path may be long, a query may hold secrets.
            path=scope["raw_path"][:200].decode("latin-1"),
            status=reply.status,
            bytes=len(reply.content),
            milliseconds=round(seconds * 1000, 3),
        )

    async def _web_socket(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        endpoint = self._web_sockets.get("/" + scope["path"].lstrip("/"))
        if endpoint is not None:
            REQUEST_ID.set(self._request_id(dict(scope["headers"]).get(b"x-request-id")))
            await endpoint(WebSocket(scope, receive, send))
            return
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1000})
            return
        reply = json_reply(404, V1_ERRORS.build(404, "there is no WebSocket at this path", {}), [])
        headers = [*reply.headers, (b"content-length", b"%d" % len(reply.content))]
        await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": reply.content})

    async def _live(self, receive: AsgiReceive, send: AsgiSend) -> None:
        await receive()
        try:
            context = self._lifespan()
            await context.__aenter__()
        except Exception as error:
            _log.error("the server cannot start", exc_info=error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await context.__aexit__(None, None, None)
        except Exception as error:
            _log.error("the server did not stop cleanly", exc_info=error)
            await send({"type": "lifespan.shutdown.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def _refusal(error: WaymeetError, form: ErrorForm) -> Reply:
    status = status_of(error)
    headers = [(name.encode(), value.encode()) for name, value in headers_of(error).items()]
    if status == 500:
        _log.error("an error without a status", exc_info=error)
    return json_reply(status, form.build(status, error.message, fields_of(error)), headers)


def _failure(request_id: str, form: ErrorForm) -> Reply:
    message = f"internal error; the server's log tells more under request id {request_id}"
    return json_reply(500, form.build(500, message, {}), [])


async def _send(reply: Reply, request_id: str, receive: AsgiReceive, send: AsgiSend, *, with_body: bool = True) -> None:
    headers = reply.headers
    headers.append((b"x-request-id", request_id.encode()))
    if reply.stream is not None:
        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        except BaseException:
            await reply.stream.close()
            raise
        if with_body:
            await send_stream(reply.stream, receive, send)
        else:
            await reply.stream.close()
            await send({"type": "http.response.body", "body": b""})
        return
    if reply.status != 204:
        headers.append((b"content-length", b"%d" % len(reply.content)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.content})
