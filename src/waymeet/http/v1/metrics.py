"""What a deployment's server uses (contract 3.6)."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from waymeet.deployments.service import DeploymentService
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.model.errors import Unsatisfiable
from waymeet.model.instant import MICROSECONDS, Instant, metrics_timestamp
from waymeet.model.servers import Reading

_STEPS = re.compile(r"([1-9][0-9]{0,4})(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
DEFAULT_STEP_SECONDS = 30
_TIME = r"2021-07-14 14:17:37"


class MetricQuery(Struct, frozen=True):
    start_time: Annotated[str, Meta(description=f"UTC, such as `{_TIME}`.")] | None = None
    end_time: Annotated[str, Meta(description=f"UTC, such as `{_TIME}`.")] | None = None
    steps: Annotated[str, Meta(description="Distance of the points: `30s`, `1m`, `1h`.")] | None = None
    raw: Annotated[str, Meta(description="`true`: every reading, unmerged.")] | None = None


class Series(Struct, frozen=True):
    labels: list[str]
    datasets: list[float]
    timestamps: list[str]


class Totals(Struct, frozen=True):
    receive_total: Series
    transmit_total: Series
    disk_read_total: Series
    disk_write_total: Series


class Network(Struct, frozen=True):
    receive: Series
    transmit: Series


class Metrics(Struct, frozen=True):
    total: Totals
    cpu: Series
    mem: Series
    network: Network
    cpu_throttle_rate: Series
    cpu_throttle_total: Series


class MetricEndpoints:
    """Readings of a running deployment. What a driver cannot tell stays an empty series."""

    def __init__(self, service: DeploymentService) -> None:
        self._service = service

    async def read_metrics(self, call: Call[None, MetricQuery]) -> Metrics:
        query = call.query
        start, end = _time("start_time", query.start_time), _time("end_time", query.end_time)
        if start is not None and end is not None and start >= end:
            raise Unsatisfiable("start_time must lie before end_time")
        step = _step(query.steps)
        readings = [
            reading
            for reading in await self._service.readings(call.caller.organisation, call.path["request_id"])
            if (start is None or reading.at >= start) and (end is None or reading.at <= end)
        ]
        if (query.raw or "").lower() != "true":
            readings = _thinned(readings, step)
        return _metrics(readings)

    def table(self) -> list[Endpoint[Any, Any]]:
        """The row of the route table."""
        return [
            Endpoint(
                method="GET", path="/v1/metrics/deployment/{request_id}", handler=self.read_metrics,
                summary="Read what the game server uses",
                contract="3.6", tag="Deployments", query=MetricQuery, answers={200: Metrics}, errors=(404, 422, 503),
            )
        ]  # fmt: skip


def _time(name: str, text: str | None) -> Instant | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Unsatisfiable(f"{name}: write a UTC time such as {_TIME}") from None
    return Instant(round(seconds * MICROSECONDS))


def _step(text: str | None) -> int:
    if text is None:
        return DEFAULT_STEP_SECONDS
    match = _STEPS.fullmatch(text)
    if match is None:
        raise Unsatisfiable("steps: write a number and s, m or h, such as 30s")
    return int(match[1]) * _SECONDS[match[2]]


def _thinned(readings: Sequence[Reading], step_seconds: int) -> list[Reading]:
    """The last reading of each step."""
    last: dict[int, Reading] = {}
    for reading in readings:
        last[reading.at // (step_seconds * MICROSECONDS)] = reading
    return list(last.values())


def _metrics(readings: Sequence[Reading]) -> Metrics:
    nothing = Series([], [], [])
    return Metrics(
        total=Totals(
            receive_total=_series("receive_total", readings, lambda reading: reading.received_bytes),
            transmit_total=_series("transmit_total", readings, lambda reading: reading.transmitted_bytes),
            disk_read_total=_series("disk_read_total", readings, lambda reading: reading.disk_read_bytes),
            disk_write_total=_series("disk_write_total", readings, lambda reading: reading.disk_written_bytes),
        ),
        cpu=_series("cpu", readings, lambda reading: reading.cpu_fraction),
        mem=_series("mem", readings, lambda reading: reading.memory_bytes),
        network=Network(
            receive=_series("receive", readings, lambda reading: reading.received_bytes),
            transmit=_series("transmit", readings, lambda reading: reading.transmitted_bytes),
        ),
        cpu_throttle_rate=nothing,
        cpu_throttle_total=nothing,
    )


def _series(label: str, readings: Sequence[Reading], value: Callable[[Reading], float | None]) -> Series:
    known = [(reading.at, number) for reading in readings if (number := value(reading)) is not None]
    if not known:
        return Series([], [], [])
    return Series([label], [float(number) for _, number in known], [metrics_timestamp(at) for at, _ in known])
