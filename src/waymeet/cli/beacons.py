"""`waymeet beacons`: which beacons there are, and how far they are from here."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from waymeet.client import Beacon, Client, PingTransport, RoundTrips, ping_async

AT_ONCE = 32
"""Beacons asked at once: more would measure this machine instead."""
PLAIN_WIDTH = 200
"""Whoever reads this with a program wants whole lines."""


@dataclass
class _Measured:
    beacon: Beacon
    trips: RoundTrips = RoundTrips(0)

    @property
    def order(self) -> tuple[bool, float, str]:
        mean = self.trips.mean_ms
        return mean is None, mean or 0.0, self.beacon.location.city


def show(client: Client, *, as_json: bool) -> int:
    """Print the beacons that answer the server; the exit code, 1 when there is none."""
    beacons = client.beacons.all()
    if as_json:
        print(json.dumps({"beacons": [_described(beacon) for beacon in beacons]}))
    else:
        table = _table("city", "country", "address", "udp", "tcp")
        for beacon in beacons:
            place = beacon.location
            table.add_row(place.city, place.country, beacon.host, str(beacon.udp_port), str(beacon.tcp_port))
        _console().print(table)
    return 0 if beacons else _nobody()


def measure(
    client: Client, *, count: int, timeout: float, transport: PingTransport, as_json: bool, report: bool
) -> int:
    """Measure every listed beacon from here and print the nearest first; the exit code, 1 when none answers.

    With `report` the server is told what this machine measured, as a player's game would.
    """
    measured = [_Measured(beacon) for beacon in client.beacons.all()]
    if not measured:
        return _nobody()
    console = Console(stderr=True) if as_json else _console()
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    asyncio.run(_measure_all(measured, count, timeout, transport, live))
    measured.sort(key=lambda one: one.order)
    if as_json:
        print(json.dumps({"transport": transport.value, "beacons": [_result(one) for one in measured]}))
    else:
        console.print(_results(measured))
    means = {one.beacon.location.city: mean for one in measured if (mean := one.trips.mean_ms) is not None}
    if not means:
        Console(stderr=True).print(
            f"no beacon answers over {transport.value.upper()} from here: do firewalls let it through?", highlight=False
        )
        return 1
    if report:
        told = client.latencies.report(means)
        Console(stderr=True).print(f"{told.recorded} reported as measured by {told.ip}", highlight=False)
    return 0


async def _measure_all(
    measured: Sequence[_Measured], count: int, timeout: float, transport: PingTransport, live: Live | None
) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def measure_one(one: _Measured) -> None:
        def note(sample: float | None) -> None:
            samples = one.trips.samples_ms if sample is None else (*one.trips.samples_ms, sample)
            one.trips = RoundTrips(one.trips.asked + 1, samples)
            if live is not None:
                live.update(_results(sorted(measured, key=lambda one: one.order)), refresh=True)

        port = one.beacon.udp_port if transport is PingTransport.UDP else one.beacon.tcp_port
        if port == 0:
            return
        async with room:
            await ping_async(one.beacon.host, port, count=count, timeout=timeout, transport=transport, on_sample=note)

    async def everybody() -> None:
        await asyncio.gather(*map(measure_one, measured))

    if live is None:
        await everybody()
    else:
        with live:
            await everybody()


def _console() -> Console:
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def _results(measured: Sequence[_Measured]) -> Table:
    table = _table("city", "country", "address", "mean ms", "best ms", "jitter ms", "lost")
    for column in table.columns[3:]:
        column.justify = "right"
    for one in measured:
        place, trips = one.beacon.location, one.trips
        numbers = map(_shown, (trips.mean_ms, trips.best_ms, trips.jitter_ms))
        lost = f"{trips.lost}/{trips.asked}"
        style = "red" if trips.asked and not trips.samples_ms else None
        table.add_row(place.city, place.country, one.beacon.host, *numbers, lost, style=style)
    return table


def _shown(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.2f}"


def _described(beacon: Beacon) -> dict[str, object]:
    return {
        "city": beacon.location.city,
        "country": beacon.location.country,
        "host": beacon.host,
        "fqdn": beacon.fqdn,
        "udp_port": beacon.udp_port,
        "tcp_port": beacon.tcp_port,
    }


def _result(one: _Measured) -> dict[str, object]:
    trips = one.trips
    numbers = {"mean_ms": trips.mean_ms, "best_ms": trips.best_ms, "jitter_ms": trips.jitter_ms}
    rounded = {name: None if number is None else round(number, 3) for name, number in numbers.items()}
    return _described(one.beacon) | {"asked": trips.asked, "lost": trips.lost} | rounded


def _nobody() -> int:
    Console(stderr=True).print(
        "no beacon is listed: run a node with the role `beacon`; its log says where it answers", highlight=False
    )
    return 1
