"""Who is who: addresses, connection ids, hosts, timeouts."""

from dataclasses import replace

import pytest

from tests.node.relay.world import (
    ALICE,
    BOB,
    HOST,
    HOST_HERE,
    SESSION,
    STRANGER,
    A,
    B,
    World,
    data,
    data_to,
    ping,
    session,
)
from waymeet.node.relay.rates import NANOSECONDS
from waymeet.node.relay.reasons import DropReason, Port, State
from waymeet.node.relay.rules import Limits, RelayRules
from waymeet.node.relay.sessions import HIGHEST_CONNECTION, Session, User, WantedUser
from waymeet.node.relay.sources import packed_address
from waymeet.node.relay.verdicts import Address

SERVER, CLIENT = Port.SERVER, Port.CLIENT
NANOSECOND = 1 / NANOSECONDS


@pytest.fixture
def world() -> World:
    """With a host, who knows Alice as 1."""
    world = World()
    assert world.ping(SERVER, HOST_HERE, HOST) is State.VALID
    assert connection_of(world, ALICE) == 1
    return world


def connection_of(world: World, source: Address, user: int = A) -> int | None:
    """What the host is told that this is from."""
    sent = world.send(CLIENT, source, data(SESSION, user, b"x"))
    return None if sent is None else int.from_bytes(sent.content[1:5], "little")


def reached(world: World, connection: int) -> Address | None:
    """Whom the host reaches under this id."""
    sent = world.send(SERVER, HOST_HERE, data_to(SESSION, HOST, connection, b"y"))
    return None if sent is None else sent.to


def test_a_connection_id_survives_any_change_of_address(world: World) -> None:
    for change in range(29):
        here = (f"192.0.{change}.2", 2000 + change)
        assert connection_of(world, here) == 1
        assert reached(world, 1) == here
        world.wait(1)


def test_a_client_that_was_silent_gets_a_fresh_id_only_at_a_new_address(world: World) -> None:
    world.wait(30)
    world.ping(SERVER, HOST_HERE, HOST)
    assert connection_of(world, ALICE) == 1
    world.wait(30 - NANOSECOND)
    world.ping(SERVER, HOST_HERE, HOST)
    assert connection_of(world, ("192.0.2.2", 2)) == 1
    world.wait(30)
    world.ping(SERVER, HOST_HERE, HOST)
    assert connection_of(world, ("192.0.2.2", 3)) == 2
    assert reached(world, 1) is None
    assert world.dropped is DropReason.UNKNOWN_CONNECTION


def test_fresh_ids_are_rationed() -> None:
    world = World(
        RelayRules(client_idle_timeout=NANOSECONDS, limits=Limits(fresh_connection_interval=30 * NANOSECONDS))
    )
    ids = []
    for step in range(60):
        world.wait(1)
        world.ping(SERVER, HOST_HERE, HOST)
        ids.append(connection_of(world, ("192.0.2.2", 2000 + step)))
    assert ids == [1] * 30 + [2] * 30


def test_connection_ids_end_where_a_signed_number_would_turn_negative() -> None:
    owner = Session(SESSION, None, 0)
    user = User(owner, WantedUser(A))
    owner.issued = HIGHEST_CONNECTION - 1
    assert owner.connect(user, 0)
    assert user.connection == 2**31 - 1
    owner.disconnect(user)
    assert not owner.connect(user, 0)


def test_an_idle_client_is_sent_nothing_until_it_speaks(world: World) -> None:
    world.wait(30)
    world.ping(SERVER, HOST_HERE, HOST)
    assert reached(world, 1) is None
    assert world.dropped is DropReason.CLIENT_IDLE
    world.ping(CLIENT, ALICE, A)
    assert reached(world, 1) == ALICE


def test_empty_data_keeps_a_client_and_a_host_alive(world: World) -> None:
    for _ in range(4):
        world.wait(20)
        for port, source, user in ((SERVER, HOST_HERE, HOST), (CLIENT, ALICE, A)):
            assert world.send(port, source, data(SESSION, user, b"")) is None
            assert world.dropped is DropReason.EMPTY_PAYLOAD
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    assert reached(world, 1) == ALICE


def test_a_returning_host_makes_the_session_valid_again_and_keeps_ids(world: World) -> None:
    world.wait(31)
    assert world.ping(CLIENT, ALICE, A) is State.SESSION_TIMEOUT
    back = ("192.0.2.1", 1001)
    assert world.ping(SERVER, back, HOST) is State.VALID
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    assert connection_of(world, ALICE) == 1
    sent = world.send(CLIENT, ALICE, data(SESSION, A, b"x"))
    assert sent is not None
    assert sent.to == back


