"""Where groups are placed by what was measured, within limits of latency, and how that is explained; on both databases."""

import msgspec
import pytest

from tests.stores import Store
from tests.world import FRANKFURT, MONTREAL, ORGANISATION, PARIS_PLAYER, TORONTO_PLAYER, WARSAW, World
from waymeet.applications.types import Probe
from waymeet.deployments.types import DeploymentRequest, Player
from waymeet.model.errors import Invalid, NotFound, Unsatisfiable
from waymeet.model.filters import Filter, FilterType
from waymeet.model.ids import OrganisationId
from waymeet.model.instant import after
from waymeet.model.latency import Origin
from waymeet.model.location import Location
from waymeet.model.states import SessionKind, SessionStatus
from waymeet.placement.explanation import Explanation, Rule, latencies_of
from waymeet.placement.limits import LatencyStep
from waymeet.sessions.seeking import SEEK_SECONDS
from waymeet.sessions.types import Session, SessionRequest, Wish

pytestmark = pytest.mark.anyio

PLAYER = "198.51.100.0"
"""The address of the first player that `World.seat` makes."""

_location = msgspec.json.Decoder(Location).decode


async def city_of(world: World, session: Session) -> str:
    return (await world.deployment(session.deployment_id)).location.city


async def why(world: World, session: Session) -> Explanation:
    found = (await world.sessions.placement(ORGANISATION, session.session_id))[1]
    assert found is not None
    return found


def cities(explanation: Explanation) -> list[str]:
    return [_location(entry.location).city for entry in explanation.ranking]


def chosen_city(explanation: Explanation) -> str | None:
    return None if explanation.chosen is None else cities(explanation)[explanation.chosen]


async def three_cities(world: World, capacity: int = 100) -> None:
    for name, location in (("f", FRANKFURT), ("w", WARSAW), ("m", MONTREAL)):
        await world.node(name, location, capacity)


