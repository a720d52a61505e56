"""Beacons on the wire (contract 2.13 and 2.14)."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from waymeet.beacons.service import BeaconService
from waymeet.beacons.types import ListedBeacon
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.paging import PageQuery
from waymeet.http.v1.objects import LocationBody, location_body
from waymeet.model.paging import HIGHEST_LIMIT


class BeaconEntry(Struct, frozen=True):
    host: str
    fqdn: str
    udp_port: int
    tcp_port: int
    location: LocationBody


class BeaconList(Struct, frozen=True):
    locations: list[BeaconEntry]
    count: int


class BeaconQuery(Struct, frozen=True):
    page: Annotated[int, Meta(ge=1, description="Without `page` and `limit` all are returned.")] | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None


class BeaconEndpoints:
    """Where players can measure their latency."""

    def __init__(self, beacons: BeaconService) -> None:
        self._beacons = beacons

    async def list_beacons(self, call: Call[None, BeaconQuery]) -> BeaconList:
        """The beacons that answer now."""
        query = call.query
        beacons = self._beacons.listed()
        if query.page is not None or query.limit is not None:
            request = PageQuery(query.page or 1, query.limit or HIGHEST_LIMIT).request()
            beacons = beacons[request.offset : request.offset + request.limit]
        return BeaconList([_entry(listed) for listed in beacons], len(beacons))

    def table(self) -> list[Endpoint[Any, Any]]:
        """The row of the route table."""
        return [
            Endpoint(
                method="GET", path="/v1/locations/beacons", handler=self.list_beacons, summary="List beacons",
                contract="2.14", tag="Locations", query=BeaconQuery, answers={200: BeaconList},
            )
        ]  # fmt: skip


def _entry(listed: ListedBeacon) -> BeaconEntry:
    beacon = listed.beacon
    return BeaconEntry(beacon.address, listed.fqdn, beacon.udp_port, beacon.tcp_port, location_body(listed.location))
