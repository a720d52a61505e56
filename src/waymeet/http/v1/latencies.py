"""Measured latency: what players report, and what is known of an address. An extension of the contract."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.v1.objects import LocationBody, Name, location_body
from waymeet.latencies.rounds import HIGHEST_MS
from waymeet.latencies.service import MOST_REPORTED, LatencyService
from waymeet.locations.directory import Directory
from waymeet.model.errors import Invalid
from waymeet.model.location import Location
from waymeet.model.networks import Address, canonical_address, network_of

LONGEST_ADDRESS = 64

Milliseconds = Annotated[
    float, Meta(gt=-HIGHEST_MS, lt=HIGHEST_MS, description="Round trip; 0 or less means not measured.")
]


class LatencyReport(Struct, frozen=True):
    latencies: Annotated[
        dict[Name, Milliseconds],
        Meta(
            max_length=MOST_REPORTED,
            description="Milliseconds by `location.city` of the beacon, as `GET /v1/locations/beacons` lists it.",
        ),
    ]
    ip: (
        Annotated[str, Meta(max_length=LONGEST_ADDRESS, description="The player's; without it the caller's own.")]
        | None
    ) = None


class LatencyReported(Struct, frozen=True):
    ip: str
    network: Annotated[str, Meta(description="What is measured as one: an IPv4 /24 or an IPv6 /48.")]
    recorded: Annotated[int, Meta(description="Beacons that were measured; the others are ignored.")]


class LatencyEntry(Struct, frozen=True):
    location: LocationBody
    ms: Annotated[float, Meta(description="Whole milliseconds where measured by a node, as is `jitter_ms`.")]
    uncertainty_ms: Annotated[float, Meta(description="`ms` is right give or take this.")]
    origin: Annotated[str, Meta(description="`measured` by a node, or `reported` by players of your organisation.")]
    age_seconds: Annotated[float, Meta(description="Rounded up to the hour where measured by a node.")]
    jitter_ms: Annotated[float, Meta(description="Mean difference between neighbouring samples.")]
    samples: Annotated[int, Meta(description="Of your organisation's reports only.")] | UnsetType = UNSET


class LatencyList(Struct, frozen=True):
    ip: str
    network: str
    latencies: Annotated[list[LatencyEntry], Meta(description="Lowest first. Distance is not in here.")]


class LatencyEndpoints:
    """The two calls."""

    def __init__(self, latencies: LatencyService, directory: Directory) -> None:
        self._latencies = latencies
        self._directory = directory

    async def report(self, call: Call[LatencyReport, None]) -> LatencyReported:
        address = _address(call.body.ip or call.client_address)
        recorded = await self._latencies.report(call.caller.organisation, str(address), call.body.latencies)
        return LatencyReported(str(address), network_of(address), recorded)

    async def look(self, call: Call[None, None]) -> LatencyList:
        """Locations without a node any more are left out."""
        address = _address(call.path["ip"])
        locations = self._locations()
        known = await self._latencies.look(call.caller.organisation, str(address))
        entries = [
            LatencyEntry(
                location=location_body(locations[entry.site]),
                ms=entry.ms,
                uncertainty_ms=entry.uncertainty_ms,
                origin=entry.origin.value,
                age_seconds=entry.age_seconds,
                jitter_ms=entry.jitter_ms,
                samples=UNSET if entry.samples is None else entry.samples,
            )
            for entry in known
            if entry.site in locations
        ]
        return LatencyList(str(address), network_of(address), entries)

    def _locations(self) -> Mapping[str, Location]:
        return {site.key: site.nodes[0].profile.location for site in self._directory.fleet.sites}

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        tag = "Latency"
        return [
            Endpoint(
                method="POST", path="/v1/latencies", handler=self.report,
                summary="Report what a player measured against beacons", contract="", tag=tag, body=LatencyReport,
                answers={200: LatencyReported},
            ),
            Endpoint(
                method="GET", path="/v1/latencies/{ip}", handler=self.look,
                summary="Measured latency of an address by location", contract="", tag=tag, answers={200: LatencyList},
                errors=(400,),
            ),
        ]  # fmt: skip


def _address(text: str) -> Address:
    address = canonical_address(text) if len(text) <= LONGEST_ADDRESS else None
    if address is None:
        raise Invalid({"ip": "must be an IPv4 or IPv6 address such as 203.0.113.7"})
    return address
