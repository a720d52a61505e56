"""What a group may cost at most, and what is good enough."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Milliseconds for the group's worst-served player; `None` where there is no such limit."""

    optimal_ms: float | None = None
    """Locations up to here are equally good, so that running servers there are filled before others."""
    rejected_ms: float | None = None
    """Locations beyond are not used at all."""
    cap_ms: float | None = None
    """Locations beyond are not used yet: somebody may leave a seat nearer by."""

    @property
    def highest_ms(self) -> float | None:
        """Beyond this a location is out of question now."""
        return min((limit for limit in (self.rejected_ms, self.cap_ms) if limit is not None), default=None)


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class LatencyStep:
    """For so many seconds no location above `max_ms` is used; after the last step any."""

    max_ms: float
    seconds: float


def caps_after(steps: Sequence[LatencyStep], waited_seconds: float) -> list[float]:
    """The caps of the step that a group is in after so long, and of all later ones; none when the steps are over."""
    end = 0.0
    for position, step in enumerate(steps):
        end += step.seconds
        if waited_seconds < end:
            return [each.max_ms for each in steps[position:]]
    return []
