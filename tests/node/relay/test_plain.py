"""The relay in Python on real sockets of loopback, with a clock that stands still unless a test moves it."""

import errno
import itertools
import json
import logging
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from tests.clocks import ManualClock
from tests.conftest import missing
from tests.node.relay.world import HOST, SESSION, A, B, data, data_to, ping
from tests.polling import GENEROUS_SECONDS, eventually
from tests.ports import PortWindow
from waymeet.model.errors import Invalid, Unavailable
from waymeet.model.instant import after
from waymeet.model.relays import RelayMember, RelaySpec
from waymeet.node.ports import CHOSEN_FROM
from waymeet.node.relay.core import RelayCore
from waymeet.node.relay.endpoints import Endpoint
from waymeet.node.relay.engine import Refused
from waymeet.node.relay.opening import WantedRelayPorts, open_relay
from waymeet.node.relay.plain import PART, PlainRelay
from waymeet.node.relay.reasons import DropReason, Port
from waymeet.node.relay.rules import Capacity, RelayRules
from waymeet.node.relay.serving import Relay
from waymeet.node.relay.verdicts import Address, Verdict
from waymeet.node.sockets import bind_udp

ADDRESS = f"127.{random.randrange(10, 250)}.{random.randrange(250)}.{random.randrange(1, 250)}"
"""Loopback of our own: a port that was closed is still free when it is opened again."""
HOSTS = (f"127.8.{number // 250}.{number % 250 + 1}" for number in itertools.count())
RULES = RelayRules(capacity=Capacity(sessions=500, users=1000))


def spec(key: str, token: int, *members: int, address: str = "192.0.2.1", owner: int | None = None) -> RelaySpec:
    return RelaySpec(key, token, tuple(RelayMember(member, address) for member in members), owner)


GAME = spec("game", SESSION, HOST, A, B)


class OpenEngine(Protocol):
    def __call__(self, address: str = ADDRESS, port: int = 0, rules: RelayRules = RULES) -> PlainRelay: ...


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def opened(clock: ManualClock) -> Iterator[OpenEngine]:
    made: list[PlainRelay] = []

    def open_one(address: str = ADDRESS, port: int = 0, rules: RelayRules = RULES) -> PlainRelay:
        server, client = bind_udp(address, port), bind_udp(address, port + 1 if port else 0)
        made.append(PlainRelay("paris", server, client, rules, clock, 42))
        return made[-1]

    yield open_one
    for engine in made:
        engine.close()


@pytest.fixture
def engine(opened: OpenEngine) -> PlainRelay:
    return opened()


class Peer:
    """A host or client with a connected socket, as in games: it takes nothing that comes from elsewhere."""

    def __init__(self, engine: PlainRelay, port: Port, address: str = ADDRESS, host: str | None = None) -> None:
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


@pytest.fixture
def peers(engine: PlainRelay) -> Iterator[tuple[Peer, Peer]]:
    """A host, and Alice."""
    host, alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
    with host.socket, alice.socket:
        yield host, alice


def test_data_before_any_ping_reaches_the_host_and_the_answer_the_client(
    engine: PlainRelay, peers: tuple[Peer, Peer]
) -> None:
    host, alice = peers
    assert engine.replace([GAME]) == []
    assert host.ask(ping(SESSION, HOST)) == b"\1\2"
    for payload in (b"hello", bytes(range(256)), b"x" * 1187):
        alice.send(data(SESSION, A, payload))
        assert host.receive() == b"\2\1\0\0\0" + payload
        host.send(data_to(SESSION, HOST, 1, payload))
        assert alice.receive() == b"\2" + payload
    assert alice.ask(ping(SESSION, A)) == b"\1\2"


def test_whoever_speaks_before_it_was_told_anything_is_told_to_wait(
    engine: PlainRelay, peers: tuple[Peer, Peer], clock: ManualClock
) -> None:
    _, alice = peers
    assert alice.ask(ping(SESSION, A)) == b"\1\1"
    engine.replace([])
    clock.advance(1)
    assert alice.ask(ping(SESSION, A)) == b"\1\3"
    engine.apply([GAME], [])
    assert alice.ask(ping(SESSION, A)) == b"\1\2"


