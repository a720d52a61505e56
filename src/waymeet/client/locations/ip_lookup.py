"""The caller's own address, and where addresses are (contract 2.10 to 2.12)."""

from collections.abc import Sequence

from waymeet.client.calling.address import path
from waymeet.client.calling.operation import ConnectionT, Group, operation
from waymeet.client.calling.plan import Call, Plan
from waymeet.client.calling.wire import Answer, Body, answer, member
from waymeet.client.sessions.filters import Coordinates


class NamedCode(Answer, frozen=True, kw_only=True):
    """A continent or a country: its code (two letters, ISO for countries) and its English name."""

    code: str
    name: str = ""


class IpLocation(Answer, frozen=True, kw_only=True):
    """What is known of the place of an address; what is not is `None`."""

    continent: NamedCode | None = None
    country: NamedCode | None = None
    latitude: float | None = None
    longitude: float | None = None

    @property
    def coordinates(self) -> Coordinates | None:
        """The point in degrees, when it is known."""
        if self.latitude is None or self.longitude is None:
            return None
        return Coordinates(latitude=self.latitude, longitude=self.longitude)


class IpAddress(Answer, frozen=True, kw_only=True):
    """An address in canonical form, and its place: `None` for private and reserved ones, and where nothing is known."""

    ip_address: str
    type: str = ""
    """`IPv4` or `IPv6`."""
    location: IpLocation | None = None


class _Addresses(Body, frozen=True, kw_only=True):
    addresses: Sequence[str]


class IpLookup(Group[ConnectionT]):
    """`client.ip`: the own address, and where addresses are."""

    @operation
    def own(self) -> Plan[str]:
        """This program's public address, as the server sees it."""
        return self._get("/v1/ip", member("public_ip", str))

    @operation
    def look_up(self, ip: str) -> Plan[IpAddress]:
        """Where an address is. `BadRequest` when it is no address; one that nothing is known of is no error."""
        return self._get(path("v1", "ip", ip, "lookup"), answer(IpAddress))

    @operation
    def look_up_many(self, ips: Sequence[str]) -> Plan[tuple[IpAddress, ...]]:
        """Where up to 20 addresses are, in their order. `BadRequest`, and nothing looked up, when one is no address."""
        read = member("addresses", tuple[IpAddress, ...])
        body = _Addresses(addresses=ips)
        return self._connection.exchange(Call("POST", "/v1/ips/lookup", read, body=body, repeatable=True))
