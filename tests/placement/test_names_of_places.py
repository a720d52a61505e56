"""Filters find places by every name that they go by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waymeet.geo.countries import CONTINENTS, COUNTRIES
from waymeet.model.filters import Filter, FilterType
from waymeet.model.location import Location
from waymeet.placement.places import Place, allowed, comparable, place


def somewhere(
    city: str = "", country: str = "", continent: str = "", division: str = "", region: str | None = None
) -> Place:
    return place("x", Location(city, country, continent, division, "UTC", 0.0, 0.0), region=region, tags={"Größe": "L"})


def passes(candidate: Place, field: str, *values: str, kind: FilterType = FilterType.ANY) -> bool:
    passing, _ = allowed([candidate], [Filter(field, values, kind)])
    return bool(passing)


BERLIN = somewhere("Berlin", "Germany", "Europe", "Land Berlin")
SAO_PAULO = somewhere("São Paulo", "BR", "SA", "Estado de São Paulo", region="SA-East")


@pytest.mark.parametrize(
    ("candidate", "field", "value"),
    [
        (BERLIN, "country", "de"),
        (BERLIN, "country", "DEU"),
        (BERLIN, "country", "deutschland"),
        (BERLIN, "continent", "EU"),
        (BERLIN, "region", "eu"),
        (BERLIN, "region", "Europe"),
        (SAO_PAULO, "country", "Brazil"),
        (SAO_PAULO, "country", "BRASIL"),
        (SAO_PAULO, "continent", "south america"),
        (SAO_PAULO, "city", "sao paulo"),
        (SAO_PAULO, "city", "SAO-PAULO"),
        (SAO_PAULO, "administrative_division", "ESTADO DE SAO PAULO"),
        (SAO_PAULO, "region", "sa east"),
        (SAO_PAULO, "region", "South America"),
        (SAO_PAULO, "location_tags", "GRÖSSE=l"),
    ],
)
def test_found(candidate: Place, field: str, value: str) -> None:
    assert passes(candidate, field, value)
    assert not passes(candidate, field, value, kind=FilterType.NOT)


@pytest.mark.parametrize(
    ("candidate", "field", "value"),
    [
        (BERLIN, "country", "Berlin"),
        (BERLIN, "country", "DK"),
        (BERLIN, "city", "DE"),
        (BERLIN, "continent", "Germany"),
        (SAO_PAULO, "region", "Europe"),
        # A tag is the operator's own text, not a name.
        (SAO_PAULO, "location_tags", "grosse=l"),
        # An unknown name is not a code, nor a code a name of a city.
        (somewhere(country="Elbonia"), "country", "EL"),
        (somewhere(city="US"), "city", "United States"),
    ],
)
def test_not_found(candidate: Place, field: str, value: str) -> None:
    assert not passes(candidate, field, value)
    assert passes(candidate, field, value, kind=FilterType.NOT)


def test_names_of_one_country_all_agree() -> None:
    assert passes(BERLIN, "country", "DE", "Germany", "DEU", kind=FilterType.ALL)
    assert not passes(BERLIN, "country", "DE", "FR", kind=FilterType.ALL)


@given(st.sampled_from(sorted(COUNTRIES)), st.data())
def test_any_name_finds_any_other(code: str, data: st.DataObject) -> None:
    country = COUNTRIES[code]
    names = st.sampled_from([code, country.alpha_3, country.name, *country.aliases])
    own, asked = data.draw(names), data.draw(names)
    assert passes(somewhere(country=own), "country", asked.swapcase())
    other = data.draw(st.sampled_from(sorted(set(COUNTRIES) - {code})))
    assert not passes(somewhere(country=own), "country", COUNTRIES[other].name)


@given(
    st.sampled_from(["city", "country", "continent", "region", "administrative_division", "location_tags"]), st.text()
)
def test_every_text_is_comparable_and_equals_itself(field: str, text: str) -> None:
    assert comparable(field, text) == comparable(field, f" {text} ")


@pytest.mark.parametrize("code", sorted(CONTINENTS))
def test_continents(code: str) -> None:
    assert passes(somewhere(continent=CONTINENTS[code].name), "continent", code.lower())
    assert passes(somewhere(continent=code), "region", CONTINENTS[code].name.upper())