def test_noise_is_dropped_with_a_reason_and_answered_with_nothing(engine: PlainRelay, peers: tuple[Peer, Peer]) -> None:
    host, alice = peers
    engine.replace([GAME])
    for noise in (b"", b"12345678", b"x" * 9, b"x" * 1201, b"x" * 9000, data(SESSION, A, b""), data(SESSION, A, b"x")):
        alice.send(noise)
    assert alice.ask(ping(SESSION, A)) == b"\1\2"
    host.send(ping(SESSION, HOST))
    assert host.receive() == b"\1\2"
    assert host.waiting() == alice.waiting() == []
    assert engine.load().counters.drops == {
        DropReason.TOO_SHORT: 2,
        DropReason.UNKNOWN_TYPE: 1,
        DropReason.TOO_LONG: 2,
        DropReason.EMPTY_PAYLOAD: 1,
        DropReason.NO_HOST: 1,
    }


def test_who_is_shut_out_is_told_once_and_served_no_more(engine: PlainRelay, peers: tuple[Peer, Peer]) -> None:
    host, alice = peers
    engine.replace([GAME])
    host.ask(ping(SESSION, HOST))
    alice.ask(ping(SESSION, A))
    for _ in range(2):
        assert engine.apply([spec("game", SESSION, HOST, B)], []) == []
    assert alice.receive() == b"\1\3"
    alice.send(data(SESSION, A, b"still here"))
    assert alice.receive() == b"\1\3"
    host.ask(ping(SESSION, HOST))
    assert host.waiting() == alice.waiting() == []
    for _ in range(2):
        engine.apply([], [SESSION])
    assert host.receive() == b"\1\3"
    assert engine.counters(SESSION) is None


def test_a_full_set_is_longer_than_a_part_and_refuses_what_is_too_much(opened: OpenEngine) -> None:
    engine = opened(rules=RelayRules(capacity=Capacity(sessions=3 * PART)))
    many = [spec(str(token), token, 5) for token in range(1, 4 * PART + 1)]
    refused = [Refused(token, "too_many_sessions") for token in range(3 * PART + 1, 4 * PART + 1)]
    assert engine.replace(many) == refused
    assert engine.load().sessions == 3 * PART
    assert engine.apply(many[-1:], [1]) == []
    assert engine.apply(many[:1], []) == [Refused(1, "too_many_sessions")]
    assert engine.replace(many[:5]) == []
    assert engine.load().sessions == 5


def test_it_counts_per_session_and_altogether(engine: PlainRelay, peers: tuple[Peer, Peer], clock: ManualClock) -> None:
    host, alice = peers
    engine.replace([GAME, spec("other", 9, 1)])
    fresh = engine.counters(SESSION)
    assert fresh is not None
    assert fresh.last_seen_at is None
    host.ask(ping(SESSION, HOST))
    alice.send(data(SESSION, A, b"hello"))
    host.receive()
    host.send(data_to(SESSION, HOST, 9, b"nobody"))
    host.ask(ping(SESSION, HOST))
    clock.advance(2.5)
    counted = engine.counters(SESSION)
    assert counted is not None
    assert (counted.received_packets, counted.received_bytes) == (4, 9 + 14 + 19 + 9)
    assert (counted.sent_packets, counted.sent_bytes) == (1, 10)
    assert counted.drops == {"unknown_connection": 1}
    assert counted.last_seen_at == after(clock.now(), -2.5)
    load = engine.load()
    assert (load.sessions, load.bindings) == (2, 2)
    assert load.counters.received_packets == 4
    assert load.counters.last_seen_at is None


def test_sessions_that_nobody_uses_are_found(engine: PlainRelay, peers: tuple[Peer, Peer], clock: ManualClock) -> None:
    _, alice = peers
    engine.replace([GAME, *(spec(str(token), token, 1) for token in range(1, 3 * PART))])
    clock.advance(1800)
    alice.ask(ping(SESSION, A))
    assert sorted(engine.idle()) == list(range(1, 3 * PART))
    clock.advance(600)
    assert SESSION in engine.idle()


