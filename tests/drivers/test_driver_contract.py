"""What every driver promises (`drivers.base.Driver`), checked on each of them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.drivers.backends import SPEC, ProcessBackend, ended, ready, report_when
from tests.gate import Gate
from tests.polling import GENEROUS_SECONDS, eventually, eventually_async
from waymeet.drivers.base import Driver
from waymeet.model.errors import NotFound
from waymeet.model.servers import EndReason, PortProtocol, PortRequest, RestartPolicy, ServerPhase, ServerReport

pytestmark = pytest.mark.anyio

BACKENDS = {"process": ProcessBackend}


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[ProcessBackend]:
    backend = BACKENDS[request.param](tmp_path / "servers")
    yield backend
    await backend.clean()


@pytest.fixture
async def driver(backend: ProcessBackend) -> Driver:
    return await backend.driver()


def echoes(kind: socket.SocketKind, report: ServerReport) -> bool:
    """Whether the server at the reported address sends back what it is sent."""
    with socket.socket(socket.AF_INET, kind) as endpoint:
        endpoint.settimeout(GENEROUS_SECONDS)
        endpoint.connect((report.public_ip, report.ports[0].external))
        endpoint.send(b"hello\n")
        return endpoint.recv(100) == b"hello\n"


async def test_a_ready_server_answers_where_its_report_says(driver: Driver) -> None:
    await driver.start(SPEC)
    report = await ready(driver)
    assert report.ports[0].key == "game"
    assert report.ports[0].protocol is PortProtocol.TCP_UDP
    assert echoes(socket.SOCK_DGRAM, report)
    assert echoes(socket.SOCK_STREAM, report)
    assert report.spawned_at is not None
    assert report.ready_at is not None
    assert report.spawned_at <= report.ready_at


async def test_a_server_is_not_ready_before_it_binds_its_port(driver: Driver, gate: Gate) -> None:
    await driver.start(replace(SPEC, arguments=gate.ready))
    # It has been looked at by then, and was found wanting.
    report = await report_when(driver, lambda report: report.message)
    assert report.phase is ServerPhase.STARTING
    assert report.spawned_at is not None
    assert report.ready_at is None
    gate.open()
    report = await ready(driver)
    assert echoes(socket.SOCK_DGRAM, report)


async def test_without_a_port_to_check_staying_alive_is_enough(driver: Driver) -> None:
    unchecked = (PortRequest("game", 0, PortProtocol.UDP, to_check=False),)
    await driver.start(replace(SPEC, ports=unchecked, arguments="--start-delay 60"))
    await ready(driver)


async def test_starting_again_is_still_one_server(backend: ProcessBackend, driver: Driver) -> None:
    await asyncio.gather(*(driver.start(SPEC) for _ in range(5)))
    before = await ready(driver)
    processes = backend.left(SPEC.key)
    await driver.start(SPEC)
    assert await driver.look() == [before]
    assert backend.left(SPEC.key) == processes


async def test_servers_have_ports_of_their_own(driver: Driver) -> None:
    keys = [f"server-{number}" for number in range(4)]
    for key in keys:
        await driver.start(replace(SPEC, key=key))
    reports = [await ready(driver, key) for key in keys]
    assert len({report.ports[0].external for report in reports}) == 4


async def test_an_unknown_image_ends_at_once_and_bothers_nobody(driver: Driver) -> None:
    if driver.images is None:
        pytest.skip("this driver fetches any image")
    await driver.start(replace(SPEC, key="strange", image="studio/unheard-of"))
    await driver.start(SPEC)
    report = await ended(driver, "strange")
    assert report.end_reason is EndReason.IMAGE_UNKNOWN
    assert report.message is not None
    assert "studio/unheard-of" in report.message
    await ready(driver)
    await driver.forget("strange")
    assert [report.key for report in await driver.look()] == [SPEC.key]


async def test_a_stopped_server_ends_and_leaves_nothing(backend: ProcessBackend, driver: Driver) -> None:
    await driver.start(SPEC)
    await ready(driver)
    await driver.stop(SPEC.key)
    [report] = await driver.look()
    assert report.phase in (ServerPhase.STOPPING, ServerPhase.ENDED)
    await driver.stop(SPEC.key)
    report = await ended(driver)
    assert report.end_reason is EndReason.STOPPED
    await driver.stop(SPEC.key)
    eventually(lambda: not backend.left(SPEC.key))


async def test_a_server_may_be_stopped_the_moment_it_was_started(backend: ProcessBackend, driver: Driver) -> None:
    await driver.start(SPEC)
    await driver.stop(SPEC.key)
    assert (await ended(driver)).end_reason is EndReason.STOPPED
    eventually(lambda: not backend.left(SPEC.key))


async def test_stopping_and_forgetting_the_unknown_does_nothing(driver: Driver) -> None:
    await driver.stop("nobody")
    await driver.forget("nobody")
    assert await driver.look() == []


@pytest.mark.parametrize(("code", "reason"), [(0, EndReason.EXITED), (3, EndReason.CRASHED)])
async def test_a_server_that_ends_by_itself_is_reported_with_its_code(
    driver: Driver, code: int, reason: EndReason
) -> None:
    await driver.start(replace(SPEC, arguments=f"--exit-after 0 --exit-code {code}"))
    report = await ended(driver)
    assert report.end_reason is reason
    assert report.exit_code == code
    assert report.restart_count == 0
    logs = await driver.logs(SPEC.key)
    assert f"echo: ending with {code}" in logs.text
    assert logs.exit_code == code
    assert (f"echo: ending with {code}" in (report.crash_log or "")) is (reason is EndReason.CRASHED)
    assert logs.crash == report.crash_log


@pytest.mark.parametrize(
    ("policy", "code"), [(RestartPolicy.ALWAYS, 0), (RestartPolicy.ALWAYS, 3), (RestartPolicy.ON_FAILURE, 3)]
)
async def test_a_server_that_ends_is_started_again_as_its_policy_says(
    backend: ProcessBackend, driver: Driver, gate: Gate, policy: RestartPolicy, code: int
) -> None:
    spec = replace(SPEC, restart_policy=policy, arguments=f"{gate.end} --exit-code {code}")
    await driver.start(spec)
    first = await ready(driver)
    gate.open()
    await report_when(driver, lambda report: report.restart_count == 1 and report.phase is ServerPhase.READY)
    gate.open()
    again = await report_when(driver, lambda report: report.restart_count == 2 and report.phase is ServerPhase.READY)
    assert again.ports == first.ports
    assert again.exit_code == code
    assert again.ready_at is not None
    assert first.ready_at is not None
    assert again.ready_at > first.ready_at
    await driver.stop(spec.key)
    assert (await ended(driver)).end_reason is EndReason.STOPPED
    eventually(lambda: not backend.left(SPEC.key))


async def test_readiness_is_lost_while_a_server_is_started_again(driver: Driver, gate: Gate, tmp_path: Path) -> None:
    end = Gate(tmp_path / "end")
    gate.open()
    await driver.start(replace(SPEC, restart_policy=RestartPolicy.ALWAYS, arguments=f"{gate.ready} {end.end}"))
    await ready(driver)
    gate.close()
    end.open()
    report = await report_when(driver, lambda report: report.phase is not ServerPhase.READY)
    assert report.phase is ServerPhase.STARTING
    assert report.ready_at is None
    gate.open()
    assert (await ready(driver)).restart_count == 1


async def test_a_success_is_not_restarted_on_failure(driver: Driver) -> None:
    await driver.start(replace(SPEC, restart_policy=RestartPolicy.ON_FAILURE, arguments="--exit-after 0"))
    assert (await ended(driver)).restart_count == 0


async def test_servers_survive_their_driver_and_are_found_by_the_next(backend: ProcessBackend, driver: Driver) -> None:
    await driver.start(SPEC)
    before = await ready(driver)
    await driver.close()
    assert echoes(socket.SOCK_DGRAM, before)
    successor = await backend.driver()
    assert await successor.look() == [before]
    await successor.start(SPEC)
    await successor.start(replace(SPEC, key="server-2"))
    assert (await ready(successor, "server-2")).ports[0].external != before.ports[0].external
    await successor.stop(SPEC.key)
    assert (await ended(successor)).end_reason is EndReason.STOPPED
    eventually(lambda: not backend.left(SPEC.key))


async def test_an_end_without_a_driver_is_reported_by_the_next(
    backend: ProcessBackend, driver: Driver, gate: Gate
) -> None:
    await driver.start(replace(SPEC, arguments=f"{gate.end} --exit-code 4"))
    await ready(driver)
    await driver.close()
    gate.open()
    eventually(lambda: not backend.left(SPEC.key))
    successor = await backend.driver()
    [report] = await successor.look()
    assert (report.end_reason, report.exit_code) == (EndReason.CRASHED, 4)


async def test_a_server_that_ended_is_remembered_and_not_started_again(backend: ProcessBackend, driver: Driver) -> None:
    await driver.start(replace(SPEC, arguments="--exit-after 0"))
    before = await ended(driver)
    eventually(lambda: not backend.left(SPEC.key))
    await driver.start(SPEC)
    await driver.close()
    successor = await backend.driver()
    await successor.start(SPEC)
    assert await successor.look() == [before]
    assert not backend.left(SPEC.key)


async def test_a_forgotten_server_is_gone_for_good(backend: ProcessBackend, driver: Driver) -> None:
    await driver.start(SPEC)
    await ready(driver)
    await driver.forget(SPEC.key)
    assert [report.phase for report in await driver.look()] == [ServerPhase.READY]
    await driver.stop(SPEC.key)
    await ended(driver)

    async def forgotten() -> bool:
        await driver.forget(SPEC.key)
        return not await driver.look()

    await eventually_async(forgotten)
    with pytest.raises(NotFound):
        await driver.logs(SPEC.key)
    await driver.close()
    assert await (await backend.driver()).look() == []


async def test_logs_and_readings_of_a_running_server(driver: Driver) -> None:
    await driver.start(SPEC)
    await ready(driver)

    async def printed() -> bool:
        # It says so after it has bound its ports, which is when it counts as ready.
        return "echo: answering on UDP" in (await driver.logs(SPEC.key)).text

    await eventually_async(printed)

    async def several() -> bool:
        return len(await driver.readings(SPEC.key)) >= 3

    await eventually_async(several)
    readings = await driver.readings(SPEC.key)
    assert [reading.at for reading in readings] == sorted(reading.at for reading in readings)
    assert all(reading.memory_bytes for reading in readings)
    assert all(reading.cpu_fraction is not None for reading in readings)


async def test_logs_and_readings_of_the_unknown_are_not_found(driver: Driver) -> None:
    with pytest.raises(NotFound):
        await driver.logs("nobody")
    with pytest.raises(NotFound):
        await driver.readings("nobody")


async def test_changed_tells_of_every_step_without_polling(driver: Driver) -> None:
    await driver.look()
    await driver.start(SPEC)
    phases: list[ServerPhase] = []
    async with asyncio.timeout(GENEROUS_SECONDS):
        while ServerPhase.ENDED not in phases:
            await driver.changed()
            phases += [report.phase for report in await driver.look()]
            if phases[-1] is ServerPhase.READY:
                await driver.stop(SPEC.key)
    assert [phase for at, phase in enumerate(phases) if phase not in phases[:at]] == list(ServerPhase)


async def test_changed_waits_when_nothing_does(driver: Driver) -> None:
    await driver.start(replace(SPEC, arguments="--exit-after 0"))
    await ended(driver)
    await eventually_async(lambda: _is_quiet(driver))


async def _is_quiet(driver: Driver) -> bool:
    await driver.look()
    try:
        async with asyncio.timeout(0.2):
            await driver.changed()
    except TimeoutError:
        return True
    return False
