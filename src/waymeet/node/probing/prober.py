"""Probing: echo requests to each address, connections where those stay unanswered, all within one time budget."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from waymeet.model.instant import Clock
from waymeet.model.latency import ProbeResult
from waymeet.model.networks import Address, is_public
from waymeet.node.probing.icmp import Echoes, family_of, open_icmp
from waymeet.node.probing.impostors import Connect, Impostors
from waymeet.node.probing.limits import ProbeLimits
from waymeet.node.probing.targets import target
from waymeet.node.probing.tcp import connect_ms

AT_ONCE = 64
"""Addresses under way."""
MOST_ADDRESSES = 64
"""Of one question; further ones are left out."""
SPACING_SECONDS = 0.01
"""Between two requests to one address: a queue that one of them stood in should be shorter for the next."""
PATIENCE = 0.35
"""The part of the budget after which an address that has not answered is tried by TCP. A player on the other side of the
world has answered by then; the rest is enough to go there by TCP."""


LEAST_PATIENCE_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class ProbeRules:
    """What the operator decides about probing from this node."""

    allow_private: bool = False
    budget_seconds: float = 0.25
    samples: int = 3
    tcp_ports: tuple[int, ...] = (443, 80)
    per_second: float = 100.0


class Prober:
    """Measures round-trip times from this machine. `open` it in the event loop that is to use it."""

    def __init__(self, rules: ProbeRules, clock: Clock, rng: Random, connect: Connect = connect_ms) -> None:
        self._rules = rules
        self._clock = clock
        self._connect_ms = connect
        self._impostors = Impostors(connect, rules.tcp_ports, clock)
        self._rng = rng
        self._limits = ProbeLimits(at_once=AT_ONCE, per_second=rules.per_second)
        self._echoes: dict[socket.AddressFamily, Echoes] = {}

    def open(self) -> None:
        """Open the sockets that this process may have; without any, TCP is left."""
        loop = asyncio.get_running_loop()
        for family in (socket.AF_INET, socket.AF_INET6):
            opened = open_icmp(family)
            if opened is not None:
                echoes = self._echoes[family] = Echoes(*opened, self._clock, self._rng)
                loop.add_reader(echoes.socket, echoes.on_readable)
        self._impostors.begin()

    @property
    def able(self) -> bool:
        """Whether anything can be measured. True also where TCP alone is left."""
        return bool(self._echoes or self._rules.tcp_ports)

    async def probe(self, addresses: Sequence[str]) -> tuple[ProbeResult, ...]:
        """What was found out about each address, within the budget.

        Left out: those that may not be probed, and those beyond the limits. An address that stays silent has no samples.
        """
        results = await asyncio.gather(*(self._probe_one(address) for address in addresses[:MOST_ADDRESSES]))
        return tuple(result for result in results if result is not None)

    def close(self) -> None:
        """Close the sockets. Repeatable."""
        self._impostors.close()
        loop = asyncio.get_running_loop()
        for echoes in self._echoes.values():
            loop.remove_reader(echoes.socket)
            echoes.close()
        self._echoes.clear()

    async def _probe_one(self, text: str) -> ProbeResult | None:
        address = target(text, allow_private=self._rules.allow_private)
        if address is None or not self._limits.admit(address, self._clock.monotonic()):
            return None
        public = is_public(address)
        if public:
            self._impostors.begin()
        try:
            echoed: list[float] = []
            connected: list[float] = []
            try:
                async with asyncio.timeout(self._rules.budget_seconds):
                    await self._ask(address, echoed, connected)
            except TimeoutError:
                pass  # What came by now is what there is.
            if public and self._impostors.answer_for(address):
                connected.clear()
            # Never both in one result: a connection takes the other side longer than an echo.
            return ProbeResult(text, tuple(echoed or connected))
        finally:
            self._limits.done()

    async def _ask(self, address: Address, echoed: list[float], connected: list[float]) -> None:
        """Until one way or the other has brought all that is to be expected."""
        echoes = self._echoes.get(family_of(address))
        if echoes is None:
            await self._connect(address, connected)
            return
        answered = asyncio.Event()
        echoing = asyncio.create_task(self._echo(echoes, address, echoed, answered))
        try:
            try:
                async with asyncio.timeout(self._rules.budget_seconds * PATIENCE):
                    await answered.wait()
            except TimeoutError:
                if self._rules.tcp_ports:
                    await self._connect(address, connected)
            if not connected:
                await echoing
        finally:
            echoing.cancel()
            await asyncio.gather(echoing, return_exceptions=True)

    async def _echo(self, echoes: Echoes, address: Address, samples: list[float], answered: asyncio.Event) -> None:
        """Until every request has its answer; or, after the first one, until the others are surely lost."""
        numbers: list[int] = []
        complete = asyncio.Event()

        def take(ms: float) -> None:
            samples.append(ms)
            answered.set()
            if len(samples) == self._rules.samples:
                complete.set()

        try:
            for turn in range(self._rules.samples):
                if turn:
                    await asyncio.sleep(SPACING_SECONDS)
                number = echoes.send(address, take)
                if number is not None:
                    numbers.append(number)
            await answered.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_as_long_again(samples[0])):
                    await complete.wait()
        finally:
            for number in numbers:
                echoes.forget(number)

    async def _connect(self, address: Address, samples: list[float]) -> None:
        """One connection to each port, until all have an answer; or, after the first, until no other is to be expected."""
        ports = self._rules.tcp_ports
        connecting = [asyncio.ensure_future(self._connect_ms(address, port, self._clock)) for port in ports]
        timeout = None
        try:
            for next_one in asyncio.as_completed(connecting):
                async with asyncio.timeout(timeout):
                    ms = await next_one
                if ms is not None:
                    samples.append(ms)
                    timeout = timeout or _as_long_again(ms)
        except TimeoutError:
            if not samples:
                raise
        finally:
            for task in connecting:
                task.cancel()
            await asyncio.gather(*connecting, return_exceptions=True)


def _as_long_again(ms: float) -> float:
    """Seconds to wait for further answers after the first. The floor is for answers that queue behind each other."""
    return max(LEAST_PATIENCE_SECONDS, 2 * ms / 1000)
