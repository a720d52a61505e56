"""A flood of hostile datagrams, for every relay: it costs no memory, its answers are fewer and shorter than its questions,
and those who play feel nothing of it. `bench/relay_flood.py` does the same for minutes and at full rate.
"""

import itertools
import random
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.node.relay.hostile import of_eavesdroppers, of_strangers
from tests.node.relay.peers import ADDRESS, GAME, OpenEngine, Peer, spec
from tests.node.relay.world import HOST, SESSION, A, data, data_to, ping
from waymeet.node.relay.engine import RelayEngine
from waymeet.node.relay.reasons import Port
from waymeet.node.relay.rules import Capacity, Limits, RelayRules

RULES = RelayRules(capacity=Capacity(sessions=50, users=200, sources=512, departed=64))
"""Small tables, which are full long before memory is looked at."""
OVERHEARD, OTHER_HOST, OTHER = 77, 5, 6
AT_ONCE, EACH = 32, 4
"""Addresses that send between two exchanges of the players, and how much each of them sends: as little as fits into any
socket's buffer, since what is lost there says nothing about a relay.
"""
WARM_UP, ROUNDS = 100, 500
QUESTIONS = (WARM_UP + ROUNDS) * AT_ONCE * EACH
LEAKED = 1024 * 1024
"""Bytes: some sixty for each address after the warm-up, and sixteen for each session that was named."""


_addresses = (f"127.9.{number // 250 % 256}.{number % 250 + 1}" for number in itertools.count())
"""Without an end, and none is kept: this process's memory is what is measured."""


class Flood:
    """Sends from a new address for every few datagrams, and reads the answers."""

    def __init__(self, engine: RelayEngine, pool: Sequence[bytes]) -> None:
        """Each of the `pool` is sent once, so that nothing that it names is named again by accident."""
        self._ports = (engine.ports.server_port, engine.ports.client_port)
        self._pool = pool
        self._sockets: list[socket.socket] = []
        self.questions = 0
        self.asked_bytes = 0
        self.answers = 0
        self.answered_bytes = 0
        self.longest_answer = 0
        self.most_from_one = 0

    def send(self) -> None:
        for number in range(AT_ONCE):
            hostile = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sockets.append(hostile)
            hostile.setblocking(False)
            hostile.bind((next(_addresses), 0))
            hostile.connect((ADDRESS, self._ports[number % 2]))
            for _ in range(EACH):
                datagram = self._pool[self.questions]
                hostile.send(datagram)
                self.questions += 1
                self.asked_bytes += len(datagram)

    def hear(self) -> None:
        """What came back, once the relay has dealt with what was sent."""
        for hostile in self._sockets:
            with hostile:
                answers = list(_waiting(hostile))
            self.answers += len(answers)
            self.answered_bytes += sum(map(len, answers))
            self.longest_answer = max(self.longest_answer, *map(len, answers), 0)
            self.most_from_one = max(self.most_from_one, len(answers))
        self._sockets.clear()


def _waiting(hostile: socket.socket) -> Iterator[bytes]:
    with suppress(BlockingIOError):
        while True:
            yield hostile.recv(2048)


class Players:
    """Who must notice nothing."""

    def __init__(self, engine: RelayEngine) -> None:
        self.host, self.alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
        assert self.host.ask(ping(SESSION, HOST)) == b"\1\2"
        self._said = 0

    def exchange(self) -> None:
        """Each is heard by the other. Behind whatever came before on either port, so that this has been dealt with, too."""
        self._said += 1
        payload = b"payload %d" % self._said
        self.alice.send(data(SESSION, A, payload))
        assert self.host.receive() == b"\2\1\0\0\0" + payload
        self.host.send(data_to(SESSION, HOST, 1, payload))
        assert self.alice.receive() == b"\2" + payload


def overheard() -> list[bytes]:
    """What people of another session have said."""
    return [
        ping(OVERHEARD, OTHER_HOST),
        ping(OVERHEARD, OTHER),
        data(OVERHEARD, OTHER, b"something that was said"),
        data_to(OVERHEARD, OTHER_HOST, 1, b"something that was answered"),
        data(OVERHEARD, OTHER, bytes(1187)),
    ]


def resident_bytes() -> int:
    """Memory of this process, which the relay is a part of."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def grown_by(flood: Flood, players: Players) -> int:
    """How much memory a flood costs beside a game, in bytes, once all tables are full."""
    with players.host.socket, players.alice.socket:
        before = 0
        for number in range(WARM_UP + ROUNDS):
            if number == WARM_UP:
                before = resident_bytes()
            flood.send()
            players.exchange()
            flood.hear()
        return resident_bytes() - before


@pytest.mark.slow
def test_strangers_who_flood_a_relay(opened: OpenEngine) -> None:
    rng = random.Random(1)
    started = time.monotonic()
    engine = opened(rules=RULES)
    engine.replace([GAME, spec("overheard", OVERHEARD, OTHER_HOST, OTHER)])
    flood = Flood(engine, of_strangers(rng, overheard(), QUESTIONS))
    players = Players(engine)
    assert grown_by(flood, players) < LEAKED
    # Each answer is a state, which is shorter than all that can be answered.
    assert flood.longest_answer == 2
    limits = Limits()
    # The machine's clock goes at least as fast as the one that stands still in the test.
    seconds = time.monotonic() - started
    assert 0 < flood.answers <= 200 + 200 * seconds
    assert flood.most_from_one <= 1 + seconds * 1_000_000_000 / limits.answer_interval
    counters = engine.load().counters
    assert counters.received_packets >= flood.questions
    assert sum(counters.drops.values()) == flood.questions


@pytest.mark.slow
def test_eavesdroppers_who_flood_a_relay(opened: OpenEngine) -> None:
    rng = random.Random(2)
    engine = opened(rules=RULES)
    engine.replace([GAME, spec("overheard", OVERHEARD, OTHER_HOST, OTHER)])
    flood = Flood(engine, of_eavesdroppers(rng, overheard(), QUESTIONS))
    players = Players(engine)
    assert grown_by(flood, players) < LEAKED
    # They may take the place of the one whose tokens they have, and no more comes out than goes in.
    assert 0 < flood.answers < flood.questions
    assert flood.answered_bytes < flood.asked_bytes
