"""City names: all different, and the same from one moment to the next."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.beacons.fleets import node
from waymeet.beacons.names import city_names
from waymeet.locations.service import REMEMBERED_SECONDS as DAY
from waymeet.locations.types import Node
from waymeet.model.instant import Instant, after
from waymeet.model.location import Location
from waymeet.model.node_messages import Role

NOW = Instant(1_750_000_000_000_000)
PARIS = Location("Paris", "France", "Europe", "Paris", "Central European Time", 48.86, 2.35)
TEXAS = Location("Paris", "United States", "North America", "Texas", "Central Time", 33.66, -95.56)
ARKANSAS = Location("Paris", "United States", "North America", "Arkansas", "Central Time", 35.29, -93.73)


def names(*nodes: Node) -> list[str]:
    found = city_names(nodes, NOW)
    return [found[one.name] for one in nodes if one.name in found]


def test_one_beacon_has_the_plain_name() -> None:
    assert names(node("a"), node("b", PARIS)) == ["Frankfurt", "Paris"]


def test_the_first_known_keeps_the_plain_name_whatever_it_is_called() -> None:
    assert names(node("a", known_since=2), node("b", known_since=1)) == ["Frankfurt (a)", "Frankfurt"]


def test_known_since_the_same_moment_the_name_decides() -> None:
    assert names(node("b"), node("a")) == ["Frankfurt (b)", "Frankfurt"]


def test_cities_of_one_name_are_told_apart_by_where_they_are() -> None:
    one, two, three = node("x", PARIS), node("y", TEXAS, known_since=1), node("z", ARKANSAS, known_since=2)
    assert names(one, two, three) == ["Paris", "Paris (Texas)", "Paris (Arkansas)"]


def test_the_country_tells_where_the_division_does_not() -> None:
    same = replace(TEXAS, administrative_division="Paris")
    assert names(node("x", PARIS), node("y", same, known_since=1)) == ["Paris", "Paris (United States)"]


def test_beacons_at_one_place_are_told_apart_by_their_nodes() -> None:
    assert names(node("x", PARIS), node("y", PARIS), node("z", PARIS)) == ["Paris", "Paris (y)", "Paris (z)"]


def test_unnamed_divisions_and_countries_tell_nothing() -> None:
    blank = replace(PARIS, administrative_division=" ", country="")
    assert names(node("x", PARIS), node("y", blank, known_since=1)) == ["Paris", "Paris (y)"]


def test_letter_case_and_blanks_make_no_difference() -> None:
    odd = replace(PARIS, city=" PARIS ")
    assert names(node("x", PARIS), node("y", odd, known_since=1)) == ["Paris", "PARIS (y)"]


def test_a_city_that_is_really_called_like_a_made_up_name() -> None:
    odd = replace(PARIS, city="Paris (y)")
    assert names(node("a", odd), node("x", PARIS), node("y", PARIS, known_since=1)) == [
        "Paris (y)",
        "Paris",
        "Paris (y 2)",
    ]


def test_a_node_without_the_role_takes_no_name() -> None:
    assert names(node("a", roles=(Role.SERVER,)), node("b")) == ["Frankfurt"]


@pytest.mark.parametrize(("away", "expected"), [(DAY, "Frankfurt (b)"), (DAY + 1, "Frankfurt")])
def test_a_name_is_held_for_a_day(away: float, expected: str) -> None:
    gone = node("a", connected=False, last_seen_at=after(NOW, -away))
    assert city_names([gone, node("b", known_since=1)], NOW)[node("b").name] == expected


CITIES = st.sampled_from(["Paris", "paris", "Paris (a)", "Paris (b)", "Paris (Texas)", "", " "])
PLACES = st.builds(
    Location, CITIES, st.sampled_from(["France", "", "USA"]), st.just("x"), st.sampled_from(["Texas", "", "Paris"]),
    st.just("x"), st.just(0.0), st.just(0.0),
)  # fmt: skip
FLEETS = st.lists(st.tuples(PLACES, st.integers(0, 3), st.booleans()), max_size=8).map(
    lambda found: [
        node("abcdefgh"[number], place, known_since=since, connected=connected, last_seen_at=NOW)
        for number, (place, since, connected) in enumerate(found)
    ]
)


@given(FLEETS, st.randoms())
def test_names_are_never_shared_nor_empty_and_depend_on_no_order(fleet: list[Node], rng: object) -> None:
    found = city_names(fleet, NOW)
    assert set(found) == {one.name for one in fleet}
    assert len({name.casefold() for name in found.values()}) == len(fleet)
    assert all(name.strip() for name in found.values())
    assert city_names(fleet[::-1], NOW) == found


@given(FLEETS, PLACES)
def test_a_newcomer_and_comings_and_goings_change_nobodys_name(fleet: list[Node], place: Location) -> None:
    before = city_names(fleet, NOW)
    newcomer = node("0", place, known_since=4)
    turned = [replace(one, connected=not one.connected) for one in fleet]
    after_that = city_names([newcomer, *turned], NOW)
    assert {name: after_that[name] for name in before} == before
