"""The 29 test vectors of the wire contract (relay wire, section 8) over real sockets, for every relay.

Each is on a relay of its own: the host is bound, and A has id 1. What is not said to come out does not: those who get
nothing are asked afterwards, by pinging through the same sockets.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.clocks import ManualClock
from tests.node.relay.peers import GAME, RULES, OpenEngine, Peer, lapse, spec
from tests.node.relay.test_vectors import (
    A_HELLO,
    A_HELLO_AT_HOST,
    A_PING,
    B_FIRST,
    HOST_PING,
    KCP_FIRST,
    KCP_FIRST_AT_HOST,
)
from tests.node.relay.world import HOST, SESSION, A, data, data_to, ping
from waymeet.node.relay.engine import RelayEngine
from waymeet.node.relay.reasons import Port

VALID, INVALID, SESSION_TIMEOUT = b"\1\2", b"\1\3", b"\1\4"


class Table:
    """The relay's peers: a host and Alice, who are bound, Bob, who is not, and a stranger."""

    def __init__(self, engine: RelayEngine) -> None:
        self.host, self.alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
        self.bob, self.stranger = Peer(engine, Port.CLIENT), Peer(engine, Port.CLIENT)
        self.bob_on_the_server_port = Peer(engine, Port.SERVER)
        self.all = [self.host, self.alice, self.bob, self.stranger, self.bob_on_the_server_port]
        engine.replace([GAME])
        assert self.host.ask(ping(SESSION, HOST)) == VALID
        assert self.alice.ask(ping(SESSION, A)) == VALID

    def expect(self, sender: Peer, question: bytes, answers: dict[Peer, bytes]) -> None:
        """The question leads to these datagrams and to no others."""
        sender.send(question)
        for peer, answer in answers.items():
            assert peer.receive() == answer
        # The relay answers in the order of each of its sockets.
        assert self.host.ask(bytes.fromhex(HOST_PING)) == VALID
        assert self.alice.ask(bytes.fromhex(A_PING)) == VALID
        assert [peer.waiting() for peer in self.all] == [[]] * len(self.all)


@pytest.fixture
def table(engine: RelayEngine) -> Iterator[Table]:
    table = Table(engine)
    yield table
    for peer in table.all:
        peer.socket.close()


@pytest.mark.parametrize(
    ("sender", "question", "receiver", "answer"),
    [
        pytest.param("host", HOST_PING, "host", "0102", id="1,2"),
        pytest.param("alice", A_PING, "alice", "0102", id="3,4"),
        pytest.param("alice", A_HELLO, "host", A_HELLO_AT_HOST, id="5,6"),
        pytest.param("host", "1e7c4f014dc2a6d0020100000068656c6c6f", "alice", "0268656c6c6f", id="7,8"),
        pytest.param("alice", KCP_FIRST, "host", KCP_FIRST_AT_HOST, id="9"),
        pytest.param("bob", B_FIRST, "host", "0202000000ff", id="10"),
        pytest.param("host", "1e7c4f014dc2a6d002630000006869", None, "", id="11"),
        pytest.param("host", "1e7c4f014dc2a6d002fbffffff6869", None, "", id="12"),
        pytest.param("bob", "070000004dc2a6d003", None, "", id="13"),
        pytest.param("bob", "070000004dc2a6d000", None, "", id="14"),
        pytest.param("bob", "070000004dc2a6d0", None, "", id="15"),
        pytest.param("bob", "070000004dc2a6d002", None, "", id="16"),
        pytest.param("host", "1e7c4f014dc2a6d00201000000", None, "", id="17"),
        pytest.param("stranger", "630000004dc2a6d001", "stranger", "0103", id="18"),
        pytest.param("stranger", "070000000100000001", "stranger", "0103", id="19"),
        pytest.param("stranger", "4dc2a6d01e7c4f0101", "stranger", "0103", id="20"),
        pytest.param("stranger", "00000007d0a6c24d01", "stranger", "0103", id="21"),
        pytest.param("stranger", "630000004dc2a6d002aa", "stranger", "0103", id="22"),
        pytest.param("bob", "070000004dc2a6d0010001", "bob", "0102", id="23"),
        pytest.param("bob_on_the_server_port", "070000004dc2a6d001", "bob_on_the_server_port", "0103", id="29"),
    ],
)
def test_vector(table: Table, sender: str, question: str, receiver: str | None, answer: str) -> None:
    answers = {} if receiver is None else {getattr(table, receiver): bytes.fromhex(answer)}
    table.expect(getattr(table, sender), bytes.fromhex(question), answers)


def test_vector_9_binds_a_client_that_never_pinged(opened: OpenEngine) -> None:
    engine = opened()
    engine.replace([GAME])
    host, alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
    with host.socket, alice.socket:
        assert host.ask(ping(SESSION, HOST)) == VALID
        alice.send(bytes.fromhex(KCP_FIRST))
        assert host.receive() == bytes.fromhex(KCP_FIRST_AT_HOST)
        host.send(data_to(SESSION, HOST, 1, b"hi"))
        assert alice.receive() == b"\2hi"


def test_vector_24_follows_a_client_to_its_new_address(table: Table, engine: RelayEngine) -> None:
    moved = Peer(engine, Port.CLIENT)
    with moved.socket:
        moved.send(bytes.fromhex(A_HELLO))
        assert table.host.receive() == bytes.fromhex(A_HELLO_AT_HOST)
        table.host.send(data_to(SESSION, HOST, 1, b"hi"))
        assert moved.receive() == b"\2hi"
        assert table.host.ask(bytes.fromhex(HOST_PING)) == VALID
        assert table.alice.waiting() == []


def test_vector_25_tells_that_the_host_timed_out(opened: OpenEngine, clock: ManualClock) -> None:
    engine = opened(rules=replace(RULES, owner_timeout=1_000_000))
    engine.replace([GAME])
    host, alice = Peer(engine, Port.SERVER), Peer(engine, Port.CLIENT)
    with host.socket, alice.socket:
        assert host.ask(ping(SESSION, HOST)) == VALID
        answers = set()

        def timed_out() -> bool:
            answers.add(alice.ask(bytes.fromhex(A_PING)))
            return SESSION_TIMEOUT in answers

        lapse(clock, timed_out)
        assert answers <= {VALID, SESSION_TIMEOUT}


def test_vector_26_revokes_a_user_at_once(table: Table, engine: RelayEngine) -> None:
    table.expect(table.bob, bytes.fromhex(B_FIRST), {table.host: bytes.fromhex("0202000000ff")})
    engine.apply([spec("game", SESSION, HOST, A)], [])
    assert table.bob.receive() == INVALID
    table.expect(table.bob, bytes.fromhex(B_FIRST), {table.bob: INVALID})
    table.expect(table.host, data_to(SESSION, HOST, 2, b"hi"), {})


@pytest.mark.parametrize("sender", ["alice", "host"])
def test_vector_27_drops_what_is_too_long(table: Table, sender: str) -> None:
    table.expect(getattr(table, sender), data(SESSION, A, b"x" * 1192), {})


def test_vector_28_forwards_the_longest(table: Table) -> None:
    payload = b"\5" * 1187
    table.expect(table.host, data_to(SESSION, HOST, 1, payload), {table.alice: b"\2" + payload})
