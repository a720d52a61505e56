"""From nodes and players to a choice of nodes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

from waymeet.applications.types import VersionSettings
from waymeet.deployments.types import Player
from waymeet.locations.types import Fleet, Node
from waymeet.model.filters import Filter
from waymeet.model.ids import NodeName
from waymeet.placement.explanation import CENTRE
from waymeet.placement.group import Group
from waymeet.placement.limits import NO_LIMITS, Limits
from waymeet.placement.members import Member
from waymeet.placement.places import Excluded, allowed


class Candidates:
    """The locations that a request allows, by what they cost its group.

    Locations are known by their position in `fleet.sites`. Players of whom nothing is known do not count; without any, room
    and name decide. Nothing is computed before it is asked for: most groups find a seat at the best location, and nobody
    needs to know about all the others.
    """

    def __init__(
        self,
        fleet: Fleet,
        members: Sequence[Member],
        filters: Sequence[Filter] = (),
        *,
        players: tuple[Player, ...] = (),
        counted: Sequence[str] = (),
    ) -> None:
        self.fleet = fleet
        self.group = Group(fleet.vectors, members)
        self.players = players
        """The request's players, with the places that are known."""
        self.counted = counted
        """What the members are called in explanations."""
        self.unknown = len(players) - len(counted) if players and counted != (CENTRE,) else 0
        """How many players do not count."""
        self.filtered = bool(filters)
        self._filters = filters

    @property
    def sites(self) -> Sequence[int]:
        """The allowed locations."""
        return list(self._passing) if self.filtered else range(len(self.fleet.sites))

    def nodes_at(self, site: int) -> Sequence[Node]:
        """The allowed nodes at a location."""
        return self._passing[site] if self.filtered else self.fleet.sites[site].nodes

    def names_at(self, site: int) -> list[NodeName]:
        """The names of the allowed nodes at a location."""
        return [node.name for node in self._passing[site]] if self.filtered else self.fleet.sites[site].names

    @property
    def excluded(self) -> Sequence[Excluded]:
        """The nodes that the filters rule out, and why."""
        return self._filtered[1]

    def tie(self, site: int) -> tuple[int, str]:
        """Decides between locations of equal cost: more room on one node, then its name."""
        return min((-node.room, node.name) for node in self.nodes_at(site))

    def in_order(self, among: Sequence[int], highest_ms: float | None) -> Iterator[tuple[float, int]]:
        """Some locations from best to worst with the worst player's cost, without those beyond a limit."""
        for worst, site in self.group.in_order(among, self.tie):
            if highest_ms is None or not self.group.exceeds(site, highest_ms):
                yield worst, site

    @cached_property
    def _filtered(self) -> tuple[Mapping[int, list[Node]], Sequence[Excluded]]:
        passing, excluded = allowed((node.place for node in self.fleet.nodes), self._filters)
        nodes: dict[int, list[Node]] = {}
        for place in passing:
            nodes.setdefault(self.fleet.positions[place.site], []).append(self.fleet.by_name[place.key])
        return nodes, excluded

    @property
    def _passing(self) -> Mapping[int, list[Node]]:
        return self._filtered[0]


class Choice:
    """What a group may have, for one version and at one moment: candidates within limits."""

    def __init__(self, candidates: Candidates, limits: Limits, range_ms: float = 0.0) -> None:
        self.candidates = candidates
        self.limits = limits
        self.range_ms = range_ms
        """How much more than the best location to start a server a running one may cost; 0: any amount."""
        self.best = self._best()
        """The location of least cost, and those that are as good; none when nothing is allowed.

        All of them are near enough to prefer their running servers to starting one anywhere.
        """

    def _best(self) -> Sequence[int]:
        candidates, limits = self.candidates, self.limits
        if not candidates.filtered:
            group = candidates.group
            site = group.best() if group.members else candidates.fleet.roomiest
            if site is not None and (limits is NO_LIMITS or self._is_plainly_best(group.worst_ms(site))):
                return (site,)
        ordered = candidates.in_order(candidates.sites, limits.highest_ms)
        first = next(ordered, None)
        if first is None:
            return ()
        return self._as_good(first, ordered, first[0] + self.range_ms if self.range_ms > 0 else None)

    def _is_plainly_best(self, worst_ms: float) -> bool:
        """Whether no other location is as good, and no limit rules this one out."""
        limits = self.limits
        if limits.optimal_ms is not None and worst_ms <= limits.optimal_ms:
            return False
        highest = limits.highest_ms
        return highest is None or worst_ms <= highest

    def _as_good(
        self, first: tuple[float, int], ordered: Iterator[tuple[float, int]], highest_ms: float | None
    ) -> list[int]:
        sites = [first[1]]
        optimal = self.limits.optimal_ms
        if optimal is None or not self.candidates.group.members:
            return sites
        limit = optimal if highest_ms is None else min(optimal, highest_ms)
        for worst, site in ordered:
            if worst > limit:
                break
            sites.append(site)
        return sites

    def names(self, sites: Sequence[int]) -> list[NodeName]:
        """The allowed nodes at some locations."""
        return [name for site in sites for name in self.candidates.names_at(site)]

    def with_seats(self, nodes: Collection[str], startable: Collection[str] | None) -> list[int]:
        """The best of the locations that have some of these nodes, and those as good; none when none is near enough.

        Near enough: within `range_ms` of the best location that has one of the `startable` nodes; `None`, or where nothing
        can be started, means any (contract 2.1, placement, step 1).
        """
        candidates, highest = self.candidates, self.limits.highest_ms
        limit = None
        if startable is not None and self.range_ms > 0:
            best = next(candidates.in_order(self.having(startable), highest), None)
            limit = None if best is None else best[0] + self.range_ms
        ordered = candidates.in_order(self.having(nodes), highest)
        first = next(ordered, None)
        if first is None or (limit is not None and first[0] > limit):
            return []
        return self._as_good(first, ordered, limit)

    def having(self, nodes: Collection[str]) -> list[int]:
        """The allowed locations that have some of these nodes."""
        candidates = self.candidates
        return [site for site in candidates.sites if any(name in nodes for name in candidates.names_at(site))]

    def nodes_in_order(self, among: Collection[str]) -> Iterator[tuple[int, Node]]:
        """Some of the allowed nodes from best to worst, each with its location; the roomiest first where cost is equal."""
        for _, site in self.candidates.in_order(self.having(among), self.limits.highest_ms):
            for node in sorted(self.candidates.nodes_at(site), key=lambda node: (-node.room, node.name)):
                if node.name in among:
                    yield site, node


def can_start(node: Node, settings: VersionSettings) -> bool:
    """Whether the node has room for one more server, and can run this one."""
    return node.room > 0 and node.profile.runs(settings.docker_repository, settings.docker_image)


def no_room(choice: Choice, image: str) -> str:
    """Why nothing can be started: the sentence that callers see."""
    candidates, limits = choice.candidates, choice.limits
    if not candidates.fleet.nodes:
        return "no node has joined yet; start one with `waymeet node`"
    if not candidates.sites:
        return "no location passes the filters; relax them or add a node there"
    if limits.rejected_ms is not None and next(candidates.in_order(candidates.sites, limits.rejected_ms), None) is None:
        return (
            f"every allowed location costs some player more than the version's rejected_ping of {limits.rejected_ms:g} ms;"
            " raise it, add a node nearer by, or split the group"
        )
    return f"no allowed location has room for image '{image}' now; add nodes or capacity, or list the program there"
