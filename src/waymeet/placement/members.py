"""The players of a group as placement sees them: where they are on the map, and what was measured of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from waymeet.geo.distance import ACCESS_MS, UnitVector, estimated_ms
from waymeet.model.latency import Latency

NOTHING_MEASURED: Mapping[int, Latency] = {}


class Member(NamedTuple):
    """One player who counts. What a location costs him: the measurement where there is one, else the estimate from `point`
    plus `shift_ms`.
    """

    point: UnitVector
    shift_ms: float = 0.0
    """By how much his own measurements exceed their estimates (or fall short): what his access line and his provider's
    routes add wherever he plays. Without it an estimate would compete with measurements on unequal terms."""
    measured: Mapping[int, Latency] = NOTHING_MEASURED
    """By the position of the location among all locations."""


def member(point: UnitVector | None, measured: Mapping[int, Latency], sites: Sequence[UnitVector]) -> Member | None:
    """A player by what is known of him; `None` when that is nothing: he does not count.

    With measurements but without a place, he stands for a player right at the location that measured lowest: anywhere else
    costs at most that round trip and the way from there on. So his unmeasured locations get a pessimistic estimate.
    """
    if not measured:
        return None if point is None else Member(point)
    if point is None:
        nearest = min(measured, key=lambda site: (measured[site].ms, site))
        return Member(sites[nearest], measured[nearest].ms - ACCESS_MS, measured)
    return Member(point, shift_ms(point, measured, sites), measured)


def shift_ms(point: UnitVector, measured: Mapping[int, Latency], sites: Sequence[UnitVector]) -> float:
    """By how much measurements exceed their estimates: the upper quartile.

    A location that nobody measured has to be clearly better to be preferred to one that was measured, and a few odd routes
    do not move it (bench/placement.py). Falling short by more than the part that does not grow with distance would be a
    matter of one route.
    """
    residuals = sorted(latency.ms - estimated_ms(sites[site], point) for site, latency in measured.items())
    return max(-ACCESS_MS, residuals[(len(residuals) - 1) * 3 // 4])
