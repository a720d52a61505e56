"""What players report themselves: kept apart, bounded, and less than a probe."""

from dataclasses import replace

import pytest

from tests.latencies.world import PATIENT, RIVAL, LatencyWorld
from tests.world import ORGANISATION
from waymeet.latencies.service import MOST_REPORTED
from waymeet.model.errors import Invalid
from waymeet.model.latency import Origin

pytestmark = pytest.mark.anyio

ANNE = "8.8.8.8"


async def report(world: LatencyWorld, **latencies: float) -> int:
    return await world.service.report(ORGANISATION, ANNE, latencies)


async def test_it_counts_for_the_network_and_for_its_organisation_alone(world: LatencyWorld) -> None:
    await world.node("near")
    assert await world.known(ANNE) == {}
    assert await report(world, Near=35.5) == 1
    assert await world.known("8.8.8.77") == {"Near": 35.5}
    assert await world.known(ANNE, RIVAL) == {}
    (without,) = await world.service.known([ANNE])
    assert without == {}
    (shown,) = await world.service.look(ORGANISATION, ANNE)
    assert (shown.origin, shown.samples) == (Origin.REPORTED, 1)
    assert await world.service.look(RIVAL, ANNE) == []


async def test_not_measured_is_not_fast(world: LatencyWorld) -> None:
    await world.node("near")
    await world.node("far")
    assert await report(world, Near=0.0, Far=-1.0) == 0
    assert await report(world, Near=0, Far=80) == 1
    assert await world.known(ANNE) == {"Far": 80.0}


async def test_a_fresh_probe_is_not_overridden(world: LatencyWorld) -> None:
    node = await world.node("near")
    await world.node("far", probes=False)
    node.samples = {ANNE: (120.0,)}
    await report(world, Near=1.0, Far=40.0)
    assert await world.known(ANNE) == {"Near": 1.0, "Far": 40.0}
    assert await world.measure(ANNE) == [{"Near": 120.0, "Far": 40.0}]
    await report(world, Near=1.0)
    assert await world.known(ANNE) == {"Near": 120.0, "Far": 40.0}
    # When it could not be repeated for long, a player's word of today is better.
    world.clock.pass_seconds(600.001)
    await report(world, Near=1.0)
    assert await world.known(ANNE) == {"Near": 1.0, "Far": 40.0}
    # Two stale ones: the probe again.
    world.clock.pass_seconds(600.001)
    assert await world.known(ANNE) == {"Near": 120.0, "Far": 40.0}


async def test_reports_are_smoothed(world: LatencyWorld) -> None:
    await world.node("near")
    await report(world, Near=80.0)
    await report(world, Near=40.0)
    # One outlier a moment later counts an eighth.
    assert await world.known(ANNE) == {"Near": 75.0}


@pytest.mark.parametrize("ms", [10_000.0, -10_000.0, float("inf"), float("-inf"), float("nan"), 1e300])
async def test_out_of_limits(world: LatencyWorld, ms: float) -> None:
    await world.node("near")
    with pytest.raises(Invalid, match=r"latencies\.Near"):
        await report(world, Near=ms)
    assert await world.known(ANNE) == {}


async def test_a_city_without_a_beacon_is_named_and_nothing_is_kept(world: LatencyWorld) -> None:
    await world.node("near")
    with pytest.raises(Invalid, match=r"latencies\.Atlantis"):
        await report(world, Near=20.0, Atlantis=30.0)
    assert await world.known(ANNE) == {}


async def test_too_many_at_once(world: LatencyWorld) -> None:
    await world.node("near")
    with pytest.raises(Invalid, match="latencies"):
        await world.service.report(ORGANISATION, ANNE, {f"c{number}": 1.0 for number in range(MOST_REPORTED + 1)})


@pytest.mark.parametrize("ip", ["", "nobody", "1.2.3", "8.8.8.0/24"])
async def test_no_address(world: LatencyWorld, ip: str) -> None:
    with pytest.raises(Invalid, match="ip"):
        await world.service.report(ORGANISATION, ip, {})
    with pytest.raises(Invalid, match="ip"):
        await world.service.look(ORGANISATION, ip)


async def test_rows_are_bounded_for_each_owner(world: LatencyWorld) -> None:
    node = await world.node("near")
    service = world.with_rules(replace(PATIENT, rows=50))
    for number in range(8):
        world.clock.pass_seconds(1)
        await world.service.report(ORGANISATION, f"8.8.{number}.1", {"Near": 20.0})
    await world.service.report(RIVAL, "8.8.0.1", {"Near": 20.0})
    node.samples = {f"9.9.{number}.1": (20.0,) for number in range(32)}
    await world.measure(*node.samples)
    await service.tidy()
    # A tenth of the rows is for an organisation's reports, and the newest stay.
    world.store.bells.ring("latencies", None)
    assert [await world.known(f"8.8.{number}.1") for number in range(8)] == [{}] * 3 + [{"Near": 20.0}] * 5
    assert await world.known("8.8.0.1", RIVAL) == {"Near": 20.0}
    assert all([await world.known(address) for address in node.samples])
    world.clock.pass_seconds(86_401)
    await service.tidy()
    await service.tidy()
    world.clock.pass_seconds(-86_401)
    world.store.bells.ring("latencies", None)
    assert not any([await world.known(address) for address in (*node.samples, "8.8.7.1")])
