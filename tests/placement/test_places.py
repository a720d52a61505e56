"""Filters, and distances on the globe."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from waymeet.geo.distance import ACCESS_MS, distance_km, estimated_ms, unit_vector
from waymeet.model.filters import Filter, FilterType
from waymeet.model.location import Coordinates, Location
from waymeet.placement.places import Place, allowed, place

POINTS = st.builds(Coordinates, st.floats(-90, 90, allow_nan=False), st.floats(-180, 180, allow_nan=False))


def somewhere(key: str, city: str = "City", region: str | None = None, tags: Mapping[str, str] | None = None) -> Place:
    location = Location(city, "Germany", "Europe", "Hesse", "CET", 50.0, 8.0)
    return place(key, location, region=region, tags=tags or {})


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
