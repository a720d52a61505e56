"""Players whose datagrams go to their host and back, and what becomes of them."""

import select
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bench.flood.processes import Until
from bench.flood.tables import Spot, Table
from tests.node.relay.world import data, data_to, ping

EACH_SECOND = 20
_PAYLOAD = struct.Struct("<d92x")
"""When it was sent, and as much as makes it 100 bytes."""
_PING_SECONDS = 0.5
_PATIENCE_SECONDS = 1.0
"""For what is still on its way at the end."""


@dataclass
class Played:
    """What became of the clients' datagrams."""

    sent: int = 0
    times: list[float] = field(default_factory=list)
    """There and back, in seconds."""

    def __str__(self) -> str:
        times = sorted(self.times)
        shown = " / ".join(f"{1000 * times[int(share * (len(times) - 1))]:.2f}" for share in (0.5, 0.99, 1)) or "-"
        return (
            f"{self.sent:,} sent, {1 - len(times) / self.sent:.3%} lost, "
            f"there and back in {shown} ms (p50 / p99 / longest)"
        )


def play(until: Until, tables: Sequence[Table]) -> Played:
    """Hosts and clients of all tables, in one thread."""
    played = Played()
    hosts = {_dial(table.server): table for table in tables}
    clients = [(_dial(table.client), table, token) for table in tables for token in table.clients]
    everybody = [*hosts, *(client for client, _, _ in clients)]
    for host, table in hosts.items():
        _meet(host, ping(table.session, table.host))
    for client, table, token in clients:
        _meet(client, ping(table.session, token))
    until.begin()
    interval = 1 / (EACH_SECOND * len(clients))
    started = time.monotonic()
    next_ping, turn, end = started, 0, None
    while end is None or time.monotonic() < end:
        now = time.monotonic()
        if end is None and until.is_time():
            end = now + _PATIENCE_SECONDS
        if now >= next_ping:
            next_ping = now + _PING_SECONDS
            for host, table in hosts.items():
                host.send(ping(table.session, table.host))
        if end is None and now >= started + turn * interval:
            client, table, token = clients[turn % len(clients)]
            client.send(data(table.session, token, _PAYLOAD.pack(now)))
            played.sent += 1
            turn += 1
        waiting, _, _ = select.select(everybody, [], [], max(0.0, started + turn * interval - time.monotonic()))
        for peer in waiting:
            frame = peer.recv(2048)
            if frame[0] != 2:
                continue
            if (table := hosts.get(peer)) is not None:
                connection = int.from_bytes(frame[1:5], "little")
                peer.send(data_to(table.session, table.host, connection, frame[5:]))
            else:
                (sent,) = _PAYLOAD.unpack(frame[1:])
                played.times.append(time.monotonic() - sent)
    for peer in everybody:
        peer.close()
    return played


def _dial(spot: Spot) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.connect(spot)
    made.settimeout(0.2)
    return made


def _meet(peer: socket.socket, question: bytes) -> None:
    """Asks until it is told that all is well."""
    answer = b""
    while answer != b"\1\2":
        peer.send(question)
        with suppress(TimeoutError):
            answer = peer.recv(2048)
