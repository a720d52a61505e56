"""Nodes that stay away are forgotten once nothing is on them, and nothing is written while there is nothing to forget."""

import pytest

from tests.polling import eventually_async
from tests.world import World
from waymeet.locations.service import LocationService
from waymeet.model.ids import NodeName
from waymeet.model.node_messages import Question, QuestionKind
from waymeet.model.servers import EndReason
from waymeet.store.transaction import Transaction

pytestmark = pytest.mark.anyio

HOURS = 24.0


async def leave(world: World, name: str) -> None:
    await world.locations.leave(NodeName(name), world.tokens[name])


async def names(world: World) -> list[str]:
    await world.directory.refresh()
    return [node.name for node in world.directory.nodes]


async def test_a_node_is_forgotten_after_its_time_and_not_before(world: World) -> None:
    for name in ("away", "here"):
        await world.node(name)
    await leave(world, "away")
    world.clock.pass_seconds(HOURS * 3600 - 1)
    assert await world.locations.forget_unseen_nodes(HOURS) == []
    world.clock.pass_seconds(2)
    assert await world.locations.forget_unseen_nodes(HOURS) == ["away"]
    assert await world.locations.forget_unseen_nodes(HOURS) == []
    assert await names(world) == ["here"]
    # Whoever listens hears of it; back again, it is a node like any other.
    await world.node("away")
    assert await names(world) == ["away", "here"]


async def test_others_are_told_to_look_again(world: World) -> None:
    await world.node("away")
    await leave(world, "away")
    rung: list[str | None] = []
    world.clock.pass_seconds(HOURS * 3600 + 1)
    world.store.bells.listen("nodes", rung.append)
    await world.locations.forget_unseen_nodes(HOURS)

    async def heard() -> bool:
        return "away" in rung

    await eventually_async(heard)


async def test_a_node_with_a_deployment_is_kept_until_that_is_forgotten_too(world: World) -> None:
    await world.node("away")
    await world.version()
    session = await world.seat()
    await world.ready(session.deployment_id)
    await leave(world, "away")
    world.clock.pass_seconds(2 * HOURS * 3600)
    assert await world.locations.forget_unseen_nodes(HOURS) == []
    await world.ended(session.deployment_id, EndReason.CRASHED)
    assert await world.locations.forget_unseen_nodes(HOURS) == []
    world.clock.pass_seconds(121 * 60)
    await world.deployment_loop.act_on_deadlines()
    assert await world.locations.forget_unseen_nodes(HOURS) == ["away"]


class WatchedStore:
    """Counts what is written."""

    def __init__(self, world: World) -> None:
        self._store = world.store
        self.writes = 0

    async def write(self, unit: object) -> object:
        self.writes += 1
        return await self._store.write(unit)  # type: ignore[arg-type]

    async def read(self, unit: object) -> object:
        return await self._store.read(unit)  # type: ignore[arg-type]


async def test_an_idle_server_writes_nothing_and_stale_questions_go(world: World) -> None:
    await world.node("here")
    watched = WatchedStore(world)
    service = LocationService(watched, world.store.bells, world.clock, world.rng)  # type: ignore[arg-type]
    for _ in range(3):
        world.clock.pass_seconds(5)
        await service.mark_silent_nodes()
        await service.drop_stale_questions()
        await service.forget_unseen_nodes(HOURS)
    assert watched.writes == 0
    question = await _abandoned_question(world)
    world.clock.pass_seconds(61)
    await service.drop_stale_questions()
    assert watched.writes == 1
    assert question not in [open_one.id for open_one in await world.locations.open_questions(NodeName("here"))]


async def _abandoned_question(world: World) -> str:
    """A question whose asker died."""
    question = Question("left-behind", QuestionKind.LOGS, "1")

    async def unit(tx: Transaction) -> None:
        await tx.locations.ask(question, NodeName("here"), world.clock.now())

    await world.store.write(unit)
    return question.id
