"""A relay that does to datagrams what relays must not do, each exactly as often as a test says."""

import socket
import threading
from dataclasses import dataclass, field
from struct import Struct
from types import TracebackType
from typing import Self

_header = Struct("<IIB")
_PING = 1
VALID, INVALID = b"\1\2", b"\1\3"
WAKE = b""

Address = tuple[str, int]


@dataclass
class Faults:
    """Which of the datagrams that go back to clients, counted from 0, are treated how."""

    dropped: frozenset[int] = frozenset()
    doubled: frozenset[int] = frozenset()
    held: frozenset[int] = frozenset()
    """Sent after the next one."""
    swapped: frozenset[int] = frozenset()
    """Sent to another client."""
    bent: frozenset[int] = frozenset()
    """Sent with the last byte changed."""
    refused_tokens: frozenset[int] = frozenset()
    lost_on_the_way_to_the_host: frozenset[int] = frozenset()


@dataclass
class _Seen:
    to_host: int = 0
    to_clients: int = 0
    held: list[tuple[bytes, Address]] = field(default_factory=list)


class FaultyRelay:
    """One session with any tokens; clients get their numbers in the order in which they come."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults or Faults()
        self._server, self._client = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self._server, self._client):
            each.bind(("127.0.0.1", 0))
        self.server_port, self.client_port = self._server.getsockname()[1], self._client.getsockname()[1]
        self._host: Address | None = None
        self._addresses: dict[int, Address] = {}
        self._numbers: dict[Address, int] = {}
        self._seen = _Seen()
        self._threads = [
            threading.Thread(target=self._relay, args=(each, take))
            for each, take in ((self._server, self._from_host), (self._client, self._from_client))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each, thread in zip((self._server, self._client), self._threads, strict=True):
            each.sendto(WAKE, each.getsockname())
            thread.join()
            each.close()

    def _relay(self, here: socket.socket, take: "object") -> None:
        while (received := here.recvfrom(2048))[0] != WAKE:
            datagram, source = received
            token, _, kind = _header.unpack_from(datagram)
            if token in self._faults.refused_tokens:
                here.sendto(INVALID, source)
            elif kind == _PING:
                if here is self._server:
                    self._host = source
                here.sendto(VALID, source)
            else:
                take(datagram, source)  # type: ignore[operator]

    def _from_client(self, datagram: bytes, source: Address) -> None:
        number = self._numbers.setdefault(source, len(self._numbers) + 1)
        self._addresses[number] = source
        index = self._seen.to_host
        self._seen.to_host += 1
        if self._host is not None and index not in self._faults.lost_on_the_way_to_the_host:
            self._server.sendto(b"\2" + number.to_bytes(4, "little") + datagram[_header.size :], self._host)

    def _from_host(self, datagram: bytes, _source: Address) -> None:
        number = int.from_bytes(datagram[9:13], "little")
        frame, to = b"\2" + datagram[13:], self._addresses[number]
        index = self._seen.to_clients
        self._seen.to_clients += 1
        faults = self._faults
        if index in faults.dropped:
            return
        if index in faults.held:
            self._seen.held.append((frame, to))
            return
        if index in faults.bent:
            frame = frame[:-1] + bytes([frame[-1] ^ 1])
        if index in faults.swapped:
            to = next(address for other, address in self._addresses.items() if other != number)
        self._client.sendto(frame, to)
        if index in faults.doubled:
            self._client.sendto(frame, to)
        while self._seen.held:
            self._client.sendto(*self._seen.held.pop())
