"""The sockets on which a node listens: on the node's address, answering from the address that was asked.

address of the node              sockets
IPv4, this machine has it        that address
IPv4 that a router translates    every IPv4 address
IPv6                             every address, IPv4 as well
IPv6 loopback                    both loopbacks
"""

import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

RECEIVE_BUFFER = 212_992
"""Bytes in which the kernel keeps what has not been read yet, unless more is asked for. It drops what comes on top."""
_BACKLOG = 128
_IN4 = socket.AF_INET
_IN6 = socket.AF_INET6


@dataclass(frozen=True, slots=True)
class Place:
    """Where one socket is bound. A wildcard has several addresses, and must be told from which of them to answer."""

    family: socket.AddressFamily
    host: str
    wildcard: bool = False


Bind = Callable[[str, int], Sequence[socket.socket]]
"""All sockets of one transport for a node's address and a port, or none: `OSError`."""


def bind_udp(address: str, port: int, sets: int = 1) -> Sequence[socket.socket]:
    """The UDP sockets for a node's address, not blocking; `OSError` when one cannot be had.

    With several `sets`, one after the other, all of them share the port: the kernel gives each datagram to one (Linux).
    """
    return _bind(address, port, socket.SOCK_DGRAM, sets)


def bind_tcp(address: str, port: int) -> Sequence[socket.socket]:
    """The listening TCP sockets for a node's address, not blocking; `OSError` when one cannot be had."""
    return _bind(address, port, socket.SOCK_STREAM)


def is_wildcard(endpoint: socket.socket) -> bool:
    """Whether the socket is bound to every address of its family."""
    host: str = endpoint.getsockname()[0]
    return ipaddress.ip_address(host.partition("%")[0]).is_unspecified


def _bind(address: str, port: int, kind: socket.SocketKind, sets: int = 1) -> Sequence[socket.socket]:
    try:
        return _all_of(_places(address), port, kind, sets)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL or ":" in address:
            raise
        # In many clouds a machine does not have the address under which it is known: a router translates it.
        return _all_of([Place(_IN4, "0.0.0.0", wildcard=True)], port, kind, sets)  # noqa: S104 - meant, see above


def _places(address: str) -> list[Place]:
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return [Place(_IN4, address)]
    if parsed.is_loopback:
        return [Place(_IN6, address), Place(_IN4, "127.0.0.1")]
    return [Place(_IN6, "::", wildcard=True)]


def _all_of(places: list[Place], port: int, kind: socket.SocketKind, sets: int) -> Sequence[socket.socket]:
    made: list[socket.socket] = []
    with ExitStack() as undo:
        if sets > 1:
            # Sockets that share a port would share it with those of another program of this user, which would then get a
            # part of what is meant for us. Such as do not share find out that there are any.
            for place in places:
                _bound(place, port, kind).close()
        for _ in range(sets):
            for place in places:
                made.append(undo.enter_context(_bound(place, port, kind, shared=sets > 1)))
                # Where any port would do, the first one's is the one for all.
                port = made[0].getsockname()[1]
        undo.pop_all()
    return made


def _bound(place: Place, port: int, kind: socket.SocketKind, *, shared: bool = False) -> socket.socket:
    endpoint = socket.socket(place.family, kind)
    try:
        if place.family == _IN6:
            only = not (place.wildcard and socket.has_dualstack_ipv6())
            endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
        if shared:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            # Connections of an earlier run that linger are no hindrance; another listener still is.
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if kind == socket.SOCK_DGRAM and place.wildcard:
            tell_asked_address(endpoint)
        endpoint.bind((place.host, port))
        if kind == socket.SOCK_STREAM:
            endpoint.listen(_BACKLOG)
        endpoint.setblocking(False)
    except BaseException:
        endpoint.close()
        raise
    return endpoint


def tell_asked_address(endpoint: socket.socket) -> None:
    """Have the kernel say with each datagram which of this machine's addresses it was sent to."""
    if endpoint.family == _IN6:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        endpoint.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def answering_from(ancillary: Sequence[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """What to give `sendmsg` so that the answer to a datagram leaves from the address that it came to."""
    for level, kind, content in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            # struct in_pktinfo: interface, local address, address in the header. Without an interface: routes decide.
            return [(level, kind, b"\0\0\0\0" + content[4:8] + b"\0\0\0\0")]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            # struct in6_pktinfo: address, interface. A link-local address means nothing without its interface.
            link_local = ipaddress.IPv6Address(content[:16]).is_link_local
            return [(level, kind, content if link_local else content[:16] + b"\0\0\0\0")]
    return []


ANCILLARY_BYTES = socket.CMSG_SPACE(20)
"""Room for either structure."""

_IP_PKTINFO = 8
"""Linux's number; the socket module names it from Python 3.12 (`IP_PKTINFO`) on."""
