"""Points in time as integer microseconds since the Unix epoch, and how the contract writes them."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NewType, Protocol

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00Z. An integer sorts, stores and compares alike in both databases."""

MICROSECONDS = 1_000_000
MINUTE = 60 * MICROSECONDS


class Clock(Protocol):
    """The only way for our code to learn the time; tests pass one that they move by hand."""

    def now(self) -> Instant:
        """Wall-clock time; may step backwards when the machine's clock is set."""

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything."""


def after(start: Instant, seconds: float) -> Instant:
    """The instant `seconds` later (earlier when negative)."""
    return Instant(start + round(seconds * MICROSECONDS))


def elapsed_seconds(start: Instant, end: Instant) -> int:
    """Whole seconds from `start` to `end`, never negative (contract 1.7)."""
    return max(0, (end - start) // MICROSECONDS)


def v1_timestamp(instant: Instant) -> str:
    """`2025-07-01 12:00:28.857725`: UTC, six fractional digits even when zero, no zone (contract 1.7)."""
    seconds, microseconds = divmod(instant, MICROSECONDS)
    return f"{_to_the_second(seconds)}.{microseconds:06d}"


# Formatting a date costs more than everything else in a small answer; the same seconds come up again and again.
@lru_cache(4096)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def metrics_timestamp(instant: Instant) -> str:
    """`2021-07-14 14:17:37.711`: the millisecond form that the metrics answers use (contract 1.7)."""
    return v1_timestamp(instant)[:-3]
