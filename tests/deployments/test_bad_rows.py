"""A deployment that cannot be acted on holds up none of the others, and is tried again now and then."""

import pytest

from tests.world import World
from waymeet.deployments.loop import BACK_OFF_SECONDS, POLL_SECONDS
from waymeet.model.ids import DeploymentId, NodeName
from waymeet.model.states import DeploymentStatus
from waymeet.store.statement import Statement
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

_SPOIL = Statement("UPDATE deployment SET settings = 'what is this?' WHERE request_id = $1")
_STATUS = Statement("SELECT request_id, status, settings FROM deployment")
_MEND = Statement("UPDATE deployment SET settings = $2 WHERE request_id = $1")


async def three(world: World) -> list[str]:
    """Deployments that are ready; the first of them spoilt."""
    await world.node("a")
    await world.version(sockets=1, max_duration=1)
    found: list[str] = []
    for _ in range(3):
        session = await world.seat()
        await world.ready(session.deployment_id)
        assert session.deployment_id is not None
        found.append(session.deployment_id)
    return found


async def spoil(world: World, request_id: str) -> str:
    """What its settings were."""

    async def unit(tx: Transaction) -> str:
        settings = {row["request_id"]: row["settings"] for row in await tx.connection.fetch(_STATUS)}
        await tx.connection.execute(_SPOIL, request_id)
        return str(settings[request_id])

    return await world.store.write(unit)


async def mend(world: World, request_id: str, settings: str) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.connection.execute(_MEND, request_id, settings)

    await world.store.write(unit)


async def statuses(world: World) -> dict[str, str]:
    async def unit(tx: Transaction) -> dict[str, str]:
        return {row["request_id"]: row["status"] for row in await tx.connection.fetch(_STATUS)}

    return await world.store.read(unit)


async def test_deadlines_of_the_others_are_acted_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    bad, *good = await three(world)
    settings = await spoil(world, bad)
    world.clock.pass_seconds(61)
    await world.deployment_loop.act_on_deadlines()
    assert await statuses(world) == {bad: "READY"} | dict.fromkeys(good, "TERMINATING")
    for _ in range(round(BACK_OFF_SECONDS / POLL_SECONDS) - 1):
        world.clock.pass_seconds(POLL_SECONDS)
        await world.deployment_loop.act_on_deadlines()
    assert caplog.text.count(f"deployment {bad} is left alone") == 1
    world.clock.pass_seconds(2)
    await world.deployment_loop.act_on_deadlines()
    assert caplog.text.count(f"deployment {bad} is left alone") == 2
    # Mended, it is acted on without anybody's help.
    await mend(world, bad, settings)
    world.clock.pass_seconds(BACK_OFF_SECONDS + 1)
    await world.deployment_loop.act_on_deadlines()
    assert (await statuses(world))[bad] == "TERMINATING"


async def test_the_others_of_a_lost_node_are_given_up(world: World, caplog: pytest.LogCaptureFixture) -> None:
    bad, *good = await three(world)
    settings = await spoil(world, bad)
    await world.locations.leave(NodeName("a"), world.tokens["a"])
    await world.directory.refresh()
    for _ in range(125):
        world.clock.pass_seconds(POLL_SECONDS)
        await world.deployment_loop.give_up_lost_nodes()
    assert await statuses(world) == {bad: "READY"} | dict.fromkeys(good, "ERROR")
    assert caplog.text.count(f"deployment {bad} is left alone") == 1
    await mend(world, bad, settings)
    for _ in range(round(BACK_OFF_SECONDS / POLL_SECONDS) + 1):
        world.clock.pass_seconds(POLL_SECONDS)
        await world.directory.refresh()
        await world.deployment_loop.give_up_lost_nodes()
    assert (await world.deployment(DeploymentId(bad))).status is DeploymentStatus.ERROR
    await world.check_invariants()
