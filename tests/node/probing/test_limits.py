"""The bounds of probing, at their edges."""

from hypothesis import given
from hypothesis import strategies as st

from waymeet.node.probing.limits import ProbeLimits


def test_at_once() -> None:
    limits = ProbeLimits(at_once=2, per_second=100)
    assert limits.admit("a", 0.0)
    assert limits.admit("b", 0.0)
    assert not limits.admit("c", 50.0)
    limits.done()
    assert limits.admit("c", 50.0)


def test_an_address_again_after_its_time_and_not_before() -> None:
    limits = ProbeLimits(at_once=10, per_second=100, target_seconds=2.0)
    assert limits.admit("a", 10.0)
    limits.done()
    assert not limits.admit("a", 11.999)
    assert limits.admit("b", 11.999)
    assert limits.admit("a", 12.0)


def test_per_second() -> None:
    limits = ProbeLimits(at_once=1000, per_second=5)
    assert [limits.admit(target, 0.0) for target in range(7)] == [True] * 5 + [False] * 2
    assert not limits.admit("early", 0.19)
    assert limits.admit("in time", 0.2)
    assert not limits.admit("another", 0.2)
    # Rest earns no more than one second's worth.
    assert sum(limits.admit(f"later {target}", 3600.0) for target in range(20)) == 5


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3)), max_size=60))
def test_never_above_the_rate_nor_twice_to_one_address(steps: list[tuple[int, float]]) -> None:
    limits = ProbeLimits(at_once=1000, per_second=4, target_seconds=2.0)
    now = 0.0
    admitted: list[tuple[float, int]] = []
    for target, pause in steps:
        now += pause
        if limits.admit(target, now):
            admitted.append((now, target))
    for index, (at, target) in enumerate(admitted):
        within = [other for other in admitted[index:] if other[0] - at <= 1.0]
        assert len(within) <= 8  # A rested second's worth, and what is earned meanwhile.
        again = [other for other in admitted[index + 1 :] if other[1] == target]
        assert all(other[0] - at >= 2.0 - 1e-9 for other in again)


def test_what_is_remembered_of_addresses_is_bounded_by_the_rate() -> None:
    limits = ProbeLimits(at_once=10, per_second=10, target_seconds=2.0)
    for step in range(1000):
        if limits.admit(step, step / 100):
            limits.done()
    assert len(limits._begun) <= 30
