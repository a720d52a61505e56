"""How a new batch of samples changes what is known; pure.

A batch stands for its lowest sample. On one path everything that varies, queues above all, only ever adds time, so the
lowest of a few is nearest to what the path costs; congestion control takes its round-trip propagation time likewise (N.
Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14, 2016).

Batches are smoothed, each counting at least as much as RFC 6298 (section 2.3) lets a sample count, an eighth. There samples
come every round trip; here minutes or hours lie between two, and the path may be another one by now. So what was known
before loses half of its weight with every `half_life_seconds`: a route that changed shows from the first batch after it.
"""

from dataclasses import replace

from waymeet.latencies.types import Batch, Record
from waymeet.model.instant import MICROSECONDS, Instant
from waymeet.model.latency import Measurement, Origin

LEAST_GAIN = 1 / 8
MOST_SAMPLES = 1_000


def merged(
    before: Record | None, batch: Batch, owner: str, origin: Origin, now: Instant, half_life_seconds: float
) -> Record:
    """The record after `batch`. One without samples changes nothing but the time of the last attempt."""
    known = before.measurement if before is not None else None
    if not batch.samples_ms:
        return Record(owner, batch.prefix, batch.site, now, known)
    lowest = min(batch.samples_ms)
    steps = [abs(one - other) for one, other in zip(batch.samples_ms, batch.samples_ms[1:], strict=False)]
    new = Measurement(
        prefix=batch.prefix,
        site=batch.site,
        ms=lowest,
        jitter_ms=_mean(steps),
        samples=min(MOST_SAMPLES, len(batch.samples_ms)),
        origin=origin,
        measured_at=now,
    )
    if known is not None:
        gain = _gain(known.measured_at, now, half_life_seconds)
        new = replace(
            new,
            ms=known.ms + gain * (lowest - known.ms),
            # From one batch to the next is a step like any other: it is how players of one network differ.
            jitter_ms=known.jitter_ms + gain * (_mean([*steps, abs(lowest - known.ms)]) - known.jitter_ms),
            samples=min(MOST_SAMPLES, round(known.samples * (1 - gain)) + new.samples),
        )
    return Record(owner, batch.prefix, batch.site, now, new)


def _gain(since: Instant, now: Instant, half_life_seconds: float) -> float:
    # A clock that was set back makes no sample older than it is.
    age = max(0, now - since) / MICROSECONDS
    kept: float = 0.5 ** (age / half_life_seconds)
    return max(LEAST_GAIN, 1 - kept)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
