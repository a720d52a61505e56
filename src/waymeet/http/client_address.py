"""The client's IP address: the peer's, or what a trusted proxy says (contract 2.10)."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from waymeet.http.limits import ForwardingHeader, IPNetwork

Address = IPv4Address | IPv6Address
RawHeaders = Iterable[tuple[bytes, bytes]]

MOST_HOPS = 32
"""Entries of a forwarding header that are looked at, from the nearest."""
NO_PEER = "127.0.0.1"
"""The address of a peer on a Unix socket: this machine."""


@lru_cache(maxsize=4096)
def canonical(text: str) -> Address | None:
    """An address in the form we compare and show: IPv4-mapped IPv6 is IPv4, no zone; `None` when it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=4096)
def _canonical_text(text: str) -> str:
    address = canonical(text)
    return str(address) if address is not None else NO_PEER


class ClientAddresses:
    """Tells where requests come from, believing `header` only as far as trusted proxies vouch for it."""

    def __init__(self, trusted: Sequence[IPNetwork], header: ForwardingHeader) -> None:
        self._trusted = tuple(trusted)
        self._header = header.encode()
        self._hops = _x_forwarded_for if header == "x-forwarded-for" else _forwarded

    def of(self, peer: tuple[str, int] | None, headers: RawHeaders) -> str:
        """The address as canonical text.

        Walks from the peer away from us while each hop is trusted; the first that is not is the client. An entry that
        is no address ends the walk at the hop before it.
        """
        nearest = peer[0] if peer is not None else NO_PEER
        if not self._trusted:
            return _canonical_text(nearest)
        current = canonical(nearest) or ip_address(NO_PEER)
        values = [value for name, value in headers if name == self._header]
        if values:
            for entry in self._hops(b",".join(values).decode("latin-1")):
                if not self._is_trusted(current) or (address := _entry_address(entry)) is None:
                    break
                current = address
        return str(current)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _x_forwarded_for(value: str) -> list[str]:
    """The entries, nearest first."""
    return [entry.strip() for entry in reversed(value.split(",")[-MOST_HOPS:])]


def _forwarded(value: str) -> list[str]:
    """The `for` of every element (RFC 7239), nearest first; "" where an element has none."""
    return [_for_of(element) for element in reversed(value.split(",")[-MOST_HOPS:])]


def _for_of(element: str) -> str:
    for pair in element.split(";"):
        name, _, value = pair.strip().partition("=")
        if name.strip().lower() == "for":
            return value.strip().strip('"')
    return ""


def _entry_address(entry: str) -> Address | None:
    """The address of an entry, with or without a port; IPv6 with a port stands in brackets."""
    if entry.startswith("["):
        return canonical(entry[1:].partition("]")[0])
    if entry.count(":") == 1:
        entry = entry.partition(":")[0]
    return canonical(entry)
