"""Speaking through a relay, as the transports of game engines do: a host and its clients, who all dial out to the relay.

Datagrams may be lost or come twice, as on any network; nothing here makes them reliable. They are not encrypted.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from enum import IntEnum
from struct import Struct
from types import TracebackType
from typing import Generic, Self, TypeVar

from waymeet.client.errors import ClientError, StillWaiting, Unreachable

LONGEST_PAYLOAD = 1187
"""Bytes that a host or client can send at once."""
PING_SECONDS = 0.5
MOST_WAITING = 1024
"""Datagrams that wait to be received; later ones are lost, as they are where a socket's buffer is full."""

_PING, _DATA = b"\1", b"\2"
_tokens = Struct("<II")
_connection = Struct("<I")

Received = TypeVar("Received")


class RelayState(IntEnum):
    """What the relay thinks of a peer."""

    DISCONNECTED = 0
    """It has not answered yet."""
    CHECKING = 1
    """It does not know yet; ask again."""
    VALID = 2
    """The tokens are good."""
    INVALID = 3
    """They are not, or no longer; or somebody else is the host."""
    SESSION_TIMEOUT = 4
    """They are, but the session's host has gone silent."""
    ERROR = 5
    """The relay is about to go away."""


_STATES = frozenset(RelayState)


class RelayRefused(ClientError):
    """The relay does not let this peer in; `state` says why, as far as the relay tells."""

    def __init__(self, state: RelayState) -> None:
        reason = {
            RelayState.INVALID: "the tokens are wrong or revoked, the session is gone, or somebody else is its host",
            RelayState.ERROR: "it is about to go away",
        }.get(state, "it gave no reason")
        super().__init__(f"the relay answers {state.name}: {reason}")
        self.state = state


