"""Beacons that answer, for whoever measures."""

from collections.abc import Sequence
from dataclasses import replace

from waymeet.beacons.health import BeaconHealth
from waymeet.beacons.names import city_names
from waymeet.beacons.ports import Nodes
from waymeet.beacons.types import ListedBeacon, beacons_of
from waymeet.model.instant import Clock


class BeaconService:
    """Owns the rules of the list: who is on it, and under which name."""

    def __init__(self, nodes: Nodes, health: BeaconHealth, clock: Clock, fqdn_suffix: str = "") -> None:
        self._nodes = nodes
        self._health = health
        self._clock = clock
        self._fqdn_suffix = fqdn_suffix

    def listed(self) -> Sequence[ListedBeacon]:
        """Every beacon that answers this control plane process, by node. City names differ, and stay while others come
        and go; all else of the location is the node's own. From memory: costs no query.
        """
        now = self._clock.now()
        nodes = self._nodes.nodes
        names = city_names(nodes, now)
        return [
            ListedBeacon(
                beacon,
                replace(beacon.location, city=names[beacon.node]),
                f"b-{beacon.node}.{self._fqdn_suffix}" if self._fqdn_suffix else "",
            )
            for beacon in beacons_of(nodes, now)
            if self._health.is_listed(beacon)
        ]
