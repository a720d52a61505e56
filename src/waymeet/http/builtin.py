"""The endpoints that every Waymeet server has beside the contract's: health, metrics and documentation."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from waymeet.http.call import Call, Document
from waymeet.http.docs_page import docs_page
from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.health import Alive, Check, Health, Readiness
from waymeet.http.limits import HttpLimits
from waymeet.http.openapi import openapi_document

TAG = "Server"


class _Documentation:
    """The documentation of a route table, made at once, so that a mistake in the table shows at start-up."""

    def __init__(self, endpoints: Sequence[Endpoint[Any, Any]], version: str) -> None:
        self._openapi = Document(msgspec.json.encode(openapi_document(endpoints, version)), "application/json")

    async def openapi(self, call: Call[None, None]) -> Document:
        return self._openapi

    async def page(self, call: Call[None, None]) -> Document:
        return docs_page()


def builtin_endpoints(
    endpoints: Sequence[Endpoint[Any, Any]],
    checks: Mapping[str, Check],
    notices: Mapping[str, Check],
    limits: HttpLimits,
    registry: CollectorRegistry,
    before_metrics: Callable[[], Awaitable[None]] | None,
    version: str,
) -> list[Endpoint[Any, Any]]:
    """`/healthz`, `/readyz`, `/metrics`, `/openapi.json` and `/docs`.

    The last two describe `endpoints` and the first two.
    """
    health = Health(checks, notices, limits.check_seconds)

    async def metrics(call: Call[None, None]) -> Document:
        if before_metrics is not None:
            await before_metrics()
        return Document(generate_latest(registry), CONTENT_TYPE_LATEST)

    alive: Endpoint[Any, Any] = Endpoint(
        method="GET",
        path="/healthz",
        handler=health.alive,
        summary="Whether the process is alive",
        contract="",
        tag=TAG,
        answers={200: Alive},
        access=Access.PUBLIC,
    )
    ready: Endpoint[Any, Any] = Endpoint(
        method="GET",
        path="/readyz",
        handler=health.ready,
        summary="Whether the server can serve, and what is missing",
        contract="",
        tag=TAG,
        answers={200: Readiness, 503: Readiness},
        access=Access.PUBLIC,
    )
    documentation = _Documentation([*endpoints, alive, ready], version)
    undocumented = (("/metrics", metrics), ("/openapi.json", documentation.openapi), ("/docs", documentation.page))
    return [
        alive,
        ready,
        *(
            Endpoint(
                method="GET",
                path=path,
                handler=handler,
                summary="",
                contract="",
                tag=TAG,
                answers={200: bytes},
                access=Access.PUBLIC,
                documented=False,
            )
            for path, handler in undocumented
        ),
    ]
