"""Addresses and the networks they belong to: which may be reached over the internet, and which are measured as one."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

IPV4_BITS = 24
"""The longest IPv4 prefix that networks announce to each other: what lies behind it is reached on the same path."""
IPV6_BITS = 48
"""Likewise for IPv6, and what one site is given at most (RFC 6177)."""

_NAT64 = IPv6Network("64:ff9b::/96")
_NEWER_DOCUMENTATION = IPv6Network("3fff::/20")
"""RFC 9637; the standard library learns of it with Python 3.13 only."""
_NO_PLAYERS = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
"""For protocols (RFC 6890), and for the relays of 6to4, given up (RFC 7526). Releases of Python differ about them."""
_THIS_NETWORK = IPv4Network("0.0.0.0/8")


@lru_cache(4096)
def canonical_address(text: str) -> Address | None:
    """`text` as an address, IPv4-mapped IPv6 as IPv4, or `None` when it is none. With a zone (`%eth0`) it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


def is_public(address: Address) -> bool:
    """Whether it is an address on the internet.

    Loopback, private, link-local, shared (CGNAT), documentation, multicast and reserved ones are not, nor when they are
    wrapped into IPv6 (mapped, 6to4, NAT64).
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or address.teredo is not None or address in _NEWER_DOCUMENTATION:
            return False
    elif any(address in network for network in _NO_PLAYERS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_one_host(address: Address) -> bool:
    """Whether some one machine may have it: not multicast, broadcast, unspecified or IPv4's never assigned ranges."""
    if isinstance(address, IPv4Address) and (address in _THIS_NETWORK or address.is_reserved):
        return False
    return not (address.is_multicast or address.is_unspecified)


@lru_cache(4096)
def network_of(address: Address) -> str:
    """The network that is measured as one: `203.0.113.0/24`, `2001:db8:1::/48`."""
    if isinstance(address, IPv4Address):
        return f"{IPv4Address(int(address) >> 8 << 8)}/{IPV4_BITS}"
    return f"{IPv6Address(int(address) >> 80 << 80)}/{IPV6_BITS}"


@lru_cache(4096)
def household_of(text: str) -> str:
    """What limits count as one source: an IPv4 address, or an IPv6 /64, all of which one household commonly has to itself.
    What is no address stands for itself.
    """
    address = canonical_address(text)
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address) if address is not None else text
