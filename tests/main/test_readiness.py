"""A control plane is ready when a node is there, not when one was there before it."""

import pytest

from tests.world import World
from waymeet.locations.directory import Directory
from waymeet.locations.service import HEARTBEAT_SECONDS
from waymeet.main.readiness import NodeReadiness
from waymeet.model.ids import NodeName

pytestmark = pytest.mark.anyio


async def restarted(world: World) -> NodeReadiness:
    """What a new control plane on the same store finds."""
    await world.directory.refresh()
    readiness = NodeReadiness(world.directory)
    readiness.remember()
    return readiness


async def is_ready(readiness: NodeReadiness, directory: Directory) -> bool:
    await directory.refresh()
    return await readiness.check() is None


async def test_a_node_that_the_control_plane_before_left_marked_as_connected_does_not_count(world: World) -> None:
    await world.node("a")
    readiness = await restarted(world)
    assert [node.connected for node in world.directory.nodes] == [True]
    assert not await is_ready(readiness, world.directory)
    world.clock.pass_seconds(0.3)
    await world.node("a")
    assert await is_ready(readiness, world.directory)
    await world.locations.leave(NodeName("a"), world.tokens["a"])
    assert not await is_ready(readiness, world.directory)


async def test_a_node_that_another_control_plane_hears_counts(world: World) -> None:
    await world.node("a")
    readiness = await restarted(world)
    world.clock.pass_seconds(HEARTBEAT_SECONDS)
    await world.locations.heartbeat(NodeName("a"), world.tokens["a"], 0.1)
    assert await is_ready(readiness, world.directory)


async def test_a_clock_that_was_set_back_is_no_hindrance(world: World) -> None:
    await world.node("a")
    readiness = await restarted(world)
    world.clock.pass_seconds(-3600)
    await world.node("a")
    assert await is_ready(readiness, world.directory)
