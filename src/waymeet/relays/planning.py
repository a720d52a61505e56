"""Which relays would suit a group of players, best first. Found out before the transaction that takes a place on one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from waymeet.deployments.candidates import Candidates
from waymeet.deployments.finding import CandidateFinder
from waymeet.deployments.players import located
from waymeet.deployments.ports import Geography
from waymeet.deployments.types import Player
from waymeet.locations.types import Node
from waymeet.model.errors import Invalid, Unavailable
from waymeet.model.filters import Filter
from waymeet.model.ids import NodeName, OrganisationId
from waymeet.model.location import Coordinates
from waymeet.model.node_messages import Role
from waymeet.relays.ports import RelayStore, RelayTransaction
from waymeet.relays.types import HIGHEST_USERS

NO_RELAY_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class RelayPlan:
    """Relays that had room a moment ago, best first, and where the players are."""

    relays: Sequence[Node]
    coordinates: Mapping[str, Coordinates | None] = field(default_factory=dict)
    """By the players' addresses."""


class RelayPlanner:
    """Ranks relays for groups."""

    def __init__(self, store: RelayStore, finder: CandidateFinder, geography: Geography) -> None:
        self._store = store
        self._finder = finder
        self._geography = geography

    async def plan(
        self, organisation: OrganisationId, addresses: Sequence[str], filters: tuple[Filter, ...] = ()
    ) -> RelayPlan:
        """The relays for players at these addresses. May have nodes probe them first, which takes up to 300 ms.

        Raises `Unavailable` when no relay is connected or none passes the filters.
        """
        players = tuple(Player(address) for address in addresses)
        found = await self._finder.find(organisation, players, None, filters, measured=True, role=Role.RELAY)
        if not found.fleet.nodes:
            raise Unavailable("no relay is connected; start a node with the role 'relay'", NO_RELAY_RETRY_SECONDS)
        if not found.sites:
            raise Unavailable("no relay passes the filters; relax them or add one there", NO_RELAY_RETRY_SECONDS)
        relays = _best_first(found, await self._store.read(_rooms))
        return RelayPlan(relays, {player.ip: player.coordinates for player in found.players})

    def coordinates_of(self, address: str) -> Coordinates | None:
        """Where one player is, as far as that is known."""
        (player,) = located((Player(address),), self._geography)
        return player.coordinates


def checked_users(addresses: Sequence[str]) -> None:
    """`Invalid` for a group that no relay session can have."""
    if not addresses:
        raise Invalid({"users": "at least one user is required"})
    if len(addresses) > HIGHEST_USERS:
        raise Invalid({"users": f"a relay session has at most {HIGHEST_USERS} users; split the group"})


async def _rooms(tx: RelayTransaction) -> Mapping[NodeName, int]:
    return await tx.relays.rooms()


def _best_first(candidates: Candidates, rooms: Mapping[NodeName, int]) -> list[Node]:
    """The allowed relays that have room: by what they cost the group, then more room first, then by name."""

    def roomiest_first(node: Node) -> tuple[int, str]:
        return -rooms[node.name], node.name

    at: dict[int, list[Node]] = {}
    for site in candidates.sites:
        if nodes := [node for node in candidates.nodes_at(site) if node.name in rooms]:
            at[site] = sorted(nodes, key=roomiest_first)
    ordered = candidates.group.in_order(list(at), lambda site: roomiest_first(at[site][0]))
    return [node for _, site in ordered for node in at[site]]
