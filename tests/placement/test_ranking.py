"""The placement core: worst-served player first, then the mean; pure, total, and the quick way agrees with the long one."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from waymeet.geo.distance import ACCESS_MS, distance_km, estimated_ms, unit_vector
from waymeet.model.filters import Filter, FilterType
from waymeet.model.location import Coordinates, Location
from waymeet.placement.nearest import nearest
from waymeet.placement.places import Place, allowed, place
from waymeet.placement.ranking import RankedPlace, ranked, site_of_best, within_range

POINTS = st.builds(Coordinates, st.floats(-90, 90, allow_nan=False), st.floats(-180, 180, allow_nan=False))


def somewhere(key: str, city: str = "City", region: str | None = None, tags: Mapping[str, str] | None = None) -> Place:
    location = Location(city, "Germany", "Europe", "Hesse", "CET", 50.0, 8.0)
    return place(key, location, region=region, tags=tags or {})


def rank(costs: dict[str, list[float]], room: dict[str, int] | None = None) -> list[RankedPlace]:
    places = [somewhere(key, city=key) for key in costs]
    return ranked(places, lambda each: costs[each.key], lambda each: (room or {}).get(each.key, 1))


class TestRanking:
    def test_one_far_player_outweighs_two_near_ones(self) -> None:
        assert rank({"paris": [5, 5, 180], "newyork": [70, 75, 80]})[0].key == "newyork"

    def test_equal_worst_goes_to_the_lower_mean(self) -> None:
        assert rank({"a": [80, 80], "b": [20, 80]})[0].key == "b"

    def test_nobody_known_goes_to_the_most_room_then_by_name(self) -> None:
        assert [entry.key for entry in rank({"c": [], "b": [], "a": []}, {"c": 9, "b": 2, "a": 2})] == ["c", "a", "b"]

    @given(st.dictionaries(st.text(min_size=1, max_size=3), st.lists(st.floats(0, 500), min_size=2, max_size=2)))
    def test_no_place_before_another_is_worse_for_the_worst_player(self, costs: dict[str, list[float]]) -> None:
        ranking = rank(costs)
        worst = [entry.worst_ms for entry in ranking]
        assert worst == sorted(worst)
        assert {entry.key for entry in ranking} == set(costs)

    def test_nodes_at_the_best_location_belong_together_and_others_do_not(self) -> None:
        here = Location("Here", "Land", "Europe", "", "UTC", 1.0, 2.0)
        there = Location("There", "Land", "Europe", "", "UTC", 3.0, 4.0)
        places = [place(key, at, region=None, tags={}) for key, at in (("b", here), ("a", here), ("c", there))]
        ranking = ranked(places, lambda each: [10.0], lambda each: 1)
        assert site_of_best(ranking) == ["a", "b"]


class TestRange:
    RANKING = rank({"near": [10], "close": [35], "far": [120]})

    def test_what_is_little_worse_than_a_new_server_counts(self) -> None:
        assert [entry.key for entry in within_range(self.RANKING, {"near"}, 30)] == ["near", "close"]

    def test_the_best_place_counts_only_where_a_server_can_be_started(self) -> None:
        assert [entry.key for entry in within_range(self.RANKING, {"far"}, 30)] == ["near", "close", "far"]

    def test_without_a_place_to_start_one_every_place_counts(self) -> None:
        assert len(within_range(self.RANKING, set(), 30)) == 3

    def test_zero_means_unlimited(self) -> None:
        assert len(within_range(self.RANKING, {"near"}, 0)) == 3


class TestFilters:
    def passes(
        self,
        field: str,
        values: tuple[str, ...],
        kind: FilterType,
        region: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> bool:
        passing, excluded = allowed([somewhere("x", region=region, tags=tags)], [Filter(field, values, kind)])
        assert len(passing) + len(excluded) == 1
        return bool(passing)

    def test_values_match_trimmed_and_in_any_case(self) -> None:
        assert self.passes("country", ("  gerMANY ",), FilterType.ANY)
        assert not self.passes("country", ("German",), FilterType.ANY)

    def test_all_on_a_single_value_means_that_every_value_equals_it(self) -> None:
        assert self.passes("country", ("Germany", "germany"), FilterType.ALL)
        assert not self.passes("country", ("Germany", "France"), FilterType.ALL)

    def test_all_on_tags_means_that_each_is_there(self) -> None:
        tags = {"tier": "gold", "gpu": "yes"}
        assert self.passes("location_tags", ("tier=gold", "gpu"), FilterType.ALL, tags=tags)
        assert not self.passes("location_tags", ("tier=gold", "arm"), FilterType.ALL, tags=tags)

    def test_not_rules_out(self) -> None:
        assert not self.passes("continent", ("Asia", "Europe"), FilterType.NOT)
        assert self.passes("continent", ("Asia",), FilterType.NOT)

    def test_a_region_is_the_operators_or_the_continent(self) -> None:
        assert self.passes("region", ("EU-Central",), FilterType.ANY, region="eu-central")
        assert self.passes("region", ("Europe",), FilterType.ANY, region="eu-central")
        assert not self.passes("region", ("Asia",), FilterType.ANY)

    def test_the_reason_names_the_filter(self) -> None:
        _, excluded = allowed([somewhere("x")], [Filter("city", ("Atlantis",), FilterType.ANY)])
        assert excluded[0].reason == "city is none of: Atlantis"


@given(st.lists(POINTS, min_size=1, max_size=30), st.lists(POINTS, min_size=1, max_size=6))
def test_the_quick_way_finds_what_the_ranking_puts_first(places: list[Coordinates], players: list[Coordinates]) -> None:
    vectors = [unit_vector(point) for point in places]
    group = [unit_vector(point) for point in players]
    found = nearest(vectors, group)
    worst = [max(distance_km(vector, player) for player in group) for vector in vectors]
    if found is not None:
        # A kilometre of tolerance: close to the poles of the arc cosine, rounding moves points by some metres.
        assert worst[found] <= min(worst) + 1.0


class TestDistance:
    @given(POINTS, POINTS)
    def test_it_is_symmetric_and_at_most_half_the_globe(self, one: Coordinates, other: Coordinates) -> None:
        there, back = unit_vector(one), unit_vector(other)
        assert distance_km(there, back) == distance_km(back, there)
        assert 0 <= distance_km(there, back) <= 20_016

    def test_known_distances(self) -> None:
        london, new_york = unit_vector(Coordinates(51.5074, -0.1278)), unit_vector(Coordinates(40.7128, -74.0060))
        assert abs(distance_km(london, new_york) - 5570) < 10

    def test_next_door_costs_the_access_link_alone(self) -> None:
        here = unit_vector(Coordinates(50, 8))
        assert abs(estimated_ms(here, here) - ACCESS_MS) < 0.5