def test_timers_run_by_the_clock(engine: PlainRelay, peers: tuple[Peer, Peer], clock: ManualClock) -> None:
    host, alice = peers
    engine.replace([GAME])
    host.ask(ping(SESSION, HOST))
    clock.advance(30)
    assert alice.ask(ping(SESSION, A)) == b"\1\2"
    clock.advance(0.001)
    assert alice.ask(ping(SESSION, A)) == b"\1\4"


def test_the_registered_address_counts_where_it_is_enforced(opened: OpenEngine) -> None:
    engine = opened(rules=RelayRules(enforce_source_ip=True))
    here = next(HOSTS)
    engine.replace([spec("game", SESSION, A, address=here)])
    mine, foreign = Peer(engine, Port.CLIENT, host=here), Peer(engine, Port.CLIENT)
    with mine.socket, foreign.socket:
        assert foreign.ask(ping(SESSION, A)) == b"\1\3"
        assert mine.ask(ping(SESSION, A)) == b"\1\2"


def test_a_relay_that_drains_says_so(engine: PlainRelay, peers: tuple[Peer, Peer]) -> None:
    _, alice = peers
    engine.replace([GAME])
    engine.drain()
    assert alice.ask(ping(SESSION, A)) == b"\1\5"


def test_peers_that_went_away_do_no_harm(engine: PlainRelay, peers: tuple[Peer, Peer]) -> None:
    """Their systems answer with ICMP messages, which come up as errors of our sockets on some platforms."""
    host, alice = peers
    engine.replace([GAME])
    host.ask(ping(SESSION, HOST))
    alice.ask(ping(SESSION, A))
    alice.socket.close()
    for _ in range(20):
        host.send(data_to(SESSION, HOST, 1, b"farewell"))
    assert host.ask(ping(SESSION, HOST)) == b"\1\2"


def test_both_families_meet_where_the_node_has_an_ipv6_address(opened: OpenEngine) -> None:
    if not socket.has_dualstack_ipv6():
        missing("ipv6", "this machine has no IPv6")
    # Sockets on every address of the machine get in everybody's way: these ports are reserved for them.
    with PortWindow() as window:
        for address, port in (("::1", window.ports[0]), ("2001:db8::5", window.ports[2])):
            engine = opened(address, port)
            engine.replace([GAME])
            host, alice = Peer(engine, Port.SERVER, "::1"), Peer(engine, Port.CLIENT, "127.0.0.1")
            with host.socket, alice.socket:
                assert host.ask(ping(SESSION, HOST)) == b"\1\2"
                alice.send(data(SESSION, A, b"hello"))
                assert host.receive() == b"\2\1\0\0\0hello"
                host.send(data_to(SESSION, HOST, 1, b"hello"))
                assert alice.receive() == b"\2hello"
                engine.apply([], [SESSION])
                assert host.receive() == alice.receive() == b"\1\3"


def test_datagrams_come_from_the_address_that_was_dialled_where_a_router_translates_the_nodes_own(
    opened: OpenEngine,
) -> None:
    with PortWindow() as window:
        engine = opened("203.0.113.9", window.ports[0])
        engine.replace([GAME])
        # Connected to other addresses than the system would choose to answer from.
        host = Peer(engine, Port.SERVER, next(HOSTS), next(HOSTS))
        alice = Peer(engine, Port.CLIENT, next(HOSTS), next(HOSTS))
        with host.socket, alice.socket:
            assert host.ask(ping(SESSION, HOST)) == b"\1\2"
            alice.send(data(SESSION, A, b"hello"))
            assert host.receive() == b"\2\1\0\0\0hello"
            host.send(data_to(SESSION, HOST, 1, b"hello"))
            assert alice.receive() == b"\2hello"


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


def test_work_that_fails_tells_whoever_asked(engine: PlainRelay) -> None:
    engine.replace([GAME])
    with pytest.raises(AttributeError):
        engine.apply([None], [])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        engine.apply([], [None, {}])  # type: ignore[list-item]
    assert engine.load().sessions == 1


