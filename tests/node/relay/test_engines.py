"""What every relay does on real sockets of loopback, however it is built."""

import gc
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clocks import ManualClock
from tests.conftest import missing
from tests.node.relay.peers import ADDRESS, GAME, HOSTS, RULES, OpenEngine, Peer, lapse, spec
from tests.node.relay.world import HOST, SESSION, A, B, data, data_to, ping
from tests.polling import eventually
from tests.ports import PortWindow
from waymeet.model.errors import Unavailable
from waymeet.model.instant import after
from waymeet.node.relay.engine import Refused, RelayEngine
from waymeet.node.relay.reasons import DropReason, Port
from waymeet.node.relay.rules import Capacity, Limits, RelayRules
from waymeet.node.sockets import bind_udp

PART = 128
"""Sessions that a relay looks at between two batches of datagrams, or more."""
MILLISECOND = 1_000_000


def test_data_before_any_ping_reaches_the_host_and_the_answer_the_client(
    engine: RelayEngine, peers: tuple[Peer, Peer]
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


def test_whoever_speaks_before_it_was_told_anything_is_told_to_wait(opened: OpenEngine) -> None:
    engine = opened(rules=replace(RULES, limits=Limits(answer_interval=0)))
    alice = Peer(engine, Port.CLIENT)
    with alice.socket:
        assert alice.ask(ping(SESSION, A)) == b"\1\1"
        engine.replace([])
        assert alice.ask(ping(SESSION, A)) == b"\1\3"
        engine.apply([GAME], [])
        assert alice.ask(ping(SESSION, A)) == b"\1\2"


def test_noise_is_dropped_with_a_reason_and_answered_with_nothing(
    engine: RelayEngine, peers: tuple[Peer, Peer]
) -> None:
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


def test_who_is_shut_out_is_told_once_and_served_no_more(engine: RelayEngine, peers: tuple[Peer, Peer]) -> None:
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


@pytest.mark.parametrize(
    ("capacity", "reason"),
    [
        (Capacity(sessions=1), "too_many_sessions"),
        (Capacity(users=3), "too_many_users"),
        (Capacity(users_per_session=2), "too_many_users_in_session"),
    ],
)
def test_what_is_too_much_is_refused_with_the_reason(opened: OpenEngine, capacity: Capacity, reason: str) -> None:
    engine = opened(rules=RelayRules(capacity=capacity))
    assert engine.replace([spec("small", 1, 1, 2), spec("large", 2, 1, 2, 3)]) == [Refused(2, reason)]
    for _ in range(2):
        assert engine.apply([spec("large", 2, 1, 2, 3)], []) == [Refused(2, reason)]
    assert engine.load().sessions == 1


def test_it_counts_per_session_and_altogether(
    engine: RelayEngine, peers: tuple[Peer, Peer], clock: ManualClock
) -> None:
    host, alice = peers
    engine.replace([GAME, spec("other", 9, 1)])
    fresh = engine.counters(SESSION)
    assert fresh is not None
    assert fresh.last_seen_at is None
    host.ask(ping(SESSION, HOST))
    alice.send(data(SESSION, A, b"hello"))
    host.receive()
    host.send(data_to(SESSION, HOST, 9, b"nobody"))
    before = time.monotonic()
    host.ask(ping(SESSION, HOST))
    counted = engine.counters(SESSION)
    assert counted is not None
    assert counted.last_seen_at is not None
    # The wall clock stands still; how long ago it was, native relays tell by the machine's own.
    assert after(clock.now(), before - time.monotonic()) <= counted.last_seen_at <= clock.now()
    assert (counted.received_packets, counted.received_bytes) == (4, 9 + 14 + 19 + 9)
    assert (counted.sent_packets, counted.sent_bytes) == (1, 10)
    assert counted.drops == {"unknown_connection": 1}
    load = engine.load()
    assert (load.sessions, load.bindings) == (2, 2)
    assert load.counters.received_packets == 4
    assert load.counters.last_seen_at is None


def test_sessions_that_nobody_uses_are_found(opened: OpenEngine, clock: ManualClock) -> None:
    engine = opened(rules=replace(RULES, session_unused_timeout=MILLISECOND))
    alice = Peer(engine, Port.CLIENT)
    with alice.socket:
        engine.replace([GAME])
        alice.ask(ping(SESSION, A))
        engine.apply([spec(str(token), token, 1) for token in range(1, 3 * PART)], [])
        unused = lapse(clock, lambda: found if len(found := engine.idle()) == 3 * PART - 1 else [])
        assert sorted(unused) == list(range(1, 3 * PART))


def test_sessions_that_were_used_long_ago_are_found(opened: OpenEngine, clock: ManualClock) -> None:
    engine = opened(rules=replace(RULES, session_idle_timeout=MILLISECOND))
    alice = Peer(engine, Port.CLIENT)
    with alice.socket:
        engine.replace([GAME, spec("other", 9, 1)])
        alice.ask(ping(SESSION, A))
        assert lapse(clock, engine.idle) == [SESSION]


def test_a_host_that_stays_silent_has_timed_out_until_it_returns(opened: OpenEngine, clock: ManualClock) -> None:
    engine = opened(rules=replace(RULES, owner_timeout=MILLISECOND))
    host, alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
    with host.socket, alice.socket:
        engine.replace([GAME])
        assert alice.ask(ping(SESSION, A)) == b"\1\2"
        host.ask(ping(SESSION, HOST))
        lapse(clock, lambda: alice.ask(ping(SESSION, A)) == b"\1\4")
        alice.send(data(SESSION, A, b"anybody?"))
        alice.ask(ping(SESSION, A))
        assert engine.load().counters.drops == {DropReason.HOST_TIMED_OUT: 1}
        assert host.ask(ping(SESSION, HOST)) == b"\1\2"


def test_a_client_that_stays_silent_is_sent_nothing(opened: OpenEngine, clock: ManualClock) -> None:
    engine = opened(rules=replace(RULES, client_idle_timeout=MILLISECOND))
    host, alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
    with host.socket, alice.socket:
        engine.replace([GAME])
        host.ask(ping(SESSION, HOST))
        alice.ask(ping(SESSION, A))
        lapse(clock, lambda: engine.load().bindings == 1)
        host.send(data_to(SESSION, HOST, 1, b"too late"))
        host.ask(ping(SESSION, HOST))
        assert engine.load().counters.drops == {DropReason.CLIENT_IDLE: 1}
        assert alice.ask(ping(SESSION, A)) == b"\1\2"


def test_sets_of_users_change_without_cutting_anybody_off(engine: RelayEngine, peers: tuple[Peer, Peer]) -> None:
    host, alice = peers
    engine.replace([GAME])
    host.ask(ping(SESSION, HOST))
    alice.ask(ping(SESSION, A))
    for _ in range(2):
        assert engine.replace([spec("other", 9, 1), spec("game", SESSION, HOST, A)]) == []
        assert engine.apply([GAME], [9]) == []
    # Bound still, under the same id.
    host.send(data_to(SESSION, HOST, 1, b"hello"))
    assert alice.receive() == b"\2hello"
    alice.send(data(SESSION, A, b"hello"))
    assert host.receive() == b"\2\1\0\0\0hello"


def test_only_the_owner_may_host_where_there_is_one(engine: RelayEngine, peers: tuple[Peer, Peer]) -> None:
    host, _ = peers
    engine.replace([spec("game", SESSION, HOST, A, owner=A)])
    assert host.ask(ping(SESSION, HOST)) == b"\1\3"
    assert host.ask(ping(SESSION, A)) == b"\1\2"


def test_the_registered_address_counts_where_it_is_enforced(opened: OpenEngine) -> None:
    engine = opened(rules=RelayRules(enforce_source_ip=True))
    here = next(HOSTS)
    for spelled in (here, f"::ffff:{here}"):
        engine.replace([])
        engine.replace([spec("game", SESSION, A, address=spelled)])
        mine, foreign = Peer(engine, Port.CLIENT, host=here), Peer(engine, Port.CLIENT)
        with mine.socket, foreign.socket:
            assert foreign.ask(ping(SESSION, A)) == b"\1\3"
            assert mine.ask(ping(SESSION, A)) == b"\1\2"
    # Nobody can be held to what is no address.
    engine.replace([spec("game", SESSION, A, address="somewhere")])
    anybody = Peer(engine, Port.CLIENT)
    with anybody.socket:
        assert anybody.ask(ping(SESSION, A)) == b"\1\2"


def test_a_relay_that_drains_says_so(engine: RelayEngine, peers: tuple[Peer, Peer]) -> None:
    _, alice = peers
    engine.replace([GAME])
    engine.drain()
    assert alice.ask(ping(SESSION, A)) == b"\1\5"


def test_peers_that_went_away_do_no_harm(engine: RelayEngine, peers: tuple[Peer, Peer]) -> None:
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


def test_what_is_no_session_is_an_error_of_whoever_asked(engine: RelayEngine) -> None:
    engine.replace([GAME])
    with pytest.raises((AttributeError, TypeError)):
        engine.apply([None], [])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        engine.apply([], [None, {}])  # type: ignore[list-item]
    assert engine.load().sessions == 1


def test_many_may_ask_at_once(engine: RelayEngine) -> None:
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
    for _ in range(2):
        engine.close()
    calls: list[Callable[[], object]] = [
        engine.load,
        engine.idle,
        engine.drain,
        lambda: engine.counters(SESSION),
        lambda: engine.apply([GAME], []),
        lambda: engine.replace([GAME]),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match="closed"):
            call()
    for port in (engine.ports.server_port, engine.ports.client_port):
        [again] = bind_udp(ADDRESS, port)
        again.close()


def test_nothing_of_a_closed_relay_is_left(opened: OpenEngine) -> None:
    def descriptors() -> set[str]:
        return {each.name for each in Path("/proc/self/fd").iterdir()}

    def threads() -> set[str]:
        return {each.name for each in Path("/proc/self/task").iterdir()}

    # What earlier tests have left to be collected goes before, not meanwhile.
    gc.collect()
    before = descriptors(), threads()
    for _ in range(3):
        engine = opened()
        engine.replace([GAME])
        assert threads() != before[1]
        engine.close()
    assert descriptors() == before[0]
    # A thread that has ended is known to the system a moment longer.
    assert eventually(lambda: threads() == before[1])


def test_it_closes_under_traffic(opened: OpenEngine) -> None:
    engine = opened()
    host, alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
    over = threading.Event()

    def play() -> None:
        while not over.is_set():
            with suppress(ConnectionError):  # What a port that is closed answers.
                alice.send(data(SESSION, A, b"hello"))

    with host.socket, alice.socket:
        engine.replace([GAME])
        host.ask(ping(SESSION, HOST))
        playing = threading.Thread(target=play)
        playing.start()
        try:
            host.receive()
            engine.close()
        finally:
            over.set()
            playing.join()
    with pytest.raises(Unavailable):
        engine.load()


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
