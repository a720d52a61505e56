"""From slices to figures: ratios of neighbours, their spread, and whether a goal is reached."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, and the quartiles around it."""

    median: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lower:.2f}-{self.upper:.2f})"


@dataclass(frozen=True, slots=True)
class Slice:
    """What the load generator saw of one relay in a moment of time (`load/run.h`: `tally`)."""

    seconds: float
    measured: int
    relay_nanoseconds: int
    own_nanoseconds: int
    sent: int
    received: int
    misdelivered: int
    malformed: int
    reordered: int
    slipped: int
    own_overflows: int
    latency_50: int
    latency_99: int

    @property
    def rate(self) -> float:
        """Datagrams per second that arrived."""
        return self.measured / self.seconds

    @property
    def cost(self) -> float:
        """Nanoseconds of the relay's CPU time per datagram that arrived."""
        return self.relay_nanoseconds / max(self.measured, 1)

    @property
    def busy(self) -> float:
        """The share of a core that the relay used."""
        return self.relay_nanoseconds / 1e9 / self.seconds

    @property
    def lost(self) -> int:
        """Datagrams that the relay, and not the generator's own socket, has lost."""
        return max(self.sent - self.received - self.own_overflows, 0)

    @property
    def wrong(self) -> int:
        """Datagrams that came otherwise than they were sent."""
        return self.misdelivered + self.malformed + self.reordered


Figure = Callable[[Slice], float]


def spread(values: Sequence[float]) -> Spread:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return Spread(median, lower, upper)


def ratios(ours: Sequence[Slice], theirs: Sequence[Slice], figure: Figure) -> list[float]:
    """Round by round: slices of one round are neighbours, so that both saw the same machine."""
    pairs = [(figure(one), figure(other)) for one, other in zip(ours, theirs, strict=True)]
    return [one / other for one, other in pairs if other > 0]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure must not cross."""

    text: str
    bound: float
    is_floor: bool

    def is_reached(self, value: float) -> bool:
        return value >= self.bound if self.is_floor else value <= self.bound

    def verdict(self, value: float) -> str:
        return "reached" if self.is_reached(value) else "**missed**"
