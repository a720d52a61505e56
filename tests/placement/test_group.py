"""Costs of a group and the search for the best locations: exactly what looking at every player everywhere finds."""

from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waymeet.geo.distance import ACCESS_MS, UnitVector, estimated_ms, uncertainty_ms, unit_vector
from waymeet.model.latency import Latency, Origin
from waymeet.model.location import Coordinates
from waymeet.placement.group import Group
from waymeet.placement.members import Member, member

POINTS = st.builds(
    lambda latitude, longitude: unit_vector(Coordinates(latitude, longitude)), st.floats(-90, 90), st.floats(-180, 180)
)
# Many at few places: equal points, and ties, are what a search gets wrong.
CROWDED = st.sampled_from([unit_vector(Coordinates(lat, lon)) for lat in (-60, 0, 45, 46) for lon in (-120, 0, 1, 90)])
LATENCIES = st.builds(Latency, st.floats(0.1, 400), st.sampled_from([Origin.MEASURED, Origin.REPORTED]), st.just(2.0))


def tie(site: int) -> tuple[int, str]:
    return (-(site % 3), f"{site:04}")


@st.composite
def worlds(draw: st.DrawFn, measured: bool) -> tuple[list[UnitVector], list[Member]]:
    places = draw(st.sampled_from([POINTS, CROWDED, POINTS | CROWDED]))
    sites = draw(st.lists(places, min_size=1, max_size=60))
    members = []
    for _ in range(draw(st.integers(0, 25))):
        known = draw(st.dictionaries(st.integers(0, len(sites) - 1), LATENCIES, max_size=4)) if measured else {}
        point = draw(places | st.none()) if known else draw(places)
        found = member(point, known, sites)
        assert found is not None
        members.append(found)
    return sites, members


def cost(player: Member, site: int, vector: UnitVector) -> float:
    """What a location costs a player, in the plainest way."""
    if site in player.measured:
        return player.measured[site].ms
    return player.shift_ms + estimated_ms(player.point, vector)


def by_looking_at_everything(sites: list[UnitVector], members: list[Member]) -> list[tuple[float, int]]:
    rows = []
    for site, vector in enumerate(sites):
        costs = [cost(player, site, vector) for player in members]
        worst, mean = (max(costs), fsum(costs) / len(costs)) if costs else (0.0, 0.0)
        rows.append((worst, mean, tie(site), site))
    return [(worst, site) for worst, _, _, site in sorted(rows)]


class TestSearch:
    @settings(max_examples=120, deadline=None)
    @given(worlds(measured=False) | worlds(measured=True), st.integers(1, 25))
    def test_finds_the_same_as_looking_at_everything(
        self, world: tuple[list[UnitVector], list[Member]], count: int
    ) -> None:
        sites, members = world
        everything = by_looking_at_everything(sites, members)
        assert Group(sites, members).leading(count, range(len(sites)), tie) == everything[:count]
        assert list(Group(sites, members).in_order(range(len(sites)), tie)) == everything

    @settings(max_examples=60, deadline=None)
    @given(worlds(measured=True), st.integers(1, 5), st.integers(1, 4))
    def test_among_some_locations_only(
        self, world: tuple[list[UnitVector], list[Member]], count: int, step: int
    ) -> None:
        sites, members = world
        among = range(0, len(sites), step)
        expected = [entry for entry in by_looking_at_everything(sites, members) if entry[1] in among]
        assert Group(sites, members).leading(count, among, tie) == expected[:count]

    @settings(max_examples=80, deadline=None)
    @given(worlds(measured=False))
    def test_the_quick_answer_is_the_best_or_none(self, world: tuple[list[UnitVector], list[Member]]) -> None:
        sites, members = world
        quick = Group(sites, members).best()
        if quick is not None:
            assert by_looking_at_everything(sites, members)[0][1] == quick

    def test_the_quick_answer_is_there_for_small_groups(self) -> None:
        sites = [unit_vector(Coordinates(0, longitude)) for longitude in (0, 50, 100)]
        players = [Member(unit_vector(Coordinates(0, longitude))) for longitude in (40, 80)]
        assert Group(sites, players).best() == 1

    @pytest.mark.parametrize("probed", [0, 32, 100])
    def test_thousand_places_and_a_crowd_agree_too(self, probed: int) -> None:
        """Some, none or all of them measured at a few places."""
        sites = [unit_vector(Coordinates((index * 37) % 180 - 90, (index * 101) % 360 - 180)) for index in range(1000)]
        points = [unit_vector(Coordinates((index * 13) % 120 - 60, (index * 53) % 360 - 180)) for index in range(100)]
        players = []
        for index, point in enumerate(points):
            asked = range(index % 7, 1000, 83) if index < probed else ()
            known = {site: Latency(20.0 + (index * 31 + site) % 230, Origin.MEASURED, 2.0) for site in asked}
            player = member(point, known, sites)
            assert player is not None
            players.append(player)
        assert Group(sites, players).leading(20, range(1000), tie) == by_looking_at_everything(sites, players)[:20]

    def test_a_place_that_costs_little_less_than_the_first_one_looked_at_is_not_passed_over(self) -> None:
        """Nobody costs the second place more than its lower bound, and that is just below what the first one costs."""
        sites = [unit_vector(Coordinates(0, longitude)) for longitude in (0, 11.3)]
        probed = member(
            sites[1], {0: Latency(29.6, Origin.MEASURED, 1.0), 1: Latency(1.0, Origin.MEASURED, 1.0)}, sites
        )
        assert probed is not None
        group = Group(sites, [Member(sites[0]), probed])
        assert group.worst_ms(0) == 29.6
        assert 29.4 < group.worst_ms(1) < 29.6
        assert [site for _, site in group.leading(1, range(2), tie)] == [1]


