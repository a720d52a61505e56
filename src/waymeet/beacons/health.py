"""When a beacon counts as answering: pure, told of each check and the time."""

from collections.abc import Iterable
from dataclasses import dataclass

from waymeet.beacons.types import Beacon

CHECK_SECONDS = 3.0
RETRY_SECONDS = 1.0
"""Until the next check after one without an answer."""
MISSES = 3
"""So many in a row, and a beacon is no longer listed. A single answer lists it again."""


@dataclass(slots=True)
class _Record:
    listed: bool = False
    misses: int = 0
    due_at: float = 0.0


class BeaconHealth:
    """The health of every beacon that is known; holds nothing of any other. Times in monotonic seconds."""

    def __init__(self) -> None:
        self._records: dict[Beacon, _Record] = {}
        self.delistings = 0
        """How often a beacon stopped answering since the start."""

    @property
    def known(self) -> int:
        return len(self._records)

    @property
    def listed(self) -> int:
        return sum(record.listed for record in self._records.values())

    def know(self, beacons: Iterable[Beacon]) -> None:
        """These are all. New ones, or those that moved, are due at once; what is not among them is forgotten."""
        self._records = {beacon: self._records.get(beacon) or _Record() for beacon in beacons}

    def is_listed(self, beacon: Beacon) -> bool:
        record = self._records.get(beacon)
        return record is not None and record.listed

    def due(self, now: float) -> list[Beacon]:
        """The beacons to be checked now."""
        return [beacon for beacon, record in self._records.items() if record.due_at <= now]

    def seconds_to_next(self, now: float) -> float | None:
        """How long nothing is due; `None` without beacons."""
        return min((max(0.0, record.due_at - now) for record in self._records.values()), default=None)

    def answered(self, beacon: Beacon, now: float) -> None:
        if (record := self._records.get(beacon)) is not None:
            record.listed, record.misses, record.due_at = True, 0, now + CHECK_SECONDS

    def missed(self, beacon: Beacon, now: float) -> bool:
        """A check without an answer; whether the beacon is no longer listed because of it."""
        if (record := self._records.get(beacon)) is None:
            return False
        record.misses += 1
        # What has been silent for long is asked at the slower pace again.
        record.due_at = now + (RETRY_SECONDS if record.misses < MISSES else CHECK_SECONDS)
        delisted = record.listed and record.misses >= MISSES
        if delisted:
            record.listed = False
            self.delistings += 1
        return delisted
