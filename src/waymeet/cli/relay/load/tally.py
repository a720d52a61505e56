"""What became of datagrams."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

MILLISECONDS = 1_000
PERCENTILES = (50, 95, 99)


@dataclass
class Tally:
    """All players together."""

    sent: int = 0
    reached_host: int = 0
    """Arrived at the host, each time counted."""
    received: int = 0
    """Came back to the client that had sent them, each counted once."""
    duplicated: int = 0
    """Came back once more."""
    reordered: int = 0
    """Came back after one that was sent later."""
    misdelivered: int = 0
    """Arrived at somebody whom they were not for."""
    damaged: int = 0
    """Arrived with other bytes than were sent."""
    foreign: int = 0
    """Not of this test: somebody else plays in the session, or did a moment ago."""
    unsent: int = 0
    """Kept back by this machine, whose buffers were full or whose network said no."""
    latest_ms: float = 0.0
    """How late the latest was sent: this machine had no time."""
    trips: "array[float]" = field(default_factory=lambda: array("d"))
    """Milliseconds there and back, of each that was received."""

    @property
    def lost(self) -> int:
        return self.sent - self.received

    @property
    def lost_percent(self) -> float:
        return 100 * self.lost / self.sent if self.sent else 0.0


class Track:
    """The datagrams of one client, by number."""

    __slots__ = ("_came", "_highest", "_tally")

    def __init__(self, tally: Tally, rounds: int) -> None:
        self._tally = tally
        self._came = bytearray(rounds)
        self._highest = -1

    def came(self, number: int, seconds: float) -> None:
        """Number `number` is back, so long after it was sent."""
        tally = self._tally
        if number >= len(self._came):
            tally.damaged += 1
            return
        if self._came[number]:
            tally.duplicated += 1
            return
        self._came[number] = 1
        tally.received += 1
        tally.trips.append(seconds * MILLISECONDS)
        if number < self._highest:
            tally.reordered += 1
        else:
            self._highest = number


def percentiles(milliseconds: Sequence[float]) -> dict[str, float] | None:
    """`p50`, `p95`, `p99` and `max` (each a value that occurred), or `None` of nothing."""
    if not milliseconds:
        return None
    ordered = sorted(milliseconds)
    found = {f"p{percent}": ordered[(len(ordered) - 1) * percent // 100] for percent in PERCENTILES}
    return {name: round(value, 3) for name, value in (found | {"max": ordered[-1]}).items()}
