"""Hosts and clients against the relay in Python, and against sockets that answer what a test wants."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.clocks import ManualClock
from tests.polling import GENEROUS_SECONDS, eventually_async
from waymeet.client import RelayClient, RelayHost, RelayRefused, RelayState, StillWaiting, Unreachable
from waymeet.client.relays.peers import LONGEST_PAYLOAD, MOST_WAITING
from waymeet.model.relays import RelayMember, RelaySpec
from waymeet.node.relay.plain import PlainRelay
from waymeet.node.relay.rules import RelayRules
from waymeet.node.sockets import bind_udp

pytestmark = pytest.mark.anyio

ADDRESS = "127.0.0.1"
SESSION, HOST, ALICE, BOB = 3500589645, 21986334, 4294967295, 7
GAME = RelaySpec("game", SESSION, tuple(RelayMember(token, "192.0.2.1") for token in (HOST, ALICE, BOB)))


@pytest.fixture
def relay() -> Iterator[PlainRelay]:
    relay = PlainRelay("paris", bind_udp(ADDRESS, 0), bind_udp(ADDRESS, 0), RelayRules(), ManualClock(), 42)
    relay.replace([GAME])
    yield relay
    relay.close()


def player(relay: PlainRelay, user_token: int, session_token: int = SESSION) -> RelayClient:
    return RelayClient(ADDRESS, relay.ports.client_port, session_token=session_token, user_token=user_token)


@pytest.fixture
async def host(relay: PlainRelay) -> AsyncIterator[RelayHost]:
    async with RelayHost(ADDRESS, relay.ports.server_port, session_token=SESSION, user_token=HOST) as host:
        await host.wait_until_valid(GENEROUS_SECONDS)
        yield host


@pytest.fixture
async def alice(relay: PlainRelay, anyio_backend: str) -> AsyncIterator[RelayClient]:
    async with player(relay, ALICE) as alice:
        yield alice


@pytest.fixture
def stage() -> Iterator[socket.socket]:
    """A relay that a test plays."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stage:
        stage.bind((ADDRESS, 0))
        stage.settimeout(GENEROUS_SECONDS)
        yield stage


def quiet(stage: socket.socket) -> RelayClient:
    port = stage.getsockname()[1]
    return RelayClient(ADDRESS, port, session_token=SESSION, user_token=ALICE, ping_seconds=None)


async def soon(awaitable: "asyncio._CoroutineLike[object]") -> object:
    return await asyncio.wait_for(awaitable, GENEROUS_SECONDS)


async def test_a_host_and_its_players_talk(relay: PlainRelay, host: RelayHost, alice: RelayClient) -> None:
    async with player(relay, BOB) as bob:
        alice.send(b"alice")
        assert await soon(host.receive()) == (1, b"alice")
        bob.send(b"bob")
        assert await soon(host.receive()) == (2, b"bob")
        host.send(2, b"to bob")
        host.send(1, b"x" * LONGEST_PAYLOAD)
        assert await soon(bob.receive()) == b"to bob"
        assert await soon(alice.receive()) == b"x" * LONGEST_PAYLOAD
        await bob.wait_until_valid(GENEROUS_SECONDS)
        assert bob.state is host.state is RelayState.VALID
        assert (alice.lost, bob.lost, host.lost) == (0, 0, 0)
        assert alice.local_port != bob.local_port


async def test_everything_that_comes_can_be_iterated(host: RelayHost, alice: RelayClient) -> None:
    async def answer() -> None:
        async for connection, payload in host:
            host.send(connection, payload.upper())

    answering = asyncio.create_task(answer())
    for word in (b"one", b"two"):
        alice.send(word)
        assert await soon(alice.receive()) == word.upper()
    answering.cancel()


async def test_it_keeps_pinging_and_hears_of_a_revocation(relay: PlainRelay, alice: RelayClient) -> None:
    await alice.wait_until_valid(GENEROUS_SECONDS)
    relay.apply([], [SESSION])

    async def refused() -> bool:
        return alice.state is RelayState.INVALID

    await eventually_async(refused)
    with pytest.raises(RelayRefused, match="INVALID: the tokens are wrong") as caught:
        await alice.wait_until_valid(GENEROUS_SECONDS)
    assert caught.value.state is RelayState.INVALID
    relay.replace([GAME])

    async def welcome() -> bool:
        return alice.state is RelayState.VALID

    await eventually_async(welcome)


async def test_wrong_tokens_are_refused(relay: PlainRelay) -> None:
    async with player(relay, 99) as stranger:
        with pytest.raises(RelayRefused):
            await stranger.wait_until_valid(GENEROUS_SECONDS)


