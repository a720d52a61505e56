"""Objects that several v1 bodies share (contract 1.10), and how they are made from ours."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from socket import AF_INET, inet_pton
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, structs

from waymeet.deployments.types import DeploymentContext, Player
from waymeet.http.errors import invalid_input
from waymeet.model.filters import Filter, checked_filters
from waymeet.model.location import Coordinates, Location
from waymeet.model.servers import PortMapping, PortProtocol
from waymeet.placement.places import CONSTRAINT_FIELDS, FILTER_FIELDS, constraint

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
HIGHEST_ADDRESSES = 1_000
Addresses = Annotated[list[str], Meta(max_length=HIGHEST_ADDRESSES)]


class Success(Struct, frozen=True):
    success: bool
    message: str


class LocationBody(Struct, frozen=True):
    city: str
    country: str
    continent: str
    administrative_division: str
    timezone: str
    latitude: float
    longitude: float


class PortBody(Struct, frozen=True):
    external: int
    internal: int
    protocol: str
    name: str
    tls_upgrade: bool
    link: str
    proxy: int


class ContextBody(Struct, frozen=True):
    """A deployment as its sessions and its own server see it."""

    request_id: str
    public_ip: str
    status: str
    ready: bool
    whitelisting_active: bool
    fqdn: str
    ports: dict[str, PortBody] | None
    location: LocationBody | None
    tags: list[str]
    sockets: int | None
    sockets_usage: int | None
    is_joinable_by_session: bool


class UserBody(Struct, frozen=True):
    ip: str
    latitude: float | None
    longitude: float | None


class Point(Struct, frozen=True):
    latitude: Latitude
    longitude: Longitude


class GeoIp(Struct, frozen=True):
    ip: str
    latitude: Latitude
    longitude: Longitude


class FilterBody(Struct, frozen=True):
    field: str
    values: list[str]
    filter_type: str


class Place(Struct, frozen=True, kw_only=True):
    """The members of a request that say where; several of them must all hold."""

    location: Point | None = None
    city: Name | None = None
    country: Name | None = None
    continent: Name | None = None
    region: Name | None = None
    administrative_division: Name | None = None
    filters: list[FilterBody] | None = None
    ip_list: Addresses | None = None
    geo_ip_list: Annotated[list[GeoIp], Meta(max_length=HIGHEST_ADDRESSES)] | None = None


def sent_members(body: Struct) -> dict[str, Any]:
    """The members of a request that were sent, by name: those that are not `UNSET`."""
    return {name: value for name, value in structs.asdict(body).items() if value is not UNSET}


def location_body(location: Location) -> LocationBody:
    return LocationBody(
        location.city,
        location.country,
        location.continent,
        location.administrative_division,
        location.timezone,
        location.latitude,
        location.longitude,
    )


def port_bodies(ports: Sequence[PortMapping] | None, host: str) -> dict[str, PortBody] | None:
    """The port map by name, or by internal port in decimal when unnamed; null before the ports are known."""
    if ports is None:
        return None
    return {
        port.key: PortBody(
            external=port.external,
            internal=port.internal,
            protocol=port.protocol.value,
            name=port.key,
            tls_upgrade=port.tls_upgrade,
            link=_link(port, host),
            proxy=0,
        )
        for port in ports
    }


@lru_cache(2048)
def context_body(deployment: DeploymentContext) -> ContextBody:
    """Remembered by the identity of its argument, of which the store hands out one for each state of a deployment."""
    sockets, usage = deployment.counted_sockets
    return ContextBody(
        request_id=deployment.request_id,
        public_ip=deployment.public_ip,
        status=deployment.status.wire,
        ready=deployment.ready,
        whitelisting_active=deployment.whitelisting_active,
        fqdn=deployment.fqdn,
        ports=port_bodies(deployment.ports, deployment.fqdn),
        location=location_body(deployment.location),
        tags=[tag.name for tag in deployment.tags],
        sockets=sockets,
        sockets_usage=usage,
        is_joinable_by_session=deployment.joinable,
    )


def user_bodies(players: Sequence[Player]) -> list[UserBody]:
    return [
        UserBody(player.ip, None, None)
        if player.coordinates is None
        else UserBody(player.ip, player.coordinates.latitude, player.coordinates.longitude)
        for player in players
    ]


def canonical_ip(text: str, path: str) -> str:
    """An IP address in its canonical form; `Invalid` naming `path` when it is none."""
    try:
        inet_pton(AF_INET, text)
        return text
    except (OSError, ValueError):
        pass
    try:
        if "%" in text:
            raise ValueError
        return str(ip_address(text))
    except ValueError:
        raise invalid_input({path: f"'{text[:64]}' is not an IPv4 or IPv6 address"}) from None


def players(place: Place) -> tuple[Player, ...]:
    """The players that a request names, by address alone or with coordinates; both at once is `Invalid`."""
    if place.ip_list and place.geo_ip_list:
        raise invalid_input({"geo_ip_list": "cannot be used together with ip_list; send one of the two"})
    if place.geo_ip_list:
        return tuple(
            Player(canonical_ip(entry.ip, f"geo_ip_list.{index}.ip"), Coordinates(entry.latitude, entry.longitude))
            for index, entry in enumerate(place.geo_ip_list)
        )
    return tuple(Player(canonical_ip(ip, f"ip_list.{index}")) for index, ip in enumerate(place.ip_list or ()))


def centre(place: Place) -> Coordinates | None:
    """The explicit centre of a request."""
    return None if place.location is None else Coordinates(place.location.latitude, place.location.longitude)


def place_filters(place: Place) -> tuple[Filter, ...]:
    """The filters of a request and its single constraints, which mean filters too (contract 2.2)."""
    single = tuple(constraint(name, value) for name in CONSTRAINT_FIELDS if (value := getattr(place, name)) is not None)
    if not place.filters:
        return single
    return single + filters(place.filters, FILTER_FIELDS)


def filters(bodies: Sequence[FilterBody], fields: frozenset[str]) -> tuple[Filter, ...]:
    """Checked filters; `Invalid` names the first member that is wrong."""
    return checked_filters(((entry.field, entry.values, entry.filter_type) for entry in bodies), fields)


_SCHEMES = {
    PortProtocol.HTTP: ("http", "https"),
    PortProtocol.HTTPS: ("https", "https"),
    PortProtocol.WS: ("ws", "wss"),
    PortProtocol.WSS: ("wss", "wss"),
}


def _link(port: PortMapping, host: str) -> str:
    address = f"[{host}]:{port.external}" if ":" in host else f"{host}:{port.external}"
    schemes = _SCHEMES.get(port.protocol)
    return address if schemes is None else f"{schemes[port.tls_upgrade]}://{address}"
