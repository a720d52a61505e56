"""Finding the candidates for a group: where its players are, what is known by measuring, which nodes there are."""

from collections.abc import Mapping, Sequence

from waymeet.deployments.candidates import Candidates
from waymeet.deployments.players import located
from waymeet.deployments.ports import Geography, Latencies
from waymeet.deployments.types import Player
from waymeet.geo.distance import unit_vector
from waymeet.locations.directory import Directory
from waymeet.locations.types import Fleet
from waymeet.model.filters import Filter
from waymeet.model.ids import OrganisationId
from waymeet.model.latency import Latency
from waymeet.model.location import Coordinates
from waymeet.model.node_messages import Role
from waymeet.placement.explanation import CENTRE
from waymeet.placement.members import NOTHING_MEASURED, Member, member

PROBING_SITES = 12
"""So many locations are asked to probe a group at most: those of least cost by what is known before."""


class CandidateFinder:
    """Brings together what placement needs. For use outside transactions: it may wait for measurements."""

    def __init__(self, directory: Directory, geography: Geography, latencies: Latencies) -> None:
        self._directory = directory
        self._geography = geography
        self._latencies = latencies

    async def find(
        self,
        organisation: OrganisationId,
        players: tuple[Player, ...],
        centre: Coordinates | None,
        filters: Sequence[Filter],
        *,
        measured: bool,
        probe: bool = True,
        role: Role = Role.SERVER,
    ) -> Candidates:
        """The candidates for a group, their players' places looked up.

        With `measured` also what was measured of them counts, and with `probe` the locations that could be chosen measure
        first where nothing fresh is known, which takes some 300 ms at most. An explicit `centre` replaces the players'
        own places (contract 2.2, `location`), and nothing is measured. With the role `relay` the nodes are those whose
        relay is connected.
        """
        fleet = self._directory.fleet
        if role is Role.RELAY:
            fleet = fleet.relays
        players = located(players, self._geography)
        if centre is not None:
            return Candidates(fleet, [Member(unit_vector(centre))], filters, players=players, counted=(CENTRE,))
        estimated = _candidates(fleet, players, filters, [_NOTHING] * len(players))
        if not measured or not players or len(fleet.sites) < 2:
            return estimated
        addresses = [player.ip for player in players]
        sites = _probing(estimated) if probe and len(fleet.probing) > 1 else ()
        if len(sites) > 1:
            known = await self._latencies.measured(addresses, [fleet.sites[site] for site in sites], organisation)
        else:
            known = await self._latencies.known(addresses, organisation)
        return _candidates(fleet, players, filters, known) if any(known) else estimated


_NOTHING: Mapping[str, Latency] = {}


def _probing(estimated: Candidates) -> Sequence[int]:
    """The locations worth measuring, nearest first; fewer than two are no choice."""
    able = [site for site in estimated.sites if site in estimated.fleet.probing]
    if len(able) < 2:
        return ()
    return [site for _, site in estimated.group.leading(PROBING_SITES, able, estimated.tie)]


def _candidates(
    fleet: Fleet, players: tuple[Player, ...], filters: Sequence[Filter], measured: Sequence[Mapping[str, Latency]]
) -> Candidates:
    members: list[Member] = []
    counted: list[str] = []
    positions, vectors = fleet.positions, fleet.vectors
    for player, by_key in zip(players, measured, strict=True):
        at = NOTHING_MEASURED
        if by_key:
            # Measurements outlive locations that were given up.
            at = {positions[key]: latency for key, latency in by_key.items() if key in positions}
        found = member(None if player.coordinates is None else unit_vector(player.coordinates), at, vectors)
        if found is not None:
            members.append(found)
            counted.append(player.ip)
    return Candidates(fleet, members, filters, players=players, counted=counted)
