"""Asking beacons over UDP whether they are there."""

import asyncio
import random
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

Endpoint = tuple[str, int]

TOKEN_BYTES = 16
ANSWER_SECONDS = 1.0
BURST = 100
"""Questions between two turns of the event loop, so that no buffer on the way overflows."""


class UdpProber:
    """Sends each question with a token of its own; only an answer with that token, from where it went, counts.

    One socket for each family, opened when it is first needed, and again after it has failed.
    """

    def __init__(self, rng: random.Random, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._rng = rng
        self._answer_seconds = answer_seconds
        self._lines: dict[socket.AddressFamily, _Line] = {}

    async def probe(self, endpoints: Sequence[Endpoint]) -> Collection[Endpoint]:
        """Those of the endpoints that answered, as soon as all have or the time for answers is over."""
        round_ = _Round(asyncio.get_running_loop().create_future())
        questions: list[tuple[_Line, bytes, Endpoint]] = []
        for endpoint in endpoints:
            line = await self._line(socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET)
            if line is not None:
                questions.append((line, self._rng.randbytes(TOKEN_BYTES), endpoint))
        # All before the first is asked: the round is over as soon as none is open.
        round_.open.update((token, endpoint) for _, token, endpoint in questions)
        try:
            for number, (line, token, endpoint) in enumerate(questions):
                line.ask(round_, token, endpoint)
                if number % BURST == BURST - 1:
                    await asyncio.sleep(0)
            if round_.open:
                async with asyncio.timeout(self._answer_seconds):
                    await round_.done
        except TimeoutError:
            pass
        finally:
            for line in self._lines.values():
                line.forget(round_)
        return round_.answered

    async def close(self) -> None:
        for line in self._lines.values():
            line.close()
        self._lines.clear()

    async def _line(self, family: socket.AddressFamily) -> "_Line | None":
        line = self._lines.get(family)
        if line is not None and not line.closed:
            return line
        try:
            _, line = await asyncio.get_running_loop().create_datagram_endpoint(_Line, family=family)
        except OSError:
            # A machine without IPv6, say: whatever needs it does not answer here.
            return None
        self._lines[family] = line
        return line


@dataclass
class _Round:
    done: "asyncio.Future[None]"
    open: dict[bytes, Endpoint] = field(default_factory=dict)
    answered: set[Endpoint] = field(default_factory=set)


class _Line(asyncio.DatagramProtocol):
    """A socket and the questions that are open on it."""

    def __init__(self) -> None:
        self.closed = False
        self._transport: asyncio.DatagramTransport | None = None
        self._asked: dict[bytes, tuple[_Round, Endpoint]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not all that are one say so by their class.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True

    def datagram_received(self, datagram: bytes, source: tuple[str, int]) -> None:
        round_, endpoint = self._asked.get(datagram, (None, None))
        if round_ is None or endpoint is None or source[:2] != endpoint:
            return
        del self._asked[datagram]
        round_.answered.add(endpoint)
        del round_.open[datagram]
        if not round_.open and not round_.done.done():
            round_.done.set_result(None)

    def error_received(self, error: Exception) -> None:
        """That nobody listens somewhere: the answer that does not come says as much."""

    def ask(self, round_: _Round, token: bytes, endpoint: Endpoint) -> None:
        assert self._transport is not None
        self._asked[token] = (round_, endpoint)
        try:
            self._transport.sendto(token, endpoint)
        except OSError:
            pass  # No way to there: no answer either.

    def forget(self, round_: _Round) -> None:
        for token in round_.open:
            self._asked.pop(token, None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
