"""How far a measurement is to be believed: its uncertainty, and which of two counts; pure."""

from math import sqrt

from waymeet.model.instant import MICROSECONDS, Instant
from waymeet.model.latency import Latency, Measurement, Origin

NETWORK_MS = 5.0
"""A network is not one player: behind one prefix are fibre, cable and radio. Half of what `geo.distance` takes for an
access link."""
LEAST_SPREAD = 0.05
"""Of the round-trip time. Samples taken within a tenth of a second do not show what a busy evening does."""
DRIFT_MS_PER_HOUR = 1.0
"""For routes that change: a day old, a measurement is as vague as an estimate."""
REPORT_MS = 16.0
"""Clients look at their sockets once a frame, 16 ms at 60 Hz, or every 10 ms (contract, beacons, section 2), and take few
samples."""


def latency(measurement: Measurement, now: Instant) -> Latency:
    """The measurement as placement takes it.

    Its uncertainty is the network's spread, twice the standard error of the samples, drift with age, and for what clients
    report the coarseness of their timers.
    """
    spread = max(measurement.jitter_ms, LEAST_SPREAD * measurement.ms)
    uncertainty = NETWORK_MS + 2 * spread / sqrt(max(1, measurement.samples))
    uncertainty += DRIFT_MS_PER_HOUR * age_seconds(measurement, now) / 3600
    if measurement.origin is Origin.REPORTED:
        uncertainty += REPORT_MS
    return Latency(measurement.ms, measurement.origin, uncertainty)


def preferred(
    probed: Measurement | None, reported: Measurement | None, now: Instant, fresh_seconds: float
) -> Measurement | None:
    """Which of the two counts for a network and a site.

    A client may say what it likes, to be put on a server that suits it; a node has no reason to. So a probe counts as long
    as it is fresh, whatever was reported since. One that is not, and could not be repeated, gives way to a report that is.
    """
    if probed is None or reported is None:
        return probed or reported
    stale = age_seconds(probed, now) > fresh_seconds
    return reported if stale and age_seconds(reported, now) <= fresh_seconds else probed


def age_seconds(measurement: Measurement, now: Instant) -> float:
    """How old it is; never negative, whatever the machine's clock does."""
    return max(0, now - measurement.measured_at) / MICROSECONDS
