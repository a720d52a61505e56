import random

import pytest

from waymeet.node.reconnecting import FIRST_SECONDS, LONGEST_SECONDS, Ending, Reconnecting, ending_of


def test_waits_grow_to_their_limit_and_are_spread() -> None:
    reconnecting = Reconnecting(random.Random(3))
    waits = [reconnecting.wait_seconds(Ending.LOST, 0.0) for _ in range(40)]
    assert FIRST_SECONDS / 2 <= waits[0] <= FIRST_SECONDS
    assert all(LONGEST_SECONDS / 2 <= wait <= LONGEST_SECONDS for wait in waits[5:])
    assert len(set(waits)) == len(waits)


def test_a_sound_connection_makes_the_next_wait_short() -> None:
    reconnecting = Reconnecting(random.Random(3))
    for _ in range(10):
        reconnecting.wait_seconds(Ending.LOST, 0.0)
    assert reconnecting.wait_seconds(Ending.LOST, 60.0) <= FIRST_SECONDS


@pytest.mark.parametrize(("ending", "seconds"), [(Ending.REFUSED, 10.0), (Ending.REPLACED, 30.0)])
def test_what_only_a_person_can_mend_is_tried_seldom(ending: Ending, seconds: float) -> None:
    assert Reconnecting(random.Random(3)).wait_seconds(ending, 60.0) == seconds


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (4401, Ending.REFUSED),
        (4403, Ending.REFUSED),
        (401, Ending.REFUSED),
        (403, Ending.REFUSED),
        (4409, Ending.REPLACED),
        (1000, Ending.LOST),
        (1006, Ending.LOST),
        (503, Ending.LOST),
        (None, Ending.LOST),
    ],
)
def test_what_codes_mean(code: int | None, ending: Ending) -> None:
    assert ending_of(code) is ending
