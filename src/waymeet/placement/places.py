"""Places where something can run, and which of them a request allows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from waymeet.geo.countries import continent_named, country_named
from waymeet.geo.names import name_key
from waymeet.model.filters import Filter, FilterType, agrees, folded
from waymeet.model.location import Location

CONSTRAINT_FIELDS = ("city", "country", "continent", "region", "administrative_division")
FILTER_FIELDS = frozenset({*CONSTRAINT_FIELDS, "location_tags"})
ANY_NAME = "location"
"""The filter field of relays that matches a place by whatever it is called (contract 2.16)."""


@dataclass(frozen=True, slots=True)
class Place:
    """One node as placement sees it. `values` holds what filters compare with, folded once."""

    key: str
    site: str
    """Equal for nodes that stand at the same location."""
    location: Location
    values: Mapping[str, frozenset[str]] = field(hash=False, compare=False)


def place(key: str, location: Location, *, region: str | None, tags: Mapping[str, str]) -> Place:
    """A place with its filter values made ready.

    `region` is the operator's name for a group of locations; without one the continent stands in for it, and it is
    always known by its continent too (contract 2.2 and 4.2 number 8). Tags match as `key=value` and as the bare key.
    """
    values = {
        name: frozenset({comparable(name, getattr(location, name))}) for name in CONSTRAINT_FIELDS if name != "region"
    }
    values["region"] = frozenset(comparable("region", text) for text in (location.continent, region) if text)
    values["location_tags"] = frozenset(folded(text) for tag, value in tags.items() for text in (tag, f"{tag}={value}"))
    values[ANY_NAME] = frozenset(_every_name(location))
    site = "|".join(str(getattr(location, member.name)) for member in fields(location))
    return Place(key, site, location, values)


def comparable(field_name: str, value: str) -> str:
    """How a filter's value and a place's own are compared: equal results mean the same.

    Names match however they are written: letter case, accents and punctuation aside. Countries match by any of their names
    and ISO codes, continents (and regions, which may be continents) by name and code. Tags match but for letter case.
    """
    match field_name:
        case "country":
            country = country_named(value)
            return country.code if country is not None else name_key(value)
        case "continent" | "region":
            continent = continent_named(value)
            return continent.code if continent is not None else name_key(value)
        case "city" | "administrative_division" | "location":
            return name_key(value)
    return folded(value)


def _every_name(location: Location) -> Iterable[str]:
    """Country and continent by codes and names, city, administrative division.

    All of them, rather than one that stands for all: `NA` is Namibia as well as North America, and both are meant.
    """
    texts = [location.city, location.country, location.continent, location.administrative_division]
    if (country := country_named(location.country)) is not None:
        texts += country.names
    if (continent := continent_named(location.continent)) is not None:
        texts += (continent.code, continent.name)
    return (name_key(text) for text in texts if text)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A place that a request rules out, and the filter that did it."""

    key: str
    reason: str


def allowed(places: Iterable[Place], filters: Sequence[Filter]) -> tuple[list[Place], list[Excluded]]:
    """The places that pass every filter, and for each other one the first filter that it fails."""
    if not filters:
        return list(places), []
    prepared = [(entry, [comparable(entry.field, value) for value in entry.values]) for entry in filters]
    passing: list[Place] = []
    excluded: list[Excluded] = []
    for candidate in places:
        for entry, wanted in prepared:
            if not agrees(candidate.values.get(entry.field, frozenset()), wanted, entry.filter_type):
                excluded.append(Excluded(candidate.key, _reason(entry)))
                break
        else:
            passing.append(candidate)
    return passing, excluded


def constraint(field_name: str, value: str) -> Filter:
    """A single-valued member such as `"city": "Berlin"` as the filter that it means (contract 2.2)."""
    return Filter(field_name, (value,), FilterType.ANY)


def _reason(entry: Filter) -> str:
    words = {FilterType.ANY: "is none of", FilterType.ALL: "is not all of", FilterType.NOT: "is one of"}
    return f"{entry.field} {words[entry.filter_type]}: {', '.join(entry.values)}"
