"""Guessing, flooding, reflection: what strangers and insiders can do, and what it does to the others."""

from collections.abc import Callable

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
    Sent,
    World,
    data,
    data_to,
    ping,
    session,
)
from waymeet.node.relay.departed import Departed
from waymeet.node.relay.hashing import KeyedHash
from waymeet.node.relay.rates import NANOSECONDS, UNLIMITED, Bucket, Rate, rate
from waymeet.node.relay.reasons import DropReason, Port, State
from waymeet.node.relay.rules import Limits, RelayRules
from waymeet.node.relay.sources import GROUP, SourceTable
from waymeet.node.relay.verdicts import Address

SERVER, CLIENT = Port.SERVER, Port.CLIENT


def player(number: int) -> Address:
    return (f"10.0.{number // 250}.{number % 250 + 1}", 4000)


def guess(
    world: World, source: Callable[[int], Address], tries: int, session_token: int = SESSION
) -> list[Sent | None]:
    """What `tries` wrong pings are answered with."""
    return [world.send(CLIENT, source(number), ping(session_token, 1000 + number)) for number in range(tries)]


def answered(answers: list[Sent | None]) -> int:
    return len(answers) - answers.count(None)


def test_a_stranger_is_answered_twice_a_second_at_most() -> None:
    world = World()
    answers = 0
    for _ in range(100):
        answers += answered(guess(world, lambda _: STRANGER, 1))
        world.wait(0.01)
    assert answers == 2


def test_strangers_together_are_answered_so_often_and_no_more() -> None:
    world = World()
    assert sum(answered(guess(world, lambda _: player(number), 1, number + 1)) for number in range(1000)) == 200  # noqa: B023


def test_silence_can_be_chosen() -> None:
    world = World(RelayRules(answer_strangers=False))
    assert world.ping(CLIENT, STRANGER, 99) is None
    assert world.ping(CLIENT, ALICE, A) is State.VALID