def test_many_may_ask_at_once(engine: PlainRelay) -> None:
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for token in range(first, first + 50):
                assert engine.apply([spec(str(token), token, 1)], []) == []
                assert engine.counters(token) is not None
                engine.apply([], [token])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(1000 * number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert engine.load().sessions == 0


def test_a_closed_relay_says_so_and_gives_its_ports_back(opened: OpenEngine) -> None:
    engine = opened()
    ports = engine.ports
    engine.close()
    with pytest.raises(Unavailable, match="closed"):
        engine.load()
    for port in (ports.server_port, ports.client_port):
        [again] = bind_udp(ADDRESS, port)
        again.close()


class TestOpening:
    @pytest.fixture
    def made(self) -> Iterator[list[Relay]]:
        made: list[Relay] = []
        yield made
        for relay in made:
            relay.close()

    def open(
        self, made: list[Relay], directory: Path, clock: ManualClock, wanted: WantedRelayPorts | None = None
    ) -> Relay:
        made.append(
            open_relay(
                "paris",
                ADDRESS,
                wanted or WantedRelayPorts(),
                RULES,
                directory=directory / "node",
                avoid=range(0),
                clock=clock,
                rng=random.Random(),
            )
        )
        return made[-1]

    def test_ports_are_chosen_and_kept(self, made: list[Relay], tmp_path: Path, clock: ManualClock) -> None:
        first = self.open(made, tmp_path, clock)
        assert {first.ports.server_port, first.ports.client_port} <= set(CHOSEN_FROM)
        assert first.ports.server_port != first.ports.client_port
        assert first.capacity == 500
        first.close()
        assert self.open(made, tmp_path, clock).ports == first.ports

    def test_ports_that_are_named_are_used(self, made: list[Relay], tmp_path: Path, clock: ManualClock) -> None:
        free = self.open(made, tmp_path, clock)
        free.close()
        named = WantedRelayPorts(free.ports.client_port, free.ports.server_port)
        ports = self.open(made, tmp_path, clock, named).ports
        assert (ports.server_port, ports.client_port) == (free.ports.client_port, free.ports.server_port)

    def test_a_named_port_that_is_taken_is_an_error_and_leaves_nothing_open(
        self, made: list[Relay], tmp_path: Path, clock: ManualClock
    ) -> None:
        taken = self.open(made, tmp_path, clock).ports
        with pytest.raises(Invalid, match=r"^node paris: relay\.client_port: .*name another port"):
            self.open(made, tmp_path, clock, WantedRelayPorts(client_port=taken.client_port))

    @pytest.mark.parametrize("content", ["", "{", '{"server_port": 5}', '{"server_port": "5", "client_port": 70000}'])
    def test_ports_are_chosen_anew_where_nothing_usable_is_kept(
        self, made: list[Relay], tmp_path: Path, clock: ManualClock, content: str
    ) -> None:
        (tmp_path / "node").mkdir()
        (tmp_path / "node" / "relay.json").write_text(content)
        ports = self.open(made, tmp_path, clock).ports
        assert {ports.server_port, ports.client_port} <= set(CHOSEN_FROM)
        kept = json.loads((tmp_path / "node" / "relay.json").read_text())
        assert kept == {"server_port": ports.server_port, "client_port": ports.client_port}

    def test_the_buffers_that_the_system_gives_are_read_back(self, engine: PlainRelay) -> None:
        sizes = [
            each.descriptor.getsockopt(socket.SOL_SOCKET, option)
            for endpoints in engine._endpoints.values()
            for each in endpoints
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF)
        ]
        assert engine.buffer_bytes == min(sizes)


def test_ports_come_back_though_a_caller_is_still_asking(opened: OpenEngine) -> None:
    """Closing ends whatever waits."""
    engine = opened()
    asked = threading.Event()
    ended: list[BaseException | None] = []

    def ask() -> None:
        try:
            while True:
                engine.load()
                asked.set()
        except BaseException as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    asked.wait()
    engine.close()
    asking.join()
    eventually(lambda: ended)
    assert isinstance(ended[0], Unavailable), ended
    with closing(bind_udp(ADDRESS, engine.ports.server_port)[0]):
        pass
