"""Great-circle distance, the round-trip time it is likely to cost, and how far such an estimate can be off.

The numbers come from a fit to one hundred pairs, on every continent, out of Microsoft's published round-trip times
between Azure regions (https://learn.microsoft.com/azure/networking/azure-network-latency: 95th percentile over 30
days, as of 30 July 2026), with the regions' published coordinates and the sum of relative errors made least. Half of
the pairs then lie within 4 ms below 3,000 km and within some 20 ms beyond; few routes are far worse (Paris to Hong
Kong 279 instead of 160 ms). What a player's own access line adds is in no such table: it is much the same towards
every location, so it hardly changes which location is best, and the uncertainty allows for it.
"""

from math import acos, cos, pi, radians, sin

from waymeet.model.location import Coordinates

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG). The sphere is off by at most 0.6 %, far less than the model below."""

ACCESS_MS = 10.0
"""What every round trip costs, however short: the fit's constant part."""
MS_PER_KM = 0.0155
"""The fit's slope. Light in fibre needs 0.01 ms per km there and back; the rest is that cables take longer ways."""

UNCERTAIN_MS = 10.0
UNCERTAIN_MS_PER_KM = 0.004
"""Four of five of those pairs lie within 5 ms + 0.004 ms per km of the fit, in every class of distance; another 5 ms
allow for the access line."""

UNCERTAIN_SHARE = UNCERTAIN_MS_PER_KM / MS_PER_KM

UnitVector = tuple[float, float, float]


def unit_vector(point: Coordinates) -> UnitVector:
    """The point on the unit sphere; distances between such vectors need one multiplication each."""
    latitude, longitude = radians(point.latitude), radians(point.longitude)
    return (cos(latitude) * cos(longitude), cos(latitude) * sin(longitude), sin(latitude))


def distance_km(one: UnitVector, other: UnitVector) -> float:
    """Great-circle distance in kilometres."""
    dot = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return EARTH_RADIUS_KM * (acos(dot) if -1.0 < dot < 1.0 else (0.0 if dot > 0 else pi))


def estimated_ms(one: UnitVector, other: UnitVector) -> float:
    """Estimated round-trip time in milliseconds between two points."""
    return ms_at(one[0] * other[0] + one[1] * other[1] + one[2] * other[2])


def ms_at(dot: float) -> float:
    """Estimated round-trip time in milliseconds between two points whose unit vectors have this scalar product.

    It never rises with the product, in floating-point numbers too; so products can be compared in place of times.
    """
    angle = acos(dot) if -1.0 < dot < 1.0 else (0.0 if dot > 0 else pi)
    return ACCESS_MS + angle * (EARTH_RADIUS_KM * MS_PER_KM)


def uncertainty_ms(estimate_ms: float) -> float:
    """How many milliseconds four of five estimates of this height are off at most."""
    return UNCERTAIN_MS + max(0.0, estimate_ms - ACCESS_MS) * UNCERTAIN_SHARE
