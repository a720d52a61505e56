"""What the server counts about its own answers.

Every request is counted, so counting is a few list operations on plain integers; Prometheus objects are made only when
somebody asks for `/metrics`. All on one event loop: no lock is needed. Labels come from the route table, never from a
request, so their number is fixed at start-up.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
UNMATCHED = "unmatched"
"""The route label of requests that no route answers."""

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Meter:
    """Counts the answers of one method on one route."""

    __slots__ = ("durations", "method", "route", "statuses", "total_seconds")

    def __init__(self, method: str, route: str) -> None:
        self.method = method
        self.route = route
        self.statuses = [0] * len(_CLASSES)
        self.durations = [0] * (len(BUCKETS_SECONDS) + 1)
        self.total_seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """One answer with `status` (100..599) that took `seconds`."""
        self.statuses[status // 100 - 1] += 1
        self.durations[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self.total_seconds += seconds


class RequestMetrics(Collector):
    """The meters of one application, in the form that Prometheus reads."""

    def __init__(self) -> None:
        self._meters: list[Meter] = []
        self.in_flight = 0

    def meter(self, method: str, route: str) -> Meter:
        """A new meter. Only for routes of the table: each makes labels for ever."""
        meter = Meter(method, route)
        self._meters.append(meter)
        return meter

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that a registry does not collect just to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families; routes that nobody has called yet are left out."""
        requests = CounterMetricFamily(
            "waymeet_http_requests", "Requests answered", labels=("method", "route", "status")
        )
        durations = HistogramMetricFamily(
            "waymeet_http_request_duration_seconds",
            "Time from a request's head to the end of its answer",
            labels=("method", "route"),
        )
        for meter in self._meters:
            if not any(meter.statuses):
                continue
            for status, count in zip(_CLASSES, meter.statuses, strict=True):
                if count:
                    requests.add_metric((meter.method, meter.route, status), count)
            durations.add_metric((meter.method, meter.route), _cumulated(meter.durations), meter.total_seconds)
        yield requests
        yield durations
        yield GaugeMetricFamily("waymeet_http_requests_in_flight", "Requests being answered", self.in_flight)


def _cumulated(counts: list[int]) -> list[tuple[str, float]]:
    below = 0
    buckets: list[tuple[str, float]] = []
    for edge, count in zip((*map(str, BUCKETS_SECONDS), "+Inf"), counts, strict=True):
        below += count
        buckets.append((edge, below))
    return buckets
