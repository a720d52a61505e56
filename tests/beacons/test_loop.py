"""Checking and listing beacons: over real sockets, and over a prober that says what it is told to."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest
import uvloop

from tests.beacons.fleets import Fleet, node
from tests.conftest import missing
from tests.polling import GENEROUS_SECONDS, eventually_async
from tests.world import FRANKFURT, MONTREAL, HandClock
from waymeet.beacons.health import CHECK_SECONDS, BeaconHealth
from waymeet.beacons.loop import BeaconLoop
from waymeet.beacons.probing import UdpProber
from waymeet.beacons.service import BeaconService
from waymeet.beacons.types import AWAY_SECONDS, HIGHEST_BEACONS, beacons_of
from waymeet.clock import SystemClock
from waymeet.locations.types import Node
from waymeet.model.instant import after
from waymeet.model.node_messages import BeaconPorts, Role

pytestmark = pytest.mark.anyio

Endpoint = tuple[str, int]


@dataclass
class Told:
    """A prober for which those beacons answer that a test names."""

    answering: set[Endpoint] = field(default_factory=set)
    asked: list[list[Endpoint]] = field(default_factory=list)

    async def probe(self, endpoints: Sequence[Endpoint]) -> Collection[Endpoint]:
        self.asked.append(list(endpoints))
        return self.answering & set(endpoints)

    async def close(self) -> None:
        pass


class Setup:
    def __init__(self, *nodes: Node) -> None:
        self.clock = HandClock()
        self.fleet = Fleet(nodes)
        self.health = BeaconHealth()
        self.prober = Told()
        self.loop = BeaconLoop(self.fleet, self.health, self.prober, self.clock)
        self.service = BeaconService(self.fleet, self.health, self.clock)

    def cities(self) -> list[str]:
        return [listed.location.city for listed in self.service.listed()]


async def test_lists_what_answers_and_nothing_else() -> None:
    setup = Setup(node("a", address="192.0.2.1"), node("b", MONTREAL, address="192.0.2.2"))
    assert setup.cities() == []
    setup.prober.answering = {("192.0.2.2", 32167)}
    await setup.loop.check()
    assert setup.cities() == ["Montreal"]
    (listed,) = setup.service.listed()
    assert (listed.beacon.address, listed.beacon.udp_port, listed.beacon.tcp_port) == ("192.0.2.2", 32167, 32561)
    assert (listed.location, listed.fqdn) == (MONTREAL, "")


async def test_asks_again_only_when_it_is_time() -> None:
    setup = Setup(node("a"))
    setup.prober.answering = {("192.0.2.1", 32167)}
    await setup.loop.check()
    await setup.loop.check()
    assert len(setup.prober.asked) == 1
    setup.clock.pass_seconds(CHECK_SECONDS)
    await setup.loop.check()
    assert len(setup.prober.asked) == 2


async def test_delists_after_three_checks_without_an_answer_and_lists_again_after_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup(node("a"))
    setup.prober.answering = {("192.0.2.1", 32167)}
    await setup.loop.check()
    setup.prober.answering = set()
    shown = []
    for _ in range(3):
        setup.clock.pass_seconds(CHECK_SECONDS)
        await setup.loop.check()
        shown.append(setup.cities())
    assert shown == [["Frankfurt"], ["Frankfurt"], []]
    assert "node a: its beacon no longer answers at 192.0.2.1 UDP port 32167" in caplog.text
    setup.prober.answering = {("192.0.2.1", 32167)}
    setup.clock.pass_seconds(CHECK_SECONDS)
    await setup.loop.check()
    assert setup.cities() == ["Frankfurt"]


async def test_names_stay_while_the_first_is_silent() -> None:
    setup = Setup(node("a"), node("b", address="192.0.2.2", known_since=1))
    setup.prober.answering = {("192.0.2.1", 32167), ("192.0.2.2", 32167)}
    await setup.loop.check()
    assert setup.cities() == ["Frankfurt", "Frankfurt (b)"]
    setup.prober.answering = {("192.0.2.2", 32167)}
    for _ in range(3):
        setup.clock.pass_seconds(CHECK_SECONDS)
        await setup.loop.check()
    assert setup.cities() == ["Frankfurt (b)"]


async def test_host_names_where_the_operator_has_them() -> None:
    setup = Setup(node("a"))
    setup.prober.answering = {("192.0.2.1", 32167)}
    await setup.loop.check()
    service = BeaconService(setup.fleet, setup.health, setup.clock, "beacons.studio.example")
    assert [listed.fqdn for listed in service.listed()] == ["b-a.beacons.studio.example"]


async def test_a_beacon_of_a_node_that_is_long_gone_vanishes_though_something_answers_there() -> None:
    setup = Setup(node("a"))
    setup.prober.answering = {("192.0.2.1", 32167)}
    await setup.loop.check()
    left_at = setup.clock.now()
    setup.fleet.become(node("a", connected=False, last_seen_at=left_at))
    await setup.loop.check()
    assert setup.cities() == ["Frankfurt"]
    setup.clock.pass_seconds(AWAY_SECONDS + 1)
    assert setup.cities() == []
    await setup.loop.check()
    assert setup.health.known == 0


def test_which_nodes_have_a_beacon() -> None:
    now = HandClock().now()
    here = after(now, -1)
    unlike = [
        node("server", roles=(Role.SERVER,)),
        node("old", ports=None),
        node("named", address="frankfurt.studio.example"),
        node("gone", address="192.0.2.3", connected=False, last_seen_at=after(now, -AWAY_SECONDS - 1)),
    ]
    like = [node("a", address="2001:DB8::0:1"), node("b", address="192.0.2.4", connected=False, last_seen_at=here)]
    assert [beacon.endpoint for beacon in beacons_of([*unlike, *like], now)] == [
        ("2001:db8::1", 32167),
        ("192.0.2.4", 32167),
    ]


def test_one_endpoint_is_one_beacon_that_of_the_connected_node() -> None:
    now = HandClock().now()
    nodes = [node("a", connected=False, last_seen_at=now), node("b")]
    assert [beacon.node for beacon in beacons_of(nodes, now)] == ["b"]


def test_only_so_many_are_looked_after() -> None:
    nodes = [node(f"n{number}", ports=BeaconPorts(number + 1, 1)) for number in range(HIGHEST_BEACONS + 10)]
    assert len(beacons_of(nodes, HandClock().now())) == HIGHEST_BEACONS


class EchoServer:
    """A beacon on loopback that does as it is told."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport
        self.endpoint: Endpoint = transport.get_extra_info("sockname")[:2]
        self.mode = "echo"
        self.lie = b""
        self.questions: list[bytes] = []

    def node(self, name: str, known_since: int = 0) -> Node:
        host, port = self.endpoint
        return node(name, address=host, ports=BeaconPorts(port, 1), known_since=known_since)


