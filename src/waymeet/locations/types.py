"""Nodes as the control plane knows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from msgspec import Raw
from msgspec.json import encode

from waymeet.geo.distance import UnitVector, unit_vector
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant
from waymeet.model.location import Location
from waymeet.model.node_messages import BeaconPorts, QuestionKind, Role
from waymeet.model.relays import RelayPorts
from waymeet.placement.places import Place, place


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """What a node said about itself when it connected, and since when it has been known."""

    roles: tuple[Role, ...]
    driver: str
    address: str
    location: Location
    tags: dict[str, str] = field(default_factory=dict)
    region: str | None = None
    images: tuple[str, ...] | None = None
    version: str = ""
    beacon: BeaconPorts | None = None
    probes: bool = False
    relay: RelayPorts | None = None
    known_since: Instant = Instant(0)
    """When it first joined, or joined again after more than a day."""

    def runs(self, repository: str, image: str) -> bool:
        """Whether the node's driver can run the image, listed alone or with its repository; some can run any."""
        return self.images is None or image in self.images or f"{repository}/{image}" in self.images


@dataclass(frozen=True)
class Node:
    """A machine at a location. `in_use` counts the deployments that hold a place on it."""

    name: NodeName
    profile: NodeProfile
    capacity: int
    in_use: int
    connected: bool
    last_seen_at: Instant

    @cached_property
    def place(self) -> Place:
        return place(self.name, self.profile.location, region=self.profile.region, tags=self.profile.tags)

    @cached_property
    def vector(self) -> UnitVector:
        return unit_vector(self.profile.location.coordinates)

    @cached_property
    def room(self) -> int:
        """How many more deployments it takes now; none while it is not connected or has no `server` role."""
        if not self.connected or Role.SERVER not in self.profile.roles:
            return 0
        return max(0, self.capacity - self.in_use)


@dataclass(frozen=True)
class Site:
    """All nodes that stand at one location."""

    vector: UnitVector
    nodes: tuple[Node, ...]

    @cached_property
    def key(self) -> str:
        """What measurements call this location: `Place.site` of all its nodes."""
        return self.nodes[0].place.site

    @cached_property
    def document(self) -> Raw:
        """The location as it stands in explanations of placements: many are written, and all alike."""
        return Raw(encode(self.nodes[0].profile.location))

    @cached_property
    def names(self) -> list[NodeName]:
        return [node.name for node in self.nodes]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What to ask a node: about its server `key`, or about `addresses`; see `model.node_messages.Question`."""

    node: NodeName
    kind: QuestionKind
    key: str = ""
    addresses: tuple[str, ...] = ()


class Fleet:
    """Every node as of one moment; made once and read by many requests, so what is derived from it is kept."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = tuple(nodes)

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def relays(self) -> "Fleet":
        """The connected nodes whose relay is open, as a fleet of their own."""
        return Fleet(node for node in self.nodes if node.connected and node.profile.relay is not None)

    @cached_property
    def sites(self) -> Sequence[Site]:
        """The nodes by location."""
        groups: dict[str, list[Node]] = {}
        for node in self.nodes:
            groups.setdefault(node.place.site, []).append(node)
        return [Site(group[0].vector, tuple(group)) for group in groups.values()]

    @cached_property
    def documents(self) -> Raw:
        """The locations of all sites, in their order, as they stand in explanations."""
        return Raw(encode([site.document for site in self.sites]))

    @cached_property
    def vectors(self) -> Sequence[UnitVector]:
        """Where the sites are, in their order."""
        return [site.vector for site in self.sites]

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """The position of each site, by its key."""
        return {site.key: position for position, site in enumerate(self.sites)}

    @cached_property
    def by_location(self) -> Mapping[Location, int]:
        """The position of the site at each location."""
        return {site.nodes[0].profile.location: position for position, site in enumerate(self.sites)}

    @cached_property
    def probing(self) -> frozenset[int]:
        """The positions of the sites that have a connected node that can probe."""
        return frozenset(
            position
            for position, site in enumerate(self.sites)
            if any(node.connected and node.profile.probes for node in site.nodes)
        )

    @cached_property
    def roomiest(self) -> int | None:
        """The position of the site of the node with most room, then the first by name: where nobody's place is known."""
        best = min(self.nodes, key=lambda node: (-node.room, node.name), default=None)
        return None if best is None else self.positions[best.place.site]
