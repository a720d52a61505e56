"""A relay's sockets: what comes in with whom it is from, what goes out to them.

Players take answers only from the address that they dialled. A socket that is bound to one address sees to that by itself;
one that is bound to all of them keeps, as a part of each peer's address, which of the machine's own it spoke to.
"""

import socket
from collections.abc import Sequence
from typing import Protocol

from waymeet.node.relay.verdicts import Address
from waymeet.node.sockets import ANCILLARY_BYTES, answering_from, is_wildcard

WANTED_BUFFER = 4 * 1024 * 1024
"""Bytes to ask for, each way: too little, and bursts are lost while the relay is busy."""


class Endpoint(Protocol):
    """One socket. Not blocking."""

    descriptor: socket.socket

    def receive(self, buffer: bytearray) -> tuple[int, Address]:
        """The next datagram, cut off at the end of `buffer`, its length and its sender. Raises `OSError`, `BlockingIOError`
        when there is none.
        """

    def send(self, datagram: bytes | memoryview, to: Address) -> None:
        """Raises `OSError`, `BlockingIOError` when there is no room for it."""


def endpoint(descriptor: socket.socket) -> Endpoint:
    """The way to use a bound socket."""
    return _EveryAddress(descriptor) if is_wildcard(descriptor) else _OneAddress(descriptor)


class _OneAddress:
    def __init__(self, descriptor: socket.socket) -> None:
        self.descriptor = descriptor
        self._receive = descriptor.recvfrom_into
        self._send = descriptor.sendto

    def receive(self, buffer: bytearray) -> tuple[int, Address]:
        return self._receive(buffer)

    def send(self, datagram: bytes | memoryview, to: Address) -> None:
        self._send(datagram, to)


class _EveryAddress:
    def __init__(self, descriptor: socket.socket) -> None:
        self.descriptor = descriptor

    def receive(self, buffer: bytearray) -> tuple[int, Address]:
        length, ancillary, _, source = self.descriptor.recvmsg_into([buffer], ANCILLARY_BYTES)
        return length, (*source, tuple(answering_from(ancillary)))

    def send(self, datagram: bytes | memoryview, to: Address) -> None:
        *peer, dialled = to
        self.descriptor.sendmsg([datagram], dialled, 0, tuple(peer))


def is_ipv6(address: Address) -> bool:
    """Whether the address was seen by an IPv6 socket, and can be reached by one only."""
    # Host and port, and for IPv6 flow and scope; then what the socket itself has added.
    return len(address) >= 4


def enlarge(sockets: Sequence[socket.socket]) -> int:
    """Give sockets as large buffers as the system allows; the size of the smallest one, as the system counts.

    Linux gives twice what is asked for, for its own needs.
    """
    return min(
        _enlarge(each, forced, plain)
        for each in sockets
        for forced, plain in ((_RECEIVE_FORCED, socket.SO_RCVBUF), (_SEND_FORCED, socket.SO_SNDBUF))
    )


def _enlarge(each: socket.socket, forced: int | None, plain: int) -> int:
    for option in (forced, plain):
        if option is None:
            continue
        try:
            # The first goes beyond the system's limit, with the right to do so.
            each.setsockopt(socket.SOL_SOCKET, option, WANTED_BUFFER)
            break
        except OSError:
            continue
    return each.getsockopt(socket.SOL_SOCKET, plain)


_IS_LINUX = hasattr(socket, "AF_NETLINK")
_SEND_FORCED = 32 if _IS_LINUX else None
_RECEIVE_FORCED = 33 if _IS_LINUX else None
"""Linux's numbers of SO_SNDBUFFORCE and SO_RCVBUFFORCE, which the socket module does not name."""