def test_unknown_sessions_and_unknown_users_look_alike() -> None:
    seen = []
    for session_token in (SESSION, 1):
        world = World()
        first = guess(world, lambda number: player(number // 3), 300, session_token)
        world.wait(1)
        seen.append((first, answered(guess(world, lambda number: player(number // 3), 300, session_token))))
    assert seen[0] == seen[1]


def test_one_address_that_guesses_is_muted_and_cannot_use_up_the_budget_of_the_session() -> None:
    world = World()
    world.ping(SERVER, HOST_HERE, HOST)
    neighbour = (STRANGER[0], 1)
    world.ping(CLIENT, neighbour, A)
    guess(world, lambda _: STRANGER, 1000)
    assert world.dropped is DropReason.SOURCE_MUTED
    # It may not even use a token that it got right, but whoever is established behind the same address plays on.
    assert world.ping(CLIENT, STRANGER, B) is None
    assert world.send(CLIENT, neighbour, data(SESSION, A, b"x")) is not None
    assert world.ping(CLIENT, BOB, B) is State.VALID
    world.wait(5)
    assert world.ping(CLIENT, STRANGER, B) is State.VALID


def test_many_addresses_that_guess_use_up_the_budget_but_leave_players_alone() -> None:
    world = World()
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, ALICE, A)
    guess(world, player, 1000)
    assert world.dropped is DropReason.SESSION_FAILURES
    assert world.ping(CLIENT, BOB, B) is None, "a right guess must look like a wrong one"
    assert world.ping(CLIENT, ALICE, A) is State.VALID
    assert world.send(SERVER, HOST_HERE, data_to(SESSION, HOST, 1, b"x")) is not None
    assert world.put(session(9, [B])) is None
    assert world.ping(CLIENT, BOB, B, 9) is State.VALID, "other sessions are not concerned"
    world.wait(1)
    assert world.ping(CLIENT, BOB, B) is State.VALID


def test_players_of_a_session_that_ended_do_not_count_as_guessing() -> None:
    world = World()
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, ALICE, A)
    world.remove(SESSION)
    for _ in range(1000):
        world.send(CLIENT, ALICE, data(SESSION, A, b"x"))
        world.wait(0.01)
    assert world.put(session(9, [A])) is None
    assert world.ping(CLIENT, ALICE, A, 9) is State.VALID


def test_a_flood_from_one_address_is_cut_off() -> None:
    world = World(
        RelayRules(limits=Limits(source_packets=rate(100, 100), source_failures=UNLIMITED, session_failures=UNLIMITED))
    )
    for expected in [DropReason.UNKNOWN_USER] * 100 + [DropReason.SOURCE_RATE]:
        guess(world, lambda _: STRANGER, 1)
        assert world.dropped is expected


@pytest.mark.parametrize(("port", "user"), [(CLIENT, A), (SERVER, HOST)])
def test_addresses_change_ten_times_a_second_at_most(port: Port, user: int) -> None:
    world = World()
    answers = [world.ping(port, ("192.0.2.2", number), user) for number in range(1, 101)]
    assert answers == [State.VALID] * 11 + [None] * 89
    assert world.dropped is DropReason.REBIND_RATE
    assert world.ping(port, ("192.0.2.2", 11), user) is State.VALID, "the last good address still holds"


@pytest.mark.parametrize(
    ("limits", "port", "reason"),
    [
        (Limits(user_packets=rate(10, 11)), CLIENT, DropReason.USER_RATE),
        (Limits(session_packets=rate(10, 10)), CLIENT, DropReason.SESSION_RATE),
        (Limits(session_bytes=rate(60, 60)), CLIENT, DropReason.SESSION_RATE),
        (Limits(host_packets=rate(10, 10)), CLIENT, DropReason.DESTINATION_RATE),
        (Limits(host_bytes=rate(60, 60)), CLIENT, DropReason.DESTINATION_RATE),
        (Limits(client_packets=rate(10, 10)), SERVER, DropReason.DESTINATION_RATE),
        (Limits(client_bytes=rate(20, 20)), SERVER, DropReason.DESTINATION_RATE),
    ],
)
def test_traffic_is_capped_per_user_session_and_destination(limits: Limits, port: Port, reason: DropReason) -> None:
    world = World(RelayRules(limits=limits))
    world.ping(SERVER, HOST_HERE, HOST)
    world.ping(CLIENT, ALICE, A)
    source, frame = (ALICE, data(SESSION, A, b"x")) if port is CLIENT else (HOST_HERE, data_to(SESSION, HOST, 1, b"x"))
    assert sum(world.send(port, source, frame) is not None for _ in range(100)) == 10
    assert world.dropped is reason
    assert world.statistics().counters.drops[reason] == 90
    world.wait(1)
    assert world.send(port, source, frame) is not None


def test_a_source_that_cannot_be_answered_is_not_bound() -> None:
    world = World()
    assert world.ping(CLIENT, ("192.0.2.2", 0), A) is None
    assert world.dropped is DropReason.UNANSWERABLE_SOURCE
    assert world.statistics().clients == 0


class TestBuckets:
    def test_give_the_burst_at_once_and_the_rate_from_then_on(self) -> None:
        bucket, allowed = Bucket(), rate(10, 5)

        def taken(now: int) -> int:
            return sum(bucket.take(allowed, 1, now) for _ in range(100))

        assert taken(0) == 5
        assert sum(taken(tenth * NANOSECONDS // 10) for tenth in range(1, 21)) == 20
        assert taken(1000 * NANOSECONDS) == 5

    def test_give_all_units_or_none(self) -> None:
        bucket, allowed = Bucket(), rate(1000, 1000)
        assert bucket.take(allowed, 900, 0)
        assert not bucket.take(allowed, 101, 0)
        assert bucket.has_one(allowed, 0)
        assert bucket.take(allowed, 100, 0)
        assert not bucket.has_one(allowed, 0)

    @pytest.mark.parametrize("nothing", [rate(0, 10), rate(10, 0)])
    def test_of_nothing_let_nothing_pass(self, nothing: Rate) -> None:
        assert not Bucket().take(nothing, 1, 1000 * NANOSECONDS)


class TestSources:
    def test_are_known_in_every_spelling(self) -> None:
        table = SourceTable(64, KeyedHash(7))
        table.meet("192.0.2.1", 5).muted_until = 5
        assert table.meet("::ffff:192.0.2.1", 5).muted_until == 5
        assert table.meet("192.0.2.2", 5).muted_until == 0

    def test_of_one_ipv6_network_are_one(self) -> None:
        table = SourceTable(64, KeyedHash(7))
        table.meet("2001:db8:0:1::1", 5).muted_until = 5
        assert table.meet("2001:db8:0:1:ffff::9", 5).muted_until == 5
        assert table.meet("2001:db8:0:2::1", 5).muted_until == 0
        assert table.meet("fe80::1%1", 5).muted_until == 0
        assert table.meet("::1", 5) is table.meet("::1", 6)

    def test_longest_unseen_are_forgotten_first(self) -> None:
        table = SourceTable(GROUP, KeyedHash(7))
        for number in range(1, GROUP + 1):
            table.meet(f"192.0.2.{number}", number).muted_until = 99
        table.meet("192.0.2.1", 9)
        table.meet("192.0.2.100", 10)
        assert table.meet("192.0.2.1", 11).muted_until == 99
        assert table.meet("192.0.2.2", 12).muted_until == 0
        for number in range(10_000):
            table.meet(f"10.0.{number // 250}.{number % 250}", 13)
        assert len(table) == GROUP


def test_the_hash_is_that_of_the_native_core() -> None:
    """The same addresses share groups in both, so that both forget the same ones."""
    assert KeyedHash(42).of(0) != KeyedHash(43).of(0)
    assert all(0 <= KeyedHash(2**64 - 1).of(number << 40) < 2**64 for number in range(100))


class TestDeparted:
    def test_oldest_are_forgotten_first(self) -> None:
        departed = Departed(3)
        for number in range(1, 5):
            departed.leave(number, number)
        assert [departed.left_within(number, 60, 5) for number in range(1, 5)] == [False, True, True, True]
        assert not departed.left_within(4, 60, 64)

    def test_who_came_back_is_not_among_them(self) -> None:
        departed = Departed(3)
        departed.leave(1, 1)
        departed.come_back(1)
        assert not departed.left_within(1, 60, 2)

    def test_are_never_more_than_the_capacity(self) -> None:
        departed = Departed(3)
        for step in range(1000):
            departed.leave(step % 2, step)
            departed.come_back(step % 3)
        assert len(departed) == 3
        assert not Departed(0).left_within(1, 60, 1)