class _RelayPeer(asyncio.DatagramProtocol, ABC, Generic[Received]):
    """What hosts and clients have in common. To be used as `async with`."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        session_token: int,
        user_token: int,
        ping_seconds: float | None = PING_SECONDS,
    ) -> None:
        """Connects to nothing yet. `ping_seconds` is between two pings, 0.1 to 1; `None`: only `ping` sends any.

        `ValueError` for tokens that are no unsigned 32-bit numbers above 0.
        """
        for name, token in (("session_token", session_token), ("user_token", user_token)):
            if not 1 <= token <= 2**32 - 1:
                raise ValueError(f"{name}: tokens lie in 1..{2**32 - 1}, got {token}")
        if ping_seconds is not None and not 0.1 <= ping_seconds <= 1:
            raise ValueError(f"ping_seconds: expected 0.1 to 1, got {ping_seconds}")
        self._address = (host, port)
        self._header = _tokens.pack(user_token, session_token)
        self._ping_seconds = ping_seconds
        self._state = RelayState.DISCONNECTED
        self._received: deque[Received] = deque()
        self._answers = 0
        """State frames that came."""
        self._lost = 0
        self._refused = False
        self._can_write = True
        self._transport: asyncio.DatagramTransport | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._news: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the socket and begin to ping. `Unreachable` when the host name does not resolve or there is no way to it."""
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=self._address)
        except OSError as error:
            host, port = self._address
            raise Unreachable(f"{host}:{port} cannot be reached: {error.strerror or error}") from error
        self._news = loop.create_future()
        if self._ping_seconds is not None:
            self._pinging = asyncio.create_task(self._keep_pinging(self._ping_seconds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pinging is not None:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    @property
    def state(self) -> RelayState:
        """What the relay said last."""
        return self._state

    @property
    def local_port(self) -> int:
        """The UDP port that it speaks from."""
        return int(self._open.get_extra_info("sockname")[1])

    @property
    def lost(self) -> int:
        """Datagrams given up on this side: nobody received them in time, or the system had no room to send them."""
        return self._lost

    async def wait_until_valid(self, timeout: float = 10.0) -> None:
        """Return once the relay has said that the tokens are good.

        Raises `RelayRefused` when it says that they are not, `Unreachable` when nothing listens on the port, and
        `StillWaiting` after `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while self._state is not RelayState.VALID:
                    if self._state in (RelayState.INVALID, RelayState.ERROR):
                        raise RelayRefused(self._state)
                    if self._refused:
                        raise Unreachable("nothing listens on {}:{}".format(*self._address))
                    await self._next_news()
        except TimeoutError:
            reason = "did not answer" if self._state is RelayState.DISCONNECTED else f"says {self._state.name}"
            raise StillWaiting(f"the relay {reason} within {timeout:g} s") from None

    async def ping(self, timeout: float = 1.0) -> float:
        """The round-trip time to the relay in milliseconds; `state` is then what it answered.

        Raises `StillWaiting` without an answer in time, `Unreachable` when nothing listens on the port. With pings of its
        own under way (`ping_seconds`), the answer may be that to an earlier one.
        """
        self._refused = False
        before = self._answers
        start = time.perf_counter()
        try:
            async with asyncio.timeout(timeout):
                self._send(_PING)
                while True:
                    await self._next_news()
                    if self._answers > before:
                        return (time.perf_counter() - start) * 1000
                    if self._refused:
                        raise Unreachable("nothing listens on {}:{}".format(*self._address))
        except TimeoutError:
            raise StillWaiting(f"the relay did not answer within {timeout:g} s") from None

    async def receive(self) -> Received:
        """What came next, waiting for it if need be."""
        while not self._received:
            await self._next_news()
        return self._received.popleft()

    async def __aiter__(self) -> AsyncIterator[Received]:
        """Everything that comes, without an end of its own."""
        while True:
            yield await self.receive()

    @property
    def _open(self) -> asyncio.DatagramTransport:
        if self._transport is None:
            raise RuntimeError("not connected: use it in an `async with` block")
        return self._transport

    async def _keep_pinging(self, seconds: float) -> None:
        while True:
            self._send(_PING)
            await asyncio.sleep(seconds)

    def _send(self, kind: bytes, *content: bytes) -> None:
        transport = self._open
        if self._can_write:
            transport.sendto(b"".join((self._header, kind, *content)))
        else:
            self._lost += 1

    def _send_payload(self, payload: bytes, *before: bytes) -> None:
        if not 1 <= len(payload) <= LONGEST_PAYLOAD:
            raise ValueError(f"payload: 1 to {LONGEST_PAYLOAD} bytes pass a relay, got {len(payload)}")
        self._send(_DATA, *before, payload)

    async def _next_news(self) -> None:
        if self._news is None:
            raise RuntimeError("not connected: use it in an `async with` block")
        # Several may wait for the same news, and one that gives up must not take it from the others.
        await asyncio.shield(self._news)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set_result(None)
            self._news = self._news.get_loop().create_future()

    @abstractmethod
    def _read(self, datagram: bytes) -> Received | None:
        """What is in a DATA frame, or `None` when there is nothing in it."""

    def datagram_received(self, datagram: bytes, source: object) -> None:
        """For the event loop."""
        kind = datagram[:1]
        if kind == _PING and len(datagram) >= 2 and datagram[1] in _STATES:
            self._state = RelayState(datagram[1])
            self._answers += 1
        elif kind == _DATA and (received := self._read(datagram)) is not None:
            if len(self._received) >= MOST_WAITING:
                self._lost += 1
                return
            self._received.append(received)
        else:
            return
        self._tell()

    def error_received(self, error: Exception) -> None:
        """For the event loop: nothing listens there, or there is no way."""
        self._refused = True
        self._tell()

    def pause_writing(self) -> None:
        """For the event loop: the system has no more room. A lost datagram is better than a late one."""
        self._can_write = False

    def resume_writing(self) -> None:
        """For the event loop."""
        self._can_write = True


class RelayClient(_RelayPeer[bytes]):
    """A player who is not the host. Dials the relay's client port.

        async with RelayClient(host, port, session_token=..., user_token=...) as player:
            await player.wait_until_valid()
            player.send(b"hello")
            answer = await player.receive()

    Data may be sent before the relay has answered: it lets in whoever has the right tokens.
    """

    def send(self, payload: bytes) -> None:
        """Send to the host, at once and without waiting. `ValueError` when it is empty or above `LONGEST_PAYLOAD`."""
        self._send_payload(payload)

    def _read(self, datagram: bytes) -> bytes | None:
        return datagram[1:] or None


class RelayHost(_RelayPeer[tuple[int, bytes]]):
    """The player who hosts. Dials the relay's server port. What is received comes as the connection's number and a payload.

        async with RelayHost(host, port, session_token=..., user_token=...) as host:
            async for connection, payload in host:
                host.send(connection, payload)

    Connections are numbered by the relay, and a number means the same player for as long as the session lasts.
    """

    def send(self, connection: int, payload: bytes) -> None:
        """Send to one client, at once and without waiting. `ValueError` when it is empty or above `LONGEST_PAYLOAD`."""
        self._send_payload(payload, _connection.pack(connection))

    def _read(self, datagram: bytes) -> tuple[int, bytes] | None:
        if len(datagram) <= 5:
            return None
        return _connection.unpack_from(datagram, 1)[0], datagram[5:]