class _Echo(asyncio.DatagramProtocol):
    server: EchoServer

    def datagram_received(self, datagram: bytes, source: Endpoint) -> None:
        self.server.questions.append(datagram)
        match self.server.mode:
            case "echo":
                self.server.transport.sendto(datagram, source)
            case "wrong":
                self.server.transport.sendto(datagram[:-1] + bytes([datagram[-1] ^ 1]), source)
            case "lie":
                self.server.transport.sendto(self.server.lie, source)
            case "twice":
                self.server.transport.sendto(datagram, source)
                self.server.transport.sendto(datagram, source)


@asynccontextmanager
async def echoing(host: str = "127.0.0.1") -> AsyncIterator[EchoServer]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(_Echo, local_addr=(host, 0))
    protocol.server = EchoServer(transport)
    try:
        yield protocol.server
    finally:
        transport.close()


@pytest.fixture
def deaf() -> Iterator[Endpoint]:
    """Somewhere that takes datagrams and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()


class TestUdpProber:
    """Those who answer do so within `GENEROUS_SECONDS`; where somebody does not, the time for answers is short."""

    async def test_finds_out_who_answers(self, deaf: Endpoint) -> None:
        prober = UdpProber(random.Random(1), GENEROUS_SECONDS)
        async with echoing() as one, echoing() as two:
            assert set(await prober.probe([one.endpoint, two.endpoint])) == {one.endpoint, two.endpoint}
        await prober.close()
        impatient = UdpProber(random.Random(1), 0.05)
        assert set(await impatient.probe([deaf])) == set()
        await impatient.close()

    async def test_asks_with_random_tokens_that_no_limit_is_in_the_way_of(self) -> None:
        prober = UdpProber(random.Random(1), GENEROUS_SECONDS)
        async with echoing() as one:
            for _ in range(3):
                await prober.probe([one.endpoint])
        assert {len(question) for question in one.questions} == {16}
        assert len(set(one.questions)) == 3
        await prober.close()

    async def test_another_token_is_no_answer(self) -> None:
        prober = UdpProber(random.Random(1), 0.05)
        async with echoing() as one:
            one.mode = "wrong"
            assert set(await prober.probe([one.endpoint])) == set()
        await prober.close()

    async def test_a_token_from_elsewhere_is_no_answer(self, deaf: Endpoint) -> None:
        # The same chance tells the liar which token goes to the other.
        chance = random.Random(1)
        chance.randbytes(16)
        prober = UdpProber(random.Random(1), 0.05)
        async with echoing() as liar:
            liar.mode, liar.lie = "lie", chance.randbytes(16)
            assert set(await prober.probe([liar.endpoint, deaf])) == set()
        await prober.close()

    async def test_answers_that_come_twice_or_late_do_no_harm(self) -> None:
        prober = UdpProber(random.Random(1), GENEROUS_SECONDS)
        async with echoing() as one, echoing() as two:
            one.mode = "twice"
            for _ in range(5):
                assert set(await prober.probe([one.endpoint, two.endpoint])) == {one.endpoint, two.endpoint}
        await prober.close()

    @pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
    def test_both_families(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        """The one is asked before there is a socket for the other; on uvloop it has answered by then."""
        if not socket.has_dualstack_ipv6():
            missing("ipv6", "this machine has no IPv6")

        async def probe() -> None:
            prober = UdpProber(random.Random(1), GENEROUS_SECONDS)
            try:
                async with echoing() as one, echoing("::1") as two:
                    assert set(await prober.probe([one.endpoint, two.endpoint])) == {one.endpoint, two.endpoint}
            finally:
                # uvloop does not close with a socket left open.
                await prober.close()

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(probe())

    async def test_a_closed_port_is_a_miss_and_spoils_nothing_for_the_others(self) -> None:
        async with echoing() as gone:
            closed = gone.endpoint
        prober = UdpProber(random.Random(1), 0.05)
        for _ in range(3):
            assert closed not in await prober.probe([closed])
        await prober.close()
        patient = UdpProber(random.Random(1), GENEROUS_SECONDS)
        async with echoing() as one:
            assert set(await patient.probe([one.endpoint])) == {one.endpoint}
        await patient.close()

    async def test_many(self) -> None:
        prober = UdpProber(random.Random(1), GENEROUS_SECONDS)
        async with echoing() as one:
            # One beacon, asked as if it were many: what counts is that no question gets lost on the way out.
            endpoints = [one.endpoint] * 120
            assert set(await prober.probe(endpoints)) == {one.endpoint}
        assert len(set(one.questions)) == 120
        await prober.close()

    async def test_nobody_to_ask(self) -> None:
        prober = UdpProber(random.Random(1), GENEROUS_SECONDS)
        assert set(await prober.probe([])) == set()
        await prober.close()


async def _value(found: object) -> object:
    return found


async def test_a_new_nodes_beacon_is_checked_at_once_and_a_silent_one_delisted() -> None:
    """The loop itself, with its own pauses."""
    fleet, health = Fleet(), BeaconHealth()
    loop = BeaconLoop(fleet, health, UdpProber(random.Random(1), 0.2), SystemClock())
    service = BeaconService(fleet, health, SystemClock())
    running = asyncio.create_task(loop.run())
    try:
        async with echoing() as one, echoing() as two:
            fleet.become(one.node("a"))
            await eventually_async(lambda: _value(len(service.listed()) == 1))
            fleet.become(one.node("a"), two.node("b", known_since=1))
            await eventually_async(lambda: _value(len(service.listed()) == 2))
            one.mode = "silent"
            await eventually_async(lambda: _value([listed.beacon.node for listed in service.listed()] == ["b"]))
            assert health.delistings == 1
            one.mode = "echo"
            await eventually_async(lambda: _value(len(service.listed()) == 2))
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def test_locations_are_the_nodes_own_but_for_the_city() -> None:
    setup = Setup(node("a"), node("b", address="192.0.2.2", known_since=1))
    setup.health.know(beacons_of(setup.fleet.nodes, setup.clock.now()))
    for beacon in beacons_of(setup.fleet.nodes, setup.clock.now()):
        setup.health.answered(beacon, 0.0)
    assert [listed.location for listed in setup.service.listed()] == [
        FRANKFURT,
        replace(FRANKFURT, city="Frankfurt (b)"),
    ]
