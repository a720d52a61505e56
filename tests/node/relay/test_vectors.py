"""The 29 test vectors of the wire contract, each on a relay of its own: the host is bound, and A has id 1."""

import pytest

from tests.node.relay.world import ALICE, BOB, HOST, HOST_HERE, SESSION, STRANGER, A, B, Sent, World, data, data_to
from waymeet.node.relay.reasons import Port, State
from waymeet.node.relay.verdicts import Address, Push

SERVER, CLIENT = Port.SERVER, Port.CLIENT

HOST_PING = "1e7c4f014dc2a6d001"
A_PING = "ffffffff4dc2a6d001"
A_HELLO = "ffffffff4dc2a6d00268656c6c6f"
A_HELLO_AT_HOST = "020100000068656c6c6f"
B_FIRST = "070000004dc2a6d002ff"
KCP_FIRST = "ffffffff4dc2a6d002010000000000000000510000108b00000000000000000000000100000001"
KCP_FIRST_AT_HOST = "0201000000010000000000000000510000108b00000000000000000000000100000001"

Expected = tuple[Port, Address, str] | None


@pytest.fixture
def world() -> World:
    world = World()
    assert world.ping(SERVER, HOST_HERE, HOST) is State.VALID
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    return world


def expect(world: World, port: Port, source: Address, question: str | bytes, answer: Expected) -> None:
    datagram = bytes.fromhex(question) if isinstance(question, str) else question
    sent = world.send(port, source, datagram)
    assert sent == (None if answer is None else Sent(answer[1], answer[0], bytes.fromhex(answer[2])))


@pytest.mark.parametrize(
    ("port", "source", "question", "answer"),
    [
        pytest.param(SERVER, HOST_HERE, HOST_PING, (SERVER, HOST_HERE, "0102"), id="1,2"),
        pytest.param(CLIENT, ALICE, A_PING, (CLIENT, ALICE, "0102"), id="3,4"),
        pytest.param(CLIENT, ALICE, A_HELLO, (SERVER, HOST_HERE, A_HELLO_AT_HOST), id="5,6"),
        pytest.param(
            SERVER, HOST_HERE, "1e7c4f014dc2a6d0020100000068656c6c6f", (CLIENT, ALICE, "0268656c6c6f"), id="7,8"
        ),
        pytest.param(CLIENT, ALICE, KCP_FIRST, (SERVER, HOST_HERE, KCP_FIRST_AT_HOST), id="9"),
        pytest.param(CLIENT, BOB, B_FIRST, (SERVER, HOST_HERE, "0202000000ff"), id="10"),
        pytest.param(SERVER, HOST_HERE, "1e7c4f014dc2a6d002630000006869", None, id="11"),
        pytest.param(SERVER, HOST_HERE, "1e7c4f014dc2a6d002fbffffff6869", None, id="12"),
        pytest.param(CLIENT, BOB, "070000004dc2a6d003", None, id="13"),
        pytest.param(CLIENT, BOB, "070000004dc2a6d000", None, id="14"),
        pytest.param(CLIENT, BOB, "070000004dc2a6d0", None, id="15"),
        pytest.param(CLIENT, BOB, "070000004dc2a6d002", None, id="16"),
        pytest.param(SERVER, HOST_HERE, "1e7c4f014dc2a6d00201000000", None, id="17"),
        pytest.param(CLIENT, STRANGER, "630000004dc2a6d001", (CLIENT, STRANGER, "0103"), id="18"),
        pytest.param(CLIENT, STRANGER, "070000000100000001", (CLIENT, STRANGER, "0103"), id="19"),
        pytest.param(CLIENT, STRANGER, "4dc2a6d01e7c4f0101", (CLIENT, STRANGER, "0103"), id="20"),
        pytest.param(CLIENT, STRANGER, "00000007d0a6c24d01", (CLIENT, STRANGER, "0103"), id="21"),
        pytest.param(CLIENT, STRANGER, "630000004dc2a6d002aa", (CLIENT, STRANGER, "0103"), id="22"),
        pytest.param(CLIENT, BOB, "070000004dc2a6d0010001", (CLIENT, BOB, "0102"), id="23"),
        pytest.param(SERVER, BOB, "070000004dc2a6d001", (SERVER, BOB, "0103"), id="29"),
    ],
)
def test_vector(world: World, port: Port, source: Address, question: str, answer: Expected) -> None:
    expect(world, port, source, question, answer)


def test_vector_9_binds_a_client_that_never_pinged() -> None:
    world = World()
    world.ping(SERVER, HOST_HERE, HOST)
    expect(world, CLIENT, ALICE, KCP_FIRST, (SERVER, HOST_HERE, KCP_FIRST_AT_HOST))
    expect(world, SERVER, HOST_HERE, data_to(SESSION, HOST, 1, b"hi"), (CLIENT, ALICE, "026869"))


def test_vector_24_follows_a_client_to_its_new_address(world: World) -> None:
    moved = (ALICE[0], 2001)
    expect(world, CLIENT, moved, A_HELLO, (SERVER, HOST_HERE, A_HELLO_AT_HOST))
    expect(world, SERVER, HOST_HERE, data_to(SESSION, HOST, 1, b"hi"), (CLIENT, moved, "026869"))


def test_vector_25_tells_that_the_host_timed_out(world: World) -> None:
    world.wait(30)
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    world.now += 1
    expect(world, CLIENT, ALICE, A_PING, (CLIENT, ALICE, "0104"))


def test_vector_26_revokes_a_user_at_once(world: World) -> None:
    expect(world, CLIENT, BOB, B_FIRST, (SERVER, HOST_HERE, "0202000000ff"))
    world.revoke(SESSION, B)
    assert world.pushes == [Push(BOB, CLIENT, State.INVALID)]
    expect(world, CLIENT, BOB, B_FIRST, (CLIENT, BOB, "0103"))
    expect(world, SERVER, HOST_HERE, data_to(SESSION, HOST, 2, b"hi"), None)


@pytest.mark.parametrize("port", list(Port))
def test_vector_27_drops_what_is_too_long(world: World, port: Port) -> None:
    expect(world, port, ALICE, data(SESSION, A, b"x" * 1192), None)


def test_vector_28_forwards_the_longest(world: World) -> None:
    payload = b"\5" * 1187
    expect(world, SERVER, HOST_HERE, data_to(SESSION, HOST, 1, payload), (CLIENT, ALICE, "02" + payload.hex()))
