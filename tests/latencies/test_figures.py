"""How samples become one number, how far it is believed, and which of two counts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waymeet.latencies.merging import LEAST_GAIN, MOST_SAMPLES, merged
from waymeet.latencies.trust import DRIFT_MS_PER_HOUR, NETWORK_MS, REPORT_MS, latency, preferred
from waymeet.latencies.types import OUR_NODES, Batch, Record
from waymeet.model.instant import MICROSECONDS, Instant, after
from waymeet.model.latency import Measurement, Origin

START = Instant(1_750_000_000 * MICROSECONDS)
HALF_LIFE = 600.0
milliseconds = st.floats(0.01, 9_999.0)


def merge(before: Record | None, *samples: float, at: float = 0.0) -> Record:
    batch = Batch("8.8.8.0/24", "Paris", samples)
    return merged(before, batch, OUR_NODES, Origin.MEASURED, after(START, at), HALF_LIFE)


def known(record: Record) -> Measurement:
    assert record.measurement is not None
    return record.measurement


def test_the_lowest_of_a_batch_and_the_steps_between_neighbours() -> None:
    found = known(merge(None, 24.0, 20.0, 30.0))
    assert (found.ms, found.jitter_ms, found.samples, found.measured_at) == (20.0, 7.0, 3, START)
    assert known(merge(None, 24.0)).jitter_ms == 0.0


def test_silence_changes_nothing_but_the_last_attempt() -> None:
    first = merge(None, 20.0)
    assert merge(first, at=60.0) == replace(first, asked_at=after(START, 60.0))
    assert merge(None).measurement is None


def test_recent_samples_win() -> None:
    first = merge(None, 100.0, 100.0)
    assert known(merge(first, 20.0)).ms == 100.0 - LEAST_GAIN * 80.0
    assert known(merge(first, 20.0, at=HALF_LIFE)).ms == pytest.approx(60.0)
    assert known(merge(first, 20.0, at=2 * HALF_LIFE)).ms == pytest.approx(40.0)
    late = known(merge(first, 20.0, at=100 * HALF_LIFE))
    assert late.ms == pytest.approx(20.0)
    assert late.samples == 1
    # The step from one batch to the next counts as jitter.
    assert known(merge(first, 20.0, at=HALF_LIFE)).jitter_ms == pytest.approx(40.0)


def test_a_clock_that_was_set_back_does_no_harm() -> None:
    first = merge(None, 100.0)
    assert known(merge(first, 20.0, at=-1e6)).ms == 90.0
    assert latency(known(first), after(START, -1e6)).uncertainty_ms == latency(known(first), START).uncertainty_ms


@given(st.lists(st.tuples(st.lists(milliseconds, max_size=5), st.floats(0, 1e5)), min_size=1, max_size=30))
def test_it_stays_between_the_lowest_and_the_highest(batches: list[tuple[list[float], float]]) -> None:
    record: Record | None = None
    now = 0.0
    for samples, pause in batches:
        now += pause
        record = merge(record, *samples, at=now)
    assert record is not None
    seen = [ms for samples, _ in batches for ms in samples]
    if record.measurement is None:
        assert not seen
        return
    assert min(seen) - 1e-6 <= record.measurement.ms <= max(seen) + 1e-6
    assert 0 <= record.measurement.jitter_ms <= max(seen) - min(seen) + 1e-6
    assert 1 <= record.measurement.samples <= MOST_SAMPLES


MEASURED = Measurement("8.8.8.0/24", "Paris", 100.0, 8.0, 4, Origin.MEASURED, START)
REPORTED = replace(MEASURED, ms=30.0, origin=Origin.REPORTED)


def test_uncertainty_to_the_number() -> None:
    assert latency(MEASURED, START).uncertainty_ms == NETWORK_MS + 2 * 8.0 / 2
    assert latency(MEASURED, after(START, 7200)).uncertainty_ms == NETWORK_MS + 8.0 + 2 * DRIFT_MS_PER_HOUR
    assert latency(replace(MEASURED, origin=Origin.REPORTED), START).uncertainty_ms == NETWORK_MS + 8.0 + REPORT_MS
    # Samples that agree may all have been lucky.
    assert latency(replace(MEASURED, jitter_ms=0.0), START).uncertainty_ms == NETWORK_MS + 2 * 5.0 / 2


@given(milliseconds, st.floats(0, 1000), st.integers(1, 100), st.floats(0, 1e6))
def test_uncertainty_grows_with_jitter_and_age_and_falls_with_samples(
    ms: float, jitter: float, samples: int, age: float
) -> None:
    one = Measurement("p", "s", ms, jitter, samples, Origin.MEASURED, START)
    now = after(START, age)
    found = latency(one, now).uncertainty_ms
    assert found >= NETWORK_MS
    assert latency(one, after(now, 60)).uncertainty_ms > found
    assert latency(replace(one, jitter_ms=jitter + 1), now).uncertainty_ms >= found
    assert latency(replace(one, samples=samples + 1), now).uncertainty_ms < found
    assert latency(replace(one, origin=Origin.REPORTED), now).uncertainty_ms > found


def test_which_of_two_counts() -> None:
    fresh = 600.0

    def counts(probe_age: float, report_age: float) -> Measurement | None:
        now = after(START, 1e5)
        probed = replace(MEASURED, measured_at=after(now, -probe_age))
        reported = replace(REPORTED, measured_at=after(now, -report_age))
        return preferred(probed, reported, now, fresh)

    for probe_age, report_age, origin in (
        (0, 0, Origin.MEASURED),
        (600, 0, Origin.MEASURED),
        (601, 0, Origin.REPORTED),
        (601, 600, Origin.REPORTED),
        (601, 601, Origin.MEASURED),
        (90_000, 700, Origin.MEASURED),
    ):
        chosen = counts(probe_age, report_age)
        assert chosen is not None
        assert chosen.origin is origin, (probe_age, report_age)
    assert preferred(None, REPORTED, START, fresh) == REPORTED
    assert preferred(MEASURED, None, START, fresh) == MEASURED
    assert preferred(None, None, START, fresh) is None
