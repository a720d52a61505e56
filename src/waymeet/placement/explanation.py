"""Why a group was placed where it is: written down with the choice, shown to whoever asks later.

Kept with every session, so what is written is short: arrays without names, locations encoded once, tenths of milliseconds.
"""

from enum import StrEnum

from msgspec import Raw, Struct
from msgspec.structs import replace

from waymeet.model.instant import Instant
from waymeet.model.latency import Latency, Origin
from waymeet.placement.members import Member

RANKED = 20
"""Locations in one explanation at most."""
RANKED_AT_ONCE = 5
"""So many where the best location had seats at once: the usual case, which need not pay for a long list."""
PLAYERS = 32
"""Players whose costs are listed at most: of more, those served worst at the chosen location."""
EXCLUDED = 20

_LETTERS = {Origin.MEASURED: "m", Origin.REPORTED: "r", Origin.ESTIMATED: "e"}
_ORIGINS = {letter: origin for origin, letter in _LETTERS.items()}


class Rule(StrEnum):
    """What decided; a closed set."""

    NEAREST = "nearest"
    """The location of least cost took the group."""
    PACKING = "packing"
    """Several locations are within `optimal_ping` and count as equally good; a running server there was filled."""
    RANGE = "range"
    """A running server with free seats was preferred to starting one at a location that costs less."""
    CAPACITY = "capacity"
    """Every location that costs less could not take the group."""
    REJECTED = "rejected_ping"
    """`rejected_ping` ruled out the location of least cost, or every one."""
    CAPS = "latency_steps"
    """Nothing within the cap of the moment took the group, which goes on seeking."""
    ROOM = "room"
    """No player's place is known: the location with most room, then by name."""
    NAMED = "named"
    """The request named the deployment; nothing was compared."""
    FILTERS = "filters"
    """The request's filters rule out every location."""
    NONE = "none"
    """Nothing could take the group."""


class Weighed(Struct, frozen=True, array_like=True):
    """One location in the ranking. Costs stand in the order of `Explanation.players`."""

    location: Raw
    worst: int
    """Like all costs in tenths of a millisecond."""
    mean: int
    costs: tuple[int, ...]
    uncertainties: tuple[int, ...]
    origins: str
    passed_over: str | None = None
    """Why this location was not chosen, where that is more than its cost."""


class Inputs(Struct, frozen=True, array_like=True):
    """What a ranking follows from, kept in its place where the best location took the group at once: the usual case, which
    need not pay for a ranking that hardly anybody asks for. See `deployments.explaining.expanded`.
    """

    members: tuple[Member, ...]
    sites: Raw
    """An array of locations, by whose positions the members' measurements go."""


class Explanation(Struct, frozen=True, array_like=True):
    """How one group was placed, as of that moment."""

    decided_at: Instant
    rule: Rule
    ranking: tuple[Weighed, ...] = ()
    """By cost; a chosen location beyond the first ones stands last."""
    chosen: int | None = None
    """Its position in `ranking`."""
    not_ranked: int = 0
    """Allowed locations that cost more than those in `ranking`."""
    players: tuple[str, ...] = ()
    """Addresses; or the one centre that the request gave in their place, see `CENTRE`."""
    more_players: int = 0
    """Players who counted and are not listed."""
    unknown_players: int = 0
    """Players who did not count, since nothing is known of where they are."""
    excluded: tuple[tuple[Raw, str], ...] = ()
    """Locations that the filters rule out, and why."""
    more_excluded: int = 0
    range_ms: float | None = None
    optimal_ms: float | None = None
    rejected_ms: float | None = None
    cap_ms: float | None = None
    inputs: Inputs | None = None
    """In place of `ranking`; `chosen` then is the position among these."""


CENTRE = "location"
"""Stands for the centre that a request gave, among the players of an explanation."""


def same_reasons(one: Explanation, other: Explanation) -> bool:
    """Whether two explanations differ in nothing but their moment and the costs, which drift while nothing happens."""
    return _without_figures(one) == _without_figures(other)


def _without_figures(explanation: Explanation) -> Explanation:
    ranking = [replace(entry, worst=0, mean=0, costs=(), uncertainties=(), origins="") for entry in explanation.ranking]
    return replace(explanation, decided_at=Instant(0), ranking=tuple(ranking))


def weighed(
    location: Raw, worst_ms: float, mean_ms: float, latencies: list[Latency], passed_over: str | None
) -> Weighed:
    """A location in its short form."""
    return Weighed(
        location,
        int(worst_ms * 10 + 0.5),
        int(mean_ms * 10 + 0.5),
        tuple([int(latency.ms * 10 + 0.5) for latency in latencies]),
        tuple([int(latency.uncertainty_ms * 10 + 0.5) for latency in latencies]),
        "".join([_LETTERS[latency.origin] for latency in latencies]),
        passed_over,
    )


def latencies_of(entry: Weighed) -> list[Latency]:
    """The costs of a location, one per listed player."""
    return [
        Latency(cost / 10, _ORIGINS[letter], uncertainty / 10)
        for cost, uncertainty, letter in zip(entry.costs, entry.uncertainties, entry.origins, strict=True)
    ]
