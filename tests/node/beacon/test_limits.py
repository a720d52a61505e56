"""Which datagrams are echoed: rules over a clock that a test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waymeet.node.beacon.limits import EchoLimits, EchoRules, Verdict, source_of

OWN_PORT = 21_000
HOST = "203.0.113.7"


def judge(limits: EchoLimits, now: float, *, host: str = HOST, port: int = 40_000, length: int = 4) -> Verdict:
    return limits.judge(length, host, port, now)


@pytest.mark.parametrize("length", [1, 4, 63, 64])
def test_lengths_that_are_echoed(length: int) -> None:
    assert judge(EchoLimits(OWN_PORT), 1.0, length=length) is Verdict.ECHO


@pytest.mark.parametrize(("length", "verdict"), [(0, Verdict.EMPTY), (65, Verdict.TOO_LONG)])
def test_lengths_that_are_not(length: int, verdict: Verdict) -> None:
    assert judge(EchoLimits(OWN_PORT), 1.0, length=length) is verdict


@pytest.mark.parametrize("port", [0, 1, 7, 19, 53, 123, 1023, OWN_PORT])
def test_ports_where_something_might_answer_the_answer(port: int) -> None:
    assert judge(EchoLimits(OWN_PORT), 1.0, port=port) is Verdict.SERVICE_PORT


@pytest.mark.parametrize("port", [1024, OWN_PORT - 1, OWN_PORT + 1, 65_535])
def test_other_ports(port: int) -> None:
    assert judge(EchoLimits(OWN_PORT), 1.0, port=port) is Verdict.ECHO


def test_two_hundred_at_once_are_answered_forty_times() -> None:
    limits = EchoLimits(OWN_PORT)
    verdicts = [judge(limits, 1000.0) for _ in range(200)]
    assert verdicts == [Verdict.ECHO] * 40 + [Verdict.SOURCE_RATE] * 160


@pytest.mark.parametrize("start", [0.0, 0.1, 1000.3, 123_456_789.7])
def test_two_hundred_over_a_second_are_answered_some_sixty_times(start: float) -> None:
    limits = EchoLimits(OWN_PORT)
    answered = [judge(limits, start + step / 200) for step in range(200)].count(Verdict.ECHO)
    assert answered in (59, 60)


def test_a_steady_twenty_a_second_is_answered_for_ever() -> None:
    limits = EchoLimits(OWN_PORT)
    assert all(judge(limits, 1.0 + step * 0.05) is Verdict.ECHO for step in range(2_000))


def test_sources_do_not_share_an_allowance() -> None:
    limits = EchoLimits(OWN_PORT)
    for _ in range(200):
        judge(limits, 1.0)
    assert judge(limits, 1.0, host="203.0.113.8") is Verdict.ECHO


def test_ports_of_one_source_share_its_allowance() -> None:
    limits = EchoLimits(OWN_PORT)
    verdicts = [judge(limits, 1.0, port=10_000 + number) for number in range(100)]
    assert verdicts.count(Verdict.ECHO) == 40


def test_what_is_not_echoed_costs_no_allowance() -> None:
    limits = EchoLimits(OWN_PORT)
    for _ in range(500):
        judge(limits, 1.0, length=0)
        judge(limits, 1.0, length=65)
        judge(limits, 1.0, port=53)
    assert [judge(limits, 1.0) for _ in range(40)] == [Verdict.ECHO] * 40
    assert len(limits) == 1


def test_all_sources_together_have_a_limit() -> None:
    limits = EchoLimits(OWN_PORT, EchoRules(total_rate=100, total_burst=50))
    hosts = [f"10.0.{number // 250}.{number % 250}" for number in range(500)]
    verdicts = [judge(limits, 1.0, host=host) for host in hosts]
    assert verdicts == [Verdict.ECHO] * 50 + [Verdict.TOTAL_RATE] * 450
    assert [judge(limits, 1.1, host=host) for host in hosts].count(Verdict.ECHO) == 10
    # Whoever was turned away for the others' sake has its own allowance still.
    assert len(limits) <= 60


def test_who_was_quiet_for_longest_is_forgotten_first() -> None:
    limits = EchoLimits(OWN_PORT, EchoRules(highest_sources=3, source_burst=1))
    for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        assert judge(limits, 1.0, host=host) is Verdict.ECHO
    # A refusal is a sign of life too: an insistent source does not get a new allowance by it.
    assert judge(limits, 1.0, host="10.0.0.1") is Verdict.SOURCE_RATE
    assert judge(limits, 1.0, host="10.0.0.4") is Verdict.ECHO
    assert judge(limits, 1.0, host="10.0.0.1") is Verdict.SOURCE_RATE
    assert judge(limits, 1.0, host="10.0.0.2") is Verdict.ECHO


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%lo", "fe80::2%eth0", True),
    ],
)
def test_what_counts_as_one_source(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same


@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.3),
            st.integers(0, 5),
            st.integers(0, 70),
            st.sampled_from([7, 53, 1023, 1024, 40_000, OWN_PORT]),
        ),
        max_size=300,
    )
)
def test_nobody_ever_gets_more_than_burst_and_rate(datagrams: list[tuple[float, int, int, int]]) -> None:
    rules = EchoRules(source_rate=5, source_burst=3, total_rate=10, total_burst=6, highest_sources=4)
    limits = EchoLimits(OWN_PORT, rules)
    now = 1_000.0
    echoed: list[tuple[float, int]] = []
    for pause, source, length, port in datagrams:
        now += pause
        if judge(limits, now, host=f"10.0.0.{source}", length=length, port=port) is Verdict.ECHO:
            assert 1 <= length <= 64
            assert port >= 1024
            assert port != OWN_PORT
            echoed.append((now, source))
        assert len(limits) <= rules.highest_sources
    for first, (since, _) in enumerate(echoed):
        for last in range(first, len(echoed)):
            seconds = echoed[last][0] - since
            window = [source for _, source in echoed[first : last + 1]]
            assert len(window) <= rules.total_burst + rules.total_rate * seconds + 1e-6
            if len({source for _, source in echoed}) <= rules.highest_sources:
                for source in set(window):
                    assert window.count(source) <= rules.source_burst + rules.source_rate * seconds + 1e-6


@given(st.floats(0, 1e6), st.integers(1, 40))
def test_whoever_rests_has_the_whole_burst_again(start: float, used: int) -> None:
    limits = EchoLimits(OWN_PORT)
    for _ in range(used):
        assert judge(limits, start) is Verdict.ECHO
    assert [judge(limits, start + 2.1) for _ in range(40)] == [Verdict.ECHO] * 40
