"""What organisations are shown: their own reports exactly, what nodes measured without telling of each other's players."""

import pytest

from tests.latencies.world import RIVAL, LatencyWorld
from tests.world import ORGANISATION
from waymeet.latencies.showing import Shown, shown
from waymeet.model.instant import MICROSECONDS, Instant, after
from waymeet.model.latency import Measurement, Origin

ANNE, BELA = "8.8.8.8", "8.8.8.9"
NOW = Instant(1_750_000_000 * MICROSECONDS)


def measured(
    ms: float = 41.26, jitter_ms: float = 1.4, samples: int = 3, age: float = 90.5, origin: Origin = Origin.MEASURED
) -> Measurement:
    return Measurement("8.8.8.0/24", "Paris", ms, jitter_ms, samples, origin, after(NOW, -age))


def test_a_report_is_shown_as_it_is() -> None:
    found = shown(measured(origin=Origin.REPORTED), NOW)
    assert (found.ms, found.jitter_ms, found.samples, found.age_seconds) == (41.26, 1.4, 3, 90.5)


@pytest.mark.parametrize(
    ("age", "hours"), [(-5.0, 1), (0.0, 1), (1.0, 1), (3_600.0, 1), (3_600.5, 2), (7_200.0, 2), (85_000.0, 24)]
)
def test_the_age_of_a_probe_is_rounded_up_to_the_hour(age: float, hours: int) -> None:
    found = shown(measured(age=age), NOW)
    assert (found.age_seconds, found.samples) == (hours * 3_600, None)


def test_probes_that_differ_in_what_tells_of_others_look_alike() -> None:
    one = shown(measured(41.26, 1.4, samples=3, age=5.0), NOW)
    assert one == shown(measured(40.91, 0.8, samples=60, age=3_000.0), NOW)
    assert (one.ms, one.jitter_ms) == (41.0, 1.0)


def test_a_probe_is_never_shown_as_nothing() -> None:
    assert shown(measured(0.2, 0.0), NOW).ms == 1.0


@pytest.mark.anyio
async def test_nobody_sees_how_often_and_when_others_had_it_probed(world: LatencyWorld) -> None:
    for name in ("near", "far"):
        (await world.node(name)).samples = {ANNE: (20.0, 21.0, 22.0), BELA: (20.0, 21.0, 22.0)}
    await world.measure(ANNE)

    async def seen() -> list[Shown]:
        return list(await world.service.look(RIVAL, ANNE))

    before = await seen()
    assert [(entry.origin, entry.samples) for entry in before] == [(Origin.MEASURED, None)] * 2
    world.clock.pass_seconds(601)
    await world.measure(BELA)  # Of the same network.
    assert all(len(node.questions) == 2 for node in world.nodes.values())
    assert await seen() == before == list(await world.service.look(ORGANISATION, ANNE))
