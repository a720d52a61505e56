"""Whoever answers for addresses that nobody has answers for players too: such connections are not timed."""

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable

import pytest

from tests.clocks import ManualClock
from waymeet.model.instant import Clock
from waymeet.model.networks import Address
from waymeet.node.probing import Prober, ProbeRules
from waymeet.node.probing.impostors import AGAIN_SECONDS, NOBODY, Impostors

pytestmark = pytest.mark.anyio

RULES = ProbeRules(allow_private=True, budget_seconds=20.0, tcp_ports=(443, 80))
HERE, THERE, THERE_TOO = "10.1.2.3", "8.8.8.8", "2600::1"
IPV4, IPV6 = NOBODY[socket.AF_INET], NOBODY[socket.AF_INET6]


class Network:
    """Connections of a network without packets. Some addresses that nobody has are answered for, all others are there."""

    def __init__(self, *answered_for: Address) -> None:
        self.answered_for = set(answered_for)
        self.asked: list[tuple[Address, int]] = []

    async def connect(self, address: Address, port: int, clock: Clock) -> float | None:
        self.asked.append((address, port))
        if address in NOBODY.values() and address not in self.answered_for:
            return None
        return 1.0


async def settled() -> None:
    """Once all checks are over: nothing in them waits for anything but turns of the event loop."""
    for _ in range(50):
        await asyncio.sleep(0)


async def found(prober: Prober, clock: ManualClock) -> dict[str, bool]:
    """Who of three was timed: one on a private network, one on the internet by IPv4, one by IPv6."""
    clock.advance(10.0)  # So that each may be probed again.
    return {result.address: bool(result.samples_ms) for result in await prober.probe([HERE, THERE, THERE_TOO])}


def without_icmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waymeet.node.probing.prober.open_icmp", lambda family: None)


@pytest.fixture
def prober_on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Network, ManualClock], Awaitable[Prober]]:
    async def opened(network: Network, clock: ManualClock) -> Prober:
        without_icmp(monkeypatch)
        prober = Prober(RULES, clock, random.Random(1), network.connect)
        prober.open()
        await settled()
        return prober

    return opened


async def test_an_honest_network_is_believed(
    prober_on: Callable[[Network, ManualClock], Awaitable[Prober]],
) -> None:
    clock = ManualClock()
    prober = await prober_on(Network(), clock)
    assert await found(prober, clock) == {HERE: True, THERE: True, THERE_TOO: True}
    prober.close()


async def test_players_on_the_internet_are_not_timed_where_somebody_answers_for_nobody(
    prober_on: Callable[[Network, ManualClock], Awaitable[Prober]], caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    with caplog.at_level(logging.WARNING):
        prober = await prober_on(Network(IPV4), clock)
    assert "answers TCP connections to 198.51.100.1" in caplog.text
    # What is private is not reached that way; and IPv6 is a way of its own.
    assert await found(prober, clock) == {HERE: True, THERE: False, THERE_TOO: True}
    prober.close()


async def test_it_is_found_out_again(prober_on: Callable[[Network, ManualClock], Awaitable[Prober]]) -> None:
    clock, network = ManualClock(), Network(IPV4, IPV6)
    prober = await prober_on(network, clock)
    assert await found(prober, clock) == {HERE: True, THERE: False, THERE_TOO: False}
    network.answered_for.clear()
    assert await found(prober, clock) == {HERE: True, THERE: False, THERE_TOO: False}, "not asked at every probe"
    clock.advance(AGAIN_SECONDS)
    await found(prober, clock)
    await settled()
    assert await found(prober, clock) == {HERE: True, THERE: True, THERE_TOO: True}
    prober.close()


async def test_without_ports_nobody_is_asked() -> None:
    network = Network()
    impostors = Impostors(network.connect, (), ManualClock())
    impostors.begin()
    await asyncio.sleep(0)
    assert network.asked == []
