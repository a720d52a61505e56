"""An agent with a relay, against a control plane that says exactly what each test needs; players on loopback."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clocks import ManualClock
from tests.node.fakes import Conversation, FakeControlPlane, FakeDriver, control_plane
from tests.node.relay.peers import GAME, spec
from tests.node.relay.world import HOST, SESSION, A, data, ping
from tests.polling import GENEROUS_SECONDS
from waymeet.model.errors import Unavailable
from waymeet.model.instant import after
from waymeet.model.location import Location
from waymeet.model.node_messages import (
    Answer,
    Hello,
    Question,
    QuestionKind,
    RelaysApplied,
    RelaysDelta,
    RelaysFull,
    RelaysHostless,
    RelaysIdle,
    RelaysPart,
    Role,
    SeenFull,
    Welcome,
)
from waymeet.model.relays import RelaySpec
from waymeet.node.agent import Agent
from waymeet.node.definition import NodeDefinition
from waymeet.node.reconnecting import Reconnecting
from waymeet.node.relay import Capacity, EngineKind, Relay, RelayRules, WantedEngine, WantedRelayPorts, open_relay
from waymeet.node.relay.engine import Refused

pytestmark = pytest.mark.anyio

RULES = RelayRules(capacity=Capacity(sessions=3))


@pytest.fixture
async def plane(anyio_backend: str) -> AsyncIterator[FakeControlPlane]:
    async with control_plane() as plane:
        yield plane


@pytest.fixture
def rules() -> RelayRules:
    return RULES


@pytest.fixture
def relay(tmp_path: Path, clock: ManualClock, kind: str, rules: RelayRules) -> Iterator[Relay]:
    relay = open_relay(
        "paris",
        "127.0.0.1",
        WantedRelayPorts(),
        rules,
        engine=WantedEngine(EngineKind(kind)),
        directory=tmp_path,
        avoid=range(0),
        clock=clock,
        rng=random.Random(),
    )
    yield relay
    relay.close()


@asynccontextmanager
async def running(plane: FakeControlPlane, relay: Relay | None, clock: ManualClock) -> AsyncIterator[None]:
    definition = NodeDefinition(
        name="paris",
        control_plane_url=plane.url,
        token="secret",
        address="127.0.0.1",
        location=Location("Paris", "France", "Europe", "Paris", "", 48.9, 2.4),
        data_directory=Path("/nowhere"),
        roles=(Role.SERVER, Role.RELAY),
    )
    agent = Agent(definition, FakeDriver(), clock=clock, reconnecting=Reconnecting(random.Random(1)), relay=relay)
    task = asyncio.create_task(agent.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()


class Player:
    """A connected socket, asked from a thread: the relay has one of its own."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(GENEROUS_SECONDS)

    async def ask(self, datagram: bytes) -> bytes:
        self.socket.send(datagram)
        return await self.receive()

    async def receive(self) -> bytes:
        return await asyncio.to_thread(self.socket.recv, 2048)


@pytest.fixture
def players(relay: Relay) -> Iterator[tuple[Player, Player]]:
    host, alice = Player(relay.ports.server_port), Player(relay.ports.client_port)
    with host.socket, alice.socket:
        yield host, alice


async def applied(conversation: Conversation) -> RelaysApplied:
    message = await conversation.receive()
    assert isinstance(message, RelaysApplied)
    return message


async def test_it_says_where_its_relay_is_and_what_it_carries(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock, players: tuple[Player, Player]
) -> None:
    async with running(plane, relay, clock):
        conversation = await plane.conversation()
        hello = await conversation.receive()
        assert isinstance(hello, Hello)
        assert (hello.relay, hello.relay_capacity) == (relay.ports, 3)
        await conversation.send(Welcome(0.01))
        assert isinstance(await conversation.receive(), SeenFull)
        await conversation.send(RelaysFull(1, (GAME,)))
        await applied(conversation)
        host, _ = players
        assert await host.ask(ping(SESSION, HOST)) == b"\1\2"
        load = None
        # Those that were on their way before the ping do not count it.
        while load is None or load.bindings == 0:
            load = (await conversation.heartbeat()).relay
        assert (load.sessions, load.bindings, load.counters.received_packets) == (1, 1, 1)


