"""Since when a node is known: who was first keeps a city's plain name."""

import pytest

from tests.stores import Store, postgres_database, sqlite_template, store
from tests.world import MONTREAL, World
from waymeet.locations.service import REMEMBERED_SECONDS
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant

__all__ = ["postgres_database", "sqlite_template", "store"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


async def known_since(world: World) -> Instant:
    await world.directory.refresh()
    (node,) = world.directory.nodes
    return node.profile.known_since


async def test_is_kept_when_it_joins_again(world: World) -> None:
    first = world.clock.now()
    await world.node("a")
    world.clock.pass_seconds(60)
    await world.node("a", MONTREAL)
    assert await known_since(world) == first


async def test_begins_anew_after_a_day_away(world: World) -> None:
    first = world.clock.now()
    await world.node("a")
    world.clock.pass_seconds(3600)
    await world.locations.leave(NodeName("a"), world.tokens["a"])
    world.clock.pass_seconds(REMEMBERED_SECONDS)
    await world.node("a")
    assert await known_since(world) == first
    await world.locations.leave(NodeName("a"), world.tokens["a"])
    world.clock.pass_seconds(REMEMBERED_SECONDS + 1)
    await world.node("a")
    assert await known_since(world) == world.clock.now()
