"""The domain metrics say what there is."""

import pytest
from prometheus_client import CollectorRegistry

from tests.world import World
from waymeet.main.census import Census
from waymeet.metrics import DomainMetrics

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
    await Census(world.store, world.directory, metrics).count()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("waymeet_deployments", status="ready") == 1
    assert value("waymeet_deployments", status="initializing") == 1
    assert value("waymeet_sessions", status="ready") == 1
    assert value("waymeet_sessions", status="waiting") == 1
    assert (value("waymeet_places_used"), value("waymeet_places")) == (2, 5)
    assert (value("waymeet_nodes_connected"), value("waymeet_nodes_known")) == (1, 1)
    assert waiting.deployment_id != ready.deployment_id
