"""Names for the beacons' cities: clients keep what they measure by city, so no two may share one. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count

from waymeet.locations.service import REMEMBERED_SECONDS
from waymeet.locations.types import Node
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant, after
from waymeet.model.node_messages import Role


def city_names(nodes: Iterable[Node], now: Instant) -> Mapping[NodeName, str]:
    """A city name for the beacon of each node, all of them different, also to people who do not look at letter case.

    The node that has been known for longest has the plain name. Each that comes later adds the first thing that tells it
    from all before it: its administrative division, its country, or its own name. Nodes that are away for less than a
    day count too, so a name does not change when a beacon comes or goes, and every replica finds the same names.
    """
    beacons = [
        node
        for node in nodes
        if Role.BEACON in node.profile.roles
        and (node.connected or node.last_seen_at >= after(now, -REMEMBERED_SECONDS))
    ]
    named: dict[NodeName, str] = {}
    taken: set[str] = set()
    earlier: dict[str, list[Node]] = {}
    for node in sorted(beacons, key=lambda node: (node.profile.known_since, node.name)):
        city = node.profile.location.city.strip() or node.name
        before = earlier.setdefault(city.casefold(), [])
        name = next(name for name in _candidates(city, node, before) if name.casefold() not in taken)
        named[node.name] = name
        taken.add(name.casefold())
        before.append(node)
    return named


def _candidates(city: str, node: Node, before: list[Node]) -> Iterator[str]:
    location = node.profile.location
    yield city
    for own, others in (
        (location.administrative_division, {one.profile.location.administrative_division for one in before}),
        (location.country, {one.profile.location.country for one in before}),
    ):
        if own.strip() and own not in others:
            yield f"{city} ({own.strip()})"
    yield f"{city} ({node.name})"
    # Somebody's city is really called like that.
    for number in count(2):
        yield f"{city} ({node.name} {number})"
