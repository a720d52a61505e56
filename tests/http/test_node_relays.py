"""The nodes' door for nodes with a relay: what they are told of it, in which order, and what they say."""

import asyncio
from dataclasses import replace

import pytest

from tests.http.test_node_door import HELLO, Node, connected
from tests.http.test_node_door import world as world  # noqa: PLC0414 - the fixture
from tests.polling import eventually_async
from tests.stores import postgres_database, sqlite_template, store
from tests.world import ORGANISATION, World
from waymeet.model.errors import NotFound
from waymeet.model.node_messages import (
    FromNode,
    Heartbeat,
    RelaysApplied,
    RelaysDelta,
    RelaysFull,
    RelaysIdle,
    RelaysPart,
    Role,
    SeenFull,
    WantedFull,
    Welcome,
)
from waymeet.model.relays import RelayCounters, RelayLoad, RelayPorts
from waymeet.relays.types import HIGHEST_USERS, RelayRequest, RelaySession

__all__ = ["postgres_database", "sqlite_template", "store", "world"]

pytestmark = pytest.mark.anyio

RELAY = replace(HELLO, roles=(Role.RELAY,), relay=RelayPorts(32000, 32001), relay_capacity=100_000)


async def welcomed(node: Node) -> RelaysFull:
    """Say hello with a relay, and hear what it is to serve."""
    await node.joins(hello=RELAY)
    # What servers it is to run comes first: those are told apart by what is not in it.
    assert isinstance(await node.hears(), WantedFull)
    message = await node.hears()
    assert isinstance(message, RelaysFull)
    return message


async def create(world: World, users: int = 1) -> RelaySession:
    await world.directory.refresh()
    return await world.relays.create(ORGANISATION, RelayRequest(addresses=("2001:db8::7",) * users))


async def is_ready(world: World, session: RelaySession) -> bool:
    return (await world.relays.find(ORGANISATION, session.session_id)).ready


async def test_a_change_is_told_confirmed_and_only_then_true(world: World) -> None:
    async with connected(world) as node:
        assert await welcomed(node) == RelaysFull(0, ())
        node.say(RelaysApplied(0))
        session = await create(world)
        told = await node.hears()
        assert isinstance(told, RelaysDelta)
        (spec,) = told.sessions
        assert (spec.key, spec.token, told.change) == (session.session_id, session.token, 1)
        assert not await is_ready(world, session)
        node.say(RelaysApplied(told.change))
        await eventually_async(lambda: is_ready(world, session))
        deleting = asyncio.create_task(world.relays.delete(ORGANISATION, session.session_id))
        told = await node.hears()
        assert told == RelaysDelta(2, (), (session.session_id,))
        assert not deleting.done()
        node.say(RelaysApplied(2))
        await deleting


async def test_after_a_lost_connection_everything_is_told_again(world: World) -> None:
    async with connected(world) as node:
        await welcomed(node)
        session = await create(world)
        assert isinstance(await node.hears(), RelaysDelta)
    async with connected(world) as node:
        told = await welcomed(node)
        assert [spec.key for spec in told.sessions] == [session.session_id]
        node.say(RelaysApplied(told.change))
        await eventually_async(lambda: is_ready(world, session))


async def test_a_set_of_any_size_is_told_in_parts(world: World) -> None:
    async with connected(world) as node:
        await welcomed(node)
    await world.node("a", relay=RelayPorts(32000, 32001), relay_capacity=100_000)
    # Each some 50 kilobytes, and more of them than are read at once.
    made = {(await create(world, HIGHEST_USERS)).session_id for _ in range(60)}
    async with connected(world) as node:
        await node.joins(hello=RELAY)
        assert isinstance(await node.hears(), WantedFull)
        told: set[str] = set()
        parts = 0
        while isinstance(message := await node.hears(), RelaysPart):
            told |= {spec.key for spec in message.sessions}
            parts += 1
        assert isinstance(message, RelaysFull)
        assert parts > 1
        assert told | {spec.key for spec in message.sessions} == made
        assert message.change == 60


async def test_idle_and_refused_sessions_end(world: World) -> None:
    async with connected(world) as node:
        await welcomed(node)
        idle = await create(world)
        told = await node.hears()
        assert isinstance(told, RelaysDelta)
        node.say(RelaysApplied(told.change))
        await eventually_async(lambda: is_ready(world, idle))
        node.say(RelaysIdle((idle.session_id, "\0")))

        async def is_gone() -> bool:
            try:
                await world.relays.find(ORGANISATION, idle.session_id)
            except NotFound:
                return True
            return False

        await eventually_async(is_gone)
        assert await node.hears() == RelaysDelta(2, (), (idle.session_id,))
        refused = await create(world)
        assert isinstance(await node.hears(), RelaysDelta)
        node.say(RelaysApplied(3, (refused.session_id,)))
        assert await node.hears() == RelaysDelta(4, (), (refused.session_id,))
        assert "no room" in str((await world.relays.find(ORGANISATION, refused.session_id)).error)


async def test_heartbeats_bring_the_relays_counts(world: World) -> None:
    async with connected(world) as node:
        await welcomed(node)
        node.say(Heartbeat(relay=RelayLoad(1, 2, RelayCounters(3, 300, 2, 200, {"no_host": 1}))))

        async def is_counted() -> bool:
            async def unit(tx: object) -> int:
                totals = await tx.relays.totals()  # type: ignore[attr-defined]
                return int(totals.traffic["received_packets"])

            return await world.store.scan(unit) == 3

        await eventually_async(is_counted)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (RelaysApplied(-1), "change: between 0 and"),
        (RelaysApplied(2**63), "change: between 0 and"),
        (Heartbeat(relay=RelayLoad(-1, 0, RelayCounters())), "relay.sessions: between 0 and"),
    ],
)
async def test_what_no_relay_says_ends_the_connection_with_the_reason(
    world: World, message: FromNode, reason: str
) -> None:
    async with connected(world) as node:
        await welcomed(node)
        node.say(message)
        code, why = await node.is_refused()
        assert (code, why.startswith(reason)) == (4400, True)


@pytest.mark.parametrize(
    "message", [RelaysApplied(1), RelaysIdle(()), Heartbeat(relay=RelayLoad(0, 0, RelayCounters()))]
)
async def test_a_node_without_a_relay_does_not_speak_of_it(world: World, message: FromNode) -> None:
    async with connected(world) as node:
        node.say(HELLO, SeenFull(()))
        assert isinstance(await node.hears(), Welcome)
        assert isinstance(await node.hears(), WantedFull)
        node.say(message)
        code, why = await node.is_refused()
        assert (code, "says in its Hello where that answers" in why) == (4400, True)
