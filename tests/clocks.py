"""A clock that moves when a test says so."""

from waymeet.model.instant import MICROSECONDS, Instant

START = Instant(1_751_371_228_857_725)
"""2025-07-01 12:00:28.857725, the moment in the contract's examples."""


class ManualClock:
    """Both times move together, and only forward unless a test sets the wall clock back."""

    def __init__(self, start: Instant = START) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> Instant:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now = Instant(self._now + round(seconds * MICROSECONDS))
        self._monotonic += seconds
