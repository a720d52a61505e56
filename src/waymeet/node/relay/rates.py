"""Token buckets, one number each, in whole nanoseconds, so that nothing is rounded."""

from dataclasses import dataclass

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How much may pass: so many units per second, and so many at once after a rest."""

    interval: int
    """What one unit costs, in nanoseconds; 0: everything passes."""
    tolerance: int
    """What may be spent ahead of time, in nanoseconds."""


UNLIMITED = Rate(0, 0)


def rate(per_second: int, burst: int) -> Rate:
    """`per_second` units per second, `burst` at once. Where either is 0, nothing passes.

    A unit costs a whole number of nanoseconds, rounded down: rates above ten million per second are coarse.
    """
    if per_second == 0 or burst == 0:
        return Rate(1, 0)
    interval = NANOSECONDS // per_second
    return Rate(interval, interval * burst)


class Bucket:
    """How much of a rate has been used (generic cell rate algorithm): what is kept is when it will be full again."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at = 0

    def take(self, allowed: Rate, units: int, now: int) -> bool:
        """Take `units` if all of them are there; otherwise nothing is taken, and the answer is `False`."""
        full_at = max(self._full_at, now) + allowed.interval * units
        if full_at - now <= allowed.tolerance or allowed.interval == 0:
            self._full_at = full_at
            return True
        return False

    def has_one(self, allowed: Rate, now: int) -> bool:
        """Whether one more unit is there."""
        full_at = max(self._full_at, now) + allowed.interval
        return full_at - now <= allowed.tolerance or allowed.interval == 0
