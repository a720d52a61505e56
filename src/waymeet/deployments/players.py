"""Where players are."""

from waymeet.deployments.ports import Geography
from waymeet.deployments.types import Player


def located(players: tuple[Player, ...], geography: Geography) -> tuple[Player, ...]:
    """The players, those without coordinates looked up by their address; who is not found stays without."""
    if all(player.coordinates for player in players):
        return players
    return tuple(
        [player if player.coordinates else Player(player.ip, geography.coordinates_of(player.ip)) for player in players]
    )
