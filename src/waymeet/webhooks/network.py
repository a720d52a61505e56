"""Connections to webhook receivers: each address is checked after the look-up, and is the one connected to.

Apart from `sender` because httpcore is only needed once the first webhook leaves.
"""

import ssl
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import certifi
import httpcore

from waymeet.model.networks import is_public
from waymeet.webhooks.addresses import parse_address
from waymeet.webhooks.resolver import Resolver

LONGEST_ANSWER = 4096
"""Bytes of an answer's body that are read, so that its connection can be used again. Longer ones cost the connection."""
IDLE_SECONDS = 10.0
NEXT_ADDRESS_SECONDS = 1.5
"""How long an address of several may take to accept before the next is tried: half of them may be unreachable IPv6."""

SocketOptions = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class ForbiddenTarget(Exception):
    """The receiver's name resolves to an address that must not be called."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a name once, refuses it when any of its addresses is private, and connects to one of those checked.

    Looking the name up again for the connection would let its owner answer differently the second time (DNS rebinding).
    """

    def __init__(
        self, resolver: Resolver, *, allow_private: bool, plain: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._plain = plain or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = [host] if parse_address(host) is not None else await self._look_up(host, port)
        if not self._allow_private:
            for text in addresses:
                address = parse_address(text)
                if address is None or not is_public(address):
                    raise ForbiddenTarget(
                        f"{host} is at the private address {text}, which this server does not call; see the setting"
                        " webhooks.allow_private_targets"
                    )
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        if len(addresses) > 1:
            timeout = NEXT_ADDRESS_SECONDS if timeout is None else min(timeout, NEXT_ADDRESS_SECONDS)
        for text in addresses:
            try:
                return await self._plain.connect_tcp(text, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _look_up(self, host: str, port: int) -> list[str]:
        try:
            return await self._resolver.resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be looked up: {error.strerror or error}") from error

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: SocketOptions | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise ForbiddenTarget("webhooks are not sent to unix sockets")

    async def sleep(self, seconds: float) -> None:
        await self._plain.sleep(seconds)


class Receivers:
    """A pool of connections to webhook receivers. Follows no redirects and asks no proxy."""

    def __init__(
        self, resolver: Resolver, *, allow_private: bool, connections: int, certificates: ssl.SSLContext | None = None
    ) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=certificates or _authorities(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=CheckedNetwork(resolver, allow_private=allow_private),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status code of the answer. Raises `ForbiddenTarget`, and httpcore's errors; has no time limit of its own."""
        parts = urlsplit(url)
        # Built from its parts: whatever was checked is what is called, with no second opinion on where the host ends.
        target = httpcore.URL(
            scheme=parts.scheme.encode(),
            host=(parts.hostname or "").encode(),
            port=parts.port,
            target=(parts.path or "/").encode() + (b"?" + parts.query.encode() if parts.query else b""),
        )
        sent = {"Host": parts.netloc, "Content-Length": str(len(body)), **headers}
        async with self._pool.stream("POST", target, headers=list(sent.items()), content=body) as answer:
            received = 0
            async for chunk in answer.aiter_stream():
                received += len(chunk)
                if received > LONGEST_ANSWER:
                    break
            return answer.status

    async def close(self) -> None:
        await self._pool.aclose()


def _authorities() -> ssl.SSLContext:
    """Trusts the system's authorities, where the operator may have added their own, and the usual public ones, which some
    systems and small containers do not bring along.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