async def test_a_node_without_a_relay_says_so(plane: FakeControlPlane, clock: ManualClock) -> None:
    async with running(plane, None, clock):
        conversation = await plane.conversation()
        hello = await conversation.receive()
        assert isinstance(hello, Hello)
        assert (hello.relay, hello.relay_capacity) == (None, 0)
        await conversation.send(Welcome(0.05))
        assert isinstance(await conversation.receive(), SeenFull)
        assert (await conversation.heartbeat()).relay is None
        await conversation.send(Question("q", QuestionKind.RELAY, "game"))
        assert await conversation.receive() == Answer("q", error="this node has no relay")
        await conversation.send(RelaysFull(1, ()))
        await asyncio.wait_for(conversation.ended.wait(), GENEROUS_SECONDS)
        assert conversation.close_code == 1002


async def test_what_it_has_applied_is_in_force(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock, players: tuple[Player, Player]
) -> None:
    host, alice = players
    async with running(plane, relay, clock):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(RelaysPart((GAME,)), RelaysFull(5, (spec("other", 9, A),)))
        assert await applied(conversation) == RelaysApplied(5)
        assert await host.ask(ping(SESSION, HOST)) == b"\1\2"
        assert await alice.ask(ping(9, A)) == b"\1\2"
        assert await alice.ask(ping(SESSION, A)) == b"\1\2"
        await conversation.send(RelaysDelta(6, (spec("game", SESSION, HOST),), ("other",)))
        assert await applied(conversation) == RelaysApplied(6)
        # As a member of both; who loses what in which order is the relay's business.
        assert {await alice.receive(), await alice.receive()} == {b"\1\3"}
        assert await host.ask(ping(SESSION, HOST)) == b"\1\2"
        # Parts that came before count once.
        await conversation.send(RelaysFull(7, ()))
        assert await applied(conversation) == RelaysApplied(7)
        assert await host.receive() == b"\1\3"


async def test_a_token_may_go_from_a_session_that_ended_to_another(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock, players: tuple[Player, Player]
) -> None:
    host, _ = players
    async with running(plane, relay, clock):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(
            RelaysFull(1, (spec("old", SESSION, A),)),
            RelaysDelta(2, (spec("new", SESSION, HOST),), ("old",)),
            RelaysDelta(3, (), ("old",)),
        )
        assert [(await applied(conversation)).change for _ in range(3)] == [1, 2, 3]
        assert await host.ask(ping(SESSION, HOST)) == b"\1\2"
        await conversation.send(RelaysDelta(4, (spec("newest", SESSION, HOST),)), RelaysDelta(5, (), ("new",)))
        assert [(await applied(conversation)).change for _ in range(2)] == [4, 5]
        assert await host.ask(ping(SESSION, HOST)) == b"\1\2"


