"""Filters and selectors that requests carry (contract 2.2, 2.9, 3.4)."""

from collections.abc import Sequence
from enum import StrEnum

from waymeet.client.applications.version_types import Variable
from waymeet.client.calling.wire import Answer, Body


class FilterType(StrEnum):
    """How a filter compares: at least one value, every value, or none of them."""

    ANY = "any"
    ALL = "all"
    NOT = "not"


class Filter(Body, frozen=True, kw_only=True):
    """A condition on places (`city`, `country`, `continent`, `region`, `administrative_division`, `location_tags`),
    or, in a bulk stop, on `session_id`, `request_id` or `deployment_tags`. Several filters must all hold.
    """

    field: str
    values: Sequence[str]
    filter_type: str

    @classmethod
    def any_of(cls, field: str, *values: str) -> "Filter":
        """Passes when the field has at least one of the values."""
        return cls(field=field, values=values, filter_type=FilterType.ANY)

    @classmethod
    def all_of(cls, field: str, *values: str) -> "Filter":
        """Passes when the field has every one of the values."""
        return cls(field=field, values=values, filter_type=FilterType.ALL)

    @classmethod
    def none_of(cls, field: str, *values: str) -> "Filter":
        """Passes when the field has none of the values."""
        return cls(field=field, values=values, filter_type=FilterType.NOT)


class Selector(Body, frozen=True, kw_only=True):
    """A tag that the deployment must carry; `env` goes only into a deployment that the request starts."""

    tag: str
    tag_only: bool = False
    """True: the tag is recorded on the session and chooses nothing."""
    env: Variable | None = None


class Coordinates(Body, frozen=True, kw_only=True):
    """A point on the globe in degrees."""

    latitude: float
    longitude: float


class LocatedPlayer(Body, frozen=True, kw_only=True):
    """A player's address with known coordinates in degrees, which override the lookup of the address."""

    ip: str
    latitude: float
    longitude: float


class RecordedSelector(Answer, frozen=True, kw_only=True):
    """A selector as the server recorded it."""

    tag: str
    tag_only: bool = False
    env: dict[str, str] | None = None
