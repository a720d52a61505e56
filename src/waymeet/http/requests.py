"""One endpoint, ready to serve: what its declaration asks for is worked out once, at start-up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from waymeet.accounts.types import Caller
from waymeet.http.authentication import Gate, require_secret
from waymeet.http.bodies import BodyDecoder, Receive, read_body
from waymeet.http.call import Answer, Call, Document, Stream
from waymeet.http.client_address import ClientAddresses
from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.metrics import Meter
from waymeet.http.queries import QueryDecoder
from waymeet.http.rates import RateLimits

Headers = list[tuple[bytes, bytes]]
_encode = msgspec.json.Encoder().encode

JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in bytes."""

    status: int
    content: bytes
    headers: Headers
    stream: Stream | None = None
    """What comes in place of the content, as it comes."""


@dataclass(frozen=True, slots=True)
class Guards:
    """What every request passes on its way to a handler."""

    gate: Gate
    rates: RateLimits
    body_bytes: int
    addresses: ClientAddresses


class Served:
    """An endpoint with its decoders and its meter."""

    __slots__ = ("_body", "_body_bytes", "_guards", "_query", "_status", "endpoint", "meter")

    def __init__(self, endpoint: Endpoint[Any, Any], guards: Guards, meter: Meter) -> None:
        self.endpoint = endpoint
        self.meter = meter
        self._guards = guards
        # A body on GET is ignored whatever it is (contract 1.3).
        body = endpoint.body if endpoint.method != "GET" else None
        self._body = BodyDecoder(body) if body is not None else None
        self._query = QueryDecoder(endpoint.query) if endpoint.query is not None else None
        self._status = endpoint.status
        self._body_bytes = min(guards.body_bytes, endpoint.body_bytes or guards.body_bytes)

    async def answer(
        self,
        scope: Mapping[str, Any],
        headers: Mapping[bytes, bytes],
        path: Mapping[str, str],
        receive: Receive,
        request_id: str,
    ) -> Reply:
        """The handler's answer. Raises what the guards, the decoders and the handler raise.

        Who is calling is settled before the body is read, so that strangers cannot make the server parse.
        """
        endpoint, guards = self.endpoint, self._guards
        address = guards.addresses.of(scope["client"], scope["headers"])
        caller: Caller | None = None
        secret = ""
        if endpoint.access is Access.KEY:
            caller = await guards.gate.admit(
                headers.get(b"authorization"), scope=endpoint.scope, unknown_key=endpoint.unknown_key, address=address
            )
            guards.rates.take(caller.organisation, endpoint.rate)
        elif endpoint.access is Access.OWN_TOKEN:
            secret = require_secret(headers.get(b"authorization"))
        if endpoint.guard is not None:
            endpoint.guard(address, headers)
        query = self._query.decode(scope["query_string"]) if self._query is not None else None
        body = None
        if self._body is not None:
            body = self._body.decode(await read_body(headers, receive, self._body_bytes))
        returned = await endpoint.handler(
            Call(
                caller=caller,
                path=path,
                body=body,
                query=query,
                request_id=request_id,
                client_address=address,
                secret=secret,
                headers=headers,
            )
        )
        return self._reply(returned)

    def _reply(self, returned: object) -> Reply:
        if isinstance(returned, Answer):
            extra = [(name.lower().encode(), value.encode()) for name, value in returned.headers.items()]
            if returned.status == 204:
                return Reply(204, b"", extra)
            return json_reply(returned.status, returned.body, extra)
        if isinstance(returned, Document):
            extra = [(name.lower().encode(), value.encode()) for name, value in returned.headers.items()]
            return Reply(200, returned.content, [(b"content-type", returned.media_type.encode()), *extra])
        if isinstance(returned, Stream):
            kept = [(b"content-type", returned.media_type.encode()), (b"cache-control", b"no-store")]
            # Proxies that collect an answer before they pass it on would keep a stream for themselves.
            return Reply(200, b"", [*kept, (b"x-accel-buffering", b"no")], returned)
        if self._status == 204:
            return Reply(204, b"", [])
        return json_reply(self._status, returned, [])


def json_reply(status: int, body: object, headers: Headers) -> Reply:
    """`body` as JSON."""
    return Reply(status, _encode(body), [JSON, *headers])
