"""What is the relay in Python's own: a clock that stands still unless a test moves it, and going on after a failure."""

import errno
import logging

import pytest

from tests.clocks import ManualClock
from tests.node.relay.peers import GAME, Peer
from tests.node.relay.world import HOST, SESSION, A, data, ping
from waymeet.node.relay.core import RelayCore
from waymeet.node.relay.endpoints import Endpoint
from waymeet.node.relay.plain import PlainRelay
from waymeet.node.relay.reasons import DropReason, Port
from waymeet.node.relay.verdicts import Address, Verdict


@pytest.fixture
def kind() -> str:
    return "python"


def test_timers_run_by_the_clock(engine: PlainRelay, peers: tuple[Peer, Peer], clock: ManualClock) -> None:
    host, alice = peers
    engine.replace([GAME])
    host.ask(ping(SESSION, HOST))
    clock.advance(30)
    assert alice.ask(ping(SESSION, A)) == b"\1\2"
    clock.advance(0.001)
    assert alice.ask(ping(SESSION, A)) == b"\1\4"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BlockingIOError(), DropReason.SEND_BUFFER_FULL),
        (OSError(errno.ENOBUFS, "no room"), DropReason.SEND_BUFFER_FULL),
        (OSError(errno.EHOSTUNREACH, "no way"), DropReason.SEND_FAILED),
    ],
)
def test_what_cannot_be_sent_is_counted_and_nobody_waits_for_it(
    engine: PlainRelay, peers: tuple[Peer, Peer], error: OSError, reason: DropReason
) -> None:
    host, alice = peers
    engine.replace([GAME])
    host.ask(ping(SESSION, HOST))
    [out] = engine._endpoints[Port.SERVER]
    engine._endpoints[Port.SERVER][0] = _Stuck(out, error)
    alice.send(data(SESSION, A, b"hello"))
    assert alice.ask(ping(SESSION, A)) == b"\1\2"
    engine._endpoints[Port.SERVER][0] = out
    assert engine.load().counters.drops == {reason: 1}


class _Stuck:
    def __init__(self, real: Endpoint, error: OSError) -> None:
        self.descriptor = real.descriptor
        self._error = error

    def receive(self, buffer: bytearray) -> tuple[int, Address]:
        raise BlockingIOError

    def send(self, datagram: bytes | memoryview, to: Address) -> None:
        raise self._error


class _Unlucky(RelayCore):
    """Has a bug that one datagram brings out."""

    def receive(self, port: Port, source: Address, datagram: bytearray, length: int, now: int) -> Verdict:
        if length == 13:
            raise RuntimeError("unlucky")
        return super().receive(port, source, datagram, length, now)


def test_a_failure_is_logged_and_the_relay_goes_on_with_its_sessions(
    engine: PlainRelay, peers: tuple[Peer, Peer], caplog: pytest.LogCaptureFixture
) -> None:
    _, alice = peers
    engine.replace([GAME])
    engine._core.__class__ = _Unlucky
    with caplog.at_level(logging.ERROR):
        alice.send(b"thirteen char")
        assert alice.ask(ping(SESSION, A)) == b"\1\2"
    assert "node paris: its relay failed and goes on" in caplog.text
