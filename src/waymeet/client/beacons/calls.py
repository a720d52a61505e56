"""Where players can measure their latency (contract 2.13 and 2.14)."""

from waymeet.client.calling.operation import ConnectionT, Group, operation
from waymeet.client.calling.plan import Plan
from waymeet.client.calling.wire import Answer, answer
from waymeet.client.locations.types import Location


class Beacon(Answer, frozen=True, kw_only=True):
    """A beacon that answers. Its `location.city` is its name: no other in the list has the same."""

    host: str
    """Its IP address."""
    fqdn: str = ""
    """Its host name; "" when it has none."""
    udp_port: int = 0
    """0 where it offers no UDP echo."""
    tcp_port: int = 0
    """0 where it accepts no TCP connections."""
    location: Location = Location()


class _Beacons(Answer, frozen=True, kw_only=True):
    locations: tuple[Beacon, ...] = ()


class Beacons(Group[ConnectionT]):
    """`client.beacons`: what players measure their latency against, with `waymeet.client.ping` or by themselves."""

    @operation
    def all(self) -> Plan[tuple[Beacon, ...]]:
        """Every beacon that answers now. Each has a city name of its own, the key for what is measured."""
        return self._list({})

    @operation
    def page(self, number: int = 1, limit: int = 10) -> Plan[tuple[Beacon, ...]]:
        """Some of the beacons; none behind the last one."""
        return self._list({"page": str(number), "limit": str(limit)})

    def _list(self, query: dict[str, str]) -> Plan[tuple[Beacon, ...]]:
        found: _Beacons = yield from self._get("/v1/locations/beacons", answer(_Beacons), query)
        return found.locations
