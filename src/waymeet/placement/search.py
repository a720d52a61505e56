"""Finding the places of least cost for many players without looking closely at every place.

The cost of a place is that of its worst-served player. Two outlying players give every place a lower bound. Places
are looked at in the order of their bounds, until a bound is beaten by what was found already; and whoever turned out
to be served too badly at one place is asked first at the next one, which is most often enough to drop it. Exact: a
place is dropped only when some player proves that it is not among the best. A thousand places and a hundred players
are a hundred thousand distances; this needs some thousands.
"""

from collections.abc import Sequence
from heapq import heappush, heapreplace
from typing import Protocol, TypeVar

ASKED_FIRST = 12
"""So many players who ruled out places lately are remembered."""

Player = TypeVar("Player")


class Costs(Protocol[Player]):
    """What the search has to know; in any unit that grows with the cost."""

    slack: float
    """Costs that differ by no more may be equal in the unit that counts in the end."""

    def exact(self, site: int) -> tuple[float, Player]:
        """The cost of a place, and the player who is served worst there."""

    def beyond(self, site: int, limit: float, players: Sequence[Player]) -> int | None:
        """The position of a player whose cost there is above the limit, if there is one among these."""

    def bounds(self, sites: Sequence[int]) -> list[float]:
        """What each place costs at least."""


def leading(costs: Costs[Player], count: int, among: Sequence[int]) -> list[tuple[float, int]]:
    """The `count` places of least cost, and all that tie with the last of them; in no order."""
    found: list[tuple[float, int]] = []
    lowest: list[float] = []  # the `count` lowest costs, negated: the highest of them stands first
    limit = float("inf")
    first: list[Player] = []
    for bound, site in sorted(zip(costs.bounds(among), among, strict=True)):
        if bound > limit:
            break
        position = costs.beyond(site, limit, first)
        if position is not None:
            if position:
                first.insert(0, first.pop(position))
            continue
        cost, player = costs.exact(site)
        if cost > limit:
            first.insert(0, player)
            del first[ASKED_FIRST:]
            continue
        found.append((cost, site))
        if len(lowest) < count:
            heappush(lowest, -cost)
        elif cost < -lowest[0]:
            heapreplace(lowest, -cost)
        if len(lowest) == count:
            limit = -lowest[0] + costs.slack
    return [(cost, site) for cost, site in found if cost <= limit]
