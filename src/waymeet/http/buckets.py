"""Token buckets: how often something may happen, remembered for a bounded number of keys."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class TokenBuckets(Generic[Key]):
    """One bucket for each key. A full bucket holds `rate * burst_seconds` tokens (at least one) and refills at `rate`.

    Holds at most `capacity` buckets and forgets the oldest first; a key that is forgotten starts with a full bucket
    again. `monotonic` is in seconds.
    """

    def __init__(self, rate: float, *, burst_seconds: float, capacity: int, monotonic: Callable[[], float]) -> None:
        assert rate > 0
        self._rate = rate
        self._burst = max(1.0, rate * burst_seconds)
        self._capacity = capacity
        self._monotonic = monotonic
        self._buckets: dict[Key, list[float]] = {}

    def take(self, key: Key) -> float:
        """Takes a token: 0 when there was one, otherwise the seconds until there is, and nothing was taken."""
        now = self._monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._capacity:
                del self._buckets[next(iter(self._buckets))]
            self._buckets[key] = [self._burst - 1.0, now]
            return 0.0
        tokens = min(self._burst, bucket[0] + (now - bucket[1]) * self._rate)
        bucket[1] = now
        if tokens < 1.0:
            bucket[0] = tokens
            return (1.0 - tokens) / self._rate
        bucket[0] = tokens - 1.0
        return 0.0

    def __len__(self) -> int:
        return len(self._buckets)