async def test_a_ping_measures(relay: PlainRelay) -> None:
    port = relay.ports.client_port
    async with RelayClient(ADDRESS, port, session_token=SESSION, user_token=ALICE, ping_seconds=None) as alice:
        states = [alice.state]
        assert await alice.ping(GENEROUS_SECONDS) > 0
        assert [*states, alice.state] == [RelayState.DISCONNECTED, RelayState.VALID]


async def test_a_closed_port_is_told(stage: socket.socket) -> None:
    closed = quiet(stage)
    stage.close()
    async with closed:
        with pytest.raises(Unreachable, match="nothing listens"):
            await closed.ping(GENEROUS_SECONDS)
        with pytest.raises(Unreachable, match="nothing listens"):
            await closed.wait_until_valid(GENEROUS_SECONDS)


async def test_silence_ends_the_wait(stage: socket.socket) -> None:
    async with quiet(stage) as waiting:
        with pytest.raises(StillWaiting, match=r"did not answer within 0.01 s"):
            await waiting.wait_until_valid(0.01)
        with pytest.raises(StillWaiting, match=r"did not answer within 0.01 s"):
            await waiting.ping(0.01)


async def test_only_what_a_relay_says_is_believed(stage: socket.socket) -> None:
    async with quiet(stage) as waiting:
        waiting.send(b"x")
        datagram, source = stage.recvfrom(2048)
        assert datagram == ALICE.to_bytes(4, "little") + SESSION.to_bytes(4, "little") + b"\2x"
        for noise in (b"", b"\1", b"\1\6", b"\1\xff", b"\2", b"\3\2", b"\1\1trailing", b"\2yes"):
            stage.sendto(noise, source)
        assert await soon(waiting.receive()) == b"yes"
        assert waiting.state is RelayState.CHECKING
        with pytest.raises(StillWaiting, match="says CHECKING within"):
            await waiting.wait_until_valid(0.01)


async def test_a_host_reads_the_number_as_it_is_written(stage: socket.socket) -> None:
    port = stage.getsockname()[1]
    async with RelayHost(ADDRESS, port, session_token=SESSION, user_token=HOST, ping_seconds=None) as host:
        host.send(0xFFFFFFFB, b"hi")
        datagram, source = stage.recvfrom(2048)
        assert datagram[8:] == bytes.fromhex("02fbffffff6869")
        for noise in (b"\2\1\0\0", b"\2\1\0\0\0", bytes.fromhex("02fbffffff6869")):
            stage.sendto(noise, source)
        assert await soon(host.receive()) == (0xFFFFFFFB, b"hi")


async def test_what_nobody_receives_is_bounded(stage: socket.socket) -> None:
    waiting = quiet(stage)
    for number in range(MOST_WAITING + 5):
        waiting.datagram_received(b"\2%d" % number, None)
    assert waiting.lost == 5
    assert await soon(waiting.receive()) == b"0"


async def test_what_the_system_has_no_room_for_is_lost(stage: socket.socket) -> None:
    async with quiet(stage) as full:
        full.pause_writing()
        full.send(b"lost")
        full.resume_writing()
        full.send(b"sent")
        assert stage.recv(2048)[9:] == b"sent"
        assert full.lost == 1


async def test_what_cannot_pass_is_an_error(alice: RelayClient, host: RelayHost) -> None:
    for payload in (b"", b"x" * (LONGEST_PAYLOAD + 1)):
        with pytest.raises(ValueError, match="1 to 1187 bytes"):
            alice.send(payload)
        with pytest.raises(ValueError, match="1 to 1187 bytes"):
            host.send(1, payload)


def test_what_cannot_be_is_an_error() -> None:
    for token in (0, -1, 2**32):
        with pytest.raises(ValueError, match=r"^session_token: tokens lie in 1"):
            RelayClient(ADDRESS, 1, session_token=token, user_token=1)
        with pytest.raises(ValueError, match=r"^user_token: tokens lie in 1"):
            RelayClient(ADDRESS, 1, session_token=1, user_token=token)
    with pytest.raises(ValueError, match=r"ping_seconds: expected 0.1 to 1"):
        RelayClient(ADDRESS, 1, session_token=1, user_token=1, ping_seconds=5)
    with pytest.raises(RuntimeError, match="async with"):
        RelayClient(ADDRESS, 1, session_token=1, user_token=1).send(b"x")


async def test_a_name_that_does_not_resolve_is_told() -> None:
    with pytest.raises(Unreachable, match=r"no\.such\.name\.invalid:1 cannot be reached"):
        async with RelayClient("no.such.name.invalid", 1, session_token=1, user_token=1):
            pass
