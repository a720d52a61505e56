"""What the control plane wants becomes true, whole or not at all, any number of times."""

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
from waymeet.node.relay.reasons import DropReason, Port, Refusal, State
from waymeet.node.relay.rules import Capacity, RelayRules
from waymeet.node.relay.sessions import WantedUser
from waymeet.node.relay.statistics import Traffic
from waymeet.node.relay.verdicts import Address, Push

SERVER, CLIENT = Port.SERVER, Port.CLIENT


def reached(world: World, connection: int, session_token: int = SESSION, host: int = HOST) -> Address | None:
    sent = world.send(SERVER, HOST_HERE, data_to(session_token, host, connection, b"x"))
    return None if sent is None else sent.to


def test_a_relay_that_was_told_nothing_says_that_it_is_checking_and_mutes_nobody() -> None:
    world = World(told=False)
    assert world.ping(CLIENT, ALICE, A) is State.CHECKING
    for _ in range(1000):
        world.ping(CLIENT, ALICE, A)
    assert world.put(session(SESSION, [A])) is None
    assert world.ping(CLIENT, ALICE, A) is State.VALID, "what it was told is good at once"
    world.wait(1)
    assert world.ping(CLIENT, BOB, B) is State.CHECKING
    world.replace([session(SESSION, [A])])
    world.wait(1)
    assert world.ping(CLIENT, BOB, B) is State.INVALID


def test_putting_a_session_again_keeps_everybody_who_stays() -> None:
    world = World()
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, ALICE, A)
    world.ping(CLIENT, BOB, B)
    for _ in range(3):
        assert world.put(session(SESSION, [HOST, B, 55])) is None
    assert world.pushes == [Push(ALICE, CLIENT, State.INVALID)]
    assert reached(world, 2) == BOB
    assert reached(world, 1) is None
    assert world.ping(CLIENT, ALICE, A) is State.INVALID
    assert world.core.user_count == 3


def test_a_replacement_removes_what_is_not_wanted_and_leaves_the_rest_alone() -> None:
    world = World()
    world.replace(session(token, [A, B]) for token in range(1, 51))
    assert (world.core.session_count, world.core.user_count) == (50, 100)
    world.send(CLIENT, ALICE, ping(7, A))
    world.send(CLIENT, BOB, ping(8, B))
    for _ in range(2):
        world.replace(session(token, [A, B]) for token in range(5, 8))
        assert (world.core.session_count, world.core.user_count) == (3, 6)
    assert world.pushes == [Push(BOB, CLIENT, State.INVALID)]
    world.send(SERVER, HOST_HERE, ping(7, B))
    assert reached(world, 1, 7, B) == ALICE


def test_removing_a_session_tells_everybody_in_every_role_once() -> None:
    world = World()
    playing = ("192.0.2.1", 1002)
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, playing, HOST)
    world.ping(CLIENT, BOB, B)
    world.wait(29)
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, playing, HOST)
    world.wait(2)
    for _ in range(2):
        world.remove(SESSION)
    # Not Bob: he was silent for so long that his address may be somebody else's.
    assert world.pushes == [Push(playing, CLIENT, State.INVALID), Push(HOST_HERE, SERVER, State.INVALID)]
    assert world.core.totals.states[State.INVALID] == 2
    assert (world.core.session_count, world.core.user_count) == (0, 0)
    assert world.ping(SERVER, HOST_HERE, HOST) is State.INVALID


def test_revoking_the_host_looks_like_a_timeout_to_the_others() -> None:
    world = World()
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, ALICE, A)
    for _ in range(2):
        world.revoke(SESSION, HOST)
    assert world.pushes == [Push(HOST_HERE, SERVER, State.INVALID)]
    assert world.ping(SERVER, HOST_HERE, HOST) is State.INVALID
    assert world.ping(CLIENT, ALICE, A) is State.SESSION_TIMEOUT
    assert world.ping(SERVER, BOB, B) is State.VALID, "the place is free"
    assert world.ping(CLIENT, ALICE, A) is State.VALID


def test_an_authorized_user_is_good_at_once_and_gets_an_id_nobody_had() -> None:
    world = World()
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, ALICE, A)
    world.revoke(SESSION, A)
    for _ in range(2):
        assert world.core.authorize(SESSION, WantedUser(A)) is None
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    assert reached(world, 1) is None
    assert reached(world, 2) == ALICE
    assert world.core.authorize(5, WantedUser(A)) is Refusal.UNKNOWN_SESSION
    world.revoke(5, A)


def test_tables_are_bounded_and_a_refused_change_changes_nothing() -> None:
    world = World(RelayRules(capacity=Capacity(sessions=2, users=5, users_per_session=3)), told=False)
    assert world.replace([]) == []
    assert world.put(session(1, [1, 2, 3, 4])) is Refusal.TOO_MANY_USERS_IN_SESSION
    assert world.core.session_count == 0
    assert world.put(session(1, [1, 1, 2, 2, 3])) is None
    assert world.put(session(2, [1, 2, 3])) is Refusal.TOO_MANY_USERS
    assert (world.core.session_count, world.core.user_count) == (1, 3)
    assert world.put(session(2, [1, 2])) is None
    assert world.put(session(3, [])) is Refusal.TOO_MANY_SESSIONS
    assert world.core.authorize(2, WantedUser(3)) is Refusal.TOO_MANY_USERS
    assert world.core.authorize(1, WantedUser(4)) is Refusal.TOO_MANY_USERS_IN_SESSION
    assert world.core.authorize(1, WantedUser(3)) is None
    # Those who leave make room for those who come with the same change.
    assert world.put(session(1, [7, 8, 9])) is None
    assert (world.core.session_count, world.core.user_count) == (2, 5)
    refused = world.replace([session(1, [1]), session(5, [1]), session(6, [1])])
    assert refused == [(6, Refusal.TOO_MANY_SESSIONS)]


def test_counters_say_what_happened() -> None:
    world = World()
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, ALICE, A)
    world.send(CLIENT, ALICE, data(SESSION, A, bytes(100)))
    world.send(SERVER, HOST_HERE, data_to(SESSION, HOST, 1, bytes(50)))
    world.send(SERVER, HOST_HERE, data_to(SESSION, HOST, 9, bytes(50)))
    world.ping(CLIENT, STRANGER, 99)
    world.wait(3)
    seen = world.statistics()
    counted, totals = seen.counters, world.core.totals
    assert counted.received == totals.received == Traffic(6, 3 * 9 + 109 + 2 * 63)
    assert counted.to_host == totals.to_hosts == Traffic(1, 105)
    assert counted.to_clients == totals.to_clients == Traffic(1, 51)
    assert counted.pings == 2
    assert counted.drops == totals.drops == {DropReason.UNKNOWN_CONNECTION: 1, DropReason.UNKNOWN_USER: 1}
    assert (seen.users, seen.clients, seen.has_host, seen.idle) == (3, 1, True, False)
    assert (seen.age, seen.silent_for) == (3_000_000_000, 3_000_000_000)
    assert totals.states == {State.VALID: 2, State.INVALID: 1}
    assert world.core.sessions(0, 10, world.now) == ([seen], None)
