"""Beacons as the control plane knows them."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from waymeet.locations.types import Node
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant, after
from waymeet.model.location import Location
from waymeet.model.node_messages import Role

AWAY_SECONDS = 60.0
"""A node that has been away for this long has no beacon: others may have its address by now."""
HIGHEST_BEACONS = 2_000
"""More are not checked, and therefore not listed."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """A node's beacon, answering or not. `address` is an IP literal: clients ping it as it is."""

    node: NodeName
    address: str
    udp_port: int
    tcp_port: int
    location: Location

    @property
    def endpoint(self) -> tuple[str, int]:
        """Where it answers over UDP."""
        return self.address, self.udp_port


@dataclass(frozen=True, slots=True)
class ListedBeacon:
    """A beacon that answers, under a city name that no other has."""

    beacon: Beacon
    location: Location
    fqdn: str
    """"" when it has no host name."""


def beacons_of(nodes: Iterable[Node], now: Instant) -> Sequence[Beacon]:
    """The beacons of nodes that are connected, or were a moment ago: they may well still answer.

    Where two claim one endpoint, as after a node was given a new name, the connected one has it.
    """
    found: dict[tuple[str, int], Beacon] = {}
    for node in sorted(nodes, key=lambda node: not node.connected):
        beacon = _beacon(node)
        here = node.connected or node.last_seen_at >= after(now, -AWAY_SECONDS)
        if beacon is not None and here and len(found) < HIGHEST_BEACONS:
            found.setdefault(beacon.endpoint, beacon)
    return sorted(found.values(), key=lambda beacon: beacon.node)


def _beacon(node: Node) -> Beacon | None:
    profile = node.profile
    if Role.BEACON not in profile.roles or profile.beacon is None:
        return None
    try:
        address = str(ipaddress.ip_address(profile.address))
    except ValueError:
        return None
    return Beacon(node.name, address, profile.beacon.udp_port, profile.beacon.tcp_port, profile.location)
