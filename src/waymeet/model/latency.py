"""Round-trip times between a location and a player, and where each number comes from.

A number is never handed on without its origin: measurements and estimates are compared, never passed off as each other.
"""

from dataclasses import dataclass
from enum import StrEnum

from waymeet.model.instant import Instant


class Origin(StrEnum):
    """Where a round-trip time comes from; a closed set, so it can be a metric label."""

    MEASURED = "measured"
    """A node at the location probed the player's network."""
    REPORTED = "reported"
    """The player's own client measured it against the location's beacon."""
    ESTIMATED = "estimated"
    """Distance on the globe, turned into milliseconds."""


@dataclass(frozen=True, slots=True)
class Latency:
    """What a location costs one player: round-trip milliseconds, give or take `uncertainty_ms`."""

    ms: float
    origin: Origin
    uncertainty_ms: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is known from measuring between a site and one network (IPv4 /24, IPv6 /48)."""

    prefix: str
    """The network in canonical form, such as `203.0.113.0/24`."""
    site: str
    """The location: `Place.site`."""
    ms: float
    jitter_ms: float
    """Mean absolute difference between neighbouring samples."""
    samples: int
    origin: Origin
    measured_at: Instant


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a node found out about one address; `samples_ms` is empty when nothing there answered in time."""

    address: str
    samples_ms: tuple[float, ...] = ()
