"""Nodes that stay away: their players are told, and nobody else's games end."""

import pytest

from tests.world import World
from waymeet.deployments.loop import DEAF_SECONDS, POLL_SECONDS
from waymeet.model.ids import NodeName
from waymeet.model.states import DeploymentStatus, SessionStatus
from waymeet.sessions.types import Session

pytestmark = pytest.mark.anyio

LOST_SECONDS = 120


async def playing(world: World) -> Session:
    await world.node("a")
    await world.version()
    session = await world.seat(2)
    await world.ready(session.deployment_id)
    return session


async def leave(world: World) -> None:
    await world.locations.leave(NodeName("a"), world.tokens["a"])
    await world.directory.refresh()


async def look_for(world: World, seconds: float) -> None:
    """Let the loop look as often as it does, for so long."""
    for _ in range(round(seconds / POLL_SECONDS)):
        world.clock.pass_seconds(POLL_SECONDS)
        await world.deployment_loop.give_up_lost_nodes()


async def status_of(world: World, session: Session) -> SessionStatus:
    return (await world.look(session)).session.status


async def test_what_ran_there_is_given_up_after_its_time_and_not_before(world: World) -> None:
    session = await playing(world)
    await look_for(world, 2 * LOST_SECONDS)
    await leave(world)
    await look_for(world, LOST_SECONDS - 1)
    assert await status_of(world, session) is SessionStatus.READY
    await look_for(world, 3)
    assert await status_of(world, session) is SessionStatus.TERMINATED
    deployment = await world.deployment(session.deployment_id)
    assert deployment.status is DeploymentStatus.ERROR
    assert deployment.error_detail == "node 'a' has been away for more than 120 s"
    await world.check_invariants()


async def test_a_node_that_came_back_gets_the_whole_time_again(world: World) -> None:
    session = await playing(world)
    for _ in range(3):
        await leave(world)
        await look_for(world, LOST_SECONDS - 1)
        await world.node("a")
    assert await status_of(world, session) is SessionStatus.READY


async def test_time_in_which_nobody_could_listen_does_not_count(world: World) -> None:
    # A laptop sleeps for an hour. The first thing that happens when it wakes up is that the node counts as silent.
    session = await playing(world)
    await look_for(world, 10)
    world.clock.pass_seconds(3600)
    await world.locations.mark_silent_nodes()
    await world.directory.refresh()
    await world.deployment_loop.give_up_lost_nodes()
    assert await status_of(world, session) is SessionStatus.READY
    # Nor when it had left just before.
    await leave(world)
    await look_for(world, LOST_SECONDS - 1)
    world.clock.pass_seconds(DEAF_SECONDS + 1)
    await world.deployment_loop.give_up_lost_nodes()
    await look_for(world, LOST_SECONDS - 1)
    assert await status_of(world, session) is SessionStatus.READY
    await look_for(world, 2)
    assert await status_of(world, session) is SessionStatus.TERMINATED
