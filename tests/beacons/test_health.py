"""When a beacon is listed: rules over a clock that a test moves."""

from hypothesis import given
from hypothesis import strategies as st

from tests.world import FRANKFURT
from waymeet.beacons.health import CHECK_SECONDS, MISSES, RETRY_SECONDS, BeaconHealth
from waymeet.beacons.types import Beacon
from waymeet.model.ids import NodeName

ONE = Beacon(NodeName("one"), "192.0.2.1", 32167, 32561, FRANKFURT)
TWO = Beacon(NodeName("two"), "192.0.2.2", 32167, 32561, FRANKFURT)
ONE_ELSEWHERE = Beacon(NodeName("one"), "192.0.2.1", 32168, 32561, FRANKFURT)


def knowing(*beacons: Beacon) -> BeaconHealth:
    health = BeaconHealth()
    health.know(beacons)
    return health


def test_a_new_beacon_is_due_at_once_and_not_listed() -> None:
    health = knowing(ONE)
    assert health.due(1000.0) == [ONE]
    assert not health.is_listed(ONE)


def test_one_answer_lists_it() -> None:
    health = knowing(ONE)
    health.answered(ONE, 1000.0)
    assert health.is_listed(ONE)
    assert health.due(1000.0 + CHECK_SECONDS - 0.01) == []
    assert health.due(1000.0 + CHECK_SECONDS) == [ONE]


def test_three_misses_in_a_row_delist_it() -> None:
    health = knowing(ONE)
    health.answered(ONE, 1000.0)
    assert [health.missed(ONE, 1001.0), health.missed(ONE, 1002.0)] == [False, False]
    assert health.is_listed(ONE)
    assert health.missed(ONE, 1003.0)
    assert not health.is_listed(ONE)
    assert (health.delistings, health.listed, health.known) == (1, 0, 1)
    assert not health.missed(ONE, 1004.0)
    assert health.delistings == 1


def test_an_answer_in_between_makes_good() -> None:
    health = knowing(ONE)
    health.answered(ONE, 1000.0)
    for _ in range(3):
        for _ in range(MISSES - 1):
            assert not health.missed(ONE, 1001.0)
        health.answered(ONE, 1002.0)
    assert health.is_listed(ONE)


def test_it_is_listed_again_as_soon_as_it_answers() -> None:
    health = knowing(ONE)
    health.answered(ONE, 1000.0)
    for _ in range(MISSES):
        health.missed(ONE, 1001.0)
    health.answered(ONE, 1010.0)
    assert health.is_listed(ONE)


def test_what_just_fell_silent_is_asked_soon_again() -> None:
    health = knowing(ONE)
    health.missed(ONE, 1000.0)
    assert health.seconds_to_next(1000.0) == RETRY_SECONDS
    for _ in range(MISSES):
        health.missed(ONE, 1000.0)
    assert health.seconds_to_next(1000.0) == CHECK_SECONDS


def test_forgets_what_is_gone_and_keeps_what_is_not() -> None:
    health = knowing(ONE, TWO)
    health.answered(ONE, 1000.0)
    health.answered(TWO, 1000.0)
    health.know([TWO])
    assert (health.is_listed(ONE), health.is_listed(TWO), health.known) == (False, True, 1)
    # An answer that was under way meanwhile.
    health.answered(ONE, 1001.0)
    assert not health.missed(ONE, 1001.0)
    assert health.known == 1


def test_one_that_moved_has_to_answer_anew() -> None:
    health = knowing(ONE)
    health.answered(ONE, 1000.0)
    health.know([ONE_ELSEWHERE])
    assert not health.is_listed(ONE_ELSEWHERE)
    assert health.due(1000.0) == [ONE_ELSEWHERE]


def test_without_beacons_nothing_is_ever_due() -> None:
    assert knowing().seconds_to_next(1000.0) is None


@given(st.lists(st.booleans()))
def test_is_listed_while_one_of_the_last_three_checks_was_answered(checks: list[bool]) -> None:
    health = knowing(ONE)
    for number, answers in enumerate(checks, start=1):
        if answers:
            health.answered(ONE, float(number))
        else:
            health.missed(ONE, float(number))
        assert health.is_listed(ONE) is any(checks[max(0, number - MISSES) : number])
