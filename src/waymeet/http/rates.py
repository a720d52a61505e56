"""How many calls an organisation may make (contract 1.9)."""

from collections.abc import Callable, Mapping

from waymeet.http.buckets import TokenBuckets
from waymeet.http.limits import RateClass
from waymeet.model.errors import TooManyRequests
from waymeet.model.ids import OrganisationId


class RateLimits:
    """Token buckets for each organisation and class. A class without a rate, or with rate 0, is unlimited."""

    def __init__(
        self,
        rates: Mapping[RateClass, float],
        *,
        burst_seconds: float,
        tracked_organisations: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._rates = dict(rates)
        self._buckets: dict[RateClass, TokenBuckets[OrganisationId]] = {
            rate_class: TokenBuckets(
                rate, burst_seconds=burst_seconds, capacity=tracked_organisations, monotonic=monotonic
            )
            for rate_class, rate in rates.items()
            if rate
        }

    def take(self, organisation: OrganisationId, rate_class: RateClass) -> None:
        """Counts one call; `TooManyRequests` when it is over the limit, which costs nothing."""
        buckets = self._buckets.get(rate_class)
        if buckets is not None and (wait := buckets.take(organisation)):
            kind = rate_class.value.replace("_", " ")
            raise TooManyRequests(f"more than {self._rates[rate_class]:g} {kind} calls per second: slow down", wait)
