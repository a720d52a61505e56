"""Nodes with beacons, made up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.world import FRANKFURT
from waymeet.locations.types import Node, NodeProfile
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant
from waymeet.model.location import Location
from waymeet.model.node_messages import BeaconPorts, Role

PORTS = BeaconPorts(32167, 32561)


def node(
    name: str,
    location: Location = FRANKFURT,
    *,
    known_since: int = 0,
    address: str = "192.0.2.1",
    ports: BeaconPorts | None = PORTS,
    roles: tuple[Role, ...] = (Role.SERVER, Role.BEACON),
    connected: bool = True,
    last_seen_at: int = 0,
) -> Node:
    profile = NodeProfile(roles, "process", address, location, beacon=ports, known_since=Instant(known_since))
    return Node(NodeName(name), profile, 10, 0, connected, Instant(last_seen_at))


@dataclass
class Fleet:
    """What a `Directory` is to beacons."""

    nodes: Sequence[Node] = ()
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def on_refresh(self, listener: Callable[[], None]) -> None:
        self.listeners.append(listener)

    def become(self, *nodes: Node) -> None:
        self.nodes = nodes
        for listener in self.listeners:
            listener()
