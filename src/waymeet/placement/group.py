"""What every location costs a group, and which cost least."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import fsum
from operator import itemgetter

from waymeet.geo.distance import UnitVector, ms_at, uncertainty_ms
from waymeet.model.latency import Latency, Origin
from waymeet.placement.members import Member
from waymeet.placement.search import leading

LEADERS = 20
"""So many of the best are found first where all are asked for in order."""
FEW = 4
"""For so many different players the distances to all locations are computed; for more, a search avoids most of them."""

SLACK = 1e-15
"""Scalar products that differ by no more may cost the same number of milliseconds."""

TieBreak = Callable[[int], tuple[int, str]]


class Group:
    """The costs of a group at all locations, each known by its position in `sites`; computed only when asked for."""

    def __init__(self, sites: Sequence[UnitVector], members: Sequence[Member]) -> None:
        self._sites = sites
        self.members = members
        points: dict[UnitVector, None] = {}
        self._measured: list[Member] = []
        for each in members:
            point, shift, measured = each
            if measured or shift:
                self._measured.append(each)
            else:
                points[point] = None
        self._estimated = list(points)
        """Where the players are of whom nothing was measured, those at the same point once."""
        self._few = not self._measured and 0 < len(points) <= FEW
        self._distances: list[float] | None = None

    def _farness(self) -> list[float]:
        """How far every location is from the player farthest from it, as negative scalar products; for `_few` players."""
        if self._distances is None:
            self._distances = [-product for product in _lowest_products(self._estimated, self._sites)]
        return self._distances

    def best(self) -> int | None:
        """The one best of all locations, where that is seen at a glance; `None`: ask for it `in_order`."""
        if not self._few or not self._sites:
            return None
        farness = self._farness()
        least = min(farness)
        return farness.index(least) if farness.count(least) == 1 else None

    def worst_ms(self, site: int) -> float:
        """The cost of the worst-served player there; 0 for a group of which nobody counts."""
        worst = 0.0
        if self._estimated:
            x, y, z = self._sites[site]
            worst = ms_at(min([x * px + y * py + z * pz for px, py, pz in self._estimated]))
        return max([worst, *(cost_ms(each, site, self._sites[site]) for each in self._measured)])

    def mean_ms(self, site: int) -> float:
        """The mean over the players there."""
        costs = self.costs_ms(site)
        return fsum(costs) / len(costs) if costs else 0.0

    def costs_ms(self, site: int) -> list[float]:
        """What the location costs every player, in their order."""
        vector = self._sites[site]
        return [cost_ms(each, site, vector) for each in self.members]

    def latencies(self, site: int) -> list[Latency]:
        """As `costs_ms`, each with its origin and uncertainty."""
        vector = self._sites[site]
        return [
            each.measured.get(site)
            or Latency(ms := cost_ms(each, site, vector), Origin.ESTIMATED, uncertainty_ms(ms - each.shift_ms))
            for each in self.members
        ]

    def exceeds(self, site: int, limit_ms: float) -> bool:
        """Whether the location costs some player more than the limit.

        A measurement counts by its value, an estimate only when it is beyond the limit by more than its uncertainty.
        """
        if self.worst_ms(site) <= limit_ms:
            return False
        return any(certain_ms(latency) > limit_ms for latency in self.latencies(site))

    def leading(self, count: int, among: Sequence[int], tie: TieBreak) -> list[tuple[float, int]]:
        """The `count` best of some locations, best first, each with its worst cost.

        Equal worst costs go to the lower mean, then to the lower `tie`.
        """
        if not self.members:
            return self._by_mean([(0.0, site) for site in among], count, tie)
        if self._few:
            farness = self._farness()  # of all locations, in their order, which is that of a full `among` too
            values = farness if len(among) == len(farness) else [farness[site] for site in among]
            limit = sorted(values)[min(count, len(values)) - 1] + SLACK if values else 0.0
            found = [(ms_at(-value), site) for value, site in zip(values, among, strict=True) if value <= limit]
        elif len(among) <= count:
            found = [(self.worst_ms(site), site) for site in among]
        elif self._measured:
            found = leading(_ByTime(self._sites, self._estimated, self._measured), count, among)
        else:
            closest = leading(_ByCloseness(self._sites, self._estimated), count, among)
            found = [(ms_at(-cost), site) for cost, site in closest]
        found.sort()
        return self._by_mean(found, count, tie)

    def in_order(self, among: Sequence[int], tie: TieBreak) -> Iterator[tuple[float, int]]:
        """Some locations from best to worst, as `leading`; whoever stops early pays for little more than what he took."""
        first = self.leading(LEADERS, among, tie)
        yield from first
        if len(first) < len(among):
            yield from self.leading(len(among), among, tie)[len(first) :]

    def _by_mean(self, found: list[tuple[float, int]], count: int, tie: TieBreak) -> list[tuple[float, int]]:
        ordered: list[tuple[float, int]] = []
        for _, equal in groupby(found, key=itemgetter(0)):
            several = list(equal)
            if len(several) > 1:
                several.sort(key=lambda entry: (self.mean_ms(entry[1]), tie(entry[1])))
            ordered += several
            if len(ordered) >= count:
                break
        return ordered[:count]


def cost_ms(player: Member, site: int, vector: UnitVector) -> float:
    """What the location at `vector` costs one player."""
    point, shift, measured = player
    if measured or shift:
        latency = measured.get(site)
        if latency is not None:
            return latency.ms
        return shift + ms_at(point[0] * vector[0] + point[1] * vector[1] + point[2] * vector[2])
    return ms_at(point[0] * vector[0] + point[1] * vector[1] + point[2] * vector[2])


def certain_ms(latency: Latency) -> float:
    """What the latency is at least, taking an estimate's word for no more than it is worth."""
    return latency.ms - (latency.uncertainty_ms if latency.origin is Origin.ESTIMATED else 0.0)


