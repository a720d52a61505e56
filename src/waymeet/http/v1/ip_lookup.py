"""The caller's own address, and where addresses are (contract 2.10 to 2.12)."""

from ipaddress import IPv6Address
from socket import AF_INET, inet_pton
from typing import Annotated, Any, Protocol

from msgspec import UNSET, Meta, Struct, UnsetType, json

from waymeet.geo.countries import CONTINENTS, COUNTRIES
from waymeet.geo.records import IpPlace
from waymeet.http.call import Call, Document
from waymeet.http.endpoint import Endpoint
from waymeet.http.errors import invalid_input

HIGHEST_LOOKUPS = 20
HIGHEST_RECENT = 8192
JSON = "application/json"
_LONGEST_SHOWN = 64


class Geography(Protocol):
    """What the installed geo data knows."""

    @property
    def edition(self) -> object:
        """Another object whenever answers may have changed."""

    def lookup(self, ip: str) -> IpPlace | None:
        """The place of an address in canonical text; costs microseconds, never raises."""


class OwnAddress(Struct, frozen=True):
    public_ip: str


class CodeAndName(Struct, frozen=True):
    code: str
    name: str


class IpLocation(Struct, frozen=True):
    """What is known of a place. Coordinates are numbers, in degrees."""

    continent: CodeAndName | UnsetType = UNSET
    country: CodeAndName | UnsetType = UNSET
    latitude: float | UnsetType = UNSET
    longitude: float | UnsetType = UNSET


class IpEntry(Struct, frozen=True):
    type: Annotated[str, Meta(description="`IPv4` or `IPv6`.")]
    ip_address: Annotated[str, Meta(description="In canonical form.")]
    location: Annotated[IpLocation, Meta(description="Absent when nothing is known.")] | UnsetType = UNSET


class IpList(Struct, frozen=True):
    addresses: Annotated[list[str], Meta(max_length=HIGHEST_LOOKUPS, description="Looked up in their order.")]


class IpEntries(Struct, frozen=True):
    addresses: list[IpEntry]


_CONTINENT_BODIES = {code: CodeAndName(code, continent.name) for code, continent in CONTINENTS.items()}
_COUNTRY_BODIES = {code: CodeAndName(code, country.name) for code, country in COUNTRIES.items()}


_encode = json.Encoder().encode


class RecentAnswers:
    """Encoded answers by the address as it was written: the players of now are asked about again and again.

    Keeps between one and two times `HIGHEST_RECENT` of them: whatever was not asked for while that many others were is
    forgotten.
    """

    def __init__(self) -> None:
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, text: str) -> bytes | None:
        """The answer, if it is remembered."""
        found = self._young.get(text)
        if found is None and (found := self._old.get(text)) is not None:
            self.keep(text, found)
        return found

    def keep(self, text: str, answer: bytes) -> None:
        """Remember an answer."""
        if len(self._young) >= HIGHEST_RECENT:
            self._old, self._young = self._young, {}
        self._young[text] = answer


class IpLookupEndpoints:
    """The three calls."""

    def __init__(self, geography: Geography) -> None:
        self._geography = geography
        self._edition = geography.edition
        self._recent = RecentAnswers()

    async def read_own_address(self, call: Call[None, None]) -> OwnAddress:
        """As this server sees it; behind a reverse proxy, as far as trusted ones vouch for it."""
        return OwnAddress(call.client_address)

    async def look_up_address(self, call: Call[None, None]) -> Document:
        self._forget_what_has_changed()
        return Document(self._entry(call.path["ip"], "ip"), JSON)

    async def look_up_addresses(self, call: Call[IpList, None]) -> Document:
        """All or nothing: one address that is none refuses the call."""
        self._forget_what_has_changed()
        entries = [self._entry(text, "addresses", index) for index, text in enumerate(call.body.addresses)]
        return Document(b'{"addresses":[%b]}' % b",".join(entries), JSON)

    def _forget_what_has_changed(self) -> None:
        if self._geography.edition is not self._edition:
            self._edition = self._geography.edition
            self._recent = RecentAnswers()

    def _entry(self, text: str, path: str, index: int | None = None) -> bytes:
        known = self._recent.find(text)
        if known is None:
            known = _encode(self._described(text, path if index is None else f"{path}.{index}"))
            self._recent.keep(text, known)
        return known

    def _described(self, text: str, path: str) -> IpEntry:
        try:
            packed = inet_pton(AF_INET, text)
        except (OSError, ValueError):
            return self._unusual(text, path)
        if _is_special_ipv4(packed):
            return IpEntry("IPv4", text)
        return IpEntry("IPv4", text, self._location(text))

    def _unusual(self, text: str, path: str) -> IpEntry:
        """IPv6, in any of its spellings; one that stands for an IPv4 address is that address."""
        try:
            # A zone means something on one machine only.
            if "%" in text:
                raise ValueError
            address = IPv6Address(text)
        except ValueError:
            raise invalid_input({path: f"'{text[:_LONGEST_SHOWN]}' is not an IPv4 or IPv6 address"}) from None
        if address.ipv4_mapped is not None:
            return self._described(str(address.ipv4_mapped), path)
        canonical = str(address)
        if _is_special_ipv6(address):
            return IpEntry("IPv6", canonical)
        return IpEntry("IPv6", canonical, self._location(canonical))

    def _location(self, ip: str) -> IpLocation | UnsetType:
        place = self._geography.lookup(ip)
        if place is None:
            return UNSET
        continent, country, latitude, longitude = place
        return IpLocation(
            UNSET if continent is None else _CONTINENT_BODIES[continent.code],
            UNSET if country is None else _COUNTRY_BODIES[country.code],
            UNSET if latitude is None else latitude,
            UNSET if longitude is None else longitude,
        )

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        tag = "IP lookup"
        return [
            Endpoint(
                method="GET", path="/v1/ip", handler=self.read_own_address, summary="The caller's own address",
                contract="2.10", tag=tag, answers={200: OwnAddress},
            ),
            Endpoint(
                method="GET", path="/v1/ip/{ip}/lookup", handler=self.look_up_address, summary="Where an address is",
                contract="2.11", tag=tag, answers={200: IpEntry},
                path_types={"ip": Annotated[str, Meta(description="IPv4 or IPv6, percent-encoded or not; no zone.")]},
            ),
            Endpoint(
                method="POST", path="/v1/ips/lookup", handler=self.look_up_addresses,
                summary=f"Where up to {HIGHEST_LOOKUPS} addresses are",
                contract="2.12", tag=tag, body=IpList, answers={200: IpEntries},
            ),
        ]  # fmt: skip


def _is_special_ipv4(packed: bytes) -> bool:
    """Private, shared (100.64/10), loopback, link-local, multicast or reserved: no place on the map (contract 2.11)."""
    first, second = packed[0], packed[1]
    match first:
        case 0 | 10 | 127:
            return True
        case 100:
            return 64 <= second <= 127
        case 169:
            return second == 254
        case 172:
            return 16 <= second <= 31
        case 192:
            return second == 168
    return first >= 224


def _is_special_ipv6(address: IPv6Address) -> bool:
    """As for IPv4, also when it wraps such an IPv4 address (6to4).

    Addresses kept for documentation are looked up, like those of IPv4: no real database knows them, tests' own may.
    """
    inner = address.sixtofour
    if inner is not None and _is_special_ipv4(inner.packed):
        return True
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_unspecified
        or address.is_site_local
        or address.packed[0] & 0xFE == 0xFC
    )
