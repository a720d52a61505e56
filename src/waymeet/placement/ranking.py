"""Ranking places for a group: the worst-served player counts first, then the mean (contract 2.1, placement)."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from waymeet.placement.places import Place


class RankedPlace(NamedTuple):
    """A place and what it costs the group. Compares as it ranks: lower is better.

    Equal costs (above all: no player with a known place) go to the place with more room, then by name, so that equal
    input always gives equal output.
    """

    worst_ms: float
    mean_ms: float
    crowding: int
    """Minus the number of deployments that still fit there."""
    key: str
    place: Place
    costs_ms: tuple[float, ...]
    """One entry per player whose place is known."""


def ranked(
    places: Iterable[Place], costs: Callable[[Place], Sequence[float]], room: Callable[[Place], int]
) -> list[RankedPlace]:
    """The places from best to worst."""
    ranking: list[RankedPlace] = []
    for place in places:
        row = tuple(costs(place))
        if not row:
            worst = mean = 0.0
        elif len(row) == 1:
            worst = mean = row[0]
        else:
            worst, mean = max(row), sum(row) / len(row)
        ranking.append(RankedPlace(worst, mean, -room(place), place.key, place, row))
    ranking.sort()
    return ranking


def within_range(ranking: Sequence[RankedPlace], startable: Collection[str], range_ms: float) -> Sequence[RankedPlace]:
    """The part of a ranking that is near enough to prefer its running servers over starting a new one.

    Near enough: the worst player's cost is at most `range_ms` above that of the best place on which a server could be
    started (`startable` holds their keys). With `range_ms` 0, or where nothing can be started, every place is (contract
    2.1, placement, step 1).
    """
    if range_ms <= 0:
        return ranking
    best = next((entry for entry in ranking if entry.key in startable), None)
    if best is None:
        return ranking
    limit = best.worst_ms + range_ms
    if ranking[-1].worst_ms <= limit:
        return ranking
    return [entry for entry in ranking if entry.worst_ms <= limit]


def site_of_best(ranking: Sequence[RankedPlace]) -> list[str]:
    """The keys of all places that stand at the best one's location.

    Several nodes may stand at one location; among their servers readiness and fill decide, not the node's name.
    """
    if not ranking:
        return []
    best = ranking[0]
    keys: list[str] = []
    for entry in ranking:
        if entry.worst_ms != best.worst_ms:
            break
        if entry.place.site == best.place.site:
            keys.append(entry.key)
    return keys
