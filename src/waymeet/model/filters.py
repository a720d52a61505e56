"""Filters as they come with requests (contract 2.2 and 2.9): a field, values, and how the two must agree."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from waymeet.model.errors import Invalid

HIGHEST_FILTERS = 32
HIGHEST_VALUES = 100
LONGEST_VALUE = 255


class FilterType(StrEnum):
    ANY = "any"
    ALL = "all"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Filter:
    """Passes objects whose `field` agrees with `values` in the way of `filter_type`."""

    field: str
    values: tuple[str, ...]
    filter_type: FilterType


def folded(value: str) -> str:
    """How filters compare text: trimmed, and without regard to letter case."""
    return value.strip().casefold()


def agrees(own: Collection[str], wanted: Sequence[str], filter_type: FilterType) -> bool:
    """Whether an object's folded values agree with a filter's folded values.

    `any`: at least one wanted value is there. `all`: every wanted value is there; for a single-valued field that means
    that every wanted value equals it. `not`: none is there.
    """
    match filter_type:
        case FilterType.ANY:
            return any(value in own for value in wanted)
        case FilterType.ALL:
            return all(value in own for value in wanted)
        case FilterType.NOT:
            return not any(value in own for value in wanted)


def checked_filters(
    raw: Iterable[tuple[str, Sequence[str], str]], fields: Collection[str], *, path: str = "filters"
) -> tuple[Filter, ...]:
    """Filters from their wire members; `Invalid` names the first one that is unknown, empty or too long."""
    checked: list[Filter] = []
    for index, (field, values, filter_type) in enumerate(raw):
        here = f"{path}.{index}"
        if index >= HIGHEST_FILTERS:
            raise Invalid({path: f"at most {HIGHEST_FILTERS} filters are accepted"})
        if field not in fields:
            raise Invalid({f"{here}.field": f"unknown field '{field[:64]}', use one of: {', '.join(sorted(fields))}"})
        if filter_type not in FilterType.__members__.values():
            raise Invalid({f"{here}.filter_type": f"unknown type '{filter_type[:64]}', use one of: any, all, not"})
        if not values:
            raise Invalid({f"{here}.values": "at least one value is required"})
        if len(values) > HIGHEST_VALUES:
            raise Invalid({f"{here}.values": f"at most {HIGHEST_VALUES} values are accepted"})
        if any(len(value) > LONGEST_VALUE for value in values):
            raise Invalid({f"{here}.values": f"a value has at most {LONGEST_VALUE} characters"})
        checked.append(Filter(field, tuple(values), FilterType(filter_type)))
    return tuple(checked)