class _ByCloseness:
    """Estimates alone: time grows as the scalar product falls, so its negative will do and no angle is computed."""

    slack = SLACK

    def __init__(self, sites: Sequence[UnitVector], players: Sequence[UnitVector]) -> None:
        self._sites = sites
        self._players = players

    def exact(self, site: int) -> tuple[float, UnitVector]:
        return _farthest(self._players, self._sites[site])

    def beyond(self, site: int, limit: float, players: Sequence[UnitVector]) -> int | None:
        x, y, z = self._sites[site]
        for position, (px, py, pz) in enumerate(players):
            if x * px + y * py + z * pz < -limit:
                return position
        return None

    def bounds(self, sites: Sequence[int]) -> list[float]:
        vectors = [self._sites[site] for site in sites]
        return [-product for product in _lowest_products(_extremes(self._players), vectors)]


class _ByTime:
    """Milliseconds, where some players were measured."""

    slack = 0.0

    def __init__(
        self, sites: Sequence[UnitVector], estimated: Sequence[UnitVector], measured: Sequence[Member]
    ) -> None:
        self._sites = sites
        self._estimated = estimated
        self._measured = measured

    def exact(self, site: int) -> tuple[float, Member]:
        vector = self._sites[site]
        costs = [cost_ms(each, site, vector) for each in self._measured]
        worst = max(costs)
        player = self._measured[costs.index(worst)]
        if self._estimated:
            farness, point = _farthest(self._estimated, vector)
            if (estimate := ms_at(-farness)) > worst:
                return estimate, Member(point)
        return worst, player

    def beyond(self, site: int, limit: float, players: Sequence[Member]) -> int | None:
        vector = self._sites[site]
        for position, player in enumerate(players):
            if cost_ms(player, site, vector) > limit:
                return position
        return None

    def bounds(self, sites: Sequence[int]) -> list[float]:
        vectors = [self._sites[site] for site in sites]
        if self._estimated:
            return [ms_at(product) for product in _lowest_products(_extremes(self._estimated), vectors)]
        bounds = [0.0] * len(sites)
        by_point = {each.point: each for each in self._measured}
        for point in _extremes(list(by_point)):
            (x, y, z), shift, measured = by_point[point]
            costs = [shift + ms_at(x * px + y * py + z * pz) for px, py, pz in vectors]
            for position, site in enumerate(sites):
                if site in measured:
                    costs[position] = measured[site].ms
            bounds = list(map(max, bounds, costs))
        return bounds


def _lowest_products(players: Sequence[UnitVector], places: Sequence[UnitVector]) -> list[float]:
    """For each place the scalar product with the player farthest from it; there has to be one."""
    (x, y, z), *others = players
    lowest = [x * px + y * py + z * pz for px, py, pz in places]
    for x, y, z in others:
        lowest = list(map(min, lowest, [x * px + y * py + z * pz for px, py, pz in places]))
    return lowest


def _farthest(players: Sequence[UnitVector], place: UnitVector) -> tuple[float, UnitVector]:
    """The player farthest from a place, and the negative scalar product of the two."""
    x, y, z = place
    products = [x * px + y * py + z * pz for px, py, pz in players]
    least = min(products)
    return -least, players[products.index(least)]


def _extremes(players: Sequence[UnitVector]) -> list[UnitVector]:
    """The player farthest from the middle of all, and the one farthest from that one."""
    if not players:
        return []
    middle = (fsum(x for x, _, _ in players), fsum(y for _, y, _ in players), fsum(z for _, _, z in players))
    first = _farthest(players, middle)[1]
    second = _farthest(players, first)[1]
    return [first] if first == second else [first, second]
