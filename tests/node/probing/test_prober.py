"""Probing on loopback: whoever is there answers, by one way or another."""

import errno
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clocks import ManualClock
from tests.conftest import missing
from waymeet.clock import SystemClock
from waymeet.model.instant import Clock
from waymeet.node.probing import Prober, ProbeRules
from waymeet.node.probing.icmp import open_icmp

pytestmark = pytest.mark.anyio

# Far more than anything here takes: what ends a probe is its answers.
PATIENT = ProbeRules(allow_private=True, budget_seconds=20.0)


@asynccontextmanager
async def opened(rules: ProbeRules, *, icmp: bool = True, clock: Clock | None = None) -> AsyncIterator[Prober]:
    prober = Prober(rules, clock or SystemClock(), random.Random(1))
    if icmp:
        prober.open()
    try:
        yield prober
    finally:
        prober.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections: bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def open_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def icmp_possible() -> None:
    opened_socket = open_icmp(socket.AF_INET)
    if opened_socket is None:
        missing(
            "icmp", "this process may not send echo requests: ping_group_range leaves it out, and it lacks CAP_NET_RAW"
        )
        return
    opened_socket[0].close()
    if Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").read_text().strip() != "0":
        missing("icmp", "this machine does not answer echo requests: net.ipv4.icmp_echo_ignore_all is set")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.8.7", "::ffff:127.0.0.1"])
async def test_echo(address: str) -> None:
    icmp_possible()
    async with opened(replace(PATIENT, samples=3, tcp_ports=())) as prober:
        (result,) = await prober.probe([address])
    assert result.address == address
    assert len(result.samples_ms) == 3
    assert all(ms > 0 for ms in result.samples_ms)


async def test_echo_over_ipv6() -> None:
    found = open_icmp(socket.AF_INET6)
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        missing("ipv6", f"this machine has no IPv6 loopback: {error}")
    if found is None:
        missing("icmp", "this process may not send IPv6 echo requests")
        return
    found[0].close()
    async with opened(replace(PATIENT, tcp_ports=())) as prober:
        (result,) = await prober.probe(["::1"])
    assert len(result.samples_ms) == 3


async def test_a_refused_connection_is_an_answer(closed_port: int) -> None:
    async with opened(replace(PATIENT, tcp_ports=(closed_port,)), icmp=False) as prober:
        (result,) = await prober.probe(["127.0.0.1"])
    assert len(result.samples_ms) == 1
    assert result.samples_ms[0] > 0


async def test_an_accepted_connection_is_an_answer(open_port: int, closed_port: int) -> None:
    async with opened(replace(PATIENT, tcp_ports=(open_port, closed_port)), icmp=False) as prober:
        (result,) = await prober.probe(["127.0.0.1"])
    assert len(result.samples_ms) == 2


async def test_whoever_says_nothing_has_no_samples_when_the_time_is_over() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # A listener whose queue is full lets further connections wait.
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(address)
            rules = replace(PATIENT, budget_seconds=0.3, tcp_ports=(address[1],))
            async with opened(rules, icmp=False) as prober:
                (result,) = await prober.probe(["127.0.0.1"])
            assert result.samples_ms == ()
        finally:
            for one in waiting:
                one.close()


async def test_addresses_that_may_not_be_probed_are_left_out(closed_port: int) -> None:
    rules = replace(PATIENT, tcp_ports=(closed_port,), allow_private=False)
    async with opened(rules, icmp=False) as prober:
        assert await prober.probe(["127.0.0.1", "10.0.0.1", "nobody", "203.0.113.1", "::1"]) == ()


async def test_the_same_address_at_once_is_probed_once(closed_port: int) -> None:
    rules = replace(PATIENT, tcp_ports=(closed_port,))
    async with opened(rules, icmp=False, clock=ManualClock()) as prober:
        results = await prober.probe(["127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1"])
        assert [result.address for result in results] == ["127.0.0.1"]


async def test_what_is_beyond_the_rate_is_left_out(closed_port: int) -> None:
    rules = replace(PATIENT, tcp_ports=(closed_port,), per_second=3.0)
    async with opened(rules, icmp=False, clock=ManualClock()) as prober:
        results = await prober.probe([f"127.0.1.{number}" for number in range(1, 40)])
    assert len(results) == 3


async def test_a_machine_without_ipv6_finds_nobody_there_and_goes_on(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = socket.socket

    def ipv4_only(family: int, *how: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, *how)

    monkeypatch.setattr("waymeet.node.probing.tcp.socket.socket", ipv4_only)
    rules = replace(PATIENT, tcp_ports=(closed_port,))
    async with opened(rules, icmp=False) as prober:
        there, nowhere = await prober.probe(["127.0.0.1", "::1"])
    assert len(there.samples_ms) == 1
    assert nowhere.samples_ms == ()


async def test_one_who_may_nothing_is_not_able() -> None:
    async with opened(replace(PATIENT, tcp_ports=()), icmp=False) as prober:
        assert not prober.able
    async with opened(PATIENT, icmp=False) as prober:
        assert prober.able