def test_data_for_a_host_that_timed_out_is_answered_twice_a_second_at_most(world: World) -> None:
    world.wait(31)
    answers = []
    for _ in range(100):
        sent = world.send(CLIENT, ALICE, data(SESSION, A, b"x"))
        answers += [] if sent is None else [(sent.to, sent.content)]
        assert world.dropped is DropReason.HOST_TIMED_OUT
        world.wait(0.01)
    assert answers == [(ALICE, b"\1\4")] * 2


def test_data_is_silently_dropped_before_there_ever_was_a_host() -> None:
    world = World()
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    assert connection_of(world, ALICE) is None
    assert world.dropped is DropReason.NO_HOST


def test_the_first_on_the_server_port_owns_the_session_until_it_times_out(world: World) -> None:
    assert world.ping(SERVER, BOB, B) is State.INVALID
    sent = world.send(SERVER, BOB, data_to(SESSION, B, 1, b"x"))
    assert sent is not None
    assert (sent.to, sent.content) == (BOB, b"\1\3")
    assert world.send(SERVER, BOB, data_to(SESSION, B, 1, b"x")) is None
    assert world.dropped is DropReason.ROLE_REFUSED
    world.wait(31)
    assert world.ping(SERVER, BOB, B) is State.VALID
    assert world.ping(SERVER, HOST_HERE, HOST) is State.INVALID
    world.ping(CLIENT, ALICE, A)
    sent = world.send(SERVER, BOB, data_to(SESSION, B, 1, b"x"))
    assert sent is not None
    assert sent.to == ALICE


def test_only_the_named_host_may_own() -> None:
    world = World()
    assert world.ping(SERVER, BOB, B) is State.VALID
    assert world.put(session(SESSION, [HOST, A, B], host=HOST)) is None
    assert world.ping(CLIENT, ALICE, A) is State.SESSION_TIMEOUT
    assert world.ping(SERVER, BOB, B) is State.INVALID
    assert world.ping(SERVER, HOST_HERE, HOST) is State.VALID
    assert world.ping(CLIENT, ALICE, A) is State.VALID


def test_one_token_may_host_and_play(world: World) -> None:
    player = ("192.0.2.1", 1002)
    assert connection_of(world, player, HOST) == 2
    assert reached(world, 2) == player
    assert connection_of(world, ALICE) == 1


def test_the_host_reaches_nobody_in_another_session() -> None:
    world = World()
    assert world.put(session(9, [HOST, A, B, 77])) is None
    world.ping(SERVER, HOST_HERE, HOST)
    world.send(CLIENT, ALICE, ping(9, A))
    world.send(CLIENT, BOB, ping(9, B))
    for connection in (1, 2):
        assert reached(world, connection) is None
        assert world.dropped is DropReason.UNKNOWN_CONNECTION
    world.ping(CLIENT, STRANGER, A)
    assert reached(world, 1) == STRANGER


@pytest.mark.parametrize("spelling", ["192.0.2.2", "::ffff:192.0.2.2"])
@pytest.mark.parametrize(("enforced", "expected"), [(True, State.INVALID), (False, State.VALID)])
def test_a_source_ip_is_enforced_only_where_asked_for(spelling: str, enforced: bool, expected: State) -> None:
    world = World(RelayRules(enforce_source_ip=enforced))
    assert world.core.authorize(SESSION, WantedUser(A, packed_address(spelling))) is None
    assert world.ping(CLIENT, STRANGER, A) is expected
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    assert world.ping(CLIENT, ("::ffff:192.0.2.2", 5, 0, 0), A) is State.VALID
    assert world.ping(CLIENT, BOB, B) is State.VALID


def test_sessions_that_nobody_uses_are_reported() -> None:
    world = World()
    assert world.put(session(9, [A])) is None

    def idle() -> list[int]:
        found: list[int] = []
        cursor: int | None = 0
        while cursor is not None:
            part, cursor = world.core.idle_sessions(cursor, 1, world.now)
            found += part
        return found

    world.ping(CLIENT, ALICE, A)
    world.wait(600 - NANOSECOND)
    assert idle() == []
    world.wait(NANOSECOND)
    assert idle() == [SESSION]
    world.ping(CLIENT, ALICE, A)
    assert idle() == []
    world.wait(1200)
    assert idle() == [SESSION, 9]


def test_a_draining_relay_says_so_and_still_forwards(world: World) -> None:
    world.core.draining = True
    assert world.ping(CLIENT, ALICE, A) is State.ERROR
    assert world.ping(SERVER, HOST_HERE, HOST) is State.ERROR
    assert connection_of(world, ALICE) == 1


def test_timers_are_the_rules() -> None:
    rules = replace(RelayRules(), owner_timeout=12 * NANOSECONDS)
    world = World(rules)
    world.ping(SERVER, HOST_HERE, HOST)
    world.wait(12)
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    world.wait(NANOSECOND)
    assert world.ping(CLIENT, ALICE, A) is State.SESSION_TIMEOUT
