"""What a handler gets, and what it gives back."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar

from waymeet.accounts.types import Caller

Body = TypeVar("Body")
Query = TypeVar("Query")

NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})
NO_CALLER = "this endpoint is declared without an API key, so that its calls have no caller"


class Call(Generic[Body, Query]):
    """One request, authenticated and decoded.

    `path` holds the percent-decoded values of the template's names. `client_address` is the canonical text of the
    client's IP address. `headers` are those of the request, by lower-case name.
    `secret` is the credential as it was sent, only where the endpoint checks it itself
    (`Access.OWN_TOKEN`), otherwise "".
    """

    __slots__ = ("_caller", "body", "client_address", "headers", "path", "query", "request_id", "secret")

    def __init__(
        self,
        *,
        caller: Caller | None,
        path: Mapping[str, str],
        body: Body,
        query: Query,
        request_id: str,
        client_address: str,
        secret: str = "",
        headers: Mapping[bytes, bytes] = NO_HEADERS,
    ) -> None:
        self._caller = caller
        self.path = path
        self.body = body
        self.query = query
        self.request_id = request_id
        self.client_address = client_address
        self.secret = secret
        self.headers = headers

    @property
    def caller(self) -> Caller:
        """Who is calling. Only for endpoints with `Access.KEY`; elsewhere nobody has been authenticated."""
        assert self._caller is not None, NO_CALLER
        return self._caller


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with a status of its own. Handlers that always give the first declared status return the body alone."""

    status: int
    body: object = None
    """Encoded as JSON; ignored for 204."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """An answer that is not JSON: status 200, sent as it is."""

    content: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: status 200, sent as it comes."""

    parts: AsyncGenerator[bytes, None]
    """Closed when it ends or the client has gone."""
    media_type: str
    resources: AsyncExitStack
    """Closed after the parts, also when not a single one was asked for."""

    async def close(self) -> None:
        """Give back what it holds. Repeatable."""
        async with self.resources:
            await self.parts.aclose()


NO_CONTENT = Answer(204)
