"""The domain metrics say what there is."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from tests.world import World
from waymeet.main.census import EVERY_SECONDS, PAUSE_PER_SECOND, Census
from waymeet.metrics import DomainMetrics
from waymeet.model.errors import Unavailable

pytestmark = pytest.mark.anyio


async def test_what_there_is_is_counted_by_state(world: World) -> None:
    await world.node("a", capacity=5)
    await world.version(sockets=2)
    ready, waiting = await world.seat(2), await world.seat(1)
    await world.ready(ready.deployment_id)
    metrics = DomainMetrics()
    registry = CollectorRegistry()
    registry.register(metrics)
    await world.directory.refresh()
    census = Census(world.store, world.directory, metrics, world.clock)
    await census.refresh()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("waymeet_deployments", status="ready") == 1
    assert value("waymeet_deployments", status="initializing") == 1
    assert value("waymeet_sessions", status="ready") == 1
    assert value("waymeet_sessions", status="waiting") == 1
    assert (value("waymeet_places_used"), value("waymeet_places")) == (2, 5)
    assert (value("waymeet_nodes_connected"), value("waymeet_nodes_known")) == (1, 1)
    assert waiting.deployment_id != ready.deployment_id
    # Asked again at once, nothing is counted; a while later everything is.
    await world.ready(waiting.deployment_id)
    world.clock.pass_seconds(EVERY_SECONDS - 1)
    await census.refresh()
    assert value("waymeet_sessions", status="waiting") == 1
    world.clock.pass_seconds(1)
    await census.refresh()
    assert (value("waymeet_sessions", status="waiting"), value("waymeet_sessions", status="ready")) == (None, 2)


class SlowStore:
    """Takes two seconds for each count."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.counts = 0
        self.is_there = True

    async def scan(self, unit: object) -> object:
        self.counts += 1
        self._world.clock.pass_seconds(2)
        await asyncio.sleep(0)
        if not self.is_there:
            raise Unavailable("the database is away")
        return await self._world.store.scan(unit)  # type: ignore[arg-type]


async def test_counting_takes_a_small_share_of_the_time(world: World) -> None:
    store = SlowStore(world)
    census = Census(store, world.directory, DomainMetrics(), world.clock)  # type: ignore[arg-type]
    assert store.counts == 0
    # Those who ask at once share one count.
    await asyncio.gather(*(census.refresh() for _ in range(5)))
    assert store.counts == 1
    world.clock.pass_seconds(2 * PAUSE_PER_SECOND - 1)
    await census.refresh()
    assert store.counts == 1
    world.clock.pass_seconds(1)
    store.is_there = False
    await census.refresh()
    assert store.counts == 2
    store.is_there = True
    world.clock.pass_seconds(2 * PAUSE_PER_SECOND)
    await census.refresh()
    assert store.counts == 3
