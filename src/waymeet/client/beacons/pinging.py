"""Measuring the way to a beacon, as a game on the player's machine does it."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

LONGEST_QUESTION = 64
"""Bytes that a beacon echoes at most."""
_TOKEN_BYTES = 12


class PingTransport(StrEnum):
    """How to measure."""

    UDP = "udp"
    """From a datagram to its echo: what a game's own traffic takes."""
    TCP = "tcp"
    """The time to connect: where UDP does not get through."""


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """What some questions to one beacon came to, in milliseconds."""

    asked: int
    samples_ms: tuple[float, ...] = ()
    """Of those that were answered, in the order of asking."""

    @property
    def lost(self) -> int:
        """How many were not answered in time."""
        return self.asked - len(self.samples_ms)

    @property
    def mean_ms(self) -> float | None:
        """`None` when none was answered."""
        return sum(self.samples_ms) / len(self.samples_ms) if self.samples_ms else None

    @property
    def best_ms(self) -> float | None:
        """The shortest: the way itself, with the least of everything else. `None` when none was answered."""
        return min(self.samples_ms, default=None)

    @property
    def jitter_ms(self) -> float | None:
        """The mean difference between neighbouring samples; `None` with fewer than two."""
        neighbours = list(zip(self.samples_ms, self.samples_ms[1:], strict=False))
        return sum(abs(one - other) for one, other in neighbours) / len(neighbours) if neighbours else None


def ping(
    host: str, port: int, *, count: int = 3, timeout: float = 1.0, transport: PingTransport = PingTransport.UDP
) -> RoundTrips:
    """Round-trip times to a beacon, one question after another; each is given `timeout` seconds to be answered.

    Never raises for a beacon that cannot be reached: its questions are lost. `ValueError` for a count below 1. A beacon
    answers at most some 20 datagrams a second of one address.
    """
    ask = _udp_sample if transport is PingTransport.UDP else _tcp_sample
    return _round_trips([ask(host, port, timeout) for _ in range(_checked(count))])


async def ping_async(
    host: str,
    port: int,
    *,
    count: int = 3,
    timeout: float = 1.0,
    transport: PingTransport = PingTransport.UDP,
    on_sample: Callable[[float | None], None] | None = None,
) -> RoundTrips:
    """As `ping`, to be awaited: several beacons can be asked at once. `on_sample` is told of each question's outcome, in
    milliseconds, `None` when it was lost.
    """
    ask = _udp_sample_async if transport is PingTransport.UDP else _tcp_sample_async
    samples: list[float | None] = []
    for _ in range(_checked(count)):
        samples.append(await ask(host, port, timeout))
        if on_sample is not None:
            on_sample(samples[-1])
    return _round_trips(samples)


def _checked(count: int) -> int:
    if count < 1:
        raise ValueError(f"count is {count}: ask at least once")
    return count


def _round_trips(samples: list[float | None]) -> RoundTrips:
    return RoundTrips(len(samples), tuple(sample for sample in samples if sample is not None))


def _question() -> bytes:
    # Readable in a capture, and told from every other one: a late answer is not taken for the next one's.
    return b"Ping" + os.urandom(_TOKEN_BYTES)


def _milliseconds_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _udp_sample(host: str, port: int, timeout: float) -> float | None:
    question = _question()
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as player:
            player.connect(address)
            start = time.perf_counter()
            player.send(question)
            while (left := timeout - _milliseconds_since(start) / 1000) > 0:
                player.settimeout(left)
                if player.recv(2 * LONGEST_QUESTION) == question:
                    return _milliseconds_since(start)
    except OSError:
        pass
    return None


def _tcp_sample(host: str, port: int, timeout: float) -> float | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as player:
            player.settimeout(timeout)
            start = time.perf_counter()
            player.connect(address)
            return _milliseconds_since(start)
    except OSError:
        return None


class _Answer(asyncio.DatagramProtocol):
    """Waits for one datagram, and notes when it came."""

    def __init__(self, question: bytes) -> None:
        self._question = question
        self.came_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def datagram_received(self, datagram: bytes, source: object) -> None:
        if datagram == self._question and not self.came_at.done():
            self.came_at.set_result(time.perf_counter())

    def error_received(self, error: Exception) -> None:
        """Nobody listens there: the answer will not come, and the time runs out."""


async def _udp_sample_async(host: str, port: int, timeout: float) -> float | None:
    question = _question()
    try:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Answer(question), remote_addr=(host, port)
        )
    except OSError:
        return None
    try:
        start = time.perf_counter()
        transport.sendto(question)
        async with asyncio.timeout(timeout):
            return (await protocol.came_at - start) * 1000
    except (OSError, TimeoutError):
        return None
    finally:
        transport.close()


async def _tcp_sample_async(host: str, port: int, timeout: float) -> float | None:
    loop = asyncio.get_running_loop()
    try:
        family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
        with socket.socket(family, kind, protocol) as player:
            player.setblocking(False)
            async with asyncio.timeout(timeout):
                start = time.perf_counter()
                await loop.sock_connect(player, address)
                return _milliseconds_since(start)
    except (OSError, TimeoutError):
        return None
