"""Relays at work on loopback, of both kinds: what is about neither is tested over both."""

import random
from collections.abc import Iterator

import pytest

from tests.clocks import ManualClock
from tests.conftest import missing
from tests.node.relay.peers import ADDRESS, RULES, OpenEngine, Peer
from waymeet.node.relay.choice import why_not_native
from waymeet.node.relay.engine import RelayEngine
from waymeet.node.relay.plain import PlainRelay
from waymeet.node.relay.reasons import Port
from waymeet.node.relay.rules import RelayRules
from waymeet.node.sockets import bind_udp


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["python", "native"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of the engine."""
    kind: str = request.param
    if kind == "native":
        require_native()
    return kind


def require_native() -> None:
    reason = why_not_native()
    if reason is not None:
        missing("cargo", f"the native relay is not there: {reason}")


@pytest.fixture
def opened(kind: str, clock: ManualClock) -> Iterator[OpenEngine]:
    """The `clock` tells both kinds the time of day; timers of the native one run by the machine's own."""
    made: list[RelayEngine] = []

    def open_one(
        address: str = ADDRESS, port: int = 0, rules: RelayRules = RULES, workers: int = 1, spin_microseconds: int = 0
    ) -> RelayEngine:
        server, client = (bind_udp(address, port + number if port else 0, workers) for number in range(2))
        secret = random.getrandbits(64)
        if kind == "python":
            made.append(PlainRelay("paris", server, client, rules, clock, secret))
        else:
            from waymeet.node.relay.native import NativeRelay

            threads = {"workers": workers, "spin_microseconds": spin_microseconds}
            made.append(NativeRelay("paris", server, client, rules, clock, secret, **threads))
        return made[-1]

    yield open_one
    for engine in made:
        engine.close()


@pytest.fixture
def engine(opened: OpenEngine) -> RelayEngine:
    return opened()


@pytest.fixture
def peers(engine: RelayEngine) -> Iterator[tuple[Peer, Peer]]:
    """A host, and Alice."""
    host, alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
    with host.socket, alice.socket:
        yield host, alice
