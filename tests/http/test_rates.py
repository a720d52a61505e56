"""Rate limits (contract 1.9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import running
from tests.http.table import OTHER_KEY
from waymeet.http.buckets import TokenBuckets
from waymeet.http.limits import HttpLimits, RateClass
from waymeet.http.rates import RateLimits
from waymeet.model.errors import TooManyRequests
from waymeet.model.ids import OrganisationId

FIRST, SECOND = OrganisationId("first"), OrganisationId("second")


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


class TestRateLimits:
    def limits(self, hand: Hand) -> RateLimits:
        rates = {RateClass.CREATE_DEPLOYMENT: 2.0, RateClass.OTHER: 0.0}
        return RateLimits(rates, burst_seconds=2.0, tracked_organisations=10, monotonic=hand)

    def test_a_burst_then_the_rate(self) -> None:
        hand = Hand()
        limits = self.limits(hand)
        for _ in range(4):
            limits.take(FIRST, RateClass.CREATE_DEPLOYMENT)
        with pytest.raises(TooManyRequests, match="2 create deployment calls per second") as refused:
            limits.take(FIRST, RateClass.CREATE_DEPLOYMENT)
        assert refused.value.retry_after == pytest.approx(0.5)
        hand.seconds += 0.5
        limits.take(FIRST, RateClass.CREATE_DEPLOYMENT)
        with pytest.raises(TooManyRequests):
            limits.take(FIRST, RateClass.CREATE_DEPLOYMENT)

    def test_organisations_and_classes_are_apart(self) -> None:
        limits = self.limits(Hand())
        for _ in range(4):
            limits.take(FIRST, RateClass.CREATE_DEPLOYMENT)
        limits.take(SECOND, RateClass.CREATE_DEPLOYMENT)
        limits.take(FIRST, RateClass.DEPLOYMENT_LIST)

    def test_zero_and_missing_are_unlimited(self) -> None:
        limits = self.limits(Hand())
        for _ in range(5000):
            limits.take(FIRST, RateClass.OTHER)
            limits.take(FIRST, RateClass.DEPLOYMENT_STATUS)


class TestTokenBuckets:
    def test_memory_is_bounded(self) -> None:
        buckets: TokenBuckets[int] = TokenBuckets(1.0, burst_seconds=1.0, capacity=100, monotonic=Hand())
        for key in range(10_000):
            buckets.take(key)
        assert len(buckets) == 100

    @given(steps=st.lists(st.floats(0, 3), max_size=200), rate=st.floats(0.5, 50))
    def test_never_more_than_burst_and_rate_allow(self, steps: list[float], rate: float) -> None:
        hand = Hand()
        buckets: TokenBuckets[str] = TokenBuckets(rate, burst_seconds=2.0, capacity=1, monotonic=hand)
        granted = 0
        for step in steps:
            hand.seconds += step
            granted += buckets.take("key") == 0
        assert granted <= max(1.0, rate * 2.0) + sum(steps) * rate + 1e-6 + 1

    def test_waiting_as_long_as_told_is_enough(self) -> None:
        hand = Hand()
        buckets: TokenBuckets[str] = TokenBuckets(3.0, burst_seconds=1.0, capacity=1, monotonic=hand)
        while not (wait := buckets.take("key")):
            pass
        hand.seconds += wait + 1e-9
        assert buckets.take("key") == 0


def test_over_the_wire() -> None:
    limits = HttpLimits(rates={RateClass.CREATE_DEPLOYMENT: 0.001})
    with running(limits=limits) as server, server.client() as client, server.client(OTHER_KEY) as other:
        for _ in range(20):
            assert client.post("/v1/deploy", headers={"authorization": "token nobody"}).status_code == 401
        assert client.post("/v1/deploy").status_code == 200, "calls that failed to authenticate must not count"
        refused = client.post("/v1/deploy")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "message" in refused.json()
        assert other.post("/v1/deploy").status_code == 200
        assert client.get("/v1/session/x").status_code == 200