async def test_sessions_for_which_there_is_no_room_are_named(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(plane, relay, clock):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(RelaysFull(1, tuple(spec(f"key {token}", token, 1) for token in range(1, 5))))
        assert await applied(conversation) == RelaysApplied(1, ("key 4",))
        await conversation.send(RelaysDelta(2, (spec("key 5", 5, 1),), ("key 1", "key 2")))
        assert await applied(conversation) == RelaysApplied(2)
        await conversation.send(RelaysDelta(3, (spec("key 6", 6, 1), spec("key 7", 7, 1))))
        assert await applied(conversation) == RelaysApplied(3, ("key 7",))
    assert "no room for 1 sessions" in caplog.text


async def test_sessions_that_no_relay_can_serve_are_named_and_the_others_served(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock, players: tuple[Player, Player]
) -> None:
    host, alice = players
    unfit = (spec("a", 0, 1), spec("b", 2**32, 1), spec("c", 5, 2**32 | 1), spec("d", 6, 1, owner=-1))
    async with running(plane, relay, clock):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(RelaysFull(1, (*unfit[:2], GAME, *unfit[2:])))
        assert await applied(conversation) == RelaysApplied(1, ("a", "b", "c", "d"))
        assert await host.ask(ping(SESSION, HOST)) == b"\1\2"
        await conversation.send(RelaysDelta(2, (*unfit, spec("other", 9, A))))
        assert await applied(conversation) == RelaysApplied(2, ("a", "b", "c", "d"))
        assert await alice.ask(ping(9, A)) == b"\1\2"


async def test_it_relays_on_while_nobody_talks_to_it_and_is_brought_level_afterwards(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock, players: tuple[Player, Player]
) -> None:
    host, alice = players
    async with running(plane, relay, clock):
        conversation = await plane.conversation()
        await conversation.welcome()
        # The beginning of a full set whose end never comes is not in force, nor is it a part of the next one.
        await conversation.send(RelaysFull(1, (GAME,)), RelaysPart((spec("lost", 5, A),)))
        await applied(conversation)
        assert await host.ask(ping(SESSION, HOST)) == b"\1\2"
        conversation.drop()
        for payload in (b"still", b"there"):
            alice.socket.send(data(SESSION, A, payload))
            assert await host.receive() == b"\2\1\0\0\0" + payload
        assert await alice.ask(ping(5, A)) == b"\1\3"
        conversation = await plane.conversation()
        await conversation.welcome()
        alice.socket.send(data(SESSION, A, b"not yet told anything"))
        assert await host.receive() == b"\2\1\0\0\0not yet told anything"
        await conversation.send(RelaysFull(2, (GAME,)))
        assert await applied(conversation) == RelaysApplied(2)
        alice.socket.send(data(SESSION, A, b"under the same id"))
        assert await host.receive() == b"\2\1\0\0\0under the same id"
        await conversation.send(RelaysFull(3, ()))
        await applied(conversation)
        assert await host.receive() == b"\1\3"


async def test_it_tells_what_it_counted(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock, players: tuple[Player, Player]
) -> None:
    host, _ = players
    async with running(plane, relay, clock):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(RelaysFull(1, (GAME,)))
        await applied(conversation)
        before = time.monotonic()
        await host.ask(ping(SESSION, HOST))
        await conversation.send(Question("1", QuestionKind.RELAY, "game"), Question("2", QuestionKind.RELAY, "else"))
        answer = await conversation.receive()
        assert isinstance(answer, Answer)
        assert answer.relay is not None
        assert (answer.id, answer.relay.received_packets) == ("1", 1)
        assert answer.relay.last_seen_at is not None
        # The wall clock stands still; how long ago it was, native relays tell by the machine's own.
        assert after(clock.now(), before - time.monotonic()) <= answer.relay.last_seen_at <= clock.now()
        assert await conversation.receive() == Answer("2", error="no relay session 'else' on this node")


@pytest.mark.parametrize("rules", [replace(RULES, session_unused_timeout=1)])
async def test_it_reports_sessions_that_nobody_uses_until_they_are_gone(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock
) -> None:
    watchful = Relay(relay._engine, 3, look_seconds=0.01)
    async with running(plane, watchful, clock):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(RelaysFull(1, (GAME,)))
        await applied(conversation)
        clock.advance(1)
        for _ in range(2):
            assert await conversation.receive() == RelaysIdle(("game",))
        await conversation.send(RelaysDelta(2, (), ("game",)))
        while isinstance(message := await conversation.receive(), RelaysIdle):
            pass
        assert message == RelaysApplied(2)


@pytest.mark.parametrize("rules", [replace(RULES, owner_timeout=1)])
async def test_it_reports_each_host_that_fell_silent_once(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock, players: tuple[Player, Player]
) -> None:
    host, _ = players
    other = SESSION + 1
    watchful = Relay(relay._engine, 3, look_seconds=0.01, looks_per_repeat=1_000_000)
    async with running(plane, watchful, clock):
        conversation = await plane.conversation()
        await conversation.welcome()
        await conversation.send(RelaysFull(1, (GAME, replace(GAME, key="other", token=other))))
        await applied(conversation)
        for session, key in ((SESSION, "game"), (other, "other")):
            await host.ask(ping(session, HOST))
            # Native relays have clocks of their own, on which more than a nanosecond passes in any case.
            clock.advance(1)
            assert await conversation.receive() == RelaysHostless((key,))


class _Speechless:
    """A relay whose thread gets no time to run."""

    name = "speechless"

    def __init__(self, relay: Relay) -> None:
        self.ports = relay.ports
        self.failures = 1

    def replace(self, sessions: Sequence[RelaySpec]) -> Sequence[Refused]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the relay did not answer within 30 s")
        return []

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"nobody asked for {name}")


async def test_a_relay_that_does_not_answer_is_told_anew_on_a_new_connection(
    plane: FakeControlPlane, relay: Relay, clock: ManualClock
) -> None:
    speechless = Relay(_Speechless(relay), 3)  # type: ignore[arg-type]
    async with running(plane, speechless, clock):
        for expected_end in (True, False):
            conversation = await plane.conversation()
            await conversation.receive()
            await conversation.send(Welcome(3600))
            await conversation.receive()
            await conversation.send(RelaysFull(1, (GAME,)))
            if expected_end:
                await asyncio.wait_for(conversation.ended.wait(), GENEROUS_SECONDS)
            else:
                assert await applied(conversation) == RelaysApplied(1)
