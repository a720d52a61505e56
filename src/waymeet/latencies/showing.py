"""What an organisation is shown of a measurement; pure.

Nodes' measurements serve every organisation, whoever's players they were made for. Exact figures would tell of the others:
when their players came and how many, by age, number of samples, and every small step of the milliseconds. So these are
coarse. What an organisation reported itself it is shown as it is.
"""

from dataclasses import dataclass, replace
from math import ceil

from waymeet.latencies.trust import age_seconds, latency
from waymeet.model.instant import Instant, after
from waymeet.model.latency import Measurement, Origin

COARSE_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Shown:
    """A measurement as it is shown. Times in milliseconds where the name does not say otherwise."""

    site: str
    origin: Origin
    ms: float
    uncertainty_ms: float
    jitter_ms: float
    age_seconds: float
    samples: int | None
    """`None` of what nodes measured."""


def shown(measurement: Measurement, now: Instant) -> Shown:
    """The measurement as the organisation that reported it sees it, or anybody where a node made it.

    Of the latter times are whole milliseconds, the age is rounded up to the hour, and the uncertainty is what follows from
    these and a single sample: more than placement reckons with.
    """
    if measurement.origin is not Origin.MEASURED:
        return _shown(measurement, now, measurement.samples)
    age = max(1, ceil(age_seconds(measurement, now) / COARSE_SECONDS)) * COARSE_SECONDS
    coarse = replace(
        measurement,
        ms=float(max(1, round(measurement.ms))),  # 0 stands for "not measured" elsewhere.
        jitter_ms=float(round(measurement.jitter_ms)),
        samples=1,
        measured_at=after(now, -age),
    )
    return _shown(coarse, now, None)


def _shown(measurement: Measurement, now: Instant, samples: int | None) -> Shown:
    return Shown(
        measurement.site,
        measurement.origin,
        round(measurement.ms, 3),
        round(latency(measurement, now).uncertainty_ms, 3),
        round(measurement.jitter_ms, 3),
        round(age_seconds(measurement, now), 3),
        samples,
    )
