"""Measured latency of players: reporting it, and reading what is known. An extension of Waymeet's."""

from collections.abc import Mapping

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, operation
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.wire import Answer, Body, answer
from waymeet.client.locations.types import Location


class MeasuredLatency(Answer, frozen=True, kw_only=True):
    """What is known between one location and a player's network. Times in milliseconds.

    Exact for what players of one's own organisation reported. Nodes' measurements serve every organisation, and are coarse
    here so as not to tell of others' players: whole milliseconds, an age that is rounded up to the hour, no samples.
    """

    location: Location
    ms: float
    uncertainty_ms: float = 0.0
    origin: str = ""
    """`measured` by a node, or `reported` by players."""
    age_seconds: float = 0.0
    jitter_ms: float = 0.0
    samples: int | None = None
    """How many have been reported lately; `None` of what nodes measured."""


class LatencyReport(Answer, frozen=True, kw_only=True):
    """What became of a report."""

    ip: str = ""
    """Whose it is, in canonical form."""
    network: str = ""
    """What is measured as one: an IPv4 /24 or an IPv6 /48."""
    recorded: int = 0
    """Beacons of the report that were measured."""


class _Measured(Body, frozen=True, kw_only=True):
    latencies: Mapping[str, float]
    ip: str | None = None


class _Known(Answer, frozen=True, kw_only=True):
    latencies: tuple[MeasuredLatency, ...] = ()


class Latencies(Group[ConnectionT]):
    """`client.latencies`: how far players are from locations, by measurement."""

    @operation
    def report(self, latencies: Mapping[str, float], *, ip: str | None = None) -> Plan[LatencyReport]:
        """Report the round-trip milliseconds that the player at `ip` measured, by city of the beacon.

        Without `ip` the caller itself is the player. Values of 0 or less mean "not measured". Raises `BadRequest` for a
        city in which no beacon is listed.
        """
        return self._post("/v1/latencies", answer(LatencyReport), _Measured(latencies=dict(latencies), ip=ip))

    @operation
    def of(self, ip: str) -> Plan[tuple[MeasuredLatency, ...]]:
        """What is known by measuring between locations and this address, lowest first."""
        known = yield from self._get(path("v1", "latencies", ip), answer(_Known))
        return known.latencies
