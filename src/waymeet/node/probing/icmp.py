"""ICMP echo, IPv4 (RFC 792) and IPv6 (RFC 4443): packets, and a socket to send and receive them.

Linux has two kinds of sockets for it. One of type SOCK_DGRAM needs no privilege, only that the group is within
`net.ipv4.ping_group_range`; the kernel chooses the identifier and hands over only answers to this socket. One of type
SOCK_RAW needs CAP_NET_RAW and gets everybody's answers, so ours are told by what they carry.
"""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from random import Random

from waymeet.model.instant import MICROSECONDS, Clock, Instant
from waymeet.model.networks import Address, canonical_address

_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_ECHO_REQUEST_6, _ECHO_REPLY_6 = 128, 129
_HEADER = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier, sequence number."""
_COOKIE_BYTES = 16
"""Of chance in every request: nobody can answer one that it did not get."""
_SEQUENCES = 1 << 16

_SO_TIMESTAMPNS = 35
"""Not in Python's socket module: have the kernel note when a packet came in, however late we get to read it."""
_TIMESPEC = struct.Struct("@ll")
_SOL_RAW, _ICMP_FILTER = 255, 1
_ICMP6_FILTER = 1
_LONGEST_PACKET = 2048
_PACKETS_AT_ONCE = 64
"""Read before the event loop gets its turn again."""


class IcmpKind(StrEnum):
    """How a process may send echo requests."""

    UNPRIVILEGED = "unprivileged"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class EchoReply:
    """What an answer repeats of its request."""

    identifier: int
    sequence: int
    payload: bytes


def checksum(content: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(content) % 2:
        content += b"\0"
    total: int = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(family: socket.AddressFamily, identifier: int, sequence: int, payload: bytes) -> bytes:
    """A whole request. For IPv6 the kernel fills in the checksum, which covers addresses that only it knows."""
    if family == socket.AF_INET6:
        return _HEADER.pack(_ECHO_REQUEST_6, 0, 0, identifier, sequence) + payload
    bare = _HEADER.pack(_ECHO_REQUEST, 0, 0, identifier, sequence) + payload
    return _HEADER.pack(_ECHO_REQUEST, 0, checksum(bare), identifier, sequence) + payload


def parse_reply(family: socket.AddressFamily, kind: IcmpKind, packet: bytes) -> EchoReply | None:
    """The echo reply in what a socket received; `None` when it is something else, or cut short."""
    if family == socket.AF_INET and kind is IcmpKind.RAW:
        # These sockets alone hand over the IP header as well.
        packet = packet[(packet[0] & 0x0F) * 4 :] if packet else packet
    if len(packet) < _HEADER.size:
        return None
    message, code, _, identifier, sequence = _HEADER.unpack_from(packet)
    if code != 0 or message != (_ECHO_REPLY_6 if family == socket.AF_INET6 else _ECHO_REPLY):
        return None
    return EchoReply(identifier, sequence, packet[_HEADER.size :])


def open_icmp(family: socket.AddressFamily) -> tuple[socket.socket, IcmpKind] | None:
    """A socket that may send echo requests, unprivileged if that is possible; `None` when nothing is."""
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind, of_type in ((IcmpKind.UNPRIVILEGED, socket.SOCK_DGRAM), (IcmpKind.RAW, socket.SOCK_RAW)):
        try:
            opened = socket.socket(family, of_type | socket.SOCK_NONBLOCK, protocol)
        except OSError:
            continue
        with suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if kind is IcmpKind.RAW:
            with suppress(OSError):
                _only_replies(opened, family)
        return opened, kind
    return None


def _only_replies(opened: socket.socket, family: socket.AddressFamily) -> None:
    """Spare us everything else that reaches this machine. A set bit keeps a type of message away."""
    if family == socket.AF_INET6:
        words = [0xFFFF_FFFF] * 8
        words[_ECHO_REPLY_6 // 32] &= ~(1 << _ECHO_REPLY_6 % 32)
        opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("@8I", *words))
    else:
        opened.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("@I", 0xFFFF_FFFF & ~(1 << _ECHO_REPLY)))


@dataclass(frozen=True, slots=True)
class _Sent:
    address: Address
    payload: bytes
    at: Instant
    at_monotonic: float
    on_reply: Callable[[float], None]


class Echoes:
    """Requests and their answers over one socket. `on_readable` is to be called whenever the socket can be read."""

    def __init__(self, opened: socket.socket, kind: IcmpKind, clock: Clock, rng: Random) -> None:
        self.socket = opened
        self._kind = kind
        self._clock = clock
        self._rng = rng
        self._identifier = rng.getrandbits(16)
        self._sequence = 0
        self._waiting: dict[int, _Sent] = {}

    def send(self, address: Address, on_reply: Callable[[float], None]) -> int | None:
        """Send a request; `on_reply` gets the milliseconds until its answer came in, at most once.

        The number to `forget` it by, which the caller must do in the end; `None` when it could not be sent.
        """
        if len(self._waiting) >= _SEQUENCES // 2:
            return None
        while self._sequence in self._waiting:
            self._sequence = (self._sequence + 1) % _SEQUENCES
        sequence, self._sequence = self._sequence, (self._sequence + 1) % _SEQUENCES
        payload = self._rng.randbytes(_COOKIE_BYTES)
        packet = echo_request(self.socket.family, self._identifier, sequence, payload)
        sent = _Sent(address, payload, self._clock.now(), self._clock.monotonic(), on_reply)
        try:
            self.socket.sendto(packet, (str(address), 0))
        except OSError:
            return None  # No route, a full queue, a firewall of our own: silence, for whoever asked.
        self._waiting[sequence] = sent
        return sequence

    def forget(self, sequence: int) -> None:
        """An answer to this request is of no more use."""
        self._waiting.pop(sequence, None)

    def on_readable(self) -> None:
        """Read what came in, and tell those who wait for it."""
        for _ in range(_PACKETS_AT_ONCE):
            try:
                packet, extra, _, source = self.socket.recvmsg(_LONGEST_PACKET, socket.CMSG_SPACE(_TIMESPEC.size))
            except BlockingIOError:
                return
            except OSError:
                continue  # What the network says of an earlier packet, such as that a host cannot be reached.
            self._take(packet, extra, str(source[0]))

    def close(self) -> None:
        self.socket.close()
        self._waiting.clear()

    def _take(self, packet: bytes, extra: list[tuple[int, int, bytes]], source: str) -> None:
        reply = parse_reply(self.socket.family, self._kind, packet)
        if reply is None:
            return
        sent = self._waiting.get(reply.sequence)
        if sent is None or reply.payload != sent.payload or canonical_address(source.partition("%")[0]) != sent.address:
            return
        if self._kind is IcmpKind.RAW and reply.identifier != self._identifier:
            return
        del self._waiting[reply.sequence]
        sent.on_reply(self._elapsed_ms(sent, extra))

    def _elapsed_ms(self, sent: _Sent, extra: list[tuple[int, int, bytes]]) -> float:
        by_us = (self._clock.monotonic() - sent.at_monotonic) * 1000
        for level, kind, content in extra:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(content) == _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack(content)
                by_kernel: float = (seconds * MICROSECONDS + nanoseconds / 1000 - sent.at) / 1000
                # The kernel notes wall-clock time, which may be set meanwhile; it cannot have been later than our reading.
                if 0 < by_kernel <= by_us:
                    return by_kernel
        return by_us


def family_of(address: Address) -> socket.AddressFamily:
    """The address family of sockets that reach it."""
    return socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
