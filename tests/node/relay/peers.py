"""Players and hosts with real sockets, and the sessions that they meet in."""

import itertools
import random
import socket
from collections.abc import Callable
from typing import Protocol

from tests.clocks import ManualClock
from tests.node.relay.world import HOST, SESSION, A, B
from tests.polling import GENEROUS_SECONDS, Result, eventually
from waymeet.model.relays import RelayMember, RelaySpec
from waymeet.node.relay.engine import RelayEngine
from waymeet.node.relay.reasons import Port
from waymeet.node.relay.rules import Capacity, RelayRules

ADDRESS = f"127.{random.randrange(10, 250)}.{random.randrange(250)}.{random.randrange(1, 250)}"
"""Loopback of our own: a port that was closed is still free when it is opened again."""
HOSTS = (f"127.8.{number // 250}.{number % 250 + 1}" for number in itertools.count())
RULES = RelayRules(capacity=Capacity(sessions=500, users=1000))


def spec(key: str, token: int, *members: int, address: str = "192.0.2.1", owner: int | None = None) -> RelaySpec:
    return RelaySpec(key, token, tuple(RelayMember(member, address) for member in members), owner)


GAME = spec("game", SESSION, HOST, A, B)


class OpenEngine(Protocol):
    def __call__(
        self,
        address: str = ADDRESS,
        port: int = 0,
        rules: RelayRules = RULES,
        workers: int = 1,
        spin_microseconds: int = 0,
    ) -> RelayEngine: ...


class Peer:
    """A host or client with a connected socket, as in games: it takes nothing that comes from elsewhere."""

    def __init__(self, engine: RelayEngine, port: Port, address: str = ADDRESS, host: str | None = None) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET:
            self.socket.bind((host or next(HOSTS), 0))
        number = engine.ports.server_port if port is Port.SERVER else engine.ports.client_port
        self.socket.connect((address, number))
        self.socket.settimeout(GENEROUS_SECONDS)

    def send(self, datagram: bytes) -> None:
        self.socket.send(datagram)

    def receive(self) -> bytes:
        return self.socket.recv(2048)

    def ask(self, datagram: bytes) -> bytes:
        self.send(datagram)
        return self.receive()

    def waiting(self) -> list[bytes]:
        """What has arrived. What was sent before has been dealt with when something sent later was answered."""
        self.socket.setblocking(False)
        came = []
        try:
            while True:
                came.append(self.receive())
        except BlockingIOError:
            return came
        finally:
            self.socket.settimeout(GENEROUS_SECONDS)


def lapse(clock: ManualClock, check: Callable[[], Result]) -> Result:
    """The first true result of `check` as time goes by: the clock's, and the machine's."""

    def later() -> Result:
        clock.advance(0.001)
        return check()

    return eventually(later)
