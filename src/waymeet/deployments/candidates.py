"""From nodes and players to a choice of nodes."""

from collections.abc import Iterable, Sequence
from functools import cached_property

from waymeet.applications.types import VersionSettings
from waymeet.deployments.types import Player
from waymeet.geo.distance import UnitVector, estimated_ms, unit_vector
from waymeet.locations.types import Fleet, Node
from waymeet.model.filters import Filter
from waymeet.model.ids import NodeName
from waymeet.model.location import Coordinates
from waymeet.placement.nearest import nearest
from waymeet.placement.places import Excluded, Place, allowed
from waymeet.placement.ranking import RankedPlace, ranked, site_of_best


class Candidates:
    """The nodes that a request allows, by what they cost its group.

    An explicit `centre` replaces the players' own places (contract 2.2, `location`). Players without a known place do
    not count; without any, room and name decide. Nothing is computed before it is asked for: most groups find a seat at
    `best_site`, and nobody needs the ranking of all the others.
    """

    def __init__(
        self, fleet: Fleet, players: Sequence[Player], centre: Coordinates | None, filters: Sequence[Filter]
    ) -> None:
        self.fleet = fleet
        self._filters = filters
        self._points: list[UnitVector]
        if centre is not None:
            self._points = [unit_vector(centre)]
        else:
            self._points = [unit_vector(player.coordinates) for player in players if player.coordinates is not None]

    @cached_property
    def best_site(self) -> list[NodeName]:
        """The nodes at the location of least cost; none when the filters rule out every node."""
        if self._filters or not self.fleet.nodes:
            return [NodeName(key) for key in site_of_best(self.ranking)]
        if not self._points:
            site = self.fleet.roomiest_site
            return [] if site is None else site.names
        position = nearest(self.fleet.vectors, self._points)
        if position is None:
            return [NodeName(key) for key in site_of_best(self.ranking)]
        return self.fleet.sites[position].names

    @property
    def ranking(self) -> Sequence[RankedPlace]:
        """Every allowed node from best to worst."""
        return self._ranked[0]

    @property
    def excluded(self) -> Sequence[Excluded]:
        """The nodes that the filters rule out, and why."""
        return self._ranked[1]

    @cached_property
    def _ranked(self) -> tuple[Sequence[RankedPlace], Sequence[Excluded]]:
        by_name, points = self.fleet.by_name, self._points

        def costs(place: Place) -> list[float]:
            vector = by_name[place.key].vector
            return [estimated_ms(vector, point) for point in points]

        passing, excluded = allowed((node.place for node in self.fleet.nodes), self._filters)
        return ranked(passing, costs, lambda place: by_name[place.key].room), excluded

    def startable(self, nodes: Iterable[Node], settings: VersionSettings) -> set[str]:
        """Names of ranked nodes on which a server of the version could be started, as far as the snapshot knows."""
        names = {entry.key for entry in self.ranking}
        return {node.name for node in nodes if node.name in names and can_start(node, settings)}


def can_start(node: Node, settings: VersionSettings) -> bool:
    """Whether the node has room for one more server, and can run this one."""
    return node.room > 0 and node.profile.runs(settings.docker_repository, settings.docker_image)
