"""Hostile datagrams, from addresses of loopback that change all the time."""

import itertools
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from bench.flood.processes import Until
from bench.flood.tables import Table
from tests.node.relay.hostile import of_eavesdroppers, of_strangers

_SOCKETS = 100
_LIFE = 500
"""Datagrams from one address, before the next one takes its place."""
_BURST = 10
_EAVESDROPPERS = 10
"""Every so many addresses, one has good tokens."""
_POOL = 20_000


@dataclass
class Flooded:
    """What was sent, and what came back."""

    questions: int = 0
    asked_bytes: int = 0
    addresses: int = 0
    seconds: float = 0.0
    stranger_answers: int = 0
    """To those without good tokens."""
    longest_stranger_answer: int = 0
    too_often: int = 0
    """Strangers who were answered more often than twice a second."""
    other_answers: int = 0
    answered_bytes: int = 0


class _Address:
    """One that sends, for as long as it lives."""

    def __init__(self, name: str, table: Table, number: int) -> None:
        self.is_stranger = number % _EAVESDROPPERS != 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((name, 0))
        self.socket.connect((table.server, table.client)[number // _EAVESDROPPERS % 2])
        self.left = _LIFE
        self._born = time.monotonic()
        self._answers = 0

    def hear(self, found: Flooded) -> None:
        for length in self._waiting():
            self._answers += 1
            found.answered_bytes += length
            if self.is_stranger:
                found.stranger_answers += 1
                found.longest_stranger_answer = max(found.longest_stranger_answer, length)
            else:
                found.other_answers += 1

    def end(self, found: Flooded) -> None:
        self.hear(found)
        self.socket.close()
        if self.is_stranger:
            found.too_often += self._answers > 1 + 2 * (time.monotonic() - self._born)

    def _waiting(self) -> Iterator[int]:
        with suppress(BlockingIOError):
            while True:
                yield len(self.socket.recv(2048))


def flood(until: Until, overheard: Table, number: int, rate: int) -> Flooded:
    """So many datagrams a second, or as many as can be sent (0)."""
    rng = random.Random(number)
    hostile = {
        True: itertools.cycle(of_strangers(rng, overheard.overheard(), _POOL)),
        False: itertools.cycle(of_eavesdroppers(rng, overheard.overheard(), _POOL)),
    }
    names = itertools.cycle(f"127.{64 + number}.{high}.{low}" for high in range(256) for low in range(1, 255))
    found = Flooded()
    made = itertools.count()

    def another() -> _Address:
        found.addresses += 1
        return _Address(next(names), overheard, next(made))

    addresses = [another() for _ in range(_SOCKETS)]
    until.begin()
    started = time.monotonic()
    while not until.is_time():
        for place, address in enumerate(addresses):
            pool, send = hostile[address.is_stranger], address.socket.send
            for datagram in itertools.islice(pool, _BURST):
                with suppress(BlockingIOError):
                    send(datagram)
                found.asked_bytes += len(datagram)
            found.questions += _BURST
            address.left -= _BURST
            address.hear(found)
            if address.left <= 0:
                address.end(found)
                addresses[place] = another()
            ahead = found.questions / rate - (time.monotonic() - started) if rate else 0.0
            if ahead > 0.001:
                time.sleep(ahead)
    found.seconds = time.monotonic() - started
    for address in addresses:
        address.end(found)
    return found
