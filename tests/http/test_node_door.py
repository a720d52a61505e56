"""The nodes' door: what a node is told, and what it is refused, whatever the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from tests.polling import GENEROUS_SECONDS
from tests.stores import Store, postgres_database, sqlite_template, store
from tests.world import FRANKFURT, IMAGE, ORGANISATION, World
from waymeet.accounts.types import Caller, Scope
from waymeet.deployments.types import DeploymentRequest
from waymeet.http.nodes.connection import NodeDoor
from waymeet.model.node_messages import (
    PROTOCOL,
    Answer,
    FromNode,
    Heartbeat,
    Hello,
    Role,
    SeenDelta,
    SeenFull,
    SeenPart,
    ToNode,
    WantedDelta,
    WantedFull,
    WantedPart,
    Welcome,
)
from waymeet.model.servers import ServerPhase, ServerReport
from waymeet.model.states import DeploymentStatus
from waymeet.wire import decode_to_node, encode

__all__ = ["postgres_database", "sqlite_template", "store", "world"]

pytestmark = pytest.mark.anyio

HELLO = Hello(PROTOCOL, "a", (Role.SERVER,), "process", "192.0.2.1", FRANKFURT, 100_000, images=(IMAGE,))


@pytest.fixture
async def world(store: Store, anyio_backend: str) -> World:
    return await World(store).found()


class Nodes:
    """Everybody's token is good for joining a node."""

    async def caller(self, secret: str) -> Caller | None:
        return Caller(ORGANISATION, "nodes", frozenset({Scope.NODE}))


class Node:
    """The node's end of the socket."""

    def __init__(self, door: NodeDoor) -> None:
        self._to_door: asyncio.Queue[Message] = asyncio.Queue()
        self._from_door: asyncio.Queue[Message] = asyncio.Queue()
        self._to_door.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "headers": [(b"authorization", b"token node")]}
        socket = WebSocket(scope, self._to_door.get, self._from_door.put)

        async def serve() -> None:
            await door(socket)

        self.serving = asyncio.create_task(serve())

    async def _next(self) -> Message:
        async with asyncio.timeout(GENEROUS_SECONDS):
            return await self._from_door.get()

    async def accepted(self) -> "Node":
        assert (await self._next())["type"] == "websocket.accept"
        return self

    def say(self, *messages: FromNode) -> None:
        for message in messages:
            self._to_door.put_nowait({"type": "websocket.receive", "text": encode(message)})

    def say_raw(self, message: Message) -> None:
        self._to_door.put_nowait({"type": "websocket.receive"} | dict(message))

    async def hears(self) -> ToNode:
        message = await self._next()
        assert message["type"] == "websocket.send", message
        return decode_to_node(message["text"])

    async def is_refused(self) -> tuple[int, str]:
        """The code and the reason of the close that comes next."""
        message = await self._next()
        assert message["type"] == "websocket.close", message
        async with asyncio.timeout(GENEROUS_SECONDS):
            await self.serving
        return message["code"], message["reason"]

    async def joins(self, *reports: ServerReport, hello: Hello = HELLO) -> "Node":
        """Say hello and what it has; hear the welcome."""
        self.say(hello, SeenFull(reports))
        assert isinstance(await self.hears(), Welcome)
        return self

    def leave(self) -> None:
        self._to_door.put_nowait({"type": "websocket.disconnect", "code": 1000})


@asynccontextmanager
async def connected(world: World) -> AsyncIterator[Node]:
    node = Node(NodeDoor(Nodes(), world.locations, world.observation, world.relay_serving, world.store.bells))
    try:
        yield await node.accepted()
    finally:
        node.leave()
        async with asyncio.timeout(GENEROUS_SECONDS):
            await asyncio.gather(node.serving)


async def start(world: World, count: int, environment: dict[str, str]) -> set[str]:
    """Deployments on the only node; their ids."""
    request = DeploymentRequest("arena", "1.0", environment=environment)
    return {(await world.deployments.deploy(ORGANISATION, request)).request_id for _ in range(count)}


async def test_a_wanted_set_of_any_size_is_told_in_parts(world: World) -> None:
    await world.node("a")
    await world.version()
    # Three of these do not fit in what either side accepts as one message.
    longest = {f"V{index}": "\x01" * 8192 for index in range(120)}
    wanted = await start(world, 4, longest)
    async with connected(world) as node:
        await node.joins()
        told: set[str] = set()
        parts = 0
        while isinstance(message := await node.hears(), WantedPart):
            told |= {spec.key for spec in message.servers}
            parts += 1
        assert isinstance(message, WantedFull)
        assert told | {spec.key for spec in message.servers} == wanted
        assert parts == 3
        # Changes as well.
        more = await start(world, 2, longest)
        told = set()
        while told != more:
            message = await node.hears()
            assert isinstance(message, WantedDelta)
            assert len(message.servers) == 1
            told |= {spec.key for spec in message.servers}


async def test_nothing_counts_as_absent_before_the_last_part_of_a_report(world: World) -> None:
    await world.node("a")
    await world.version()
    kept, gone = sorted(await start(world, 2, {}))
    for request_id in (kept, gone):
        await world.deployments.stop(ORGANISATION, request_id)
    async with connected(world) as node:
        node.say(HELLO, SeenPart((ServerReport("other", ServerPhase.READY),)))
        node.say(SeenPart((ServerReport(kept, ServerPhase.STOPPING),)), SeenFull(()))
        assert isinstance(await node.hears(), Welcome)
        assert await node.hears() == WantedFull(1, ())
        assert (await world.deployment(kept)).status is DeploymentStatus.TERMINATING
        assert (await world.deployment(gone)).status is DeploymentStatus.TERMINATED


async def test_a_binary_frame_ends_the_connection_with_a_reason(world: World) -> None:
    async with connected(world) as node:
        node.say_raw({"bytes": encode(HELLO).encode()})
        assert await node.is_refused() == (4400, "message: a node speaks in text frames, this one is binary")
    async with connected(world) as node:
        await node.joins()
        await node.hears()
        node.say_raw({"bytes": b"\0", "text": None})
        code, reason = await node.is_refused()
        assert (code, "binary" in reason) == (4400, True)
    await world.directory.refresh()
    assert [known.connected for known in world.directory.nodes] == [False]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(HELLO, region="\0"), "region: at most 255 printable characters"),
        (SeenFull(()), "the first message of a node is Hello"),
    ],
)
async def test_a_hello_out_of_limits_is_refused_with_the_reason(world: World, message: FromNode, reason: str) -> None:
    async with connected(world) as node:
        node.say(message)
        assert await node.is_refused() == (4400, reason)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (SeenDelta((ServerReport("\0", ServerPhase.READY),)), "reports.key: at most 64 printable characters"),
        (
            SeenDelta((ServerReport("1", ServerPhase.READY, "\0"),)),
            "reports.1.public_ip: at most 255 printable characters",
        ),
        (Answer("\0"), "id: the id of a question"),
        (Heartbeat(-1.0), "load: a load average, 0 or more"),
        (HELLO, "Hello is said once"),
    ],
)
async def test_what_no_node_says_ends_the_connection_with_the_reason(
    world: World, message: FromNode, reason: str
) -> None:
    async with connected(world) as node:
        await node.joins()
        await node.hears()
        node.say(message)
        assert await node.is_refused() == (4400, reason)
