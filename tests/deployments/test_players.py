"""Where players are, by what the request says of each and what is known of his address."""

from waymeet.deployments.players import located
from waymeet.deployments.types import Player
from waymeet.model.location import Coordinates

HERE, THERE = Coordinates(48.85, 2.35), Coordinates(43.65, -79.38)


class Places:
    """Knows one address."""

    def coordinates_of(self, ip: str) -> Coordinates | None:
        return THERE if ip == "203.0.113.7" else None


def test_only_who_came_without_a_place_is_looked_up() -> None:
    named, known, unknown = Player("203.0.113.7", HERE), Player("203.0.113.7"), Player("203.0.113.8")
    assert located((named, known, unknown), Places()) == (named, Player("203.0.113.7", THERE), unknown)
    assert located((named, named), Places()) == (named, named)