class TestCosts:
    HERE, NEAR, FAR = (unit_vector(Coordinates(0, longitude)) for longitude in (0, 5, 90))

    def test_what_was_measured_counts_and_says_so(self) -> None:
        measured = Latency(7.5, Origin.MEASURED, 0.4)
        player = member(self.HERE, {1: measured}, [self.NEAR, self.FAR])
        assert player is not None
        near, far = (Group([self.NEAR, self.FAR], [player]).latencies(site)[0] for site in (0, 1))
        assert far == measured
        assert near.origin is Origin.ESTIMATED
        assert near.uncertainty_ms == pytest.approx(uncertainty_ms(estimated_ms(self.HERE, self.NEAR)))

    def test_a_players_own_line_shifts_his_estimates(self) -> None:
        sites = [self.HERE, self.NEAR, self.FAR]
        slow = {site: Latency(estimated_ms(self.HERE, sites[site]) + 40, Origin.MEASURED, 1.0) for site in (0, 2)}
        player = member(self.HERE, slow, sites)
        assert player is not None
        assert Group(sites, [player]).worst_ms(1) == pytest.approx(estimated_ms(self.HERE, self.NEAR) + 40)

    def test_one_odd_route_does_not_shift_the_others(self) -> None:
        sites = [self.HERE, self.NEAR, self.FAR]
        known = {site: Latency(estimated_ms(self.HERE, sites[site]) + 5, Origin.MEASURED, 1.0) for site in (0, 1)}
        known[2] = Latency(900, Origin.MEASURED, 1.0)
        player = member(self.HERE, known, sites)
        assert player is not None and player.shift_ms == pytest.approx(5)

    def test_without_a_place_he_stands_where_he_measured_least_and_elsewhere_the_way_is_added(self) -> None:
        sites = [self.HERE, self.NEAR, self.FAR]
        known = {0: Latency(30, Origin.MEASURED, 1.0), 2: Latency(120, Origin.MEASURED, 1.0)}
        player = member(None, known, sites)
        assert player is not None
        way = estimated_ms(self.HERE, self.NEAR) - ACCESS_MS
        assert Group(sites, [player]).costs_ms(1) == [pytest.approx(30 + way)]

    def test_nothing_known_does_not_count(self) -> None:
        assert member(None, {}, [self.HERE]) is None

    def test_no_cost_is_below_zero(self) -> None:
        sites = [self.HERE, self.FAR]
        for point in (self.HERE, None):
            player = member(point, {1: Latency(1, Origin.MEASURED, 1.0)}, sites)
            assert player is not None and Group(sites, [player]).costs_ms(0)[0] >= 0.0


class TestExceeding:
    SITES = (unit_vector(Coordinates(0, 0)), unit_vector(Coordinates(0, 60)))
    PLAYER = unit_vector(Coordinates(0, 1))

    def test_an_estimate_is_taken_at_its_word_only_beyond_its_uncertainty(self) -> None:
        group = Group(self.SITES, [Member(self.PLAYER)])
        ms = group.worst_ms(1)
        assert not group.exceeds(1, ms - uncertainty_ms(ms) / 2)
        assert group.exceeds(1, ms - uncertainty_ms(ms) * 1.01)

    def test_a_measurement_is_taken_at_its_word(self) -> None:
        player = member(self.PLAYER, {1: Latency(100.0, Origin.MEASURED, 30.0)}, self.SITES)
        assert player is not None
        group = Group(self.SITES, [player])
        assert group.exceeds(1, 99.9)
        assert not group.exceeds(1, 100.0)