class TestMeasured:
    async def test_where_geography_and_network_disagree_the_network_wins(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        world.latencies.by_city[PLAYER] = {"Frankfurt": 140.0, "Warsaw": 25.0, "Montreal": 90.0}
        session = await world.seat(1, at=PARIS_PLAYER)
        assert await city_of(world, session) == "Warsaw"
        explanation = await why(world, session)
        assert cities(explanation) == ["Warsaw", "Montreal", "Frankfurt"]
        assert [latencies_of(entry)[0].ms for entry in explanation.ranking] == [25.0, 90.0, 140.0]
        assert {latencies_of(entry)[0].origin for entry in explanation.ranking} == {Origin.MEASURED}

    async def test_a_second_group_is_seated_by_measurement_too(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        world.latencies.by_city[PLAYER] = {"Frankfurt": 140.0, "Warsaw": 25.0}
        first, second, third = [await world.seat(1) for _ in range(3)]
        assert first.deployment_id == second.deployment_id == third.deployment_id
        for session in (second, third):
            assert chosen_city(await why(world, session)) == "Warsaw"

    async def test_a_player_of_unknown_place_counts_once_he_is_measured(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        world.latencies.by_city[PLAYER] = {"Warsaw": 20.0, "Frankfurt": 45.0}
        session = await world.seat(1, at=None)
        assert await city_of(world, session) == "Warsaw"
        explanation = await why(world, session)
        assert explanation.rule is Rule.NEAREST
        assert [latencies_of(entry)[0].origin for entry in explanation.ranking][2] is Origin.ESTIMATED

    async def test_without_telemetry_distance_alone_decides(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        world.latencies.by_city[PLAYER] = {"Frankfurt": 140.0, "Warsaw": 25.0}
        session = await world.seat(1, wish=Wish(skip_telemetry=True))
        assert await city_of(world, session) == "Frankfurt"
        assert world.latencies.asked == []

    async def test_locations_that_can_probe_are_asked_first_nearest_first(self, world: World) -> None:
        for name, location, probes in (("m", MONTREAL, True), ("w", WARSAW, False), ("f", FRANKFURT, True)):
            await world.node(name, location, probes=probes)
        await world.version()
        await world.seat(1, wish=Wish(skip_telemetry=True))
        await world.seat(1, wish=Wish(filters=(Filter("city", ("Montreal",), FilterType.ANY),)))  # Nothing to choose.
        assert world.latencies.asked == []
        await world.seat(1)
        assert world.latencies.asked == [([PLAYER], ["Frankfurt", "Montreal"])]

    async def test_nobody_is_probed_for_a_group_that_will_be_refused(self, world: World) -> None:
        for name, location in (("f", FRANKFURT), ("m", MONTREAL)):
            await world.node(name, location, probes=True)
        version = await world.version(sockets=2)
        for _ in range(2):  # Before the version is known, and after.
            assert (await world.seat(3)).status is SessionStatus.UNPROCESSABLE
            assert (await world.seat(3, version=version.name)).status is SessionStatus.UNPROCESSABLE
        with pytest.raises(Invalid):
            await world.seat(2, version="unheard of")
        assert world.latencies.asked == []
        await world.seat(2)
        await world.seat(2, version=version.name)
        await world.version("roomy", sockets=3)
        await world.seat(3, version="roomy")
        await world.seat(3, version="roomy")
        assert [len(players) for players, _ in world.latencies.asked] == [2, 2, 3, 3]

    async def test_a_single_location_that_can_probe_is_not_asked(self, world: World) -> None:
        await world.node("f", FRANKFURT, probes=True)
        await world.node("w", WARSAW)
        await world.version()
        await world.seat(1)
        assert world.latencies.asked == []

    async def test_deployments_are_placed_by_measurement_unless_they_skip_telemetry(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        world.latencies.by_city[PLAYER] = {"Frankfurt": 140.0, "Warsaw": 25.0}
        for skip, city in ((False, "Warsaw"), (True, "Frankfurt")):
            request = DeploymentRequest("arena", None, (Player(PLAYER, PARIS_PLAYER),), skip_telemetry=skip)
            deployment = await world.deployments.deploy(ORGANISATION, request)
            assert deployment.location.city == city
            explanation = (await world.deployments.placement(ORGANISATION, deployment.request_id))[1]
            assert explanation is not None and explanation.players == (PLAYER,)
            assert chosen_city(explanation) == city


class TestProbe:
    async def test_what_costs_more_than_rejected_ping_is_not_used(self, world: World) -> None:
        await world.node("m", MONTREAL)
        await world.version(probe=Probe(20, 60))
        session = await world.seat(1, at=PARIS_PLAYER)
        assert session.status is SessionStatus.UNPROCESSABLE
        assert "rejected_ping of 60 ms" in (session.error or "")
        explanation = await why(world, session)
        assert (explanation.rule, explanation.chosen) == (Rule.REJECTED, None)
        assert "rejected_ping of 60 ms" in (explanation.ranking[0].passed_over or "")
        with pytest.raises(Unsatisfiable, match="rejected_ping"):
            await world.deployments.deploy(
                ORGANISATION, DeploymentRequest("arena", None, (Player(PLAYER, PARIS_PLAYER),))
            )
        assert await world.every_deployment() == []

    async def test_a_measured_location_is_rejected_where_an_estimate_would_get_the_benefit_of_doubt(
        self, world: World
    ) -> None:
        await world.node("f", FRANKFURT)
        await world.node("m", MONTREAL)
        await world.version(probe=Probe(5, 16))
        assert await city_of(world, await world.seat(1)) == "Frankfurt"  # Some 17 ms by estimate, give or take 12.
        world.latencies.by_city[PLAYER] = {"Frankfurt": 16.5}
        assert (await world.seat(1)).status is SessionStatus.UNPROCESSABLE

    async def test_a_full_location_does_not_send_anybody_beyond_rejected_ping(self, world: World) -> None:
        await world.node("f", FRANKFURT, capacity=1)
        await world.node("m", MONTREAL)
        await world.version(sockets=1, probe=Probe(5, 60))
        first, second = await world.seat(1), await world.seat(1)
        assert await city_of(world, first) == "Frankfurt"
        assert (second.status, second.deployment_id) == (SessionStatus.ERROR, None)
        assert len(await world.every_deployment()) == 1

    async def test_servers_within_optimal_ping_are_packed(self, world: World) -> None:
        await world.node("f", FRANKFURT)
        await world.node("w", WARSAW)
        for probe, city in ((None, "Warsaw"), (Probe(60, 200), "Frankfurt")):
            version = (await world.version("packed" if probe else "plain", probe=probe)).name
            fuller = await world.seat(2, version=version)
            await world.deployments.deploy(
                ORGANISATION, DeploymentRequest("arena", version, (Player(PLAYER, WARSAW.coordinates),))
            )
            session = await world.seat(1, at=WARSAW.coordinates, version=version)
            assert await city_of(world, session) == city
            assert (session.deployment_id == fuller.deployment_id) == (probe is not None)
            explanation = await why(world, session)
            assert explanation.rule is (Rule.PACKING if probe else Rule.NEAREST)
            assert (cities(explanation), chosen_city(explanation)) == (["Warsaw", "Frankfurt"], city)

    async def test_packing_does_not_reach_beyond_the_range(self, world: World) -> None:
        await world.node("f", FRANKFURT)
        await world.node("m", MONTREAL)
        await world.version(probe=Probe(500, 1000))
        first = await world.seat(1, at=PARIS_PLAYER)
        second = await world.seat(1, at=TORONTO_PLAYER)
        assert (await city_of(world, first), await city_of(world, second)) == ("Frankfurt", "Montreal")


class TestLatencySteps:
    STEPS = (LatencyStep(40, 5), LatencyStep(60, 10))

    @pytest.fixture
    async def world(self, store: Store, anyio_backend: str) -> World:
        return await World(store, latency_steps=self.STEPS).found()

    async def test_a_group_waits_for_a_seat_near_by_step_after_step_and_then_takes_any(self, world: World) -> None:
        await world.node("f", FRANKFURT, capacity=1)
        await world.node("w", WARSAW, capacity=1)
        await world.node("m", MONTREAL)
        world.latencies.by_city[PLAYER] = {"Frankfurt": 20.0, "Warsaw": 50.0, "Montreal": 90.0}
        await world.version(sockets=1)
        first = await world.seat(1)
        assert await city_of(world, first) == "Frankfurt"
        second, third = await world.seat(1), await world.seat(1)
        for session in (second, third):
            assert session.status is SessionStatus.SEEKING
            explanation = await why(world, session)
            assert (explanation.rule, explanation.cap_ms, explanation.chosen) == (Rule.CAPS, 40, None)
        world.clock.pass_seconds(4)
        await world.session_loop.act_on_due()
        assert (await world.look(second)).session.status is SessionStatus.SEEKING
        world.clock.pass_seconds(2)
        await world.session_loop.act_on_due()
        seated = [(await world.look(session)).session for session in (second, third)]
        assert [session.status for session in seated].count(SessionStatus.WAITING) == 1
        (waiting,) = [session for session in seated if session.status is SessionStatus.WAITING]
        (seeking,) = [session for session in seated if session.status is SessionStatus.SEEKING]
        assert await city_of(world, waiting) == "Warsaw"
        assert chosen_city(await why(world, waiting)) == "Warsaw"
        world.clock.pass_seconds(10)
        await world.session_loop.act_on_due()
        last = (await world.look(seeking)).session
        assert await city_of(world, last) == "Montreal"
        explanation = await why(world, last)
        assert (explanation.rule, explanation.cap_ms, chosen_city(explanation)) == (Rule.CAPACITY, None, "Montreal")
        assert explanation.decided_at == world.clock.now()
        await world.check_invariants()

    async def test_why_it_waits_is_written_down_once_and_again_when_it_changes(self, world: World) -> None:
        await world.node("f", FRANKFURT, capacity=1)
        await world.node("w", WARSAW, capacity=1)
        await world.node("m", MONTREAL)
        world.latencies.by_city[PLAYER] = {"Frankfurt": 20.0, "Warsaw": 50.0, "Montreal": 90.0}
        await world.version(kind=SessionKind.MATCH, sockets=1)
        await world.seat(1)
        await world.seat(1, wish=Wish(filters=(Filter("city", ("Warsaw",), FilterType.ANY),)))
        waiting = await world.seat(1)
        first = await why(world, waiting)
        assert (first.rule, first.cap_ms) == (Rule.CAPS, 40)

        async def look_again() -> Explanation:
            world.clock.pass_seconds(1)
            await world.session_loop.act_on_due()
            session = (await world.look(waiting)).session
            assert session.status is SessionStatus.SEEKING
            assert session.due_at == after(world.clock.now(), SEEK_SECONDS)
            return await why(world, waiting)

        # Figures drift all the time, and are no reason to write.
        world.latencies.by_city[PLAYER]["Montreal"] = 91.0
        assert [await look_again(), await look_again()] == [first, first]
        await world.sessions.add_users(ORGANISATION, waiting.session_id, ["203.0.113.1"])
        larger = await look_again()
        assert (larger.decided_at, larger.cap_ms, larger.unknown_players) == (world.clock.now(), 40, 1)
        world.clock.pass_seconds(3)
        relaxed = await look_again()
        assert (relaxed.decided_at, relaxed.cap_ms) == (world.clock.now(), 60)
        assert await look_again() == relaxed

    async def test_a_seat_that_becomes_free_near_by_is_taken(self, world: World) -> None:
        await world.node("f", FRANKFURT, capacity=1)
        await world.node("m", MONTREAL)
        world.latencies.by_city[PLAYER] = {"Frankfurt": 20.0, "Montreal": 90.0}
        await world.version(sockets=1)
        first, second = await world.seat(1), await world.seat(1)
        await world.sessions.delete(ORGANISATION, first.session_id)
        world.clock.pass_seconds(1)
        await world.session_loop.act_on_due()
        assert (await world.look(second)).session.deployment_id == first.deployment_id

    async def test_steps_that_no_location_meets_are_passed_over(self, world: World) -> None:
        await world.node("m", MONTREAL)
        world.latencies.by_city[PLAYER] = {"Montreal": 90.0}
        await world.node("w", WARSAW, capacity=0)
        world.latencies.by_city[PLAYER] |= {"Warsaw": 200.0}
        await world.version()
        assert await city_of(world, await world.seat(1)) == "Montreal"


class TestExplanation:
    async def test_the_best_location(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        first, second = await world.seat(2), await world.seat(1)
        for session, players in ((first, 2), (second, 1)):
            explanation = await why(world, session)
            assert explanation.rule is Rule.NEAREST
            assert cities(explanation) == ["Frankfurt", "Warsaw", "Montreal"]
            assert (explanation.chosen, explanation.not_ranked, explanation.unknown_players) == (0, 0, 0)
            assert len(explanation.players) == len(explanation.ranking[0].costs) == players
            assert explanation.range_ms == 30.0
            assert explanation.decided_at == world.clock.now()

    async def test_a_running_server_in_range(self, world: World) -> None:
        await world.node("f", FRANKFURT)
        await world.version()
        await world.seat(1)
        await world.node("p", Location("Paris", "France", "Europe", "", "CET", 48.85, 2.35))
        explanation = await why(world, await world.seat(1))
        assert (explanation.rule, cities(explanation)) == (Rule.RANGE, ["Paris", "Frankfurt"])
        assert chosen_city(explanation) == "Frankfurt"
        assert explanation.ranking[0].passed_over == "no server there had free seats"

    async def test_no_room_at_the_best_location(self, world: World) -> None:
        await world.node("f", FRANKFURT, capacity=0)
        await world.node("w", WARSAW)
        await world.version()
        session = await world.seat(1)
        explanation = await why(world, session)
        assert (explanation.rule, chosen_city(explanation)) == (Rule.CAPACITY, "Warsaw")
        assert explanation.ranking[0].passed_over == "no node there had room for the server"
        of_deployment = (await world.deployments.placement(ORGANISATION, session.deployment_id or ""))[1]
        assert of_deployment == explanation

    async def test_nobodys_place_is_known(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        for _ in range(3):
            explanation = await why(world, await world.seat(2, at=None))
            assert (explanation.rule, explanation.unknown_players, explanation.players) == (Rule.ROOM, 2, ())
            assert explanation.chosen is not None

    async def test_a_centre_stands_for_the_players(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        explanation = await why(world, await world.seat(2, wish=Wish(location=TORONTO_PLAYER)))
        assert (explanation.players, chosen_city(explanation)) == (("location",), "Montreal")

    async def test_what_filters_rule_out(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        wish = Wish(filters=(Filter("city", ("Warsaw",), FilterType.ANY),))
        explanation = await why(world, await world.seat(1, wish=wish))
        assert (explanation.rule, cities(explanation)) == (Rule.NEAREST, ["Warsaw"])
        excluded = {_location(location).city: reason for location, reason in explanation.excluded}
        assert set(excluded) == {"Frankfurt", "Montreal"}
        assert excluded["Montreal"] == "city is none of: Warsaw"
        nowhere = Wish(filters=(Filter("city", ("Oslo",), FilterType.ANY),))
        explanation = await why(world, await world.seat(1, wish=nowhere))
        assert (explanation.rule, explanation.ranking, len(explanation.excluded)) == (Rule.FILTERS, (), 3)

    async def test_a_named_deployment(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        first = await world.seat(1)
        second = await world.seat(1, deployment_id=first.deployment_id)
        assert (await why(world, second)).rule is Rule.NAMED

    async def test_it_is_bounded_and_holds_the_worst_served(self, world: World) -> None:
        for number in range(30):
            await world.node(f"n{number:02}", Location(f"C{number}", "L", "Europe", "", "CET", 10.0 + number, 10.0))
        await world.version(sockets=1000)
        far = Player("203.0.113.9", TORONTO_PLAYER)
        group = tuple(Player(f"198.51.100.{index}", PARIS_PLAYER) for index in range(99))
        request = SessionRequest("arena", "1.0", players=(*group, far))
        explanation = await why(world, await world.sessions.create(ORGANISATION, request))
        assert (len(explanation.ranking), explanation.not_ranked) == (20, 10)
        assert (len(explanation.players), explanation.more_players) == (32, 68)
        assert far.ip in explanation.players

    async def test_it_stays_as_it_was(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        session = await world.seat(1)
        before = await why(world, session)
        world.clock.pass_seconds(60)
        await world.node("p", Location("Paris", "France", "Europe", "", "CET", 48.85, 2.35))
        await world.sessions.add_users(ORGANISATION, session.session_id, ["203.0.113.1"])
        await world.ready(session.deployment_id)
        assert await why(world, session) == before

    async def test_it_is_the_owners_alone(self, world: World) -> None:
        await three_cities(world)
        await world.version()
        session = await world.seat(1)
        stranger = OrganisationId("strangers")
        with pytest.raises(NotFound):
            await world.sessions.placement(stranger, session.session_id)
        with pytest.raises(NotFound):
            await world.deployments.placement(stranger, session.deployment_id or "")

    async def test_what_is_written_down_shortly_says_what_a_full_ranking_would(self, world: World) -> None:
        """A group that is seated at once has only the inputs kept; the one that started the server has the ranking."""
        for number in range(25):
            await world.node(f"n{number:02}", Location(f"C{number}", "L", "Europe", "", "CET", 10.0 + number, 10.0))
        await world.node("f", FRANKFURT)
        await world.version(sockets=100)
        world.latencies.by_city[PLAYER] = {"Frankfurt": 31.0}
        full, short = [await why(world, await world.seat(3)) for _ in range(2)]
        assert (len(full.ranking), len(short.ranking)) == (20, 5)
        assert short.ranking == full.ranking[:5]
        assert (short.chosen, short.players, short.rule) == (full.chosen, full.players, full.rule)
        assert full.not_ranked - short.not_ranked == 5 - 20
