"""Which relay a group gets."""

import asyncio

import pytest

from tests.relays.hands import PORTS, HandRelay, create, look
from tests.world import FRANKFURT, MONTREAL, ORGANISATION, WARSAW, World
from waymeet.deployments.finding import CandidateFinder
from waymeet.geo.database import GeoDatabase
from waymeet.model.errors import Unavailable
from waymeet.model.filters import Filter, FilterType
from waymeet.model.ids import NodeName
from waymeet.model.location import Coordinates, Location
from waymeet.relays.confirming import Confirmations
from waymeet.relays.endings import RelayEndings
from waymeet.relays.planning import RelayPlanner
from waymeet.relays.service import RelayService
from waymeet.relays.types import RelayRequest
from waymeet.relays.webhook import RelayWebhook
from waymeet.relays.writing import RelayWriting

pytestmark = pytest.mark.anyio

NAMIBIA = Location("Windhoek", "Namibia", "Africa", "Khomas", "Central Africa Time", -22.56, 17.08)
PARIS = Location("Paris", "France", "Europe", "Île-de-France", "Central European Time", 48.86, 2.35)
BOSTON = Location("Boston", "USA", "North America", "Massachusetts", "Eastern Time", 42.36, -71.06)


def where(*values: str, filter_type: FilterType = FilterType.ANY) -> list[Filter]:
    return [Filter("location", values, filter_type)]


async def chosen(world: World, *values: str, filter_type: FilterType = FilterType.ANY) -> str:
    return (await create(world, filters=where(*values, filter_type=filter_type))).node_name


class Places(GeoDatabase):
    """Knows the places that the test names."""

    def __init__(self, places: dict[str, Coordinates]) -> None:
        super().__init__(tuple)
        self._places = places

    def coordinates_of(self, ip: str) -> Coordinates | None:
        return self._places.get(ip)


def knowing(world: World, places: dict[str, Coordinates]) -> RelayService:
    """The service, where geo data knows these addresses."""
    geography = Places(places)
    finder = CandidateFinder(world.directory, geography, world.latencies)
    return RelayService(
        world.store,
        RelayPlanner(world.store, finder, geography),
        RelayWriting(world.clock, world.rng),
        world.locations,
        RelayEndings(RelayWebhook(lambda session: b"", world.rng)),
        Confirmations(world.store, world.store.bells, world.clock, 3.0),
        world.clock,
    )


async def test_the_nearest_for_all_users_whose_place_is_known(world: World) -> None:
    for name, place in (("frankfurt", FRANKFURT), ("montreal", MONTREAL), ("warsaw", WARSAW)):
        await HandRelay.joined(world, name, place)
    # Servers alone are no relays, however near.
    await world.node("nearest", PARIS)
    relays = knowing(world, {"81.2.69.142": PARIS.coordinates, "216.160.83.1": BOSTON.coordinates})
    near_paris = await relays.create(ORGANISATION, RelayRequest(addresses=("81.2.69.142", "203.0.113.7")))
    assert near_paris.node_name == "frankfurt"
    assert [user.coordinates for user in near_paris.users] == [PARIS.coordinates, None]
    near_boston = await relays.create(ORGANISATION, RelayRequest(addresses=("216.160.83.1",)))
    assert near_boston.node_name == "montreal"


async def test_what_was_measured_counts_more_than_distance(world: World) -> None:
    for name, place in (("frankfurt", FRANKFURT), ("montreal", MONTREAL)):
        await HandRelay.joined(world, name, place)
    world.latencies.by_city = {"81.2.69.142": {"Frankfurt": 300.0, "Montreal": 20.0}}
    relays = knowing(world, {"81.2.69.142": PARIS.coordinates})
    session = await relays.create(ORGANISATION, RelayRequest(addresses=("81.2.69.142",)))
    assert session.node_name == "montreal"


async def test_without_a_known_place_the_one_with_most_room_then_by_name(world: World) -> None:
    await HandRelay.joined(world, "b", WARSAW, capacity=3)
    await HandRelay.joined(world, "a", FRANKFURT, capacity=2)
    await HandRelay.joined(world, "c", FRANKFURT, capacity=2)
    # Room as it is now, not as of the last look at the nodes: b is down to two, then a comes first by its name.
    assert [(await create(world)).node_name for _ in range(7)] == ["b", "a", "b", "c", "a", "b", "c"]
    with pytest.raises(Unavailable, match="full"):
        await create(world)
    await world.check_invariants()


@pytest.mark.parametrize(
    "name",
    ["US", "usa", "United States", "NA", "north america", "Boston", "BOSTON ", "massachusetts", "u.s.a."],
)
async def test_a_place_has_many_names(world: World, name: str) -> None:
    await HandRelay.joined(world, "boston", BOSTON)
    await HandRelay.joined(world, "paris", PARIS)
    assert await chosen(world, name) == "boston"
    assert await chosen(world, "XX", name) == "boston"
    assert await chosen(world, name, filter_type=FilterType.NOT) == "paris"
    with pytest.raises(Unavailable, match="no relay passes the filters"):
        await chosen(world, name, "FR", filter_type=FilterType.ALL)


async def test_a_code_of_two_places_means_both(world: World) -> None:
    await HandRelay.joined(world, "windhoek", NAMIBIA)
    assert await chosen(world, "NA") == "windhoek"
    assert await chosen(world, "AF") == "windhoek"
    await HandRelay.joined(world, "boston", BOSTON, capacity=1000)
    assert await chosen(world, "NA") == "boston"
    assert await chosen(world, "NAM") == "windhoek"


async def test_filters_that_nothing_passes_write_nothing(world: World) -> None:
    with pytest.raises(Unavailable, match="no relay is connected"):
        await create(world)
    await world.node("server-only")
    with pytest.raises(Unavailable, match="no relay is connected"):
        await create(world)
    relay = await HandRelay.joined(world, "paris", PARIS)
    for filters in (where("DE"), where(""), [Filter("city", ("Lyon",), FilterType.ANY)]):
        with pytest.raises(Unavailable, match="no relay passes the filters"):
            await create(world, filters=filters)
    assert await world.relay_serving.last_change(relay.name) == 0


async def test_one_that_is_gone_or_lost_its_relay_takes_nothing(world: World) -> None:
    await HandRelay.joined(world, "paris", PARIS)
    # The row says it, also before this process has read the nodes anew.
    await world.locations.leave(NodeName("paris"), world.tokens["paris"])
    with pytest.raises(Unavailable, match="full"):
        await create(world)
    await world.directory.refresh()
    with pytest.raises(Unavailable, match="no relay is connected"):
        await create(world)
    await world.node("paris", PARIS, relay=PORTS)
    assert (await create(world)).node_name == "paris"
    await world.node("paris", PARIS)
    with pytest.raises(Unavailable):
        await create(world)


async def test_no_relay_takes_more_than_it_can_whoever_asks_at_once(world: World) -> None:
    relay = await HandRelay.joined(world, capacity=5)
    answers = await asyncio.gather(*(create(world) for _ in range(12)), return_exceptions=True)
    made = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(made) == 5
    assert all(isinstance(answer, Unavailable) for answer in answers if isinstance(answer, BaseException))
    assert len({session.change for session in made}) == 5
    await relay.catch_up()
    assert set(relay.serves) == {session.session_id for session in made}
    assert all([(await look(world, session)).ready for session in made])
    await world.check_invariants()
