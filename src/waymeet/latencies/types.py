"""What is remembered of measured round-trip times, and the rules about it."""

from dataclasses import dataclass

from waymeet.model.instant import Instant
from waymeet.model.latency import Measurement

OUR_NODES = ""
"""The owner of what nodes measured, which serves every organisation. What players report serves only the organisation
whose token brought it: its id is the owner."""

MOST_NETWORKS = 32
"""Networks that one request may have measured; of a larger group the others go by what is known."""
MOST_SITES = 12
"""Locations that are asked for one request."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one owner knows between a network and a site."""

    owner: str
    prefix: str
    site: str
    asked_at: Instant
    """When somebody last tried to measure, answered or not."""
    measurement: Measurement | None
    """`None`: nothing there ever answered."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Round-trip times that were taken together, oldest first; none when nothing answered."""

    prefix: str
    site: str
    samples_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LatencyRules:
    """What the operator decides about measuring."""

    probing: bool = True
    """Whether nodes are asked at all."""
    allow_private: bool = False
    """Whether they are asked about addresses that are not on the internet."""
    wait_seconds: float = 0.3
    """How long a request waits for nodes' answers at most."""
    fresh_seconds: float = 600.0
    """How long an attempt to measure makes a further one unnecessary."""
    keep_seconds: float = 86_400.0
    """Older measurements are forgotten."""
    rows: int = 1_000_000
    """Of nodes' measurements; and of each organisation's reports a tenth of it."""

    def most_rows(self, owner: str) -> int:
        """How many rows of one owner are kept."""
        return self.rows if owner == OUR_NODES else max(1, self.rows // 10)
