"""Great-circle distance, and the round-trip time it is likely to cost."""

from math import acos, cos, pi, radians, sin

from waymeet.model.location import Coordinates

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG). The sphere is off by at most 0.6 %, far less than the model below."""

ACCESS_MS = 10.0
MS_PER_KM = 0.0135
"""Light in fibre covers 200 km per millisecond, so a round trip costs at least 0.01 ms per km of cable; cables are longer
than the great circle. 0.0135 ms per km and a 10 ms access link reproduce the round trips that carriers publish for long
paths to within some 20 %: London to New York (5,570 km) 85, Los Angeles to Tokyo (8,800 km) 129, Frankfurt to Singapore
(10,260 km) 149."""

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
    dot = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    angle = acos(dot) if -1.0 < dot < 1.0 else (0.0 if dot > 0 else pi)
    return ACCESS_MS + angle * (EARTH_RADIUS_KM * MS_PER_KM)
