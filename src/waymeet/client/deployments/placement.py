"""Why sessions and deployments are where they are. An extension of Waymeet's."""

from waymeet.client.calling.wire import Answer
from waymeet.client.locations.types import Location


class PlayerCost(Answer, frozen=True, kw_only=True):
    """A player's round trip to a location, give or take `uncertainty_ms`."""

    ip: str
    """`location` stands for the centre that a request gave in place of its players'."""
    ms: float
    origin: str = ""
    """`measured` by a node, `reported` by players, or `estimated` from the distance."""
    uncertainty_ms: float = 0.0


class RankedLocation(Answer, frozen=True, kw_only=True):
    """A location, and what it would have cost the group."""

    location: Location
    chosen: bool = False
    worst_ms: float = 0.0
    """For the worst-served player: what counts first."""
    mean_ms: float = 0.0
    costs: tuple[PlayerCost, ...] = ()
    passed_over: str = ""
    """Why it was not chosen, where that is more than its cost."""


class ExcludedLocation(Answer, frozen=True, kw_only=True):
    """A location that the request's filters ruled out."""

    location: Location
    reason: str = ""


class PlacementLimits(Answer, frozen=True, kw_only=True):
    """Milliseconds that bounded the choice; 0 where there was no such bound."""

    range_ms: float = 0.0
    optimal_ms: float = 0.0
    rejected_ms: float = 0.0
    cap_ms: float = 0.0


class Placement(Answer, frozen=True, kw_only=True):
    """A decision as it was taken at `decided_at`."""

    rule: str = ""
    """What decided, such as `nearest`, `range` or `packing`; see `reason` for a sentence."""
    reason: str = ""
    decided_at: str = ""
    ranking: tuple[RankedLocation, ...] = ()
    """The locations that cost least, the chosen one always among them."""
    not_ranked: int = 0
    more_players: int = 0
    unknown_players: int = 0
    """Players who did not count, since nothing was known of where they are."""
    excluded: tuple[ExcludedLocation, ...] = ()
    more_excluded: int = 0
    limits: PlacementLimits = PlacementLimits()

    @property
    def chosen(self) -> RankedLocation | None:
        """The location that was chosen; `None` when nothing was, or nothing compared."""
        return next((entry for entry in self.ranking if entry.chosen), None)
