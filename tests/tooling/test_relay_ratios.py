"""The arithmetic of `bench/relay`."""

from dataclasses import replace

import pytest

from bench.relay.ratios import Goal, Slice, ratios, spread

CALM = Slice(
    seconds=0.5,
    measured=1_000,
    relay_nanoseconds=250_000_000,
    own_nanoseconds=500_000_000,
    sent=1_200,
    received=1_200,
    misdelivered=0,
    malformed=0,
    reordered=0,
    slipped=0,
    own_overflows=0,
    latency_50=0,
    latency_99=0,
)


def test_figures_of_a_slice() -> None:
    assert CALM.rate == 2_000
    assert CALM.cost == 250_000
    assert CALM.busy == 0.5


def test_what_the_generator_lost_itself_is_not_the_relays_loss() -> None:
    assert replace(CALM, received=1_190, own_overflows=3).lost == 7
    assert CALM.lost == 0


def test_neighbours_are_compared_round_by_round() -> None:
    ours = [replace(CALM, measured=measured) for measured in (100, 900)]
    theirs = [replace(CALM, measured=measured) for measured in (50, 300)]
    assert ratios(ours, theirs, lambda each: each.rate) == [2, 3]
    with pytest.raises(ValueError, match="shorter"):
        ratios(ours, theirs[:1], lambda each: each.rate)


def test_a_slice_that_was_given_no_time_is_no_measure() -> None:
    ours, theirs = [CALM, CALM], [replace(CALM, measured=0), CALM]
    assert ratios(ours, theirs, lambda each: each.rate) == [1]


def test_spread_is_the_median_between_its_quartiles() -> None:
    found = spread([5, 1, 2, 4, 3])
    assert (found.lower, found.median, found.upper) == (2, 3, 4)
    assert spread([7.0]).median == 7


def test_goals_are_floors_or_ceilings() -> None:
    assert Goal("", 1.25, is_floor=True).is_reached(1.25)
    assert not Goal("", 1.25, is_floor=True).is_reached(1.24)
    assert Goal("", 1.15, is_floor=False).is_reached(1.1)
    assert not Goal("", 1.15, is_floor=False).is_reached(1.2)
